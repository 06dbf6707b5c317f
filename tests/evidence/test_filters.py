"""The cleaners' filters, held to their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from shaded.evidence.filters import adverse_cleaner, bilateral, guided


def _noisy(height=24, width=20, seed=0):
    picture = torch.full((1, 3, height, width), 60.0)
    picture[..., width // 2 :] = 180.0
    return picture + 4 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))


def test_bilateral_is_the_weighted_mean_of_a_disc():
    """One pixel's result is the formula's, computed neighbour by neighbour."""
    picture = _noisy()
    row, column, total, weights = 10, 7, torch.zeros(3), 0.0
    centre = picture[0, :, row, column]
    for down in range(-2, 3):
        for right in range(-2, 3):
            if down * down + right * right > 4:
                continue
            other = picture[0, :, row + down, column + right]
            unlike = float((other - centre).abs().sum())
            weight = math.exp(-(unlike**2) / (2 * 8**2) - (down * down + right * right) / (2 * 3**2))
            total += weight * other
            weights += weight
    found = bilateral(picture, 5, 8, 3)[0, :, row, column]
    assert torch.allclose(found, total / weights, atol=1e-3)


def test_bilateral_smooths_and_keeps_edges():
    """Noise within a side falls; the step between the sides stays."""
    picture = _noisy()
    smooth = bilateral(picture, 5, 24, 3)
    assert smooth[..., :8].std() < 0.6 * picture[..., :8].std()
    assert float((smooth[..., 11] - smooth[..., 8]).mean()) == pytest.approx(120, abs=6)


def test_guided_keeps_what_is_a_line_of_the_guide():
    """A picture that is a linear function of the guide's colours comes back as it is where variance is large."""
    guide = 255 * torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    matrix = torch.tensor([[0.5, 0.2, 0.1], [0.0, 0.7, 0.1], [0.3, 0.3, 0.3]])
    picture = torch.einsum("ij,bjhw->bihw", matrix, guide) + 12
    assert torch.allclose(guided(guide, picture, 4, 1e-3), picture, atol=0.05)


def test_guided_flattens_what_varies_less_than_epsilon():
    """With an epsilon far above the variance the result is the mean of means."""
    guide = 100 + torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(2))
    assert guided(guide, guide, 4, 1e6).std() < 0.25 * guide.std()


def test_adverse_cleaner_takes_fine_noise_and_keeps_a_flat_picture():
    """Small noise is gone, the edge stays, and a picture of one colour comes back unchanged."""
    picture = _noisy(32, 32)
    cleaned = adverse_cleaner(picture)
    assert cleaned[..., :12].std() < 0.6 * picture[..., :12].std()
    assert float(cleaned[..., 20:].mean() - cleaned[..., :12].mean()) == pytest.approx(120, abs=6)
    flat = torch.full((1, 3, 16, 16), 77.0)
    assert torch.allclose(adverse_cleaner(flat), flat, atol=0.01)
