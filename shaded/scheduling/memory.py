"""How much memory a picture takes: a model that learns from every picture, kept from one run to the next.

A worker holds most either while it optimises the canvas or while it reads and saves the whole picture, and everything
large is a tensor of the one or the other size: ``base + max(a * canvas pixels, b * source pixels)``. The three numbers
are followed by an extended Kalman filter (Kalman 1960; the larger branch is the one that is linearised), whose state
wanders a little with each picture, so that another driver or library is noticed; an error counts relative to what was
measured. It starts from what was measured once, on two cores of a common machine.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

_MEGA = 1e6
#: Bytes for models and libraries, for each canvas pixel and for each source pixel: float32 on a CPU, bundled models.
_START = (0.9e9, 3300.0, 70.0)
#: How far off the start may be, as a share of each number.
_START_DOUBT = 0.5
#: The share of a measurement that is chance.
_NOISE = 0.05
#: How far each number may wander from one picture to the next, as a share of itself.
_WANDERING = 0.05


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a picture's memory depends on: pixels of the canvas, and of the picture itself."""

    canvas_pixels: int
    source_pixels: int

    @property
    def branches(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """What the model's three numbers are multiplied with in its two branches; pixels in millions."""
        return (1.0, self.canvas_pixels / _MEGA, 0.0), (1.0, 0.0, self.source_pixels / _MEGA)


class MemoryModel:
    """Predicts the peak of a worker process, in bytes.

    Args:
        text: What :meth:`to_text` gave in an earlier run; anything else is a fresh start.
    """

    def __init__(self, text: str | None = None) -> None:
        self._numbers = [_START[0], _START[1] * _MEGA, _START[2] * _MEGA]
        self._doubt = _doubts(self._numbers)
        self.pictures = 0
        if text is not None:
            self._read(text)

    def predict(self, footprint: Footprint) -> int:
        """The most bytes that a worker is expected to hold while it shades such a picture."""
        return round(_product(self._numbers, self._branch(footprint)))

    def learn(self, footprint: Footprint, peak: int) -> None:
        """Take one measured peak, in bytes, into account."""
        sizes = self._branch(footprint)
        for i, number in enumerate(self._numbers):
            self._doubt[i][i] += (_WANDERING * number) ** 2
        spread = [_product(row, sizes) for row in self._doubt]
        variance = (_NOISE * peak) ** 2 + _product(spread, sizes)
        error = peak - _product(self._numbers, sizes)
        self._numbers = [max(0.0, n + s * error / variance) for n, s in zip(self._numbers, spread, strict=True)]
        self._doubt = [[self._doubt[i][j] - spread[i] * spread[j] / variance for j in range(3)] for i in range(3)]
        self.pictures += 1

    def _branch(self, footprint: Footprint) -> tuple[float, float, float]:
        """The branch that is the larger one, as far as is known."""
        return max(footprint.branches, key=lambda sizes: _product(self._numbers, sizes))

    def raise_to(self, footprint: Footprint, least: int) -> None:
        """Such a picture needs at least so many bytes, it is not known how many: all that was believed is in doubt."""
        factor = least / max(1, self.predict(footprint))
        if factor > 1:
            self._numbers = [factor * number for number in self._numbers]
            self._doubt = _doubts(self._numbers)

    def to_text(self) -> str:
        """What was learned, to be kept."""
        return json.dumps({"numbers": self._numbers, "doubt": self._doubt, "pictures": self.pictures})

    def _read(self, text: str) -> None:
        try:
            kept = json.loads(text)
            numbers = [float(each) for each in kept["numbers"]]
            doubt = [[float(each) for each in row] for row in kept["doubt"]]
            pictures = int(kept["pictures"])
        except (ValueError, TypeError, KeyError):
            return
        whole = len(numbers) == 3 and [len(row) for row in doubt] == [3, 3, 3]
        if whole and all(map(math.isfinite, [*numbers, *(each for row in doubt for each in row)])):
            self._numbers, self._doubt, self.pictures = numbers, doubt, pictures


def _doubts(numbers: list[float]) -> list[list[float]]:
    """The variances of numbers of which little is known."""
    return [[(_START_DOUBT * number) ** 2 if i == j else 0.0 for j in range(3)] for i, number in enumerate(numbers)]


def _product(one: list[float] | tuple[float, ...], other: list[float] | tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
