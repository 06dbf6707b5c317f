"""Time as a seam: everything that waits or expires asks a :class:`Clock`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for intervals, one for dates."""

    def monotonic(self) -> float:
        """Seconds that never go backwards and count no adjustment of the date."""

    def time(self) -> float:
        """Seconds since 1970 (UTC); may jump."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds of ``time.monotonic``."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds of ``time.time``."""
        return time.time()


class FakeClock:
    """A clock that moves when told, for tests."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._monotonic

    def time(self) -> float:
        """The pretended date."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both clocks."""
        self._now += seconds
        self._monotonic += seconds

    def set_date(self, now: float) -> None:
        """Make the date jump without any time passing."""
        self._now = now


def spoken(seconds: float) -> str:
    """A duration for a person: ``45 s``, ``12 min``, ``3.5 h``, ``2 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 129_600:
        return f"{seconds / 3600:.1f} h".replace(".0 h", " h")
    return f"{seconds / 86_400:.0f} days"
