"""The seam between the daemon and whatever does the shading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shaded.scheduling.messages import (
    Audited,
    AuditTask,
    Failure,
    Progress,
    Ready,
    Rendered,
    ShadeTask,
    Unusable,
    Verified,
    VerifyTask,
    WorkerDied,
)

AnyTask = ShadeTask | VerifyTask | AuditTask
AnyEvent = Ready | Progress | Rendered | Verified | Audited | Failure | WorkerDied | Unusable


class Executor(Protocol):
    """Takes batches of tasks, gives events; one process, many, or a cluster behind it."""

    @property
    def busy(self) -> bool:
        """Whether tasks were submitted whose outcome was not given yet."""

    @property
    def next_check(self) -> float | None:
        """When :meth:`events` must be called although nothing happened (on ``Clock.monotonic``), or ``None``."""

    def submit(self, batch: Sequence[AnyTask]) -> None:
        """Hand over tasks that may run together. Called only while not busy."""

    def events(self, timeout: float) -> Sequence[AnyEvent]:
        """Wait at most ``timeout`` seconds for something to report; possibly nothing."""

    def close(self, *, now: bool = False) -> None:
        """Stop the workers: after what is under way, or at once."""
