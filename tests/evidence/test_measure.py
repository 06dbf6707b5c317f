"""Measuring a published picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shaded.evidence.measure import (
    full_psnr,
    largest_spread,
    mean_pull,
    measure_budget,
    measure_strength,
    measure_survival,
    middle,
)
from shaded.models.bundle import load_state
from shaded.shading.perceptibility import ReferenceDistance, build_lpips
from shaded.shading.presets import VISIBILITIES
from shaded.shading.surrogates import plain_autoencoder


@pytest.fixture(scope="module")
def lpips():
    """The bundled LPIPS."""
    return build_lpips(load_state("lpips-alexnet"))


def _busy(seed=0):
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def _mean_encoder(name="mean"):
    """An encoder that sees mean colours of 8-pixel cells."""
    return plain_autoencoder(name, torch.nn.AvgPool2d(8))


def test_psnr_of_full_size_pixels():
    """An error of one level of 255 everywhere is 48.13 dB, in any strip of rows."""
    original = np.full((600, 5, 3), 100, dtype=np.uint8)
    assert full_psnr(original + 1, original, None) == pytest.approx(48.13, abs=0.01)


def test_psnr_counts_only_what_shows():
    """Pixels under full transparency neither add error nor dilute it."""
    original = np.full((4, 4, 3), 100, dtype=np.uint8)
    changed = original.copy()
    changed[:2] = 255
    changed[2:] += 1
    alpha = np.zeros((4, 4), dtype=np.uint8)
    alpha[2:] = 255
    assert full_psnr(changed, original, alpha) == pytest.approx(48.13, abs=0.01)


def test_psnr_of_sixteen_bits():
    """The peak follows the depth."""
    original = np.full((4, 4, 1), 1000, dtype=np.uint16)
    assert full_psnr(original + 257, original, None) == pytest.approx(48.13, abs=0.01)


def test_the_spread_of_channels():
    """A gray picture has no spread; one coloured pixel anywhere gives it one."""
    gray = np.full((700, 4, 3), 90, dtype=np.uint8)
    assert largest_spread(gray) == 0
    gray[650, 2, 1] = 95
    assert largest_spread(gray) == 5


def test_a_budget_that_is_broken_says_where(lpips):
    """Each limit is judged by itself."""
    original = _busy()
    shaded = (original + 0.2).clamp(0, 1)
    budget = measure_budget(
        shaded, ReferenceDistance(lpips, original), original, VISIBILITIES["high"],
        inner=(64, 64), psnr_db=35.0, gray_kept=True,
    )  # fmt: skip
    assert budget["psnr_db"].ok
    assert budget["gray_kept"].ok
    assert not budget["max_delta_e"].ok
    assert budget["max_delta_e"].measured > budget["max_delta_e"].limit


def test_the_padding_of_a_canvas_drifts_in_no_colour(lpips):
    """A wrong last row, repeated over the padding, is a row of the picture and not a whole cell of another colour."""
    original = _busy()
    shaded = original.clone()
    shaded[..., 40:, :] += torch.tensor([0.2, -0.1, -0.1]).view(1, 3, 1, 1)

    def drift(rows):
        budget = measure_budget(
            shaded.clamp(0, 1), ReferenceDistance(lpips, original), original, VISIBILITIES["default"],
            inner=(rows, 64), psnr_db=35.0, gray_kept=True,
        )  # fmt: skip
        return budget["max_delta_e"]

    assert not drift(64).ok
    assert drift(41).ok
    assert drift(40).measured == 0


def test_an_unchanged_picture_has_no_pull():
    """The original itself is the control: pull 0 in every encoder."""
    original, anchor = _busy(0), _busy(1)
    strength = measure_strength([_mean_encoder()], original, original, anchor)
    assert strength["mean"].pull == 0


def test_pull_of_a_half_blended_picture_is_half():
    """In a linear encoder half a blend is half the way."""
    original, anchor = _busy(0), _busy(1)
    strength = measure_strength([_mean_encoder(), _mean_encoder("again")], (original + anchor) / 2, original, anchor)
    assert strength["mean"].pull == pytest.approx(0.5, abs=1e-3)
    assert strength["mean"].direction == pytest.approx(1, abs=1e-3)
    assert mean_pull(strength) == pytest.approx(0.5, abs=1e-3)


def test_survival_names_the_worst_encoder():
    """Per laundering, the encoder where the least is left speaks: here the one that sees only what was washed out."""
    original, shaded, anchor = (torch.full((1, 3, 64, 64), level) for level in (0.2, 0.4, 0.8))

    def seeing(name, columns):
        return plain_autoencoder(name, _Window(columns))

    def wash_left(picture):
        return torch.where(torch.arange(64) < 32, (picture > 0.5).float(), picture)

    encoders = [seeing("right", slice(32, 64)), seeing("left", slice(0, 32))]
    survival = measure_survival(encoders, shaded, original, anchor, {"left washed": wash_left, "none": lambda p: p})
    assert (survival["left washed"].surrogate, survival["left washed"].share) == ("left", 0)
    assert survival["none"].share == pytest.approx(1, abs=1e-4)
    assert survival["none"].pull == pytest.approx(1 / 3, abs=1e-3)


class _Window(torch.nn.Module):
    """An encoder that sees some columns of the picture."""

    def __init__(self, columns):
        super().__init__()
        self.columns = columns

    def forward(self, picture):
        return picture[..., self.columns]


def test_survival_is_not_stated_where_there_was_no_pull():
    """Nothing is divided by zero: without pull there is no share."""
    original, anchor = _busy(0), _busy(1)
    survival = measure_survival([_mean_encoder()], original, original, anchor)
    assert {one.share for one in survival.values()} == {None}


def test_survival_of_a_large_canvas_is_that_of_its_middle():
    """What is shaded at the rim alone has no survival; what is shaded in the middle alone survives doing nothing."""
    original, anchor = (torch.full((1, 3, 1024, 1024), level) for level in (0.2, 0.8))
    for rows, share in ((slice(0, 128), None), (slice(384, 640), 1.0)):
        shaded = original.clone()
        shaded[..., rows, :] = 0.5
        survival = measure_survival([_mean_encoder()], shaded, original, anchor, {"none": lambda p: p})
        assert survival["none"].share == share


@given(height=st.integers(2, 50), width=st.integers(2, 50), pixels=st.integers(64 * 64, 1024 * 1024))
def test_the_middle_is_aligned_and_in_the_middle(height, width, pixels):
    """It begins and ends at multiples of 32, is a canvas of its own, and lies within one such cell of the centre."""
    rows = torch.arange(32 * height).view(1, 1, -1, 1).expand(1, 1, -1, 32 * width)
    part = middle(rows, pixels)
    top, bottom = int(part[0, 0, 0, 0]), int(part[0, 0, -1, 0]) + 1
    assert top % 32 == bottom % 32 == 0
    assert abs((top + bottom) / 2 - 16 * height) <= 32
    assert min(part.shape[-2:]) >= 64
    assert part.shape[-2] * part.shape[-1] <= max(pixels, 64 * max(part.shape[-2:]))
    if 32 * height * 32 * width <= pixels:
        assert part.shape == rows.shape
