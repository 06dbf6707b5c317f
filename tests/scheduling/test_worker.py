from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path

import pytest
import structlog

from shaded.errors import ConfigurationError, DeviceLost, Refusal, SourceChanged, Transient, Unreadable
from shaded.scheduling import worker
from shaded.scheduling.accelerator import Accelerator
from shaded.scheduling.messages import EVENTS, Progress, Ready, ShadeTask, Start, Stop, Unusable
from shaded.settings import Shading
from tests.scheduling.fake_worker import open_copying


@pytest.fixture(autouse=True)
def _logs_restored():
    yield
    structlog.reset_defaults()


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


def _serve(lines, options=(), *, niceness=0):
    """Let a worker answer these lines inside this process: exit code, events, whether it found itself orphaned."""
    start = Start(shading=Shading(), niceness=niceness)
    requests = io.BytesIO("".join(m.model_dump_json() + "\n" for m in (start, *lines)).encode())
    events = io.BytesIO()
    orphaned = threading.Event()
    code = worker.serve(open_copying(options), requests, events, orphaned.set)
    return code, [EVENTS.validate_json(line) for line in events.getvalue().splitlines()], orphaned.is_set()


def test_tasks_are_answered_in_order(tmp_path):
    """A worker says ready at the first task, then progress and outcome of each, and ends with 0 at Stop."""
    code, events, orphaned = _serve([_task(tmp_path, "a.png"), _task(tmp_path, "b.png"), Stop()])
    assert code == 0
    assert not orphaned
    assert isinstance(events[0], Ready)
    assert [e.job_id for e in events if e.kind == "rendered"] == ["a.png", "b.png"]
    assert (tmp_path / "staging" / "a.png").read_bytes() == b"pictureshaded"


def test_models_are_not_loaded_without_work():
    """A worker that gets no task opens no engine."""
    code, events, _ = _serve([Stop()], options=["no-model"])
    assert (code, events) == (0, [])


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("refuse.png", "refused", "it is animated"),
        ("unreadable.png", "failed", "it is broken"),
        ("busy.png", "transient", "the disk is full"),
        ("memory.png", "transient", "there is not enough memory"),
        ("bug.png", "failed", "an unexpected error (ZeroDivisionError: by a bug)"),
    ],
)
def test_one_pictures_trouble_is_an_outcome(tmp_path, name, outcome, words):
    """Whatever goes wrong with one picture is reported as its outcome, and the next picture is shaded."""
    code, events, _ = _serve([_task(tmp_path, name), _task(tmp_path, "next.png"), Stop()])
    failure = next(e for e in events if e.kind == "failure")
    assert (failure.job_id, failure.outcome, failure.what) == (name, outcome, words)
    assert events[-1].kind == "rendered"
    assert code == 0


@pytest.mark.parametrize(("option", "cause"), [("no-model", "model"), ("bad-settings", "configuration")])
def test_unusable_models_end_the_worker(tmp_path, option, cause):
    """When the models or settings are unusable the worker says so once and ends with 1."""
    code, events, _ = _serve([_task(tmp_path, "a.png"), _task(tmp_path, "b.png"), Stop()], options=[option])
    assert code == 1
    (event,) = events
    assert isinstance(event, Unusable)
    assert event.cause == cause
    assert event.remedy


def test_memory_running_out_while_opening_is_transient(tmp_path):
    """No memory for the models is a condition that passes: the picture waits and the worker stays."""
    attempts = []

    def open_engine(start):
        attempts.append(start)
        if len(attempts) == 1:
            raise MemoryError
        return open_copying(())(start)

    start = Start(shading=Shading())
    lines = [start, _task(tmp_path, "a.png"), _task(tmp_path, "a.png"), Stop()]
    events = io.BytesIO()
    worker.serve(open_engine, io.BytesIO("".join(m.model_dump_json() + "\n" for m in lines).encode()), events, _never)
    kinds = [json.loads(line)["kind"] for line in events.getvalue().splitlines()]
    assert kinds[0] == "failure"
    assert kinds[-1] == "rendered"


def _never():
    raise AssertionError("nobody is orphaned here")


