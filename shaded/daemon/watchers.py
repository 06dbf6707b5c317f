"""Working with all outboxes: none keeps the others, or the rest of the daemon, from their turn."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from shaded import logs
from shaded.daemon.notify import Notifier
from shaded.outbox.arrivals import Arrival, Outbox

logger = logs.get_logger("daemon")

#: How long all outboxes together are looked at before the worker and the commands are looked after again, in seconds.
OUTBOX_SECONDS = 0.2


def _turns(outboxes: Sequence[Outbox]) -> Iterator[tuple[Outbox, float]]:
    """Each outbox with the seconds that it may take: what one leaves over is for the ones after it."""
    until = time.monotonic() + OUTBOX_SECONDS
    for number, outbox in enumerate(outboxes):
        yield outbox, max(0.0, until - time.monotonic()) / (len(outboxes) - number)


def start_all(outboxes: Sequence[Outbox]) -> None:
    """Begin to watch, and to look at everything."""
    for outbox, seconds in _turns(outboxes):
        outbox.start(seconds)


def poll_all(outboxes: Sequence[Outbox]) -> Iterator[Arrival]:
    """What has come to rest, as far as there is time to look; an error in one outbox loses nothing of those before."""
    for outbox, seconds in _turns(outboxes):
        yield from outbox.poll(seconds)


class Readiness:
    """Whether the service manager was told that the daemon is ready: when the first scan of each outbox is through."""

    def __init__(self) -> None:
        self._said = False

    def look(self, outboxes: Sequence[Outbox], notifier: Notifier) -> None:
        """Say it, once."""
        if not self._said and all(outbox.looked_through for outbox in outboxes):
            self._said = True
            notifier.ready()
            logger.info("ready", outboxes=[str(outbox.folder.outbox) for outbox in outboxes])

    def again(self, notifier: Notifier) -> None:
        """After the settings were read anew: say it if it was said before."""
        if self._said:
            notifier.ready()
