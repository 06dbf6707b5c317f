"""Rates and their intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.evidence.trial.statistics import design_effect, difference, dose_for, rate_of, wilson

COUNTS = st.lists(
    st.integers(1, 200).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))), min_size=1, max_size=6
)


def test_wilson_is_the_published_one():
    """The interval of 81 of 263, worked out in Newcombe's paper, is 0.2553 to 0.3662."""
    low, high = wilson(81 / 263, 263)
    assert (low, high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_newcombe_is_the_published_one():
    """The interval of 56 of 70 less 48 of 80, his example of method 10, is 0.0524 to 0.3339."""
    found = difference(rate_of([(56, 70)]), rate_of([(48, 80)]))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@given(COUNTS)
def test_an_interval_holds_its_rate(counts):
    """Whatever was counted, the rate is in its interval and the interval in [0, 1]."""
    rate = rate_of(counts)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert rate.design_effect >= 1
    assert rate.drawings == sum(count for _, count in counts)


@given(COUNTS, COUNTS)
def test_a_difference_turns_around(first, second):
    """What one rate has more than another is what that has less."""
    one, two = rate_of(first), rate_of(second)
    there, back = difference(one, two), difference(two, one)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert there.low <= there.value <= there.high


def test_more_drawings_narrow_the_interval():
    """Ten times the drawings of agreeing seeds make the interval narrower."""
    few, many = rate_of([(5, 10)] * 3), rate_of([(50, 100)] * 3)
    assert many.high - many.low < (few.high - few.low) / 2


def test_seeds_that_disagree_widen_it():
    """The same rate from seeds that differ more than chance lets them is less certain."""
    agreeing, torn = rate_of([(50, 100)] * 3), rate_of([(10, 100), (50, 100), (90, 100)])
    assert agreeing.value == torn.value
    assert agreeing.design_effect == 1
    assert torn.high - torn.low > 2 * (agreeing.high - agreeing.low)


def test_the_design_effect_is_the_variance_ratio():
    """Of three seeds at 10, 50 and 90 of 100: the variance of their mean over that of 300 independent drawings."""
    between = (0.4**2 + 0.4**2) / 2 / 3
    assert design_effect([(10, 100), (50, 100), (90, 100)]) == pytest.approx(between / (0.25 / 300))


def test_the_dose_of_half_is_read_off_the_line():
    """On straight lines between points; the first dose that reaches it; nothing where none does."""
    assert dose_for(0.5, [(0, 0.0), (1.0, 1.0), (0.5, 0.25)]) == pytest.approx(2 / 3)
    assert dose_for(0.5, [(0, 0.7), (1.0, 1.0)]) == 0
    assert dose_for(0.5, [(0, 0.0), (1.0, 0.4)]) is None
    assert dose_for(0.5, []) is None
