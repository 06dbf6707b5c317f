"""An :class:`~shaded.scheduling.executor.Executor` with several worker processes, as many at work as memory allows.

Each worker shades one picture at a time with a fixed number of compute threads, so a picture's result is the same alone
and beside any others. A worker is a process: what it holds can be measured and is given back, and one that dies takes
one picture with it. On a GPU there is one worker; whether there is a GPU is known once the first has opened its models.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shaded import logs
from shaded.clock import Clock
from shaded.scheduling.available import Available, Resident, available_bytes, resident_bytes
from shaded.scheduling.executor import AnyEvent, AnyTask, Candidate, Pick
from shaded.scheduling.memory import Footprint
from shaded.scheduling.messages import Failure, Ready, Rendered, Spent, WorkerDied
from shaded.scheduling.process import ProcessExecutor
from shaded.scheduling.room import Allowance, Held, Room

logger = logs.get_logger("pool")

#: How soon memory is looked at again while something waits for it, in seconds.
LOOK_SECONDS = 5.0
#: Devices that one worker uses up.
GPUS = ("cuda", "mps")


@dataclass(eq=False)
class _Lane:
    """One worker, the picture that it has, and the most it held for one, in bytes."""

    executor: ProcessExecutor
    pick: Pick | None = None
    peak: int = 0


class WorkerPool:
    """Feeds several workers.

    Args:
        make: Makes another worker's executor, given what to call when it has something to say.
        workers: How many there may be at once on a CPU.
        room: Says which picture there is memory for.
        allowance: How much memory they may hold.
        clock: Its monotonic time.
        on_event: Called from another thread whenever :meth:`events` has something new.
        available: Tells how much memory can be had now beside a reserve.
        resident: Tells what a process holds.
    """

    def __init__(
        self,
        make: Callable[[Callable[[], None]], ProcessExecutor],
        workers: int,
        room: Room,
        allowance: Allowance,
        *,
        clock: Clock,
        on_event: Callable[[], None] = lambda: None,
        available: Available = available_bytes,
        resident: Resident = resident_bytes,
    ) -> None:
        self._make = make
        self._room = room
        self._clock = clock
        self._on_event = on_event
        self._available = available
        self._resident = resident
        self._happened = threading.Event()
        self._lanes: list[_Lane] = []
        self._picked: dict[str, Pick] = {}
        self._short_until = float("-inf")
        self._too_little = ""
        self._device = ""
        self.configure(workers, allowance, room.canvas_pixels)

    def configure(self, workers: int, allowance: Allowance, canvas_pixels: int) -> None:
        """Other limits and another canvas from now on; a worker too many finishes what it holds."""
        self._workers, self._allowance = workers, allowance
        self._room.canvas_pixels = canvas_pixels
        self._lanes += [_Lane(self._make(self._ring)) for _ in range(workers - len(self._lanes))]

    @property
    def executors(self) -> Sequence[ProcessExecutor]:
        """Each worker's executor."""
        return [lane.executor for lane in self._lanes]

    @property
    def busy(self) -> bool:
        """Whether a submitted task's outcome is still to come."""
        return any(lane.executor.busy for lane in self._lanes)

    @property
    def full(self) -> bool:
        """Whether no worker is free, or memory was too short for everything that waits when it was looked at last."""
        return self._free_lane() is None or self._clock.monotonic() < self._short_until

    @property
    def shortage(self) -> str:
        """That memory is short even for one picture, with what to do."""
        short = not self.busy and self._clock.monotonic() < self._short_until
        return self._too_little if short else ""

    @property
    def next_check(self) -> float | None:
        """When something is due although nothing happened."""
        checks = [lane.executor.next_check for lane in self._lanes]
        if self._clock.monotonic() < self._short_until:
            checks.append(self._short_until)
        return min((at for at in checks if at is not None), default=None)

    def pick(self, candidates: Sequence[Candidate]) -> Pick | None:
        """The next picture that there is a worker and memory for."""
        lane = self._free_lane()
        if lane is None or not candidates:
            return None
        running = [self._held(each) for each in self._lanes if each.executor.busy]
        idle = [each for each in self._lanes if not each.executor.busy and each is not lane]
        budget = self._budget()
        resting = sum(self._resident(each.executor.worker_pid) for each in idle)
        pick = self._room.pick(candidates, running, budget - resting)
        if pick is None and resting:
            for each in idle:
                each.executor.rest()
            pick = self._room.pick(candidates, running, budget)
        if pick is None:
            self._short_until = self._clock.monotonic() + LOOK_SECONDS
            self._too_little = (
                f"memory is short: the workers may hold {max(0, budget) / 1e9:.1f} GB now, and no waiting picture fits"
                " into that. Close other programs, or lower scheduling.memory_reserve; otherwise a smaller canvas is"
                " used in a few minutes"
            )
        else:
            self._picked = {candidates[pick.index].job_id: pick}
        return pick

    def submit(self, batch: Sequence[AnyTask]) -> None:
        """Hand each task to a worker that is free."""
        for task in batch:
            lane = self._free_lane()
            if lane is None:
                raise RuntimeError("there is no free worker")
            lane.pick = self._picked.pop(task.job_id, None)
            lane.executor.submit([task])

    def events(self, timeout: float) -> Sequence[AnyEvent]:
        """What the workers said since the last call, waiting at most ``timeout`` seconds for the first word."""
        told = self._collect()
        if not told and timeout > 0:
            self._happened.wait(timeout)
            told = self._collect()
        return told

    def close(self, *, now: bool = False) -> None:
        """Stop the workers: after what they hold, or at once."""
        for lane in self._lanes:
            lane.executor.close(now=now)

    def _ring(self) -> None:
        self._happened.set()
        self._on_event()

    def _collect(self) -> list[AnyEvent]:
        self._happened.clear()
        return [self._booked(lane, event) for lane in self._lanes for event in lane.executor.events(0)]

    def _booked(self, lane: _Lane, event: AnyEvent) -> AnyEvent:
        """Keep the books for one thing that a worker said; running out of memory is not the picture's fault at once."""
        if isinstance(event, Ready):
            self._device = event.device
        elif isinstance(event, Spent):
            lane.peak = event.peak_bytes
        elif isinstance(event, Rendered | Failure | WorkerDied):
            self._short_until = float("-inf")
            pick, lane.pick = lane.pick, None
            if pick is not None and pick.footprint is not None:
                return self._outcome(event, pick, pick.footprint, lane.peak)
        return event

    def _outcome(
        self, event: Rendered | Failure | WorkerDied, pick: Pick, footprint: Footprint, peak: int
    ) -> Rendered | Failure | WorkerDied:
        if isinstance(event, Rendered):
            self._room.measured(footprint, pick.needed, peak)
            self._room.done(event.job_id)
        elif isinstance(event, WorkerDied):
            for job_id in event.job_ids:
                self._room.ran_out(job_id, footprint, alone=False)  # who knows of what it died
        elif event.out_of_memory:
            self._room.measured(footprint, pick.needed, peak, failed=True)
            if self._room.ran_out(event.job_id, footprint, alone=not self.busy):
                return event.model_copy(update={"blames_picture": False})
        elif event.outcome != "transient":
            self._room.done(event.job_id)
        return event

    def _free_lane(self) -> _Lane | None:
        """A worker that may be given a picture: one that has its models rather than one that is yet to be started."""
        free = [lane for lane in self._lanes if not lane.executor.busy]
        working = len(self._lanes) - len(free)
        one_only = not self._device or self._device.startswith(GPUS)
        most = 1 if one_only else self._workers
        if working >= most:
            return None
        return max(free, key=lambda lane: self._resident(lane.executor.worker_pid), default=None)

    def _held(self, lane: _Lane) -> Held:
        pick = lane.pick or Pick(0)
        return Held(pick.needed, self._resident(lane.executor.worker_pid), pick.alone)

    def _budget(self) -> int:
        held = sum(self._resident(lane.executor.worker_pid) for lane in self._lanes)
        return self._allowance.budget(self._available(self._allowance.reserve), held)
