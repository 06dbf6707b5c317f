from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from shaded.clock import FakeClock
from shaded.scheduling import process
from shaded.scheduling.messages import ShadeTask, Start, VerifyTask
from shaded.scheduling.process import ProcessExecutor, gpu_worker_count, thread_count, worker_count, worker_environment
from shaded.settings import Shading

FAKE_WORKER = Path(__file__).parent / "fake_worker.py"
pytestmark = pytest.mark.real_process


@pytest.fixture
def start_executor(monkeypatch):
    """Build executors over the fake worker and stop them afterwards."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = []

    def build(*options, clock=None, idle=1000.0, silence=1000.0, **more):
        executor = ProcessExecutor(
            Start(shading=Shading()),
            idle_seconds=idle,
            silence_seconds=silence,
            clock=clock or FakeClock(),
            command=(sys.executable, str(FAKE_WORKER), *options),
            **more,
        )
        made.append(executor)
        return executor

    yield build
    for executor in made:
        executor.close(now=True)


def _task(folder: Path, name: str) -> ShadeTask:
    (folder / name).write_bytes(b"picture")
    staging = folder / "staging"
    staging.mkdir(exist_ok=True)
    return ShadeTask(
        job_id=name,
        root=folder,
        source=folder / name,
        name=name,
        staging=staging,
        output_name=name,
        secret="00",
    )


def _until_free(executor, seconds=30.0):
    """Everything said until no outcome is owed any more."""
    told, end = [], time.monotonic() + seconds
    while executor.busy:
        assert time.monotonic() < end, told
        told.extend(executor.events(0.5))
    return told


def _wait_for(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_picture_is_shaded_by_another_process(start_executor, tmp_path):
    """A submitted task starts a worker, which reports ready, progress, the memory it took and the rendered file."""
    executor = start_executor()
    assert executor.worker_pid is None
    executor.submit([_task(tmp_path, "a.png")])
    assert executor.busy
    told = _until_free(executor)
    assert [e.kind for e in told if e.kind != "progress"] == ["ready", "spent", "rendered"]
    assert told[-1].picture.read_bytes() == b"pictureshaded"
    assert executor.worker_pid not in (None, os.getpid())


def test_the_same_worker_takes_the_next_task(start_executor, tmp_path):
    """One worker serves one task after another, shading and verifying."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "a.png")])
    _until_free(executor)
    pid = executor.worker_pid
    executor.submit([VerifyTask(job_id="v", published=tmp_path / "a.png")])
    (verified,) = _until_free(executor)
    assert verified.problems == ("there is no sidecar",)
    assert executor.worker_pid == pid


def test_other_settings_reach_the_next_worker(start_executor, tmp_path):
    """After renew the present worker finishes what it holds, and the next task goes to a new one; the old one ends."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "a.png")])
    first = executor.worker_pid
    executor.renew(Start(shading=Shading(threads=1)), idle_seconds=5.0, silence_seconds=50.0)
    assert [event.kind for event in _until_free(executor)][-1] == "rendered"
    assert executor.worker_pid == first
    executor.submit([_task(tmp_path, "b.png")])
    assert [event.kind for event in _until_free(executor)][-1] == "rendered"
    assert executor.worker_pid not in (None, first)
    same = executor.worker_pid
    executor.renew(Start(shading=Shading(threads=1)), idle_seconds=6.0, silence_seconds=50.0)
    executor.submit([_task(tmp_path, "c.png")])
    _until_free(executor)
    assert executor.worker_pid == same
    executor.close()
    _wait_for(lambda: _gone(first))


def test_stray_output_does_not_corrupt_the_conversation(start_executor, tmp_path, capfd):
    """What a library prints in the worker ends up on standard error, and the outcome still arrives."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "print.png")])
    assert _until_free(executor)[-1].kind == "rendered"
    executor.close()
    _wait_for(lambda: "a stray" in capfd.readouterr().err)


def test_a_killed_worker_is_reported_and_replaced(start_executor, tmp_path):
    """A worker killed in the middle of a picture is told apart, named, and the next task gets a new one."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "die.png")])
    died = _until_free(executor)[-1]
    assert (died.kind, died.job_ids, died.opened) == ("died", ("die.png",), True)
    assert "SIGKILL" in died.detail
    executor.submit([_task(tmp_path, "a.png")])
    assert _until_free(executor)[-1].kind == "rendered"


def test_a_worker_killed_while_idle_costs_no_picture(start_executor, tmp_path):
    """A worker that dies with nothing to do is replaced silently."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "a.png")])
    _until_free(executor)
    pid = executor.worker_pid
    os.kill(pid, signal.SIGKILL)
    _wait_for(lambda: _gone(pid))
    executor.submit([_task(tmp_path, "b.png")])
    assert [e.kind for e in _until_free(executor) if e.kind != "progress"] == ["ready", "spent", "rendered"]


