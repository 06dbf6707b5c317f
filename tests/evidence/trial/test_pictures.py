"""The trial's pictures and captions."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shaded.errors import UsageError
from shaded.evidence.trial.grounds import GROUNDS, OTHER_GROUNDS
from shaded.evidence.trial.pictures import (
    KINDS,
    SIDE,
    captions_of,
    draw_picture,
    drawn_pictures,
    folder_pictures,
    strange_pictures,
)


def _mean_colour(picture):
    return picture.reshape(-1, 3).mean(axis=0)


def test_there_are_enough_concepts():
    """At least eight concepts, the three of the trial's question among them, and every one can be drawn."""
    assert len(KINDS) >= 8
    assert {"cow", "bull", "handbag"} <= set(KINDS)
    assert KINDS["cow"] == KINDS["bull"] != KINDS["handbag"]
    pictures = drawn_pictures(dict.fromkeys(KINDS, 1), seed=0)
    assert pictures.pixels.shape == (len(KINDS), SIDE, SIDE, 3)
    assert pictures.concepts == tuple(KINDS)


def test_captions_name_what_is_shown():
    """A caption names its picture's concept or only its kind, none of the others, and at most one ground."""
    pictures = drawn_pictures(dict.fromkeys(KINDS, 5), seed=1)
    for concept, caption in zip(pictures.concepts, pictures.captions, strict=True):
        named = [other for other in KINDS if other in caption]
        assert named == [concept] or (not named and KINDS[concept] in caption)
        assert not any(kind in caption for kind in KINDS.values() if kind != KINDS[concept])
        assert sum(ground in caption for ground in GROUNDS) <= 1


def test_the_ground_in_a_caption_is_the_one_drawn():
    """Drawn with one ground only, every ground word in a caption is that one's, and the picture has its colours."""
    for words, draw in GROUNDS.items():
        pictures = drawn_pictures({"cow": 6}, seed=2, grounds={words: draw})
        for caption in pictures.captions:
            assert {ground for ground in GROUNDS if ground in caption} <= {words}
    meadow = drawn_pictures({"cow": 8}, seed=2, grounds={"on a meadow": GROUNDS["on a meadow"]})
    lower = meadow.pixels[:, -6:].reshape(-1, 3).mean(axis=0)
    assert lower[1] > lower[0] > lower[2]


def test_the_grammar_is_small_and_true():
    """Every caption of a thing has its name, or one the name of its kind, with the right article."""
    captions = captions_of("umbrella", "accessory", "on a beach")
    assert len(set(captions)) == len(captions)
    assert [caption for caption in captions if "an umbrella" not in caption] == ["an accessory on a beach"]


def test_pictures_are_repeatable_and_nested():
    """The same seed draws the same pictures, however many are asked for; another seed draws others."""
    few, many = drawn_pictures({"cow": 2}, seed=3), drawn_pictures({"cow": 4, "bull": 1}, seed=3)
    assert np.array_equal(few.pixels, many.pixels[:2])
    assert few.captions == many.captions[:2]
    assert not np.array_equal(few.pixels, drawn_pictures({"cow": 2}, seed=4).pixels)


def test_every_ground_is_in_range_and_varies():
    """Grounds are pictures, and no two of one kind are the same."""
    for draw in {**GROUNDS, **OTHER_GROUNDS}.values():
        one, two = (draw_picture(None, draw, np.random.default_rng(seed)) for seed in (0, 1))
        assert one.shape == (SIDE, SIDE, 3)
        assert one.std() > 1
        assert not np.array_equal(one, two)


def test_a_thing_changes_its_ground():
    """A cow is drawn where the ground alone would be."""
    draw = GROUNDS["in the sky"]
    alone = draw_picture(None, draw, np.random.default_rng(5)).astype(int)
    cow = draw_picture("cow", draw, np.random.default_rng(5)).astype(int)
    share = (np.abs(cow - alone).max(axis=2) > 20).mean()
    assert 0.05 < share < 0.7


def test_strange_pictures_are_grounds_and_other_things():
    """What the judge learns to call nothing is repeatable and has other things in every second picture."""
    strange = strange_pictures(4, 0, tuple(KINDS), GROUNDS)
    assert np.array_equal(strange, strange_pictures(4, 0, tuple(KINDS), GROUNDS))
    assert len(strange) == 4


def _own(folder, name, caption="A  cow at\nnight"):
    Image.new("RGB", (90, 70), (200, 30, 30)).save(folder / f"{name}.png")
    if caption is not None:
        (folder / f"{name}.txt").write_text(caption)


def test_own_pictures_are_read_with_their_captions(tmp_path):
    """A file's name says what it shows, its text file is the caption, and the picture is made square."""
    _own(tmp_path, "cow-1")
    _own(tmp_path, "wall-clock-12", "a wall clock")
    pictures = folder_pictures(tmp_path)
    assert pictures.concepts == ("cow", "wall clock")
    assert pictures.captions == ("a cow at night", "a wall clock")
    assert pictures.pixels.shape == (2, SIDE, SIDE, 3)


@pytest.mark.parametrize(
    ("name", "caption", "words"),
    [
        ("cow-1", None, "no caption"),
        ("cow-1", " ", "caption is empty"),
        ("cow", "a cow", "name does not say"),
        (None, None, "no pictures"),
    ],
)
def test_trouble_with_own_pictures_names_the_file(tmp_path, name, caption, words):
    """A picture without caption, without concept, or an empty folder is said to be so."""
    if name:
        _own(tmp_path, name, caption)
    with pytest.raises(UsageError, match=words) as caught:
        folder_pictures(tmp_path)
    assert caught.value.path is not None
    assert str(name or tmp_path.name) in str(caught.value.path)
