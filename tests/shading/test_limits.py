"""Per-pixel limits: small in flat areas, larger in texture, smooth, and the same for any batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shaded.shading.limits import hard_limits, texture_limits


def _half_textured() -> Tensor:
    """A picture, flat gray on the left and black and white noise on the right: the most texture there is."""
    picture = torch.full((1, 3, 64, 64), 0.5)
    picture[..., 32:] = (torch.rand(1, 1, 64, 32, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    return picture


def test_flat_areas_get_the_small_limit_and_texture_the_large_one() -> None:
    """Away from the border, flat pixels get `flat` exactly and noisy ones nearly `busy`."""
    limits = texture_limits(_half_textured(), 2 / 255, 8 / 255)
    assert limits.shape == (1, 1, 64, 64)
    torch.testing.assert_close(limits[..., :20], torch.full((1, 1, 64, 20), 2 / 255))
    assert limits[..., 44:].mean() > 7.5 / 255


def test_flat_side_of_a_lone_edge_stays_clean() -> None:
    """Beside a hard edge between two flat areas the limit is near `flat` from the fifth pixel on."""
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 32:] = 1.0
    limits = texture_limits(picture, 0.0, 1.0)
    assert limits[..., :27].max() < 0.1
    assert limits[..., 37:].max() < 0.1


def test_faint_grain_counts_as_flat() -> None:
    """Grain with a deviation of one grey level opens about a tenth of the way at most."""
    grain = 0.5 + 0.004 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert texture_limits(grain.expand(1, 3, 64, 64), 0.0, 1.0).max() < 0.12


def test_limits_change_slowly() -> None:
    """Neighbouring pixels' limits differ by a fifth of the range at most even at a hard border of texture."""
    limits = texture_limits(_half_textured(), 0.0, 1.0)
    assert limits.diff(dim=-1).abs().max() <= 0.201
    assert limits.diff(dim=-2).abs().max() <= 0.201


@settings(max_examples=20)
@given(flat=st.floats(0, 0.02), more=st.floats(0, 0.05), seed=st.integers(0, 1000))
def test_limits_stay_between_flat_and_busy(flat: float, more: float, seed: int) -> None:
    """Whatever the picture, no limit is below `flat` or above `busy`."""
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    limits = texture_limits(picture, flat, flat + more)
    assert limits.min() >= flat - 1e-6
    assert limits.max() <= flat + more + 1e-6


def test_each_picture_of_a_batch_can_have_its_own_limits() -> None:
    """`flat` and `busy` as tensors give each picture what it would get alone."""
    picture = _half_textured().repeat(2, 1, 1, 1)
    together = texture_limits(picture, torch.tensor([0.01, 0.02]), torch.tensor([0.03, 0.06]))
    torch.testing.assert_close(together[1:], texture_limits(picture[1:], 0.02, 0.06))
    torch.testing.assert_close(together[:1], texture_limits(picture[:1], 0.01, 0.03))


@pytest.mark.parametrize("shift", [-0.3, 0.3])
def test_brightness_alone_changes_nothing(shift: float) -> None:
    """A brighter or darker copy has the same limits: only deviation counts."""
    picture = 0.5 + 0.1 * (_half_textured() - 0.5)
    torch.testing.assert_close(
        texture_limits(picture, 0.0, 1.0), texture_limits(picture + shift, 0.0, 1.0), atol=2e-3, rtol=0
    )


def test_single_pixels_are_held_tighter_where_nothing_masks_them() -> None:
    """One and a half units where it is flat, three where it is busy, in between in between."""
    units = torch.tensor([2.0, 5.0, 8.0]).view(1, 1, 1, 3)
    torch.testing.assert_close(hard_limits(units, 2.0, 8.0).flatten(), torch.tensor([3.0, 11.25, 24.0]))
