"""The bundled vocabulary and the anchors: complete, consistent, and recognised as what they are."""

from __future__ import annotations

import importlib.util
import io
import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from shaded.models.gallery_files import (
    GalleryEntry,
    concept_slug,
    gallery_folder,
    load_gallery,
)
from shaded.scheduling.toolbox import load_tagger, load_vocabulary
from shaded.shading.concepts import choose_target, concept_scores, resolve_concept
from shaded.shading.tagger import Tagger
from shaded.training import render_gallery

GROUNDS = {"white": (255, 255, 255), "mid-grey": (128, 128, 128), "soft blue": (214, 226, 235)}


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """The bundled tagger."""
    return load_tagger()


def _name(entry: GalleryEntry) -> str:
    return entry.path.stem


def test_every_class_belongs_to_exactly_one_concept() -> None:
    """All 1000 classes are mapped, none of them twice."""
    counts = Counter(index for concept in load_vocabulary().concepts for index in concept.classes)
    assert set(counts) == set(range(1000))
    assert max(counts.values()) == 1


def test_the_vocabulary_is_large_enough() -> None:
    """There are at least 200 concepts that the tagger can find, and more that an artist can name."""
    concepts = load_vocabulary().concepts
    assert sum(bool(concept.classes) for concept in concepts) >= 200
    assert sum(not concept.classes for concept in concepts) >= 30


def test_all_dog_breeds_are_dogs() -> None:
    """The 118 breeds of the classifier are one everyday concept."""
    dog = load_vocabulary().get("dog")
    assert dog is not None
    assert dog.classes == tuple(range(151, 269))


def test_no_word_means_two_concepts() -> None:
    """Names and aliases are unique, so that an artist's word has one meaning."""
    concepts = load_vocabulary().concepts
    words = Counter(word for concept in concepts for word in (concept.name, *concept.aliases))
    assert [word for word, count in words.items() if count > 1] == []


def test_every_name_and_alias_resolves_to_its_concept() -> None:
    """Whatever the vocabulary lists can be found by that word, in any case."""
    vocabulary = load_vocabulary()
    for concept in vocabulary.concepts:
        for word in (concept.name, *concept.aliases):
            assert resolve_concept(word, vocabulary) == concept, word
            assert resolve_concept(f"The {word.upper()}", vocabulary) == concept, word


def test_related_kinds_exist() -> None:
    """The table of related kinds names only kinds that some concept has."""
    vocabulary = load_vocabulary()
    kinds = {concept.kind for concept in vocabulary.concepts}
    assert set(vocabulary.related) <= kinds
    assert set().union(*vocabulary.related.values()) <= kinds


def test_every_concept_has_several_possible_targets() -> None:
    """Whatever a picture shows, at least eight anchors are unrelated to it."""
    vocabulary = load_vocabulary()
    anchors = {entry.concept for entry in load_gallery()}
    for concept in vocabulary.concepts:
        open_to = [a for a in anchors if vocabulary.unrelated(concept.kind, vocabulary.get(a).kind)]  # type: ignore[union-attr]
        assert len(open_to) >= 8, concept.name
        assert choose_target(concept.name, anchors, vocabulary, b"secret") in open_to


def test_the_gallery_has_enough_concepts() -> None:
    """At least 16 concepts of several kinds have an anchor, and each knows its file's digest."""
    entries = load_gallery()
    vocabulary = load_vocabulary()
    assert len({entry.concept for entry in entries}) >= 16
    assert len({vocabulary.get(entry.concept).kind for entry in entries}) >= 8  # type: ignore[union-attr]
    assert all(len(entry.sha256) == 64 for entry in entries)


def test_every_anchor_keeps_its_vector_source() -> None:
    """Sources and pictures come in pairs, and a source is plain SVG without text, scripts or links."""
    folder = gallery_folder()
    assert {path.stem for path in folder.glob("*.svg")} == {path.stem for path in folder.glob("*.webp")}
    for path in folder.glob("*.svg"):
        tags = {element.tag.rpartition("}")[2] for element in ET.parse(path).iter()}
        assert tags.isdisjoint({"text", "script", "image", "foreignObject", "a"}), path.name


@pytest.mark.parametrize("entry", load_gallery(), ids=_name)
def test_an_anchor_is_a_small_square_with_alpha(entry: GalleryEntry) -> None:
    """Anchors are 768-pixel RGBA squares under 80 kB whose corners show the ground."""
    assert entry.path.stat().st_size <= render_gallery.MAX_BYTES
    with Image.open(entry.path) as picture:
        assert (picture.format, picture.mode, picture.size) == ("WEBP", "RGBA", (768, 768))
        alpha = np.asarray(picture.getchannel("A"))
    assert max(alpha[0, 0], alpha[0, -1], alpha[-1, 0], alpha[-1, -1]) == 0
    assert 0.1 < float((alpha > 127).mean()) < 0.9


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("entry", load_gallery(), ids=_name)
def test_an_anchor_is_recognised(tagger: Tagger, entry: GalleryEntry, ground: str) -> None:
    """The bundled tagger has the anchor's concept among its first five, over each ground."""
    with Image.open(entry.path) as picture:
        canvas = Image.new("RGBA", picture.size, GROUNDS[ground])
        canvas.alpha_composite(picture)
    pixels = torch.from_numpy(np.asarray(canvas.convert("RGB"), dtype=np.float32) / 255.0).permute(2, 0, 1)
    names = [name for name, _ in concept_scores(tagger.tag(pixels), load_vocabulary())]
    assert entry.concept in names[:5]


def test_slugs_are_unique() -> None:
    """A file's name stands for one concept only."""
    slugs = Counter(concept_slug(concept.name) for concept in load_vocabulary().concepts)
    assert max(slugs.values()) == 1


@pytest.mark.skipif(importlib.util.find_spec("resvg_py") is None, reason="resvg-py is not installed")
@pytest.mark.parametrize("name", ["handbag-1", "traffic-light-1"])
def test_a_source_renders_to_its_picture(name: str) -> None:
    """Rendering the vector source again gives the bundled picture."""
    source = gallery_folder() / f"{name}.svg"
    rendered = Image.open(io.BytesIO(render_gallery.encode(render_gallery.rasterise(source))))
    with Image.open(gallery_folder() / f"{name}.webp") as bundled:
        difference = ImageChops.difference(rendered.convert("RGBA"), bundled.convert("RGBA"))
    assert float(np.asarray(difference).mean()) < 1.0


def test_encoding_stays_within_the_size() -> None:
    """Quality gives way until the picture is small enough."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 4), dtype=np.uint8), "RGBA")
    largest, smaller = render_gallery.encode(noise, 10**9), render_gallery.encode(noise, 30_000)
    assert len(smaller) < len(largest)