def test_a_worker_whose_gpu_stopped_working_is_replaced(start_executor, tmp_path):
    """The picture is put off without blame, and the next one, handed over at once, gets a new process."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "gpu.png")])
    failure = _until_free(executor)[-1]
    assert (failure.outcome, failure.blames_picture) == ("transient", False)
    assert failure.what == "the GPU stopped working (CUDA error: unspecified launch failure)"
    first = executor.worker_pid
    executor.submit([_task(tmp_path, "b.png")])
    assert _until_free(executor)[-1].kind == "rendered"
    assert executor.worker_pid != first
    _wait_for(lambda: _gone(first))


def test_a_silent_worker_is_ended(start_executor, tmp_path):
    """A worker that says nothing for too long is killed and its picture handed back."""
    clock = FakeClock()
    executor = start_executor(clock=clock, silence=900)
    executor.submit([_task(tmp_path, "hang.png")])
    _wait_for(lambda: any(e.kind == "progress" for e in executor.events(0.1)))
    assert executor.next_check == clock.monotonic() + 900
    clock.advance(899)
    assert not executor.events(0.1)
    clock.advance(2)
    died = _until_free(executor)[-1]
    assert "said nothing for 900 seconds" in died.detail


def test_an_idle_worker_is_stopped(start_executor, tmp_path):
    """After the idle time no worker, and so no model, is left."""
    clock = FakeClock()
    executor = start_executor(clock=clock, idle=60)
    executor.submit([_task(tmp_path, "a.png")])
    _until_free(executor)
    pid = executor.worker_pid
    clock.advance(59)
    executor.events(0)
    assert executor.worker_pid == pid
    clock.advance(2)
    executor.events(0)
    assert executor.worker_pid is None
    assert executor.next_check is None
    _wait_for(lambda: executor.events(0) == [] and _gone(pid))


@pytest.mark.parametrize(("option", "cause"), [("no-model", "model"), ("bad-settings", "configuration")])
def test_unusable_models_are_told_once(start_executor, tmp_path, option, cause):
    """A worker that cannot open its models says why and owes nothing more."""
    executor = start_executor(option)
    executor.submit([_task(tmp_path, "a.png")])
    (told,) = _until_free(executor)
    assert (told.kind, told.cause) == ("unusable", cause)


def test_workers_that_die_while_opening_are_given_up(start_executor, tmp_path):
    """The third worker in a row that dies before its models are loaded is the last, and no picture is blamed."""
    executor = start_executor("dies-opening")
    kinds = []
    for _ in range(3):
        executor.submit([_task(tmp_path, "a.png")])
        (told,) = _until_free(executor)
        kinds.append((told.kind, getattr(told, "opened", None)))
    assert kinds == [("died", False), ("died", False), ("unusable", None)]
    assert "code 7" in told.what


def test_events_ring_a_bell(start_executor, tmp_path):
    """The callback tells a waiting daemon that something was said."""
    rings = []
    executor = start_executor(on_event=lambda: rings.append(1))
    executor.submit([_task(tmp_path, "a.png")])
    _until_free(executor)
    assert len(rings) >= 3


def test_the_worker_is_outside_the_terminals_group(start_executor, tmp_path):
    """Ctrl-C in the terminal reaches the daemon alone: the worker has its own process group and ignores SIGINT."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "slow.png")])
    _wait_for(lambda: any(e.kind == "ready" for e in executor.events(0.1)))
    assert os.getpgid(executor.worker_pid) != os.getpgid(0)
    os.kill(executor.worker_pid, signal.SIGINT)
    assert _until_free(executor)[-1].kind == "rendered"


def test_closing_now_ends_the_worker_at_once(start_executor, tmp_path):
    """Closing at once kills a worker in the middle of a picture."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "hang.png")])
    _wait_for(lambda: any(e.kind == "progress" for e in executor.events(0.1)))
    pid = executor.worker_pid
    executor.close(now=True)
    assert _gone(pid)


def test_closing_waits_for_the_picture_under_way(start_executor, tmp_path):
    """Closing in peace lets the worker finish, and its outcome can still be read."""
    executor = start_executor()
    executor.submit([_task(tmp_path, "slow.png")])
    executor.close()
    assert _until_free(executor)[-1].kind == "rendered"


def test_threads_are_set_before_anything_computes():
    """The worker is told its threads, that none spins, and to keep memory, unless its user told it otherwise."""
    environment = worker_environment(3, {"PATH": "/bin", "MALLOC_TOP_PAD_": "0", "OMP_NUM_THREADS": "64"})
    assert environment == {
        "PATH": "/bin",
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "GOMP_SPINCOUNT": "0",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "8000000000",
        "MALLOC_TOP_PAD_": "0",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
    assert thread_count(0) >= 1


@pytest.mark.parametrize(
    ("cores", "workers", "threads", "expected"),
    [(1, 0, 0, (1, 1)), (2, 0, 0, (2, 2)), (4, 0, 0, (2, 4)), (8, 0, 0, (2, 4)), (16, 0, 0, (4, 4)),
     (16, 0, 2, (8, 2)), (2, 1, 0, (1, 2)), (2, 5, 1, (5, 1))],
)  # fmt: skip
def test_workers_and_threads_for_the_cores_there_are(cores, workers, threads, expected, monkeypatch):
    """Two workers share few cores, more have four each; what the user set holds; threads never depend on workers."""
    monkeypatch.setattr(process, "core_count", lambda: cores)
    assert (worker_count(workers, threads), thread_count(threads)) == expected


@pytest.mark.parametrize(("cores", "set_to", "expected"), [(1, 0, 2), (6, 0, 3), (64, 0, 4), (64, 1, 1), (2, 9, 9)])
def test_a_gpu_has_workers_by_the_cores(monkeypatch, cores, set_to, expected):
    """One for every two cores, two at least and four at most, unless the settings say how many."""
    monkeypatch.setattr(process, "core_count", lambda: cores)
    assert gpu_worker_count(set_to) == expected
