from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.scheduling.learning import Learner


@dataclass(frozen=True)
class Size:
    """Two sums over three numbers: a fixed part with the one size or with the other."""

    one: float
    other: float

    @property
    def branches(self):
        return (1.0, self.one, 0.0), (1.0, 0.0, self.other)


class Model(Learner):
    START = (10.0, 2.0, 3.0)
    NOISE = 0.05


def _true(size):
    return 30.0 + max(1.0 * size.one, 9.0 * size.other)


def test_the_larger_sum_is_what_is_expected():
    """It starts from what it was given."""
    assert Model().predict(Size(10, 1)) == 30.0
    assert Model().predict(Size(1, 10)) == 40.0


def test_which_sum_was_the_larger_is_found_out():
    """A measurement that was taken for one of the first sum is seen to be of the second, once others contradict."""
    model = Model()
    for size in [Size(50, 1), Size(50, 20), Size(20, 1), Size(5, 1), Size(50, 20)]:
        model.learn(size, _true(size))
    for size in [Size(50, 1), Size(50, 20), Size(20, 1), Size(0, 10)]:
        assert model.predict(size) == pytest.approx(_true(size), rel=0.12)


def test_what_is_at_least_so_much_raises_everything_and_is_learned_anew():
    """All that was believed grows alike; the next measurement then counts for much more than the belief."""
    model = Model()
    for _ in range(50):
        model.learn(Size(10, 1), 30.0)
    model.raise_to(Size(10, 1), 120.0)
    assert model.predict(Size(10, 1)) == pytest.approx(120.0)
    assert model.predict(Size(1, 20)) > 100
    model.learn(Size(10, 1), 60.0)
    assert model.predict(Size(10, 1)) == pytest.approx(60.0, rel=0.1)


def test_less_than_is_expected_raises_nothing():
    """A bound below what is expected says nothing new."""
    model = Model()
    before = model.to_text()
    model.raise_to(Size(10, 1), 5.0)
    assert model.to_text() == before


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e9)), min_size=1, max_size=40))
def test_kept_and_read_again_it_goes_on_alike(measured):
    """Whatever was measured, and wherever it is cut in two, the same is expected in the end."""
    whole, first = Model(), Model()
    for one, other, value in measured[: len(measured) // 2]:
        whole.learn(Size(one, other), value)
        first.learn(Size(one, other), value)
    second = Model(first.to_text())
    for one, other, value in measured[len(measured) // 2 :]:
        whole.learn(Size(one, other), value)
        second.learn(Size(one, other), value)
    assert second.to_text() == whole.to_text()
    assert second.predict(Size(1, 1)) >= 0
