"""The visible metric: what a change counts, and its steepest step."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shaded.shading.metric import COLOUR_COST, steepest, visible_size

LIMITS = torch.full((1, 1, 4, 4), 0.02)


def test_a_change_of_light_counts_in_limits():
    """A gray change of one limit everywhere has size one, and of half a limit a half."""
    gray = LIMITS.expand(1, 3, 4, 4)
    assert float(visible_size(gray, LIMITS)) == pytest.approx(1.0, rel=1e-5)
    assert float(visible_size(gray / 2, LIMITS)) == pytest.approx(0.5, rel=1e-5)


def test_a_change_of_colour_counts_more():
    """The same amount in blue-difference chroma, at equal luma, counts as many times as the metric says."""
    blue = torch.tensor([0.0, -0.344136, 1.772]).view(1, 3, 1, 1) * LIMITS
    assert float(visible_size(blue, LIMITS)) == pytest.approx(COLOUR_COST, rel=1e-3)


def test_no_change_has_no_size_that_could_divide_by_zero():
    """The size of nothing is tiny and positive."""
    assert 0 < float(visible_size(torch.zeros(1, 3, 4, 4), LIMITS)) < 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_no_step_of_the_same_visible_size_gains_more(seed):
    """Steepest means steepest: among steps of one visible size none has a larger product with the gradient."""
    generator = torch.Generator().manual_seed(seed)
    gradient = torch.randn(1, 3, 4, 4, generator=generator)
    limits = 0.005 + 0.03 * torch.rand(1, 1, 4, 4, generator=generator)
    best = steepest(gradient, limits)
    best = best / visible_size(best, limits)
    other = torch.randn(1, 3, 4, 4, generator=generator) * limits + 0.3 * best
    other = other / visible_size(other, limits)
    assert float((gradient * best).sum()) >= float((gradient * other).sum()) - 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_the_steepest_step_gains_all_that_can_be_gained(seed):
    """Its product with the gradient is the gradient's dual norm in the metric (Cauchy and Schwarz), limits squared."""
    generator = torch.Generator().manual_seed(seed)
    gradient = torch.randn(1, 3, 4, 4, generator=generator)
    limits = 0.001 + 0.05 * torch.rand(1, 1, 4, 4, generator=generator).square()
    best = steepest(gradient, limits)
    best = best / visible_size(best, limits)
    ycbcr = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    costs = torch.diag(torch.tensor([1.0, COLOUR_COST, COLOUR_COST])) @ ycbcr
    dual = limits * torch.einsum("ij,bjhw->bihw", torch.linalg.inv(costs).T, gradient)
    assert float((gradient * best).sum()) == pytest.approx(4.0 * float(dual.norm()), rel=1e-4)
