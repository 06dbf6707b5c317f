"""What a run with ``--once`` left undone, from the ledger: decided in earlier runs, or put off to later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from shaded.clock import SystemClock
from shaded.daemon.audience import Finished, Outcome
from shaded.daemon.holdings import LEDGER_NAME
from shaded.ledger import LedgerReader
from shaded.settings import Settings

if TYPE_CHECKING:
    from shaded.daemon.loop import Daemon

_EVERYTHING = 1_000_000


def not_done(settings: Settings, daemon: Daemon) -> Iterator[Finished]:
    """Pictures that lie in the watched outboxes and are not published, each with its reason."""
    roots, blocked = {folder.outbox for folder in settings.folder}, daemon.blocked()
    reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, SystemClock(), settings.scheduling)
    if reader is not None:
        with reader:
            for record in reader.recent_errors(_EVERYTHING):
                job, place = record.job, record.placement
                if place.root in roots and os.path.lexists(place.path):
                    outcome: Outcome = "refused" if job.state == "refused" or place.refusal else "failed"
                    if job.state == "settled":
                        outcome = "waiting"
                    reason, remedy = (place.refusal, place.remedy) if place.refusal else (job.reason, job.remedy)
                    yield Finished(place.path, outcome, reason=reason, remedy=remedy)
            for queued in reader.queue(_EVERYTHING):
                place = queued.placement
                if place.root in roots:
                    yield Finished(place.path, "waiting", reason=blocked.get(place.root) or queued.why)
    for path, error in {**daemon.intake.put_off, **daemon.delivery.troubles}.items():
        yield Finished(path, "waiting", reason=error.what, remedy=error.remedy)
