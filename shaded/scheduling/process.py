"""An :class:`~shaded.scheduling.executor.Executor` with one worker process behind it.

The process is started when there is work, watched, replaced when it dies or falls silent, and stopped after an idle
time. One thread per process reads its events and another relays what it logs; everything else happens in the thread
that calls :meth:`ProcessExecutor.submit` and :meth:`ProcessExecutor.events`.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from shaded import logs
from shaded.clock import Clock, SystemClock
from shaded.scheduling.child import Child, Ended, Said, end, launch
from shaded.scheduling.executor import AnyEvent, AnyTask, Candidate, Pick
from shaded.scheduling.messages import Audited, Failure, Ready, Rendered, Start, Unusable, Verified, WorkerDied

logger = logs.get_logger("executor")

WORKER_COMMAND = (sys.executable, "-m", "shaded.scheduling.worker")
#: Workers that died in a row before their models were loaded, after which nothing is expected of the next one.
HOPELESS_STARTS = 3
#: Cores beyond these shade another picture instead. Chosen, not measured: threads wait for one another the more of them
#: there are, and two cores, where two of them are worth 1.84, is all that was at hand.
MOST_THREADS = 4


def core_count() -> int:
    """The cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def thread_count(threads: int) -> int:
    """The number of compute threads of one worker: as set, or the cores there are, up to a few.

    It never depends on how many workers there are: sums are rounded otherwise with other numbers of threads, and a
    picture's result is the same beside others and alone.
    """
    return threads or min(core_count(), MOST_THREADS)


