"""A pause that a person asked for: it survives a restart, and no change of the date makes it longer."""

from __future__ import annotations

from contextlib import suppress
from math import isfinite

from shaded import logs
from shaded.clock import Clock
from shaded.ledger import Ledger

logger = logs.get_logger("daemon")

_KEY = "paused_until"


class Pause:
    """Begins and ends; kept in the ledger as ``DATE LENGTH``, or as nothing at all for a pause without an end.

    The end comes when the date is reached (so that time asleep counts) or when the length has passed on the monotonic
    clock since the pause, or this program, began (so that a clock that was set back cannot hold the pause for ever).
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._date: float | None = None
        self._ends = 0.0
        text = ledger.meta_get(_KEY)
        self._on = text is not None
        date, _, length = (text or "").partition(" ")
        with suppress(ValueError):  # what cannot be read is a pause without an end: `status` shows it
            end, longest = float(date), float(length or "1e9")
            if isfinite(end) and isfinite(longest):
                self._set_end(end, min(end - clock.time(), longest))

    def _set_end(self, date: float, remaining: float) -> None:
        self._date = date
        self._ends = self._clock.monotonic() + max(0.0, remaining)

    @property
    def until(self) -> float | None:
        """The date of the end (seconds since 1970); ``None``: not paused, or without an end."""
        if not self._on or self._date is None:
            return None
        return min(self._date, self._clock.time() + max(0.0, self._ends - self._clock.monotonic()))

    @property
    def remaining(self) -> float | None:
        """Seconds until the end."""
        until = self.until
        return None if until is None else max(0.0, until - self._clock.time())

    @property
    def active(self) -> bool:
        """Whether it lasts; a pause that is over is forgotten."""
        if self._on and self.remaining == 0.0:
            self._ledger.meta_set(_KEY, None)
            self._on, self._date = False, None
            logger.info("the pause is over")
        return self._on

    def begin(self, seconds: float | None) -> None:
        """Pause for so long, or until :meth:`end`."""
        date = None if seconds is None else self._clock.time() + seconds
        self._ledger.meta_set(_KEY, "" if date is None else f"{date!r} {seconds!r}")
        self._on, self._date = True, None
        if date is not None and seconds is not None:
            self._set_end(date, seconds)
        logger.info("paused", seconds=seconds)

    def end(self) -> None:
        """Go on; nothing is done or said where nothing was paused."""
        if not self._on:
            return
        self._ledger.meta_set(_KEY, None)
        self._on, self._date = False, None
        logger.info("resumed")
