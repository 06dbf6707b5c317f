"""How well a detector tells shaded pictures from clean ones, from its scores on pictures it has never seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """A share of some pictures.

    Attributes:
        rate: The share, 0 to 1.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        count: Pictures that it is a share of.
    """

    rate: float
    low: float
    high: float
    count: int


def threshold_for(clean_scores: Tensor, false_positive_rate: float = 0.01) -> float:
    """The lowest threshold that a new clean picture passes with at most this probability.

    Of n scores ``(N,)`` it is the m-th largest, ``m = floor(rate * (n + 1))``: a new score that is exchangeable with
    them exceeds it with probability ``m / (n + 1)`` at most (conformal prediction: Vovk et al. 2005, chapter 2).

    Raises:
        ValueError: There are too few clean scores to say anything about so small a rate, or some are no numbers.
    """
    if not bool(clean_scores.isfinite().all()):
        raise ValueError("the detector's scores are no numbers: it has learned nothing that can be judged")
    place = math.floor(false_positive_rate * (len(clean_scores) + 1) + 1e-9)
    if place < 1:
        fewest = math.ceil(1 / false_positive_rate) - 1
        raise ValueError(f"{len(clean_scores)} clean scores are too few for a rate of {false_positive_rate}: {fewest}")
    return float(clean_scores.sort(descending=True).values[place - 1])


def share_above(scores: Tensor, threshold: float) -> Share:
    """The share of scores ``(N,)`` above a threshold, with Clopper and Pearson's interval."""
    found = int((scores > threshold).sum())
    return Share(found / len(scores), *binomial_interval(found, len(scores)), len(scores))


def true_positive_rate(clean_scores: Tensor, shaded_scores: Tensor, false_positive_rate: float = 0.01) -> Share:
    """The share of shaded pictures found at this share of false alarms.

    The interval is for the threshold as it stands: that other clean pictures would have given another is not in it.

    Args:
        clean_scores: ``(N,)``, of pictures the detector was not trained on.
        shaded_scores: ``(M,)``, of pictures the detector was not trained on.
        false_positive_rate: Share of clean pictures that may be taken for shaded.

    Raises:
        ValueError: There are too few clean scores to say anything about so small a rate.
    """
    return share_above(shaded_scores, threshold_for(clean_scores, false_positive_rate))


def area_under_curve(clean_scores: Tensor, shaded_scores: Tensor) -> float:
    """The probability that a shaded picture scores higher than a clean one, ties by half (Mann and Whitney 1947)."""
    order = clean_scores.double().sort().values
    below = torch.searchsorted(order, shaded_scores.double())
    not_above = torch.searchsorted(order, shaded_scores.double(), right=True)
    return float((below + not_above).double().mean() / (2 * len(order)))


def binomial_interval(found: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share, ``found`` of ``count`` (Clopper and Pearson 1934)."""
    rest = (1 - confidence) / 2
    low = 0.0 if found == 0 else _crossing(lambda share: _at_least(found, count, share) >= rest)
    high = 1.0 if found == count else _crossing(lambda share: 1 - _at_least(found + 1, count, share) <= rest)
    return low, high


def _at_least(found: int, count: int, share: float) -> float:
    """The probability of ``found`` or more among ``count`` with this share, which is between 0 and 1."""
    logs = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(share) + (count - k) * math.log1p(-share)
        for k in range(found, count + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(math.exp(value) for value in logs))


def _crossing(passed: Callable[[float], bool]) -> float:
    """Where a condition on a share begins to hold."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if passed(middle) else (middle, high)
    return (low + high) / 2
