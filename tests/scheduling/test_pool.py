from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from shaded.clock import SystemClock
from shaded.outbox.roots import ShortMemory
from shaded.scheduling.executor import Candidate
from shaded.scheduling.gpus import CONTEXT_BYTES, Gpu
from shaded.scheduling.lane import FIRST_REST_SECONDS
from shaded.scheduling.memory import DeviceMemoryModel, Footprint, MemoryModel
from shaded.scheduling.messages import Failure, Ready, Rendered, Start, VerifyTask, WorkerDied
from shaded.scheduling.pace import Pace, PaceModel
from shaded.scheduling.pool import LOOK_SECONDS, Limits, WorkerPool
from shaded.scheduling.process import ProcessExecutor
from shaded.scheduling.room import LEAST_CANVAS, Allowance, Room
from shaded.settings import Shading
from tests.scheduling.test_process import FAKE_WORKER, _task, _wait_for

pytestmark = pytest.mark.real_process

CANVAS = 4 * LEAST_CANVAS
GB = 10**9
PLENTY = Allowance(limit=10**12, reserve=0)


class LaterClock(SystemClock):
    """The machine's clock, so many seconds ahead."""

    def __init__(self, pool):
        self._pool = pool

    def monotonic(self):
        return super().monotonic() + self._pool.now


