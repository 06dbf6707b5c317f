"""What is done once a day, so that a daemon may run for months: the ledger's and the log's files stay small."""

from __future__ import annotations

from shaded import logs
from shaded.clock import Clock
from shaded.daemon.intake import Intake
from shaded.ledger import Ledger
from shaded.services import agent_log

#: How often, in seconds, and how long after the start the first time.
EVERY_SECONDS = 86_400.0
FIRST_AFTER = 600.0


class Upkeep:
    """Knows when it is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_at = clock.monotonic() + FIRST_AFTER

    def work(self, ledger: Ledger, intake: Intake, *, busy: bool) -> None:
        """Do what is due, while nothing else is under way."""
        if self._clock.monotonic() < self._due_at or busy or len(intake):
            return
        self._due_at = self._clock.monotonic() + EVERY_SECONDS
        intake.tidy()
        ledger.compact()
        logs.shorten(own=agent_log())
