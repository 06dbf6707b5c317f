"""Whether watcher, scheduler and worker are all alive; the service manager's watchdog is told only then."""

from __future__ import annotations

from collections.abc import Sequence

from shaded import logs
from shaded.clock import Clock
from shaded.daemon.notify import Notifier

logger = logs.get_logger("daemon")

#: How long a copy or read that is under way may still take after a stop was asked for, in seconds.
STOP_SECONDS = 10.0

#: How long watcher and scheduler may leave undone what is due before they count as stuck, in seconds.
OVERDUE_SECONDS = 60.0
#: A silent worker is replaced after its lease; one that is still silent after so many leases cannot be replaced.
SILENT_LEASES = 2.0


def stuck_parts(
    now: float,
    *,
    watchers_due: Sequence[float],
    scheduler_due: float | None,
    worker_heard: float | None,
    lease_seconds: float,
) -> list[str]:
    """What is stuck, one clause each; empty where all parts are alive. All times are of ``Clock.monotonic``.

    Args:
        now: The time.
        watchers_due: When each outbox is to be looked after at the latest.
        scheduler_due: Since when a picture could be begun and is not; ``None``: nothing is owed.
        worker_heard: When the busy worker last said something; ``None``: it has nothing to do.
        lease_seconds: How long a worker may be silent.
    """
    stuck = []
    if any(now - due > OVERDUE_SECONDS for due in watchers_due):
        stuck.append("an outbox is not looked after any more")
    if scheduler_due is not None and now - scheduler_due > OVERDUE_SECONDS:
        stuck.append("pictures wait and none is begun")
    if worker_heard is not None and now - worker_heard > SILENT_LEASES * lease_seconds:
        stuck.append("the worker is silent and could not be replaced")
    return stuck


class Stopped(BaseException):
    """The daemon is to end in the middle of a long read or copy; no handler of errors may take it for one."""


class Heartbeat:
    """Tells the watchdog that the daemon is alive, between its rounds and in the middle of a long read or copy.

    Attributes:
        stuck: Parts that did not do what was due at the end of the last round.
    """

    def __init__(self, notifier: Notifier, clock: Clock) -> None:
        self.stuck: list[str] = []
        self._notifier = notifier
        self._clock = clock
        self._beat_at = 0.0
        self._stop_by = float("inf")

    def after_round(self, stuck: list[str], sleep: float | None) -> float | None:
        """Tell it while nothing is stuck; how long to sleep until it must be told again."""
        if stuck and stuck != self.stuck:
            logger.error("a part of the daemon is stuck", parts=stuck)
        self.stuck = stuck
        every = self._notifier.beat_seconds
        if every is None:
            return sleep
        if not stuck:
            self._beat(every)
        return every if sleep is None else min(sleep, every)

    def between_pieces(self) -> None:
        """Tell it that a long read or copy goes on.

        Raises:
            Stopped: A stop was asked for twice, or ``STOP_SECONDS`` ago.
        """
        if self._clock.monotonic() >= self._stop_by:
            raise Stopped
        if self._notifier.beat_seconds is not None:
            self._beat(self._notifier.beat_seconds)

    def stop_soon(self, *, at_once: bool) -> None:
        """A stop was asked for."""
        self._stop_by = min(self._stop_by, self._clock.monotonic() + (0.0 if at_once else STOP_SECONDS))

    def _beat(self, every: float) -> None:
        if self._clock.monotonic() >= self._beat_at:
            self._notifier.alive()
            self._beat_at = self._clock.monotonic() + every
