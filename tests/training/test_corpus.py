"""The training corpus: what is kept, what is left out, and windows of picture and anchor that belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from shaded.training.corpus import Corpus, build_cache, load_corpus


def _scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Large random blots: a picture that no other seed's picture resembles."""
    blots = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC)


def _cutout(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    picture = _scene(seed, size).convert("RGBA")
    alpha = np.zeros(size[::-1], dtype=np.uint8)
    alpha[20:-20, 20:-20] = 255
    picture.putalpha(Image.fromarray(alpha))
    return picture


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of three photographs and two cut-outs."""
    photos, stamps, kept_out = tmp_path / "photos", tmp_path / "stamps", tmp_path / "kept-out"
    for folder in (photos, stamps, kept_out):
        folder.mkdir()
    for seed in range(3):
        _scene(seed).save(photos / f"scene-{seed}.png")
    for seed in (10, 11):
        _cutout(seed).save(stamps / f"thing-{seed}.png")
    _scene(99).save(kept_out / "test-picture.png")
    build_cache([("photo", photos), ("object", stamps)], kept_out, tmp_path / "cache")
    return tmp_path / "cache"


@pytest.mark.parametrize(
    "disguise",
    [
        pytest.param(lambda picture: picture, id="as it is"),
        pytest.param(lambda picture: picture.resize((320, 200)), id="another size"),
        pytest.param(ImageOps.mirror, id="mirrored"),
        pytest.param(lambda picture: picture.convert("L"), id="gray"),
    ],
)
def test_test_pictures_are_left_out_in_any_disguise(tmp_path: Path, disguise) -> None:
    """A picture that looks like an excluded one isn't kept, whatever its name, size, side or colour."""
    sources, excluded = tmp_path / "sources", tmp_path / "excluded"
    sources.mkdir()
    excluded.mkdir()
    disguise(_scene(5)).save(sources / "innocent-name.png")
    _scene(6).save(sources / "other.png")
    _scene(5).save(excluded / "judge.png")
    report = build_cache([("photo", sources)], excluded, tmp_path / "cache")
    assert [line.split()[0] for line in report["excluded"]] == ["sources/innocent-name.png"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["photo-0001-other.npy"]


def test_repeated_small_and_broken_pictures_are_not_kept(tmp_path: Path) -> None:
    """A second copy, an icon and a file that is no picture are reported and left out."""
    sources, excluded = tmp_path / "sources", tmp_path / "excluded"
    sources.mkdir()
    excluded.mkdir()
    _scene(1).save(sources / "a.png")
    _scene(1).save(sources / "b.png")
    _scene(2, (48, 48)).save(sources / "icon.png")
    (sources / "broken.png").write_bytes(b"not a picture")
    _scene(9).save(excluded / "judge.png")
    report = build_cache([("photo", sources)], excluded, tmp_path / "cache")
    assert report["repeated"] == ["b.png"]
    assert sorted(report["skipped"]) == ["broken.png", "icon.png"]
    assert len(report["kept"]) == 1


def test_cache_keeps_transparency_and_groups(cache: Path) -> None:
    """Cut-outs come back with their alpha under their group; every n-th photograph is held out."""
    corpus = load_corpus(cache, held_out=3)
    assert len(corpus.groups["object"]) == 2
    assert corpus.groups["object"][0].getchannel("A").getextrema() == (0, 255)
    assert len(corpus.groups["photo"]) == 2
    assert corpus.gallery == ()


@pytest.mark.parametrize("seed", range(8))
def test_windows_have_the_size_asked_for_and_repeat_with_their_seed(cache: Path, seed: int) -> None:
    """Picture and anchor windows are square arrays of the asked size, equal for equal seeds."""
    corpus = load_corpus(cache)
    first = corpus.sample(np.random.default_rng(seed), 96, 0.5)
    again = corpus.sample(np.random.default_rng(seed), 96, 0.5)
    for one, other in ((first.picture, again.picture), (first.anchor, again.anchor)):
        assert one.shape == (96, 96, 3)
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)


def test_gallery_anchors_are_used_in_their_share(cache: Path) -> None:
    """With a share of one, an all-red gallery colours anchors red or a permutation of it; with zero it never shows."""
    red = Image.new("RGBA", (64, 64), (255, 0, 0, 255))
    corpus = load_corpus(cache)
    corpus = Corpus(corpus.groups, (red,))

    def pure(share: float) -> int:
        rng = np.random.default_rng(1)
        anchors = [corpus.sample(rng, 64, share).anchor.reshape(-1, 3) for _ in range(20)]
        return sum(int((np.sort(anchor, axis=1) == (0, 0, 255)).all(axis=1).mean() > 0.2) for anchor in anchors)

    assert pure(1.0) > 10
    assert pure(0.0) < 4
