"""The canvas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shaded.shading.canvas import MULTIPLE, SMALLEST, from_canvas, plan_canvas, to_canvas

MEGAPIXEL = 1_048_576


@given(st.integers(1, 20000), st.integers(1, 20000))
def test_every_size_has_a_canvas(height, width):
    """Any size gives a canvas of multiples of 32, hardly larger than a megapixel, that keeps the aspect ratio."""
    canvas = plan_canvas(height, width, MEGAPIXEL)
    assert all(side % MULTIPLE == 0 and side >= SMALLEST for side in canvas.outer)
    assert all(inner <= outer for inner, outer in zip(canvas.inner, canvas.outer, strict=True))
    assert canvas.inner[0] * canvas.inner[1] <= MEGAPIXEL * 1.02 + 20000
    if min(canvas.inner) > 50:
        assert canvas.inner[0] / canvas.inner[1] == pytest.approx(height / width, rel=0.02)


def test_a_picture_that_fits_is_not_resampled():
    """Pixels of a small picture stand on the canvas unchanged, its edges repeated into the padding."""
    picture = torch.rand(1, 3, 40, 70)
    canvas = plan_canvas(40, 70, MEGAPIXEL)
    shown = to_canvas(picture, canvas)
    assert not canvas.reduced
    assert canvas.enlargement == 1
    assert shown.shape[-2:] == (64, 96)
    assert torch.equal(shown[..., :40, :70], picture)
    assert torch.equal(shown[..., 40, :70], picture[..., 39, :])


def test_a_shading_that_was_not_resampled_comes_back_exactly():
    """The shading of a small picture is cut out of the canvas as it is."""
    canvas = plan_canvas(40, 70, MEGAPIXEL)
    delta, limits = torch.rand(1, 3, 64, 96), torch.ones(1, 1, 64, 96)
    assert torch.equal(from_canvas(delta, limits, canvas), delta[..., :40, :70])


def test_a_shading_survives_enlarging_and_reducing():
    """Reduced again to the canvas, an enlarged shading is close to the one that was found there."""
    canvas = plan_canvas(512, 768, 96 * 128)
    generator = torch.Generator().manual_seed(0)
    delta = torch.rand(1, 3, *canvas.outer, generator=generator) * 0.02 - 0.01
    limits = torch.full((1, 1, *canvas.outer), 0.012)
    height, width = canvas.inner
    full = from_canvas(delta, limits, canvas)
    assert full.shape == (1, 3, 512, 768)
    back = to_canvas(0.5 + full, canvas)[..., :height, :width] - 0.5
    found = delta[..., :height, :width]
    similarity = torch.cosine_similarity(back.flatten(), found.flatten(), dim=0)
    assert float(similarity) > 0.93


def test_the_enlarged_shading_keeps_to_the_enlarged_limits():
    """Bicubic overshoot never takes a shading over its limits."""
    canvas = plan_canvas(400, 400, 64 * 64)
    delta = torch.where(torch.rand(1, 3, *canvas.outer, generator=torch.Generator().manual_seed(1)) > 0.5, 0.01, -0.01)
    limits = torch.full((1, 1, *canvas.outer), 0.01)
    assert float(from_canvas(delta, limits, canvas).abs().max()) <= 0.01 + 1e-6


def test_channels_are_enlarged_one_by_one_to_the_same_values():
    """A shading enlarged channel by channel is the one that was enlarged at once."""
    canvas = plan_canvas(300, 500, 64 * 96)
    generator = torch.Generator().manual_seed(2)
    delta = torch.rand(1, 3, *canvas.outer, generator=generator) * 0.02 - 0.01
    limits = torch.rand(1, 1, *canvas.outer, generator=generator) * 0.01
    one_by_one = [from_canvas(channel, limits, canvas) for channel in delta.split(1, dim=1)]
    assert torch.equal(torch.cat(one_by_one, dim=1), from_canvas(delta, limits, canvas))