class Pool:
    """A pool over fake workers; ``free`` is what the machine can spare."""

    def __init__(self, folder: Path, *options: str, workers: int = 2, per_gpu: int = 1):
        self.folder = folder
        self.free = 10**12
        self.options = options
        self.memory, self.pace = ShortMemory(), ShortMemory()
        self.memory_of = {"": self.memory}
        self.gpus = {}
        self.kills = 5
        self.now = 0.0
        self.told = []
        clock = LaterClock(self)

        def make(number, ring):
            return ProcessExecutor(
                Start(shading=Shading(threads=1), device_index=number // per_gpu),
                idle_seconds=1000,
                silence_seconds=1000,
                clock=clock,
                on_event=ring,
                command=(sys.executable, str(FAKE_WORKER), *self.options),
            )

        self.pool = WorkerPool(
            make,
            Limits(workers, PLENTY, per_gpu),
            Room(CANVAS, self._memory_of, clock),
            Pace(self.pace),
            clock=clock,
            available=lambda reserve: self.free - reserve,
            gpus=lambda: self.gpus,
            kills=lambda: self.kills,
        )

    def _memory_of(self, name: str) -> ShortMemory:
        return self.memory_of.setdefault(name, ShortMemory())

    def begin(self, *names: str, pixels: int = CANVAS) -> list[str]:
        """Offer pictures by name, as the daemon does, until none is taken; which were."""
        waiting, taken = list(names), []
        while not self.pool.full:
            pick = self.pool.pick([Candidate(name, pixels) for name in waiting])
            if pick is None:
                break
            name = waiting.pop(pick.index)
            task = _task(self.folder, name)
            self.pool.submit([task.model_copy(update={"canvas_pixels": pick.canvas_pixels})])
            taken.append(name)
        return taken

    def listen(self, until, seconds: float = 30.0):
        """Hear what is said until a condition holds."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, self.told
            self.told.extend(self.pool.events(0.5))

    def finish(self):
        """Hear everything until nothing is under way; what the outcomes were since the last call."""
        before = len(self.told)
        self.listen(lambda: not self.pool.busy)
        return [event for event in self.told[before:] if isinstance(event, Rendered | Failure | WorkerDied)]

    def warm(self):
        """Shade one picture, so that the device is known."""
        self.begin("warm.png")
        self.finish()


@pytest.fixture
def make_pool(tmp_path, monkeypatch):
    """Build pools and stop them afterwards."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = []

    def build(*options, **more):
        made.append(Pool(tmp_path, *options, **more))
        return made[-1]

    yield build
    for each in made:
        each.pool.close(now=True)


def test_pictures_are_shaded_side_by_side_once_the_device_is_known(make_pool):
    """The first worker opens its models alone; then each of two workers has a picture, in a process of its own."""
    made = make_pool()
    assert made.begin("a-slow.png", "b-slow.png", "c.png") == ["a-slow.png"]
    made.listen(lambda: not made.pool.full)
    assert made.begin("b-slow.png", "c.png") == ["b-slow.png"]
    first, second = (executor.worker_pid for executor in made.pool.executors)
    assert None not in (first, second)
    assert first != second
    assert sorted(event.job_id for event in made.finish()) == ["a-slow.png", "b-slow.png"]


def test_a_gpu_has_one_worker(make_pool):
    """Where the first worker found a GPU, no second one is started beside it."""
    made = make_pool("gpu=A")
    made.warm()
    assert made.begin("a-slow.png", "b.png") == ["a-slow.png"]
    made.finish()
    assert made.begin("b.png") == ["b.png"]


def test_each_gpu_has_a_worker_of_its_own(make_pool):
    """Three GPUs shade three pictures at once, each in a process that was told its number, also where cores are few."""
    made = make_pool("gpu=A", "gpu=B", "gpu=C", workers=1)
    made.warm()
    assert made.begin("a-slow.png", "b-slow.png", "c-slow.png", "d.png") == ["a-slow.png", "b-slow.png", "c-slow.png"]
    made.finish()
    assert {event.device for event in made.told if isinstance(event, Ready)} == {"cuda:0", "cuda:1", "cuda:2"}
    assert set(made.memory_of) == {"", "A", "B", "C"}
    assert all(DeviceMemoryModel(made.memory_of[name].recall()).pictures for name in "ABC")


def test_several_workers_share_each_gpu(make_pool):
    """Two for each of two GPUs: the idle GPU is given a picture before the busy one is given a second."""
    made = make_pool("gpu=A", "gpu=B", per_gpu=2)
    made.warm()
    names = ["a-slow.png", "b-slow.png", "c-slow.png", "d-slow.png"]
    assert made.begin(*names, "e.png") == names
    made.finish()
    devices = [event.device for event in made.told if isinstance(event, Ready)]
    assert sorted(devices) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]
    assert made.begin("f-slow.png", "g-slow.png") == ["f-slow.png", "g-slow.png"]
    busy = [number // 2 for number, executor in enumerate(made.pool.executors) if executor.busy]
    assert sorted(busy) == [0, 1]
    made.finish()


def test_a_second_picture_is_begun_on_a_gpu_only_where_its_memory_is_there(make_pool):
    """What the first is still to take counts, and what every process takes before it has computed anything."""
    made = make_pool("gpu=A", per_gpu=2)
    made.warm()

    def enough() -> int:
        needed = round(DeviceMemoryModel(made.memory_of["A"].recall()).predict(Footprint(CANVAS, CANVAS)))
        return (needed - GB) + (needed + CONTEXT_BYTES)

    made.gpus = {"A": Gpu(free=enough() - 1, total=10**12)}
    assert made.begin("a-slow.png", "b.png") == ["a-slow.png"]
    made.finish()
    made.gpus = {"A": Gpu(free=enough(), total=10**12)}
    assert made.begin("a-slow.png", "b-slow.png") == ["a-slow.png", "b-slow.png"]
    made.finish()


def test_a_gpu_that_could_never_hold_a_picture_gives_it_a_smaller_canvas_at_once(make_pool):
    """What a process takes there before it has computed anything, and the reserve, are not for pictures."""
    made = make_pool("gpu=A")
    made.warm()
    needed = round(DeviceMemoryModel(made.memory_of["A"].recall()).predict(Footprint(CANVAS, CANVAS)))
    made.pool.configure(Limits(1, replace(PLENTY, reserve_share=0.5)), CANVAS)
    least = 2 * (needed + CONTEXT_BYTES)
    made.gpus = {"A": Gpu(free=0, total=least)}
    assert made.pool.pick([Candidate("a.png", CANVAS)]) is None
    made.gpus = {"A": Gpu(free=least, total=least - 2)}
    assert made.pool.pick([Candidate("b.png", CANVAS)]).canvas_pixels == CANVAS // 2


def test_what_the_driver_tells_of_a_worker_is_not_reckoned_twice(make_pool):
    """A picture that already holds all that it needs leaves what is free to the next one."""
    made = make_pool("gpu=A", per_gpu=2)
    made.warm()
    needed = round(DeviceMemoryModel(made.memory_of["A"].recall()).predict(Footprint(CANVAS, CANVAS)))
    own = made.pool.executors[0].worker_pid
    made.gpus = {"A": Gpu(needed + CONTEXT_BYTES, 10**12, {own: needed + CONTEXT_BYTES})}
    assert made.begin("a-slow.png", "b-slow.png") == ["a-slow.png", "b-slow.png"]
    made.finish()


def test_running_out_beside_another_on_the_same_gpu_is_tried_alone(make_pool):
    """The canvas stays as it is, and becomes smaller only where that was not enough."""
    made = make_pool("gpu=A", "gpu=B", per_gpu=2)
    made.warm()
    made.begin("a-slow.png", "b-slow.png", "c-slow.png", "d-slow.png")
    made.finish()  # all workers are there now, so that the next pictures really run side by side
    made.begin("a-slow.png", "b-slow.png", "memory.png")
    made.finish()
    assert made.pool.pick([Candidate("memory.png", CANVAS)]).canvas_pixels == 0
    assert made.begin("memory.png", "a.png") == ["memory.png"]
    made.finish()
    assert made.pool.pick([Candidate("memory.png", CANVAS)]).canvas_pixels == CANVAS // 2


def test_running_out_beside_one_on_another_gpu_means_a_smaller_canvas(make_pool):
    """What runs there takes no memory here, so that trying it alone would change nothing."""
    made = make_pool("gpu=A", "gpu=B", per_gpu=2)
    made.warm()
    made.begin("a-slow.png", "b-slow.png", "c-slow.png", "d-slow.png")
    made.finish()
    assert made.begin("a-slow.png", "memory.png") == ["a-slow.png", "memory.png"]
    made.finish()
    assert made.pool.pick([Candidate("memory.png", CANVAS)]).canvas_pixels == CANVAS // 2


def test_all_workers_of_a_gpu_that_died_rest(make_pool):
    """None of them is given a picture; what both lost at once counts once."""
    made = make_pool("gpu=A", per_gpu=2)
    made.warm()
    made.begin("a-slow.png", "b-slow.png")
    made.finish()
    assert made.begin("gpu.png", "gpu-2.png") == ["gpu.png", "gpu-2.png"]
    made.finish()
    assert made.pool.full
    assert "the GPU stopped working" in made.pool.shortage
    made.now += FIRST_REST_SECONDS
    assert made.begin("c-slow.png", "d-slow.png") == ["c-slow.png", "d-slow.png"]
    made.finish()


def test_a_gpu_that_died_rests_and_is_tried_again(make_pool):
    """Its picture goes to the other GPU; it is given none for a minute, then two, until one ends well."""
    made = make_pool("gpu=A", "gpu=B")
    made.warm()
    assert made.begin("gpu.png") == ["gpu.png"]
    (lost,) = made.finish()
    assert (lost.outcome, lost.blames_picture) == ("transient", False)
    assert made.begin("a-slow.png", "b.png") == ["a-slow.png"]
    assert made.pool.full
    assert made.pool.shortage == ""
    made.now += FIRST_REST_SECONDS
    assert made.begin("gpu.png") == ["gpu.png"]
    made.finish()
    made.now += FIRST_REST_SECONDS
    assert made.begin("c-slow.png", "d.png") == ["c-slow.png"]
    made.now += FIRST_REST_SECONDS
    assert made.begin("d.png") == ["d.png"]
    made.finish()
    assert made.begin("gpu.png", "e.png") == ["gpu.png", "e.png"]
    made.finish()
    made.now += FIRST_REST_SECONDS
    assert made.begin("f-slow.png", "g.png") == ["f-slow.png", "g.png"]
    made.finish()


def test_when_the_only_gpu_died_it_is_said(make_pool):
    """Nothing can be begun meanwhile, the pool says why, and says when to look again."""
    made = make_pool("gpu=A")
    made.begin("gpu.png")
    made.finish()
    assert made.pool.full
    assert "the GPU stopped working; it is tried again in" in made.pool.shortage
    assert made.pool.next_check < LaterClock(made).monotonic() + FIRST_REST_SECONDS + 1
    made.now += FIRST_REST_SECONDS
    assert made.begin("a.png") == ["a.png"]
    assert made.pool.shortage == ""
    made.finish()


def test_a_gpu_of_which_others_hold_the_memory_waits(make_pool):
    """What is free there beside the reserve decides, and what the worker itself holds is as good as free."""
    made = make_pool("gpu=A")
    made.warm()
    needed = round(DeviceMemoryModel(made.memory_of["A"].recall()).predict(Footprint(CANVAS, CANVAS)))
    assert needed > 2 * GB
    made.pool.configure(Limits(2, Allowance(limit=10**12, reserve=0, reserve_share=0.25)), CANVAS)
    made.gpus = {"A": Gpu(free=needed - GB + 2 * GB - 1, total=8 * GB)}
    assert made.begin("a.png") == []
    assert "GB on the GPU" in made.pool.shortage
    made.now += LOOK_SECONDS
    made.gpus = {"A": Gpu(free=needed - GB + 2 * GB, total=8 * GB)}
    assert made.begin("a.png") == ["a.png"]
    made.finish()


@pytest.mark.parametrize(("yields", "taken"), [(True, []), (False, ["a.png"])])
def test_a_gpu_on_which_others_compute_is_left_to_them_where_that_is_wished(make_pool, yields, taken):
    """Another process on the GPU makes pictures wait; the worker's own process does not."""
    made = make_pool("gpu=A")
    made.warm()
    made.pool.configure(Limits(1, PLENTY, yields=yields), CANVAS)
    own = made.pool.executors[0].worker_pid
    made.gpus = {"A": Gpu(free=10**12, total=10**12, users={own: 0, own + 1: 0})}
    assert made.begin("a.png") == taken
    assert made.pool.courtesy == ("another program computes on the GPU" if yields else "")
    assert made.pool.shortage == ""
    made.finish()
    made.now += LOOK_SECONDS
    made.gpus = {"A": Gpu(free=10**12, total=10**12, users={own: 0})}
    assert made.begin("b.png") == ["b.png"]
    assert made.pool.courtesy == ""
    made.finish()


def test_processes_that_cannot_be_told_apart_are_no_reason_to_wait(make_pool):
    """In a container the driver names processes by other numbers: the worker's own would look like another's."""
    made = make_pool("gpu=A")
    made.warm()
    made.pool.configure(Limits(1, PLENTY, yields=True), CANVAS)
    made.gpus = {"A": Gpu(free=10**12, total=10**12, users={4_000_000: 0})}
    assert made.begin("a.png") == ["a.png"]
    made.finish()


def test_running_out_on_a_gpu_means_a_smaller_canvas(make_pool):
    """It was alone there already; what is learned of is the GPU's memory and not the machine's."""
    made = make_pool("gpu=A")
    made.warm()
    before = made.memory.recall()
    made.begin("memory.png")
    (failure,) = made.finish()
    assert not failure.blames_picture
    assert made.pool.pick([Candidate("memory.png", CANVAS)]).canvas_pixels == CANVAS // 2
    assert made.memory.recall() == before
    assert DeviceMemoryModel(made.memory_of["A"].recall()).predict(Footprint(CANVAS, CANVAS)) > 3.5 * GB


def test_the_time_of_pictures_is_learned(make_pool):
    """After a few pictures that took no time hardly any is expected, for one and, shared by the workers, for many."""
    made = make_pool()
    queue = [Candidate(str(number), CANVAS) for number in range(10)]
    before = made.pool.backlog(queue)
    assert before > 10
    for number in range(4):
        made.begin(f"{number}.png")
        made.finish()
    assert made.pool.pick(queue).seconds < 1
    assert made.pool.backlog(queue) < 5
    assert PaceModel(made.pace.recall()).pictures == 4


def test_a_picture_waits_for_memory_and_goes_on_by_itself(make_pool):
    """While memory is short nothing is begun beside the one that runs; the pool says when to look again."""
    made = make_pool()
    made.warm()
    assert made.begin("a-slow.png") == ["a-slow.png"]
    made.free = 0
    assert made.begin("b.png") == []
    assert made.pool.full
    assert made.pool.next_check < SystemClock().monotonic() + 6
    assert made.pool.shortage == ""
    made.finish()
    assert not made.pool.full
    assert made.begin("b.png") == []
    assert "memory is short" in made.pool.shortage
    made.free = 10**12
    assert made.pool.pick([Candidate("b.png", CANVAS)]) is not None


def test_an_idle_worker_makes_room(make_pool):
    """Memory that an idle worker holds is given back where another picture needs it."""
    made = make_pool()
    made.warm()
    made.begin("a-slow.png", "b-slow.png")
    made.finish()
    held = [executor.worker_pid for executor in made.pool.executors]
    assert None not in held
    needed = round(MemoryModel(made.memory.recall()).predict(Footprint(CANVAS, CANVAS)))
    made.pool.configure(Limits(2, Allowance(limit=needed, reserve=0)), CANVAS)
    assert made.begin("c.png") == ["c.png"]
    assert [executor.worker_pid for executor in made.pool.executors].count(None) == 1
    made.finish()


def test_every_picture_teaches_the_model(make_pool):
    """After a few pictures of fake workers, which hold little, much less is expected."""
    made = make_pool()
    before = MemoryModel().predict(Footprint(CANVAS, CANVAS))
    for number in range(3):
        made.begin(f"{number}.png")
        made.finish()
    learned = MemoryModel(made.memory.recall())
    assert learned.pictures == 3
    assert learned.predict(Footprint(CANVAS, CANVAS)) < before / 2


def test_running_out_of_memory_is_not_the_pictures_fault_at_once(make_pool):
    """Beside others, then alone, then on a smaller canvas; only when nothing is left to try is it to blame."""
    made = make_pool()
    made.warm()
    made.begin("one-slow.png", "two-slow.png")
    made.finish()  # both workers are there now, so that the next two pictures really run side by side
    assert made.begin("a-slow.png", "memory.png") == ["a-slow.png", "memory.png"]
    outcomes = {event.job_id: event for event in made.finish()}
    assert isinstance(outcomes["a-slow.png"], Rendered)
    assert outcomes["memory.png"].out_of_memory
    assert not outcomes["memory.png"].blames_picture
    blamed = []
    for _ in range(4):
        assert made.begin("memory.png", "b.png") == ["memory.png"]
        (failure,) = made.finish()
        blamed.append(failure.blames_picture)
    assert blamed == [False, False, True, True]


def test_a_worker_that_dies_takes_one_picture_with_it(make_pool):
    """The other's picture ends well, and the next one gets a new worker."""
    made = make_pool()
    made.warm()
    made.begin("a-slow.png", "b-slow.png")
    victim = next(e for e in made.pool.executors if e.busy)
    _wait_for(lambda: victim.worker_pid is not None)
    os.kill(victim.worker_pid, signal.SIGKILL)
    outcomes = made.finish()
    assert sorted(event.kind for event in outcomes) == ["died", "rendered"]
    assert made.begin("c.png", "d.png") == ["c.png", "d.png"]
    assert [event.kind for event in made.finish()] == ["rendered", "rendered"]


def test_a_worker_that_the_kernel_ended_for_want_of_memory_is_memory_running_out(make_pool):
    """Its picture is not to blame and gets a smaller canvas; so much as there was is known to be too little."""
    made = make_pool()
    made.warm()
    made.free = 6 * GB
    assert made.begin("a-slow.png") == ["a-slow.png"]
    (worker,) = [executor for executor in made.pool.executors if executor.busy]
    made.kills += 1
    os.kill(worker.worker_pid, signal.SIGKILL)
    (failure,) = made.finish()
    assert (failure.kind, failure.outcome, failure.out_of_memory) == ("failure", "transient", True)
    assert not failure.blames_picture
    made.free = 10**12
    pick = made.pool.pick([Candidate("a-slow.png", CANVAS)])
    assert pick.canvas_pixels == CANVAS // 2
    assert MemoryModel(made.memory.recall()).predict(Footprint(CANVAS, CANVAS)) > 6 * GB


def test_what_is_no_shading_needs_no_pick(make_pool):
    """A verification is given to any worker that is free."""
    made = make_pool()
    made.pool.submit([VerifyTask(job_id="v", published=made.folder / "a.png")])
    made.listen(lambda: not made.pool.busy)
    assert made.told[-1].problems == ("there is no sidecar",)


def test_the_number_of_workers_can_change(make_pool):
    """More are added, and of fewer the spare ones are given nothing more."""
    made = make_pool(workers=1)
    made.warm()
    assert made.begin("a-slow.png", "b-slow.png") == ["a-slow.png"]
    made.pool.configure(Limits(2, PLENTY), CANVAS)
    assert made.begin("b-slow.png") == ["b-slow.png"]
    made.pool.configure(Limits(1, PLENTY), CANVAS)
    assert made.pool.full
    made.finish()
    assert made.begin("c.png", "d.png") == ["c.png"]
    made.finish()
