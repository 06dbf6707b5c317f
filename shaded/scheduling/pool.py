"""An :class:`~shaded.scheduling.executor.Executor` with several worker processes, as many at work as memory allows.

Each worker shades one picture at a time with a fixed number of compute threads, so a picture's result is the same alone
and beside any others. A worker is a process: what it holds can be measured and is given back, and one that dies takes
one picture with it. A GPU has a few workers, so that one computes while another reads or saves; whether there are GPUs
is known once the first worker has opened its models.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shaded import logs
from shaded.clock import Clock
from shaded.scheduling.available import Available, Private, available_bytes, kernel_kills, private_bytes
from shaded.scheduling.executor import AnyEvent, AnyTask, Candidate, Pick
from shaded.scheduling.gpus import CONTEXT_BYTES, Gpu, Gpus, read_gpus
from shaded.scheduling.lane import Lane
from shaded.scheduling.memory import Footprint
from shaded.scheduling.messages import Failure, Ready, Rendered, Spent, WorkerDied
from shaded.scheduling.pace import Effort, Pace
from shaded.scheduling.process import ProcessExecutor
from shaded.scheduling.room import Allowance, Device, Held, Room
from shaded.scheduling.worker import failure_of

logger = logs.get_logger("pool")

#: How soon memory is looked at again while something waits for it, in seconds.
LOOK_SECONDS = 5.0
#: Kinds of devices that workers are counted by, instead of cores.
GPUS = ("cuda", "mps")


@dataclass(frozen=True)
class Limits:
    """What the user allows the workers.

    Attributes:
        workers: How many there may be at once on a CPU.
        per_gpu: How many there may be at once on each GPU.
        allowance: How much memory they may hold.
        yields: Whether a GPU on which other programs compute is given no picture.
    """

    workers: int
    allowance: Allowance
    per_gpu: int = 1
    yields: bool = False


class WorkerPool:
    """Feeds several workers.

    Args:
        make: Makes the executor of a further worker, given its number and what to call when it has something to say.
            On GPUs the first few numbers compute on the first one, and so on: see :class:`Limits`.
        limits: What the user allows.
        room: Says which picture there is memory for.
        pace: Says how long pictures take.
        clock: Its monotonic time.
        on_event: Called from another thread whenever :meth:`events` has something new.
        available: Tells how much memory can be had now beside a reserve.
        private: Tells what a process holds.
        gpus: Tells of GPUs' memory.
        kills: Tells how often the kernel ended a process for want of memory.
    """

    def __init__(
        self,
        make: Callable[[int, Callable[[], None]], ProcessExecutor],
        limits: Limits,
        room: Room,
        pace: Pace,
        *,
        clock: Clock,
        on_event: Callable[[], None] = lambda: None,
        available: Available = available_bytes,
        private: Private = private_bytes,
        gpus: Gpus = read_gpus,
        kills: Callable[[], int] = kernel_kills,
    ) -> None:
        self._make = make
        self._room = room
        self._pace = pace
        self._clock = clock
        self._on_event = on_event
        self._available = available
        self._private = private
        self._gpus = gpus
        self._kills = kills
        self._happened = threading.Event()
        self._lanes: list[Lane] = []
        self._picked: tuple[str, Pick, Lane] | None = None
        self._short_until = float("-inf")
        self._too_little = ""
        self._courtesy = ""
        self._device = ""
        self._devices: tuple[str, ...] = ("",)
        self.configure(limits, room.canvas_pixels)

    def configure(self, limits: Limits, canvas_pixels: int) -> None:
        """Other limits and another canvas from now on; a worker too many finishes what it holds."""
        self._limits = limits
        self._room.canvas_pixels = canvas_pixels
        self._fill_up()

    @property
    def _most(self) -> int:
        """How many workers may be at work; one while the device is not known."""
        if not self._device:
            return 1
        return len(self._devices) * self._limits.per_gpu if self._on_gpus else self._limits.workers

    @property
    def _on_gpus(self) -> bool:
        return self._device.startswith(GPUS)

    def _fill_up(self) -> None:
        count = max(self._most, self._limits.workers)
        self._lanes += [Lane(self._make(number, self._ring)) for number in range(len(self._lanes), count)]

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
        """Whether no worker is free, or nothing could be begun when it was looked at last."""
        return next(self._free_lanes(), None) is None or self._clock.monotonic() < self._short_until

    @property
    def shortage(self) -> str:
        """Why not even one picture can be begun, with what to do."""
        if self.busy:
            return ""
        now = self._clock.monotonic()
        resting = [lane for lane in self._lanes[: self._most] if lane.rests_until > now]
        if resting and next(self._free_lanes(), None) is None:
            wait = min(lane.rests_until for lane in resting) - now
            return f"the GPU stopped working; it is tried again in {wait:.0f} seconds. Restarting the machine may help"
        return self._too_little if now < self._short_until else ""

    @property
    def courtesy(self) -> str:
        """That another program has the GPU, where the user wants it left to others."""
        return self._courtesy if not self.busy and self._clock.monotonic() < self._short_until else ""

    @property
    def next_check(self) -> float | None:
        """When something is due although nothing happened."""
        now = self._clock.monotonic()
        checks = [lane.executor.next_check for lane in self._lanes]
        checks += [at for at in (self._short_until, *(lane.rests_until for lane in self._lanes)) if at > now]
        return min((at for at in checks if at is not None), default=None)

    def backlog(self, candidates: Sequence[Candidate]) -> float:
        """How long these pictures are expected to take, all together, in seconds."""
        return sum(map(self._expected_seconds, candidates)) / self._most

    def _expected_seconds(self, candidate: Candidate, canvas_pixels: int = 0) -> float:
        return self._pace.expected(Effort.of(self._room.footprint(candidate, canvas_pixels), candidate.quality))

    def pick(self, candidates: Sequence[Candidate]) -> Pick | None:
        """The next picture that there is a worker and memory for."""
        if not candidates:
            return None
        gpus = self._gpus() if any(self._devices) else {}
        why = self._courtesy = ""
        for lane in self._free_lanes():
            pick, why = self._pick_for(lane, candidates, gpus)
            if pick is not None:
                candidate = candidates[pick.index]
                lane.quality = candidate.quality
                pick = replace(pick, seconds=self._expected_seconds(candidate, pick.canvas_pixels))
                self._picked = (candidate.job_id, pick, lane)
                return pick
        self._short_until = self._clock.monotonic() + LOOK_SECONDS
        self._too_little = why
        return None

    def _pick_for(
        self, lane: Lane, candidates: Sequence[Candidate], gpus: Mapping[str, Gpu]
    ) -> tuple[Pick | None, str]:
        """The picture that one worker begins; or ``None``, and why."""
        name = self._name_of(lane)
        gpu = gpus.get(name)
        if gpu and self._limits.yields and self._has_others(gpu, lane):
            self._courtesy = "another program computes on the GPU"
            return None, ""
        device = None
        if gpu:
            device = Device(name, self._device_budget(lane, gpu), self._device_limit(gpu))
        running = [self._held(each) for each in self._lanes if each.executor.busy]
        idle = [each for each in self._lanes if not each.executor.busy and each is not lane]
        budget, limit = self._budget(), self._limits.allowance.limit
        resting = sum(self._private(each.executor.worker_pid) for each in idle)
        pick = self._room.pick(candidates, running, budget - resting, limit, device, earlier=lane.earlier)
        if pick is None and resting:
            pick = self._room.pick(candidates, running, budget, limit, device, earlier=lane.earlier)
            for each in idle if pick else ():
                each.executor.rest()
        return pick, (
            f"memory is short: the workers may hold {max(0, budget) / 1e9:.1f} GB now"
            + (f", and {max(0, device.budget) / 1e9:.1f} GB on the GPU" if device else "")
            + ", and no waiting picture fits into that. Close other programs, or lower scheduling.memory_reserve;"
            " otherwise a smaller canvas is used in a few minutes"
        )

    def _device_budget(self, lane: Lane, gpu: Gpu) -> int:
        """What a worker's picture may hold of its GPU's memory, beside what the others there are still to take."""
        to_come = sum(each.device_to_come(gpu) for each in self._beside(lane) if each.executor.busy)
        own = lane.device_held or -CONTEXT_BYTES
        return gpu.free + own - self._device_reserve(gpu) - to_come

    def _device_limit(self, gpu: Gpu) -> int:
        """The same if the worker were alone there."""
        return gpu.total - CONTEXT_BYTES - self._device_reserve(gpu)

    def _device_reserve(self, gpu: Gpu) -> int:
        return round(self._limits.allowance.reserve_share * gpu.total)

    def submit(self, batch: Sequence[AnyTask]) -> None:
        """Hand each task to a worker that is free."""
        for task in batch:
            job_id, pick, lane = self._picked or ("", None, None)
            self._picked = None
            if job_id != task.job_id or lane is None:
                pick, lane = None, next(self._free_lanes(), None)
            if lane is None:
                raise RuntimeError("there is no free worker")
            lane.begin(pick, self._kills())
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

    def _booked(self, lane: Lane, event: AnyEvent) -> AnyEvent:
        """Keep the books for one thing that a worker said; running out of memory is not the picture's fault at once."""
        if isinstance(event, Ready):
            self._device, self._devices = event.device, event.devices
            self._fill_up()
        elif isinstance(event, Spent):
            lane.spent = event
        elif isinstance(event, Rendered | Failure | WorkerDied):
            if isinstance(event, WorkerDied) and event.opened and event.killed and self._kills() > lane.kills:
                event = self._ended_by_kernel(event, lane)
            self._short_until = float("-inf")
            lane.count_loss(event, self._clock.monotonic(), self._beside(lane))
            pick, lane.pick = lane.pick, None
            if pick is not None and pick.footprint is not None:
                return self._outcome(event, pick, pick.footprint, lane)
        return event

    def _ended_by_kernel(self, event: WorkerDied, lane: Lane) -> Failure:
        """Memory ran out, and the kernel ended the worker for it: it would have held more than there was."""
        lane.spent = Spent(job_id=event.job_ids[0], peak_bytes=max(0, self._budget()))
        logger.warning("memory ran out, and the system ended a worker", job=event.job_ids[0])
        return failure_of(event.job_ids[0], MemoryError())

    def _outcome(
        self, event: Rendered | Failure | WorkerDied, pick: Pick, footprint: Footprint, lane: Lane
    ) -> Rendered | Failure | WorkerDied:
        if isinstance(event, Rendered):
            self._learn(pick, footprint, lane)
            self._pace.measured(Effort.of(footprint, lane.quality), lane.spent.seconds)
            self._room.done(event.job_id)
        elif isinstance(event, WorkerDied):
            for job_id in event.job_ids:
                self._room.ran_out(job_id, footprint, alone=False)  # who knows of what it died
        elif event.out_of_memory:
            self._learn(pick, footprint, lane, failed=True)
            beside = self._beside(lane) if lane.spent.device_peak_bytes else self._lanes
            alone = not any(each.executor.busy for each in beside)
            if self._room.ran_out(event.job_id, footprint, alone=alone):
                return event.model_copy(update={"blames_picture": False})
        elif event.outcome != "transient":
            self._room.done(event.job_id)
        return event

    def _learn(self, pick: Pick, footprint: Footprint, lane: Lane, *, failed: bool = False) -> None:
        """Learn from a picture's peaks; where memory ran out on a GPU, that one's is taken to be the reason."""
        there = lane.spent.device_peak_bytes
        lane.had(footprint.canvas_pixels)
        if not (failed and there):
            self._room.measured(footprint, pick.needed, lane.spent.peak_bytes, failed=failed)
        if there:
            self._room.measured_on(self._name_of(lane), footprint, pick.device_needed, there, failed=failed)

    def _free_lanes(self) -> Iterator[Lane]:
        """Workers that may be given a picture; on the GPU with the least to do first, then with models."""
        now = self._clock.monotonic()
        if sum(lane.executor.busy for lane in self._lanes) >= self._most:
            return
        free = [lane for lane in self._lanes[: self._most] if not lane.executor.busy and lane.rests_until <= now]

        def crowd_and_models(lane: Lane) -> tuple[int, int]:
            crowd = sum(each.executor.busy for each in self._beside(lane))
            return crowd, -self._private(lane.executor.worker_pid)

        yield from sorted(free, key=crowd_and_models)

    def _beside(self, lane: Lane) -> Sequence[Lane]:
        """The other workers that compute on the same GPU; on a CPU, all others."""
        number = self._device_number(lane)
        return [each for each in self._lanes if each is not lane and self._device_number(each) == number]

    def _device_number(self, lane: Lane) -> int:
        return self._lanes.index(lane) // self._limits.per_gpu if self._on_gpus else 0

    def _name_of(self, lane: Lane) -> str:
        """The GPU that a worker computes on; empty where there is none, or none that has a name."""
        number = self._device_number(lane)
        return self._devices[number] if number < len(self._devices) else ""

    def _has_others(self, gpu: Gpu, lane: Lane) -> bool:
        """Whether other programs compute on a GPU, as far as its processes can be told from the workers'."""
        own = {each.executor.worker_pid for each in self._lanes}
        told_apart = not lane.spent.device_held_bytes or lane.executor.worker_pid in gpu.users
        return told_apart and bool(gpu.users.keys() - own)

    def _held(self, lane: Lane) -> Held:
        pick = lane.pick or Pick(0)
        return Held(pick.needed, self._private(lane.executor.worker_pid), pick.alone)

    def _budget(self) -> int:
        held = sum(self._private(lane.executor.worker_pid) for lane in self._lanes)
        return self._limits.allowance.budget(self._available(self._limits.allowance.reserve), held)
