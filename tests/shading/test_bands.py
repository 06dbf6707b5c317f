"""A picture as a stack of bands."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis.strategies import integers

from shaded.shading.bands import bands_of, joined


@given(height=integers(1, 70), width=integers(1, 70), count=integers(1, 8))
def test_a_picture_comes_back_from_its_bands(height, width, count):
    """Taken apart and joined, any picture is what it was."""
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
    bands = bands_of(picture, count)
    assert len(bands) == count
    torch.testing.assert_close(joined(bands), picture, atol=1e-5, rtol=0)


@pytest.mark.parametrize("period", [2, 8, 32])
def test_a_pattern_is_mostly_in_the_band_of_its_size(period):
    """Stripes stand in the band whose pixels are about as wide as they are."""
    columns = torch.arange(128.0)
    stripes = torch.cos(2 * torch.pi * (columns + 0.5) / period).expand(1, 1, 128, 128)
    sizes = [float(band.square().mean()) for band in bands_of(stripes, 7)]
    strongest = sizes.index(max(sizes))
    assert 2**strongest <= period <= 2 ** (strongest + 2)


def test_what_has_no_detail_is_in_the_last_band():
    """A flat picture is its own last band."""
    *fine, last = bands_of(torch.full((1, 3, 40, 24), 0.3), 4)
    assert all(float(band.abs().max()) < 1e-6 for band in fine)
    torch.testing.assert_close(last, torch.full((1, 3, 5, 3), 0.3))
