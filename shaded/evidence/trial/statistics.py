"""Rates of drawings with honest intervals.

Drawings of one model are not independent of one another: a model that was led astray draws many of them wrong.
Wilson's interval (Wilson 1927) is therefore taken at an *effective* number of drawings: the number there is, divided by
the design effect, which is by how much the rates of the seeds' models differ more than chance would let them (Kish
1965, section 8.2; Rao and Scott 1992). Differences of two rates have Newcombe's interval of two Wilson intervals (1998,
method 10).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Of the standard normal distribution, for 95 %.
_Z = 1.959964


@dataclass(frozen=True)
class Rate:
    """A share of drawings, with its 95 % interval.

    Attributes:
        value: Hits by drawings, all seeds together.
        low: The interval's lower end.
        high: Its upper end.
        hits: How many.
        drawings: Of how many.
        seeds: The rate of each seed's model.
        design_effect: By what the number of drawings was divided for the interval, at least 1.
    """

    value: float
    low: float
    high: float
    hits: int
    drawings: int
    seeds: tuple[float, ...]
    design_effect: float


@dataclass(frozen=True)
class Difference:
    """One rate less another, with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(share: float, count: float) -> tuple[float, float]:
    """The interval of a share of ``count`` independent trials; ``count`` need not be whole, ``(0, 1)`` for none."""
    if count <= 0:
        return 0.0, 1.0
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    middle, size = share + _Z**2 / (2 * count), 1 + _Z**2 / count
    return max(0.0, min(share, (middle - spread) / size)), min(1.0, max(share, (middle + spread) / size))


def rate_of(counts: Sequence[tuple[int, int]]) -> Rate:
    """The rate over several seeds' models.

    Args:
        counts: ``(hits, drawings)`` of each seed; no seed without drawings.
    """
    hits, drawings = sum(hit for hit, _ in counts), sum(count for _, count in counts)
    share = hits / drawings if drawings else 0.0
    effect = design_effect(counts)
    low, high = wilson(share, drawings / effect)
    return Rate(share, low, high, hits, drawings, tuple(hit / count for hit, count in counts), effect)


def design_effect(counts: Sequence[tuple[int, int]]) -> float:
    """The variance between the seeds' rates over that of independent drawings; at least 1, and 1 for one seed."""
    hits, drawings = sum(hit for hit, _ in counts), sum(count for _, count in counts)
    if len(counts) < 2 or not 0 < hits < drawings:
        return 1.0
    share = hits / drawings
    # Of the ratio estimator: clusters of different sizes count by their size.
    squares = sum((hit - share * count) ** 2 for hit, count in counts)
    between = len(counts) / (len(counts) - 1) * squares / drawings**2
    return max(1.0, between / (share * (1 - share) / drawings))


def difference(first: Rate, second: Rate) -> Difference:
    """``first`` less ``second``."""
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Difference(value, max(-1.0, value - below), min(1.0, value + above))


def dose_for(rate: float, points: Sequence[tuple[float, float]]) -> float | None:
    """The smallest dose at which a rate is reached, on straight lines between measured points; ``None`` if never.

    Args:
        rate: Wanted.
        points: ``(dose, rate)``.
    """
    ordered = sorted(points)
    for (dose, value), (next_dose, next_value) in itertools.pairwise(ordered):
        if value >= rate:
            return dose
        if next_value >= rate:
            return dose + (next_dose - dose) * (rate - value) / (next_value - value)
    return ordered[-1][0] if ordered and ordered[-1][1] >= rate else None