def worker_count(workers: int, threads: int) -> int:
    """The number of workers on a CPU: as set, or as many as have their threads' cores to themselves, but two at least.

    Two that share the same cores: while one picture is decoded, saved or measured, which one thread does, the other is
    optimised. That is worth 1.34 with small canvases and 1.08 with full ones (docs/performance.md).
    """
    return workers or max(min(2, core_count()), core_count() // thread_count(threads))


def gpu_worker_count(workers: int) -> int:
    """The number of workers on each GPU: as set, or one for every two cores, two at least and four at most.

    A step on a million pixels is about a million million operations (benchmarks/stacking.py), which a large GPU does in
    hundredths of a second; reading, saving and judging a picture take a core far longer. Reasoned, not measured.
    """
    return workers or min(4, max(2, core_count() // 2))


#: Torch asks for the same large blocks in every step. glibc would give each back to the system and have it zeroed anew
#: page by page, which took a third of a picture's time; other C libraries ignore these.
_KEEP_MEMORY: Mapping[str, str] = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "67108864",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


def worker_environment(threads: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The worker's environment: threads as set, none that spins while it waits; memory kept unless told otherwise."""
    count = str(thread_count(threads))
    threads_set = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "GOMP_SPINCOUNT": "0"}
    return {**_KEEP_MEMORY, **environment, **threads_set}


class ProcessExecutor:
    """Feeds one worker process.

    Args:
        start: What a new worker is told first.
        idle_seconds: A worker without work for so long is stopped, so that an idle daemon holds no models.
        silence_seconds: A worker that holds work and says nothing for so long is killed and replaced.
        on_event: Called from another thread whenever :meth:`events` has something new.
        command: The worker's command line.
    """

    def __init__(
        self,
        start: Start,
        *,
        idle_seconds: float,
        silence_seconds: float,
        clock: Clock | None = None,
        on_event: Callable[[], None] = lambda: None,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._start_message = start
        self._idle_seconds = idle_seconds
        self._silence_seconds = silence_seconds
        self._clock = clock or SystemClock()
        self._on_event = on_event
        self._command = tuple(command)
        self._inbox: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._worker: Child | None = None
        self._retired: list[Child] = []
        self._stale = False
        self._held: list[str] = []
        self._heard_at = 0.0
        self._deaths_in_a_row = 0

    def renew(self, start: Start, *, idle_seconds: float, silence_seconds: float) -> None:
        """Other settings: the present worker finishes what it holds, and is replaced before it is given more."""
        self._idle_seconds, self._silence_seconds = idle_seconds, silence_seconds
        if start != self._start_message:
            self._start_message = start
            self._stale = self._worker is not None

    @property
    def busy(self) -> bool:
        """Whether a submitted task's outcome is still to come."""
        return bool(self._held)

    @property
    def full(self) -> bool:
        """Whether it has a task."""
        return self.busy

    @property
    def shortage(self) -> str:
        """It asks for no memory before it begins."""
        return ""

    @property
    def courtesy(self) -> str:
        """It gives way to nobody."""
        return ""

    def pick(self, candidates: Sequence[Candidate]) -> Pick | None:
        """The first, while it is free."""
        return Pick(0) if candidates and not self.busy else None

    def backlog(self, candidates: Sequence[Candidate]) -> float | None:  # noqa: ARG002 - the seam's shape
        """It keeps no record of how long pictures take."""
        return None

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker, while there is one."""
        return None if self._worker is None else self._worker.process.pid

    @property
    def next_check(self) -> float | None:
        """When the worker will have been silent, or idle, for too long."""
        if self._worker is None:
            return None
        return self._heard_at + (self._silence_seconds if self._held else self._idle_seconds)

    def submit(self, batch: Sequence[AnyTask]) -> None:
        """Hand tasks over, starting a worker if there is none."""
        if self._worker is not None and (self._stale or self._worker.process.poll() is not None):
            self._worker.stop()  # its settings are old, or it died idle: no picture is to blame
            self._retired.append(self._worker)
            self._worker = None
        self._stale = False
        if self._worker is None:
            self._worker = self._launch()
        self._held.extend(task.job_id for task in batch)
        self._heard_at = self._clock.monotonic()
        self._worker.send(*(task.model_dump_json() for task in batch))

    def events(self, timeout: float) -> Sequence[AnyEvent]:
        """What the worker said since the last call, waiting at most ``timeout`` seconds for the first word."""
        told: list[AnyEvent] = []
        wait = timeout
        while True:
            try:
                said = self._inbox.get(timeout=wait) if wait > 0 else self._inbox.get_nowait()
            except queue.Empty:
                break
            wait = 0.0
            event = self._take(said)
            if event is not None:
                told.append(event)
        self._look_after()
        return told

    def close(self, *, now: bool = False) -> None:
        """Stop the worker: after what it holds, or at once. Its last events stay readable."""
        worker, self._worker = self._worker, None
        end([*self._retired, *([] if worker is None else [worker])], now=now, patient=self.busy)
        self._retired.clear()

    def _launch(self) -> Child:
        worker = launch(
            self._command,
            worker_environment(self._start_message.shading.threads),
            self._start_message.model_dump_json(),
            self._inbox,
            self._on_event,
        )
        logger.debug("worker started", pid=worker.process.pid)
        return worker

    def _take(self, said: Said) -> AnyEvent | None:
        """Keep the books for one thing that was said."""
        if isinstance(said.what, Ended):
            return self._bury(said.child, said.what.code)
        self._heard_at = self._clock.monotonic()
        if isinstance(said.what, Ready):
            said.child.opened = True
            self._deaths_in_a_row = 0
        if isinstance(said.what, Rendered | Verified | Audited | Failure) and said.what.job_id in self._held:
            self._held.remove(said.what.job_id)
        if isinstance(said.what, Failure) and said.what.ends_worker and said.child is self._worker:
            self._stale = True  # it is ending: the next task needs another
        if isinstance(said.what, Unusable):
            self._held.clear()
        return said.what

    def _bury(self, worker: Child, code: int) -> AnyEvent | None:
        """A worker ended: say so if anything was lost with it."""
        worker.hang_up()
        if worker in self._retired:
            self._retired.remove(worker)
            return None
        self._worker = None if worker is self._worker else self._worker
        if not self._held:
            return None
        held, self._held = tuple(self._held), []
        detail = worker.obituary(code)
        if not worker.opened:
            self._deaths_in_a_row += 1
            if self._deaths_in_a_row >= HOPELESS_STARTS:
                return Unusable(
                    cause="model",
                    what=f"the worker died {self._deaths_in_a_row} times before its models were loaded ({detail})",
                    remedy="The log has the details; reinstalling may help",
                )
        killed = code == -signal.SIGKILL and not worker.killed_because
        return WorkerDied(job_ids=held, detail=detail, opened=worker.opened, killed=killed)

    def _look_after(self) -> None:
        """Kill a worker that fell silent; stop one that has had nothing to do."""
        worker, due = self._worker, self.next_check
        if worker is None or due is None or self._clock.monotonic() < due:
            return
        if self._held:
            self._heard_at = self._clock.monotonic()
            worker.kill(f"the worker said nothing for {self._silence_seconds:.0f} seconds and was ended")
            return
        self.rest()
        logger.debug("worker stopped after an idle time", pid=worker.process.pid)

    def rest(self) -> None:
        """Stop the worker if it has nothing to do, so that its memory is free."""
        if self._worker is not None and not self._held:
            self._worker.stop()
            self._retired.append(self._worker)
            self._worker = None
