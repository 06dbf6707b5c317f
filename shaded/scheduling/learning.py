"""A quantity that is learned from every picture, kept from one run to the next.

It is taken for the largest of a few sums, each number times a size (so many bytes for a pixel, so many seconds for a
step). The numbers are followed by a Kalman filter (Kalman 1960) whose state wanders a little with each picture, so that
another driver or library is noticed; an error counts relative to what was measured. Which of the sums was the largest
is not told with a measurement: it is guessed from the numbers, and for the latest measurements guessed anew with every
further one until guess and numbers agree (as in the fitting of max-affine functions, Magnani and Boyd 2009).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

#: How far off the start may be, as a share of each number.
_START_DOUBT = 1.0
#: How far each number may wander from one picture to the next, as a share of itself.
_WANDERING = 0.1
#: Of so many of the latest measurements it is open which sum was the largest.
_OPEN = 24
#: So often it is guessed anew.
_ROUNDS = 8


class Sized(Protocol):
    """What a quantity depends on."""

    @property
    def branches(self) -> Sequence[Sequence[float]]:
        """The sums: for each, what every number is multiplied with."""


_Measurement = tuple[Sequence[Sequence[float]], float]


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
        self._settled = _State.doubtful(self.START)
        self._open: list[_Measurement] = []
        self._numbers: Sequence[float] = self.START
        self.pictures = 0
        if text is not None:
            self._read(text)

    def predict(self, size: Sized) -> float:
        """What is expected."""
        return max(_product(self._numbers, sizes) for sizes in size.branches)

    def learn(self, size: Sized, measured: float) -> None:
        """Take one measurement into account."""
        self._open.append((size.branches, measured))
        if len(self._open) > _OPEN:
            branches, oldest = self._open.pop(0)
            self._settled.take(_largest(self._numbers, branches), oldest, self.NOISE)
        self._numbers = self._fitted()
        self.pictures += 1

    def raise_to(self, size: Sized, least: float) -> None:
        """It is at least so much, it is not known how much: all that was believed is in doubt, but for that."""
        factor = least / max(1.0, self.predict(size))
        if factor > 1:
            self._numbers = [factor * number for number in self._numbers]
            self._settled = _State.doubtful(self._numbers)
            self._open = [(size.branches, least)]

    def to_text(self) -> str:
        """What was learned, to be kept."""
        settled = {"numbers": self._settled.numbers, "doubt": self._settled.doubt}
        return json.dumps({**settled, "open": self._open, "now": self._numbers, "pictures": self.pictures})

    def _fitted(self) -> Sequence[float]:
        """The numbers that explain the latest measurements best, as far as a few guesses of the largest sums show."""
        numbers = min((self._agreeing(self._guess(each)) for each in (self._numbers, self.START)), key=self._misfit)
        for _ in range(_ROUNDS):
            others = min(map(self._agreeing, self._otherwise(numbers)), key=self._misfit, default=numbers)
            if self._misfit(others) >= self._misfit(numbers):
                break
            numbers = others
        return numbers

    def _otherwise(self, numbers: Sequence[float]) -> Iterator[list[Sequence[float]]]:
        """The guess that these numbers give, with another sum for the measurement that they explain worst."""
        guess = self._guess(numbers)
        errors = self._errors(numbers)
        worst = errors.index(max(errors))
        for sizes in self._open[worst][0]:
            if sizes != guess[worst]:
                yield [*guess[:worst], sizes, *guess[worst + 1 :]]

    def _guess(self, numbers: Sequence[float]) -> list[Sequence[float]]:
        return [_largest(numbers, branches) for branches, _ in self._open]

    def _agreeing(self, guess: list[Sequence[float]]) -> Sequence[float]:
        """Numbers with which a guess of the largest sums agrees, or nearly, after it was guessed anew."""
        for _ in range(_ROUNDS):
            state = self._settled.copy()
            for sizes, (_, measured) in zip(guess, self._open, strict=True):
                state.take(sizes, measured, self.NOISE)
            before, guess = guess, self._guess(state.numbers)
            if guess == before:
                break
        return state.numbers

    def _misfit(self, numbers: Sequence[float]) -> float:
        return sum(error * error for error in self._errors(numbers))

    def _errors(self, numbers: Sequence[float]) -> list[float]:
        """By which share each of the latest measurements is missed."""
        told = ((_product(numbers, _largest(numbers, branches)), measured) for branches, measured in self._open)
        return [abs(expected / max(1e-9, measured) - 1) for expected, measured in told]

    def _read(self, text: str) -> None:
        try:
            kept = json.loads(text)
            settled = _State(_floats(kept["numbers"]), [_floats(row) for row in kept["doubt"]])
            open_: list[_Measurement] = [(list(map(_floats, sizes)), float(value)) for sizes, value in kept["open"]]
            now, pictures = _floats(kept["now"]), int(kept["pictures"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return
        rows = [settled.numbers, now, *settled.doubt, *(sizes for branches, _ in open_ for sizes in branches)]
        whole = len(settled.doubt) == len(self.START) and all(branches for branches, _ in open_)
        if whole and all(len(row) == len(self.START) and all(map(math.isfinite, row)) for row in rows):
            self._settled, self._open, self._numbers, self.pictures = settled, open_, now, pictures


class _State:
    """Numbers, and how they may be off together: the filter's mean and covariance."""

    def __init__(self, numbers: list[float], doubt: list[list[float]]) -> None:
        self.numbers = numbers
        self.doubt = doubt

    @classmethod
    def doubtful(cls, numbers: Sequence[float]) -> _State:
        """Numbers of which little is known."""
        count = range(len(numbers))
        return cls(list(numbers), [[(_START_DOUBT * numbers[i]) ** 2 * (i == j) for j in count] for i in count])

    def copy(self) -> _State:
        return _State(list(self.numbers), [list(row) for row in self.doubt])

    def take(self, sizes: Sequence[float], measured: float, noise: float) -> None:
        """Take one measurement of one sum into account."""
        for i, number in enumerate(self.numbers):
            self.doubt[i][i] += (_WANDERING * number) ** 2
        spread = [_product(row, sizes) for row in self.doubt]
        variance = (noise * measured) ** 2 + _product(spread, sizes)
        if variance <= 0:
            return
        error = measured - _product(self.numbers, sizes)
        self.numbers = [max(0.0, n + s * error / variance) for n, s in zip(self.numbers, spread, strict=True)]
        for i, row in enumerate(self.doubt):
            self.doubt[i] = [each - spread[i] * spread[j] / variance for j, each in enumerate(row)]


def _largest(numbers: Sequence[float], branches: Sequence[Sequence[float]]) -> Sequence[float]:
    return max(branches, key=lambda sizes: _product(numbers, sizes))


def _floats(row: Any) -> list[float]:
    return [float(each) for each in row]


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
