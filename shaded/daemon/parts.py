"""What a daemon is assembled from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shaded.clock import Clock
from shaded.daemon.audience import Audience
from shaded.daemon.intake import Intake
from shaded.daemon.notify import Notifier
from shaded.daemon.wake import Wake
from shaded.ledger import Ledger
from shaded.outbox.arrivals import Outbox
from shaded.scheduling.executor import Executor
from shaded.settings import Settings


@dataclass(frozen=True)
class Parts:
    """What a daemon is assembled from; tests put fakes in.

    Attributes:
        outboxes: Made from a function that says whether a file is known already, since that needs the ledger.
        wake: Rung by the observers and the executor.
        again: Makes the parts anew from settings that are read now, given the present ones; also the keys that cannot
            change. Raises ``ShadedError``, having changed nothing, where the settings are wrong.
    """

    settings: Settings
    clock: Clock
    ledger: Ledger
    executor: Executor
    outboxes: Callable[[Intake], Sequence[Outbox]]
    wake: Wake
    notifier: Notifier
    audience: Audience
    again: Callable[[Settings], tuple[Parts, tuple[str, ...]]] | None = None
