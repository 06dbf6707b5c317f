from __future__ import annotations

import pytest

from shaded.shading.presets import VISIBILITIES


@pytest.mark.parametrize("intensity", ["low", "default"])
def test_an_enlarged_shading_has_less_in_flat_areas(intensity):
    """Sides sixteen times as long leave an eighth of the flat unit; without enlarging nothing changes."""
    budget = VISIBILITIES[intensity]
    assert budget.enlarged(1.0) == budget
    larger = budget.enlarged(16.0)
    assert larger.flat == pytest.approx(budget.flat / 8)
    assert (larger.busy, larger.reach, larger.lpips) == (budget.busy, budget.reach, budget.lpips)


def test_what_may_be_seen_is_enlarged_as_it_is():
    """At high, strength goes before looks."""
    assert VISIBILITIES["high"].enlarged(4.0) == VISIBILITIES["high"]
