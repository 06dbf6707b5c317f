"""Whether watcher, scheduler and worker are all alive; the service manager's watchdog is told only then."""

from __future__ import annotations

from collections.abc import Sequence

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
