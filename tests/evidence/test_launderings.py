"""The audit's launderings: each does what it says, to real pictures, and gives back the same size."""

from __future__ import annotations

import numpy as np
import pytest

from shaded.evidence.findings import GROUPS
from shaded.evidence.launderings import from_tensor, suite, to_tensor

LONGEST = 1200


@pytest.fixture(scope="module")
def every():
    """The whole suite for a large canvas with one autoencoder."""
    return suite(LONGEST, 7, {"halves": lambda picture: picture / 2})


@pytest.fixture(scope="module")
def picture():
    """A soft picture with grain, 8 bits."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:96, :128]
    waves = 128 + 60 * np.sin(x / 17)[..., None] * np.cos(y / 11)[..., None] * np.array([1.0, 0.6, -0.8])
    return np.clip(waves + rng.normal(0, 6, waves.shape), 0, 255).astype(np.uint8)


def _named(every, name):
    return next(one for one in every[0] if one.name == name)


def test_the_suite_is_complete(every):
    """Every group has members, names are unique, and each kind that is promised is there in each strength."""
    launderings, _ = every
    names = [one.name for one in launderings]
    assert len(names) == len(set(names))
    assert [group for group in GROUPS if any(one.group == group for one in launderings)] == list(GROUPS)
    jpeg = {f"JPEG q{q} {c}" for q in (95, 85, 75, 60, 50, 40, 30) for c in ("4:4:4", "4:2:0")}
    others = {"WebP q90", "WebP q75", "WebP q50", "AVIF q75", "AVIF q50", "crop 5 %", "crop 10 %", "crop 15 %"}
    more = {"crop 25 %", "rotate 1°", "rotate 2°", "rotate 3°", "blur 0.5", "blur 1", "blur 2", "median 3", "median 5"}
    rest = {"AdverseCleaner", "noise, upscale", "autoencoder halves x1", "autoencoder halves x3", "gallery site"}
    assert jpeg | others | more | rest <= set(names)
    assert {one.name for one in launderings if one.moves} == {one.name for one in launderings if one.group == "crop"}


def test_resizes_that_reduce_nothing_are_skipped_and_said_so(every):
    """Sizes below the picture's are applied with every filter; the others are listed with the reason."""
    launderings, skipped = every
    resizes = {one.name for one in launderings if one.group == "resize"}
    kernels = ("box", "bilinear", "bicubic", "lanczos")
    assert resizes == {f"resize {side} {kernel}" for side in (1024, 768, 512) for kernel in kernels}
    assert {one.name for one in skipped} == {f"resize 2048 {kernel}" for kernel in kernels}
    assert all("1200" in one.reason for one in skipped)
    assert not [one for one in suite(400, 7)[0] if one.group == "resize"]


@pytest.mark.parametrize("group", list(GROUPS))
def test_each_laundering_keeps_size_and_kind_and_leaves_a_mark(every, picture, group):
    """The result has the same shape and type, the argument is untouched, and something changed."""
    before = picture.copy()
    for laundering in (one for one in every[0] if one.group == group):
        washed = laundering.apply(picture)
        assert (washed.shape, washed.dtype) == (picture.shape, np.uint8), laundering.name
        assert np.array_equal(picture, before), laundering.name
        assert not np.array_equal(washed, picture), laundering.name


def test_stronger_is_further_away(every, picture):
    """A lower quality, a wider blur and a smaller size change the picture more."""

    def distance(name):
        return float(np.abs(_named(every, name).apply(picture).astype(float) - picture).mean())

    for weaker, stronger in (
        ("JPEG q95 4:4:4", "JPEG q30 4:4:4"),
        ("JPEG q95 4:4:4", "JPEG q95 4:2:0"),
        ("WebP q90", "WebP q50"),
        ("AVIF q75", "AVIF q50"),
        ("blur 0.5", "blur 2"),
        ("median 3", "median 5"),
        ("resize 1024 lanczos", "resize 512 lanczos"),
        ("crop 5 %", "crop 25 %"),
        ("rotate 1°", "rotate 3°"),
    ):
        assert distance(weaker) < distance(stronger), (weaker, stronger)


def test_launderings_give_the_same_every_time(every, picture):
    """Noise is seeded: the same picture is laundered alike twice, and differently with another seed."""
    name = "noise, median"
    again = _named(suite(LONGEST, 7), name).apply(picture)
    other = _named(suite(LONGEST, 8), name).apply(picture)
    assert np.array_equal(_named(every, name).apply(picture), again)
    assert not np.array_equal(other, again)


def test_a_rotated_picture_has_no_empty_corners(every):
    """A white picture stays white to its corners."""
    white = np.full((90, 160, 3), 255, np.uint8)
    for degrees in (1, 2, 3):
        assert _named(every, f"rotate {degrees}°").apply(white).min() >= 250


def test_a_crop_shows_the_middle(every):
    """A frame as wide as what is cut off is gone afterwards."""
    framed = np.full((200, 200, 3), 90, np.uint8)
    framed[:10] = framed[-10:] = framed[:, :10] = framed[:, -10:] = 255
    assert _named(every, "crop 10 %").apply(framed).max() <= 92
    assert _named(every, "crop 5 %").apply(framed).max() > 200


def test_autoencoders_are_used_as_often_as_said(every):
    """Three round trips are three."""
    white = np.full((64, 64, 3), 200, np.uint8)
    assert int(_named(every, "autoencoder halves x1").apply(white).max()) == 100
    assert int(_named(every, "autoencoder halves x3").apply(white).max()) == 25


def test_tensors_and_pixels_are_the_same_picture(picture):
    """There and back gives the same 8-bit picture."""
    assert np.array_equal(from_tensor(to_tensor(picture)), picture)
