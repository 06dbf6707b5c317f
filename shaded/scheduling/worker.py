"""The worker process: the only place where models are loaded.

It reads one :class:`~shaded.scheduling.messages.Start` line and then one request per line from standard input, and
writes one event per line to what was its standard output. Standard output itself is pointed at standard error first,
so that a stray ``print`` in a library cannot corrupt the conversation. When standard input ends without a ``Stop``,
the daemon is gone and the worker goes at once, in the middle of a picture if need be.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Literal, NoReturn, Protocol

from shaded import logs
from shaded.errors import (
    ConfigurationError,
    DeviceLost,
    ModelError,
    OutOfMemory,
    PictureError,
    ShadedError,
    from_os_error,
    policy_of,
)
from shaded.scheduling.accelerator import Accelerator
from shaded.scheduling.executor import AnyEvent, AnyTask
from shaded.scheduling.messages import (
    REQUESTS,
    Audited,
    AuditTask,
    Failure,
    Progress,
    Ready,
    Rendered,
    ShadeTask,
    Spent,
    Start,
    Stop,
    Unusable,
    Verified,
    VerifyTask,
)
from shaded.scheduling.peak import begin_counting, end_first, give_back, private_peak_bytes
from shaded.signalling import HELD, ignore_strays

logger = logs.get_logger("worker")

#: Progress of one stage is told at most this often; more would only keep the daemon awake.
PROGRESS_SECONDS = 0.2


class Engine(Protocol):
    """What does the work, once its models are loaded."""

    device: str
    accelerator: Accelerator

    def shade(self, task: ShadeTask, progress: Callable[[Progress], None]) -> Rendered:
        """Shade one picture into the task's staging folder."""

    def verify(self, task: VerifyTask) -> Verified:
        """Measure one published file again."""

    def audit(self, task: AuditTask, progress: Callable[[Progress], None]) -> Audited:
        """Measure what survives of one published file's shading."""


EngineFactory = Callable[[Start], Engine]


class Throttle:
    """Lets progress pass, unless the same stage was told a moment ago; the last step always passes."""

    def __init__(self) -> None:
        self._told: tuple[str, str] = ("", "")
        self._told_at = 0.0

    def passes(self, event: Progress) -> bool:
        """Whether this is to be told."""
        now = time.monotonic()
        stage = (event.job_id, event.stage)
        if stage == self._told and now - self._told_at < PROGRESS_SECONDS and event.step != event.steps:
            return False
        self._told, self._told_at = stage, now
        return True


class Voice:
    """Writes events, one line each; the daemon being gone ends the process."""

    def __init__(self, stream: BinaryIO, on_orphaned: Callable[[], None]) -> None:
        self._stream = stream
        self._on_orphaned = on_orphaned
        self._throttle = Throttle()

    def say(self, event: AnyEvent) -> None:
        """Write an event."""
        try:
            self._stream.write(event.model_dump_json().encode() + b"\n")
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._on_orphaned()

    def progress(self, event: Progress) -> None:
        """Say it, unless that was done a moment ago."""
        if self._throttle.passes(event):
            self.say(event)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is any of the ways in which Python, PyTorch or CUDA say that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)


#: What PyTorch says when a device's context is of no use any more; every later call in this process fails too.
_LOST = ("cuda error", "cudnn", "cublas", "device-side assert", "hip error", "mps backend")


def is_device_lost(error: BaseException) -> bool:
    """Whether the GPU stopped working for this process, other than by running out of memory."""
    text = str(error).lower()
    lost = isinstance(error, RuntimeError) and not is_out_of_memory(error) and any(mark in text for mark in _LOST)
    return lost or isinstance(error, DeviceLost)


def failure_of(job_id: str, error: Exception) -> Failure:
    """Sort an exception into one of the four outcomes."""
    if isinstance(error, OSError):
        error = from_os_error(error)
    elif is_out_of_memory(error):
        error = OutOfMemory("there is not enough memory", remedy="Close other programs; it is tried again by itself")
    elif is_device_lost(error) and not isinstance(error, DeviceLost):
        error = DeviceLost(
            f"the GPU stopped working ({str(error).splitlines()[0]})",
            remedy='It is tried again by itself; if that does not help, set shading.device to "cpu"',
        )
    policy = policy_of(error)
    if isinstance(error, PictureError):
        what, remedy = error.what, error.remedy
    else:
        what = f"an unexpected error ({type(error).__name__}: {error})"
        remedy = "The log has the details; please report them"
    blames = policy.counts or policy.outcome != "transient"
    return Failure(
        job_id=job_id, outcome=policy.outcome, what=what, remedy=remedy, blames_picture=blames,
        out_of_memory=isinstance(error, OutOfMemory), ends_worker=isinstance(error, DeviceLost),
    )  # fmt: skip


def unusable_of(error: Exception) -> Unusable:
    """Say that nothing at all can be shaded here."""
    cause: Literal["model", "configuration"] = "configuration" if isinstance(error, ConfigurationError) else "model"
    if isinstance(error, ShadedError):
        return Unusable(cause=cause, what=error.what, path=error.path, remedy=error.remedy)
    return Unusable(
        cause=cause,
        what=f"the engine could not be opened ({type(error).__name__}: {error})",
        remedy="The log has the details; reinstalling may help",
    )


