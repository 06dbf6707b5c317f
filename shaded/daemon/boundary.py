"""Where an unexpected error in one part of the daemon's round ends: at that part.

A bug that one file or one row brings out must not end the daemon, and a service manager that starts it again would only
meet the same file. The other parts go on; this one is tried again after a pause, and `status` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from shaded import logs
from shaded.clock import Clock
from shaded.daemon.backoff import backoff
from shaded.errors import PictureError, ShadedError, Transient

logger = logs.get_logger("daemon")
Result = TypeVar("Result")

#: The pauses of a part that failed, in seconds.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


def concerns_all(error: Exception) -> bool:
    """Whether an error is about the whole daemon, which the loop takes, and not about one picture or a bug.

    A plain ``ShadedError`` is a statement that the ledger did not take: a mistake here, or one odd row there.
    """
    if isinstance(error, PictureError):
        return isinstance(error, Transient)
    return isinstance(error, ShadedError) and type(error) is not ShadedError


class Boundary:
    """Runs the parts of a round.

    Args:
        clock: Says when a part that failed is tried again.
        strict: Let every error through: somebody waits for the end and sees it.
    """

    def __init__(self, clock: Clock, *, strict: bool) -> None:
        self._clock = clock
        self._strict = strict
        self._failed: dict[str, tuple[int, float, str]] = {}

    def run(self, part: str, work: Callable[[], Result]) -> Result | None:
        """What a part gives; ``None`` where it failed unexpectedly, or rests after that.

        Raises:
            ShadedError: What the loop knows how to take: the ledger cannot be used, nothing can be shaded here.
        """
        failures, again_at, _ = self._failed.get(part, (0, 0.0, ""))
        if failures and self._clock.monotonic() < again_at:
            return None
        try:
            done = work()
        except Exception as error:
            if self._strict or concerns_all(error):
                raise
            pause = backoff(FIRST_PAUSE, failures + 1, LONGEST_PAUSE)
            what = f"{part}: an unexpected error ({type(error).__name__}: {error}); it is tried again by itself"
            self._failed[part] = failures + 1, self._clock.monotonic() + pause, what
            logger.exception("a part of the daemon failed", part=part, again_in=round(pause, 1))
            return None
        self._failed.pop(part, None)
        return done

    @property
    def troubles(self) -> tuple[str, ...]:
        """What failed when it was done last, one clause each."""
        return tuple(what for _, _, what in self._failed.values())

    def slowed(self, sleep: float | None) -> float | None:
        """How long to sleep: what failed is still due, and would be asked for again at once."""
        if not self._failed:
            return sleep
        until = min(again_at for _, again_at, _ in self._failed.values()) - self._clock.monotonic()
        return max(FIRST_PAUSE, until if sleep is None else min(sleep, until))
