"""How long to wait before something is tried again."""

from __future__ import annotations

import random

#: The longest pause between two tries, in seconds: trouble that is over is noticed within a quarter of an hour.
LONGEST_PAUSE = 900.0
#: How much of a pause is left to chance, so that many that failed together do not come back together.
JITTER = 0.2


def backoff(first: float, failures: int, longest: float = LONGEST_PAUSE) -> float:
    """Exponential back-off with jitter, bounded.

    Args:
        first: The pause after the first failure, in seconds.
        failures: How many failures there were; 1 or more.
        longest: No pause is longer, jitter included.

    Returns:
        Seconds: ``first``, doubled at each further failure, up to a fifth more or less.
    """
    doubled = first * 2.0 ** min(max(failures, 1) - 1, 40)
    return min(longest, doubled * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spreads retries
