"""One worker of a pool as the pool keeps books of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shaded.scheduling.executor import Pick
from shaded.scheduling.gpus import CONTEXT_BYTES, Gpu
from shaded.scheduling.messages import Failure, Rendered, Spent, WorkerDied
from shaded.scheduling.process import ProcessExecutor

#: A GPU that was lost is left alone for so long at first, and twice as long each time; seconds.
FIRST_REST_SECONDS = 60.0
LONGEST_REST_SECONDS = 3600.0
_NOTHING = Spent(job_id="", peak_bytes=0)


@dataclass(eq=False)
class Lane:
    """One worker and the picture that it has.

    Attributes:
        executor: Its process.
        pick: How its picture was begun; ``None`` for other tasks.
        quality: The picture's.
        spent: What the last picture took.
        largest: The largest canvas that its process had, in pixels; see :attr:`earlier`.
        kills: How often the kernel had ended a process for want of memory when its picture was begun.
        losses: How often in a row its GPU stopped working.
        rests_until: It is given nothing until then (``Clock.monotonic``).
    """

    executor: ProcessExecutor
    pick: Pick | None = None
    quality: str = ""
    spent: Spent = _NOTHING
    kills: int = 0
    largest: int = 0
    largest_of: int | None = None
    losses: int = 0
    rests_until: float = float("-inf")

    @property
    def device_held(self) -> int:
        """What its process holds of a GPU's memory between two pictures, in bytes."""
        return 0 if self.executor.worker_pid is None else self.spent.device_held_bytes

    def device_to_come(self, gpu: Gpu) -> int:
        """What its picture is still expected to take of a GPU's memory, in bytes.

        Where the driver does not tell what the process holds now, it is taken to hold what it began with.
        """
        told = gpu.users.get(self.executor.worker_pid or 0, 0)
        held = told or (self.device_held and self.device_held + CONTEXT_BYTES)
        return max(0, (self.pick.device_needed if self.pick else 0) + CONTEXT_BYTES - held)

    @property
    def earlier(self) -> int:
        """The largest canvas that its present process had, in pixels."""
        return self.largest if self.executor.worker_pid == self.largest_of else 0

    def had(self, canvas_pixels: int) -> None:
        """Its process had such a canvas."""
        self.largest, self.largest_of = max(self.earlier, canvas_pixels), self.executor.worker_pid

    def begin(self, pick: Pick | None, kills: int = 0) -> None:
        """It is given a task."""
        self.pick, self.kills = pick, kills
        self.spent = Spent(job_id="", peak_bytes=0, device_held_bytes=self.device_held)

    def count_loss(self, event: Rendered | Failure | WorkerDied, now: float, beside: Iterable[Lane]) -> None:
        """Let it rest where its GPU stopped working, and those beside it: the longer, the more often in a row."""
        if isinstance(event, Rendered):
            self.losses = 0
        elif isinstance(event, Failure) and event.ends_worker and self.rests_until <= now:
            self.losses += 1
            self.rests_until = now + min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** (self.losses - 1))
        else:
            return
        for each in beside:
            each.losses, each.rests_until = self.losses, self.rests_until
