"""How well scores tell shaded pictures from clean ones."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shaded.evidence.detection import (
    area_under_curve,
    binomial_interval,
    share_above,
    threshold_for,
    true_positive_rate,
)


def _normal(count, seed, mean=0.0):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed)) + mean


def _quantiles(count):
    """Scores spread as the normal distribution spreads them, without chance."""
    return torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count)


@given(
    scores=st.lists(st.integers(-20, 20), min_size=19, max_size=400),
    share=st.sampled_from([0.05, 0.1, 0.3]),
)
def test_no_more_of_the_clean_pictures_pass_than_may(scores, share):
    """Whatever the scores and their ties, the threshold lets less than the wanted share of its own pictures through."""
    clean = torch.tensor(scores, dtype=torch.float32)
    assert (clean > threshold_for(clean, share)).float().mean() < share


@pytest.mark.parametrize(("count", "share"), [(99, 0.01), (250, 0.01), (1000, 0.01), (199, 0.05)])
def test_new_clean_pictures_pass_as_often_as_is_claimed(count, share):
    """Over many draws, a new score passes with probability ``floor(share * (n + 1)) / (n + 1)``: not more, not less."""
    draws = 400
    scores = _normal(draws * (count + 2000), seed=count).view(draws, -1)
    passed = torch.tensor(
        [float((one[count:] > threshold_for(one[:count], share)).float().mean()) for one in scores]
    ).mean()
    claimed = math.floor(share * (count + 1)) / (count + 1)
    # One draw's rate follows a Beta distribution, whose deviation is at most the square root of mean over count.
    assert float(passed) == pytest.approx(claimed, abs=4 * math.sqrt(claimed / count / draws))


def test_too_few_clean_pictures_are_refused():
    """With 98 clean pictures nothing can be said of one in a hundred, and the error says how many it takes."""
    with pytest.raises(ValueError, match="99"):
        threshold_for(_normal(98, 0))
    threshold_for(_normal(99, 0))


def test_scores_that_say_nothing_find_what_false_alarms_find():
    """Where shaded pictures score as clean ones do, one in a hundred is found and the area is a half."""
    clean, shaded = _quantiles(9_999), _quantiles(1_000)
    assert true_positive_rate(clean, shaded).rate == pytest.approx(0.01, abs=0.001)
    assert area_under_curve(clean, shaded) == pytest.approx(0.5, abs=0.001)


def test_scores_that_differ_are_counted():
    """One deviation and two apart: the shares and areas that the normal distribution has."""
    clean = _quantiles(9_999)
    for apart, rate in ((1.0, 0.0924), (2.0, 0.3721)):
        shaded = _quantiles(1_000) + apart
        share = true_positive_rate(clean, shaded)
        assert share.rate == pytest.approx(rate, abs=0.002)
        assert share.low < share.rate < share.high
        area = 0.5 * (1 + math.erf(apart / 2))
        assert area_under_curve(clean, shaded) == pytest.approx(area, abs=0.001)


@given(
    clean=st.lists(st.integers(0, 5), min_size=1, max_size=30),
    shaded=st.lists(st.integers(0, 5), min_size=1, max_size=30),
)
def test_the_area_counts_pairs(clean, shaded):
    """It is the share of pairs in which the shaded one scores higher, ties by half."""
    wins = sum((s > c) + (s == c) / 2 for s in shaded for c in clean) / (len(clean) * len(shaded))
    area = area_under_curve(torch.tensor(clean), torch.tensor(shaded))
    assert area == pytest.approx(wins)


@pytest.mark.parametrize(
    ("found", "count", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (8, 20, 0.1912, 0.6395)],
)
def test_intervals_are_those_of_the_published_tables(found, count, low, high):
    """Clopper and Pearson's 95 % intervals, to four digits."""
    assert binomial_interval(found, count) == pytest.approx((low, high), abs=1e-4)


@given(count=st.integers(1, 300), data=st.data())
def test_an_interval_holds_its_share(count, data):
    """The share lies inside its interval, and the interval of the others is its mirror."""
    found = data.draw(st.integers(0, count))
    share = share_above(torch.arange(count, dtype=torch.float32), count - found - 0.5)
    assert share.rate == pytest.approx(found / count)
    assert 0 <= share.low <= share.rate <= share.high <= 1
    mirrored = binomial_interval(count - found, count)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((share.low, share.high), abs=1e-6)


def test_scores_that_are_no_numbers_are_not_judged():
    """A detector that came apart gets no rate at all, and not a flattering one."""
    with pytest.raises(ValueError, match="no numbers"):
        true_positive_rate(torch.full((200,), float("nan")), torch.zeros(10))
