"""A quantity that is learned from every picture, kept from one run to the next.

It is taken for the largest of a few sums, each number times a size (so many bytes for a pixel, so many seconds for a
step). The numbers are followed by an extended Kalman filter (Kalman 1960; the largest sum is the one that is
linearised), whose state wanders a little with each picture, so that another driver or library is noticed; an error
counts relative to what was measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import ClassVar, Protocol

#: How far off the start may be, as a share of each number.
_START_DOUBT = 0.5
#: How far each number may wander from one picture to the next, as a share of itself.
_WANDERING = 0.05


class Sized(Protocol):
    """What a quantity depends on."""

    @property
    def branches(self) -> Sequence[Sequence[float]]:
        """The sums: for each, what every number is multiplied with."""


class Learner:
    """Predicts a quantity of one kind.

    Args:
        text: What :meth:`to_text` gave in an earlier run; anything else is a fresh start.
    """

    #: The numbers it starts from.
    START: ClassVar[tuple[float, ...]]
    #: The share of a measurement that is chance.
    NOISE: ClassVar[float]

    def __init__(self, text: str | None = None) -> None:
        self._numbers = list(self.START)
        self._doubt = _doubts(self._numbers)
        self.pictures = 0
        if text is not None:
            self._read(text)

    def predict(self, size: Sized) -> float:
        """What is expected."""
        return _product(self._numbers, self._branch(size))

    def learn(self, size: Sized, measured: float) -> None:
        """Take one measurement into account."""
        sizes = self._branch(size)
        for i, number in enumerate(self._numbers):
            self._doubt[i][i] += (_WANDERING * number) ** 2
        spread = [_product(row, sizes) for row in self._doubt]
        variance = (self.NOISE * measured) ** 2 + _product(spread, sizes)
        if variance > 0:
            error = measured - _product(self._numbers, sizes)
            self._numbers = [max(0.0, n + s * error / variance) for n, s in zip(self._numbers, spread, strict=True)]
            for i, row in enumerate(self._doubt):
                self._doubt[i] = [each - spread[i] * spread[j] / variance for j, each in enumerate(row)]
        self.pictures += 1

    def raise_to(self, size: Sized, least: float) -> None:
        """It is at least so much, it is not known how much: all that was believed is in doubt."""
        factor = least / max(1.0, self.predict(size))
        if factor > 1:
            self._numbers = [factor * number for number in self._numbers]
            self._doubt = _doubts(self._numbers)

    def to_text(self) -> str:
        """What was learned, to be kept."""
        return json.dumps({"numbers": self._numbers, "doubt": self._doubt, "pictures": self.pictures})

    def _branch(self, size: Sized) -> Sequence[float]:
        """The sum that is the largest one, as far as is known."""
        return max(size.branches, key=lambda sizes: _product(self._numbers, sizes))

    def _read(self, text: str) -> None:
        try:
            kept = json.loads(text)
            numbers = [float(each) for each in kept["numbers"]]
            doubt = [[float(each) for each in row] for row in kept["doubt"]]
            pictures = int(kept["pictures"])
        except (ValueError, TypeError, KeyError):
            return
        count = len(self.START)
        whole = len(numbers) == count and [len(row) for row in doubt] == [count] * count
        if whole and all(map(math.isfinite, [*numbers, *(each for row in doubt for each in row)])):
            self._numbers, self._doubt, self.pictures = numbers, doubt, pictures


def _doubts(numbers: Sequence[float]) -> list[list[float]]:
    """The variances of numbers of which little is known."""
    return [
        [(_START_DOUBT * number) ** 2 if i == j else 0.0 for j in range(len(numbers))]
        for i, number in enumerate(numbers)
    ]


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