def test_an_ended_request_stream_means_orphaned(tmp_path):
    """The request stream ending without Stop is noticed even while a picture is under way."""
    noticed = threading.Event()

    class Waiting:
        device = "fake"
        accelerator = Accelerator()

        def shade(self, task, progress):
            assert noticed.wait(10)
            raise Refusal("enough seen")

    start = Start(shading=Shading())
    lines = "".join(m.model_dump_json() + "\n" for m in (start, _task(tmp_path, "a.png"))).encode()
    read, write = os.pipe()
    os.write(write, lines)
    events = io.BytesIO()
    thread = threading.Thread(
        target=worker.serve,
        args=(lambda _: Waiting(), os.fdopen(read, "rb"), events, noticed.set),
        daemon=True,
    )
    thread.start()
    assert not noticed.wait(0.2)
    os.close(write)
    assert noticed.wait(10)


def test_progress_is_thinned_but_never_loses_the_end(monkeypatch):
    """Many steps in a moment are told once, the last one always, and a new stage at once."""
    stream = io.BytesIO()
    voice = worker.Voice(stream, _never)
    monkeypatch.setattr(worker.time, "monotonic", lambda: 100.0)
    for step in range(61):
        voice.progress(Progress(job_id="j", stage="shade", step=step, steps=60))
    voice.progress(Progress(job_id="j", stage="measure"))
    told = [(e.stage, e.step) for e in map(EVENTS.validate_json, stream.getvalue().splitlines())]
    assert told == [("shade", 0), ("shade", 60), ("measure", 0)]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Refusal("no"), "refused"),
        (Unreadable("no"), "failed"),
        (SourceChanged("no"), "changed"),
        (Transient("no"), "transient"),
        (FileNotFoundError(2, "gone"), "changed"),
        (OSError(28, "full"), "transient"),
        (MemoryError(), "transient"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "transient",
        ),
        (RuntimeError("CUDA out of memory"), "transient"),
        (RuntimeError("CUDA error: unspecified launch failure"), "transient"),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), "failed"),
        (KeyError("x"), "failed"),
        (ConfigurationError("x"), "failed"),
    ],
)
def test_every_exception_has_an_outcome(error, outcome):
    """Each exception of the tree and of the system is sorted into one outcome."""
    failure = worker.failure_of("j", error)
    assert (failure.job_id, failure.outcome) == ("j", outcome)
    assert failure.what


def test_what_a_picture_took_is_told_before_its_outcome(tmp_path):
    """Of the machine's memory and of the GPU's, also where it failed; GPUs are named when the models are there."""
    tasks = [_task(tmp_path, "a.png"), _task(tmp_path, "refuse.png")]
    _, events, _ = _serve([*tasks, Stop()], ["gpu=GPU-1", "gpu=GPU-2"])
    assert events[0].devices == ("GPU-1", "GPU-2")
    ends = [(event, events[place + 1].kind) for place, event in enumerate(events) if event.kind == "spent"]
    assert [kind for _, kind in ends] == ["rendered", "failure"]
    for spent, _ in ends:
        assert spent.peak_bytes > 10_000_000
        assert (spent.device_peak_bytes, spent.device_held_bytes) == (3 * 10**9, 10**9)


def test_a_gpu_that_is_lost_while_models_are_loaded_is_no_reason_to_stop_the_daemon(tmp_path):
    """The picture may be tried again, elsewhere or later; the worker ends."""

    def lost(_start):
        raise DeviceLost("GPU number 2 is not there any more")

    requests = "".join(m.model_dump_json() + "\n" for m in (Start(shading=Shading()), _task(tmp_path, "a.png")))
    events = io.BytesIO()
    assert worker.serve(lost, io.BytesIO(requests.encode()), events, lambda: None) == 1
    (failure,) = [EVENTS.validate_json(line) for line in events.getvalue().splitlines()]
    assert (failure.outcome, failure.ends_worker, failure.blames_picture) == ("transient", True, False)
    assert failure.what == "GPU number 2 is not there any more"


def test_a_request_that_nobody_understands_ends_the_worker():
    """A daemon of another version must not wait for an answer that never comes."""
    import queue

    inbox, orphaned = queue.SimpleQueue(), []
    worker.listen(io.BytesIO(b'{"kind": "dance"}\n'), inbox, lambda: orphaned.append(True))
    assert orphaned == [True]
    assert inbox.empty()