def listen(
    requests: BinaryIO,
    inbox: queue.SimpleQueue[AnyTask | Stop],
    on_orphaned: Callable[[], None],
) -> None:
    """Queue every request until ``Stop``; the stream ending before one means that the daemon is gone."""
    try:
        for line in requests:
            request = REQUESTS.validate_json(line)
            inbox.put(request)
            if isinstance(request, Stop):
                return
    except Exception:
        logger.exception("a request cannot be understood; the worker ends, since its daemon waits for an answer")
    on_orphaned()


def _outcome(engine: Engine, task: AnyTask, voice: Voice) -> AnyEvent:
    if isinstance(task, VerifyTask):
        return engine.verify(task)
    if isinstance(task, AuditTask):
        return engine.audit(task, voice.progress)
    return engine.shade(task, voice.progress)


def _do(engine: Engine, task: AnyTask, voice: Voice) -> bool:
    """Do one task and say how it ended, of a shading also what memory it took; whether the engine still works.

    Raises:
        ModelError, ConfigurationError: Nothing can be shaded any more.
    """
    begun = time.monotonic()
    begin_counting()
    engine.accelerator.begin_counting()
    try:
        outcome = _outcome(engine, task, voice)
    except (ModelError, ConfigurationError):
        raise
    except Exception as error:
        failure = failure_of(task.job_id, error)
        if failure.outcome == "failed" and not isinstance(error, PictureError):
            logger.error("the picture failed unexpectedly", exc_info=True)  # noqa: G201 - structlog's own way
        outcome = failure
    spent = _spent(engine, task.job_id, time.monotonic() - begun)
    if isinstance(task, ShadeTask):
        voice.say(spent)
    voice.say(outcome)
    return not (isinstance(outcome, Failure) and outcome.ends_worker)


def _spent(engine: Engine, job_id: str, seconds: float) -> Spent:
    """What a task took; what is not in use any more is given back, also where memory ran out."""
    peak, device_peak = private_peak_bytes(), engine.accelerator.peak_bytes()
    give_back()
    engine.accelerator.give_back()
    held = engine.accelerator.held_bytes()
    return Spent(job_id=job_id, peak_bytes=peak, device_peak_bytes=device_peak, device_held_bytes=held, seconds=seconds)


def be_nice(niceness: int) -> None:
    """Give way to other programs, at least so much."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))


def serve(open_engine: EngineFactory, requests: BinaryIO, events: BinaryIO, on_orphaned: Callable[[], None]) -> int:
    """Answer requests until told to stop.

    Args:
        open_engine: Loads the models; called at the first task.
        requests: A ``Start`` line, then request lines.
        events: Where event lines go.
        on_orphaned: Called, in whichever thread notices, when nobody is at the other end.

    Returns:
        The exit code: 0 after ``Stop``, 1 when no picture can be shaded here, or no more in this process.
    """
    start = Start.model_validate_json(requests.readline())
    logs.configure(start.log_level, start.log_format)
    be_nice(start.niceness)
    inbox: queue.SimpleQueue[AnyTask | Stop] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(requests, inbox, on_orphaned), daemon=True, name="requests").start()
    voice = Voice(events, on_orphaned)
    engine: Engine | None = None
    while not isinstance(task := inbox.get(), Stop):
        with logs.about_job(task.job_id):
            try:
                if engine is None:
                    engine = _open(open_engine, start, voice)
                if not _do(engine, task, voice):
                    return 1
            except Exception as error:
                if is_out_of_memory(error) or is_device_lost(error):
                    failure = failure_of(task.job_id, error)
                    voice.say(failure)
                    if failure.ends_worker:
                        return 1
                    continue
                logger.debug("the engine is unusable", exc_info=True)
                voice.say(unusable_of(error))
                return 1
    return 0


def _open(open_engine: EngineFactory, start: Start, voice: Voice) -> Engine:
    """Load the models and say so."""
    begun = time.monotonic()
    engine = open_engine(start)
    seconds = time.monotonic() - begun
    logger.info("models loaded", device=engine.device, seconds=round(seconds, 1))
    voice.say(Ready(device=engine.device, seconds=seconds, devices=engine.accelerator.names))
    return engine


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output away from everyone else in this process.

    Returns:
        The request stream and the event stream. Descriptor 0 reads nothing afterwards, descriptor 1 is standard error.
    """
    requests = os.fdopen(os.dup(0), "rb")
    events = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, events


def ignore_signals() -> None:
    """Ctrl-C is the daemon's: it lets the picture under way finish. So far it was held back, see ``launch``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ignore_strays()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def leave(code: int = 0) -> NoReturn:
    """End this process at once, without waiting for threads and libraries that hold nothing worth saving."""
    with suppress(OSError, ValueError):  # nobody may be there to hear it
        sys.stderr.flush()
    os._exit(code)


def main(open_engine: EngineFactory) -> NoReturn:
    """Run a worker on this process's standard streams, then end the process."""
    ignore_signals()
    end_first()
    requests, events = private_streams()
    leave(serve(open_engine, requests, events, leave))


def real_engine(start: Start) -> Engine:
    """Load the real engine; PyTorch is imported here and nowhere sooner."""
    from shaded.scheduling.rendering import open_engine  # noqa: PLC0415 - see above

    engine: Engine = open_engine(start)
    return engine


if __name__ == "__main__":
    main(real_engine)
