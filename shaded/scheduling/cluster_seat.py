"""One worker's place in a cluster, seen from the daemon's machine: an actor, and the picture that it has.

Each has a thread, which waits for Ray so that nobody else does. It reads the source's bytes, gives them to the object
store, and writes what comes back into the staging folder.
"""

from __future__ import annotations

import hashlib
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shaded import __version__, logs
from shaded.errors import Transient
from shaded.outbox.screening import read_bytes, read_settled
from shaded.scheduling.cluster import transient
from shaded.scheduling.cluster_worker import ClusterWorker, Parcel, Place
from shaded.scheduling.executor import AnyEvent, AnyTask
from shaded.scheduling.messages import (
    EVENTS,
    ClusterStart,
    Failure,
    Progress,
    Ready,
    Rendered,
    ShadeTask,
    Stop,
    WorkerDied,
)
from shaded.scheduling.process import worker_environment
from shaded.scheduling.saving import save_result
from shaded.scheduling.worker import EngineFactory, failure_of

logger = logs.get_logger("cluster")

#: The pause after a worker that could not be started, in seconds.
PAUSE_SECONDS = 10.0
#: A machine that starts an empty task within so long is alive, in seconds.
PROBE_SECONDS = 60.0


def brief(error: Exception) -> str:
    """An error in one line, without Ray's advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return text.split(" Some common causes")[0][:300]


class _Silent(Exception):  # noqa: N818 - never leaves this module
    """A worker says nothing any more."""


@dataclass(frozen=True)
class Opened:
    """A worker has loaded its models."""

    ready: Ready


@dataclass(frozen=True)
class Vacant:
    """A worker that had loaded its models is gone."""


@dataclass(frozen=True)
class Unopened:
    """A worker ended before its models were loaded; ``counts``: and its machine is there."""

    detail: str
    counts: bool


@dataclass(frozen=True)
class Broken:
    """Ray failed in a way that concerns no single worker."""

    detail: str


News = AnyTask | Stop | AnyEvent | Opened | Vacant | Unopened | Broken


def delivered(task: ShadeTask, parcel: Parcel) -> Rendered:
    """Write what came back into the staging folder, unless it was damaged on its way.

    Raises:
        Transient: It was.
        OSError: It cannot be written.
    """
    rendered = Rendered.model_validate_json(parcel.rendered)
    sums = [hashlib.sha256(data).hexdigest() for data in (parcel.picture, parcel.sidecar)]
    if sums != [rendered.sha256, parcel.sidecar_sha256]:
        raise Transient("the result was damaged on its way from the cluster", remedy="It is tried again by itself")
    picture, beside = save_result(task, parcel.picture, parcel.sidecar)
    return rendered.model_copy(update={"picture": picture, "sidecar": beside})


def still_here() -> bool:
    """What an empty task answers."""
    return True


class Seat:
    """One worker's place: an actor, made anew whenever it is gone, and the picture it has. Lives in its own thread."""

    def __init__(
        self,
        ray: Any,
        start: ClusterStart,
        open_engine: EngineFactory,
        tasks: queue.SimpleQueue[ShadeTask],
        news: queue.SimpleQueue[News],
    ) -> None:
        self._ray = ray
        self._start = start
        self._open_engine = open_engine
        self._tasks = tasks
        self._news = news

    def run(self) -> None:
        """One actor after the other."""
        try:
            while True:
                self._live()
        except Exception as error:
            logger.debug("Ray failed", exc_info=True)
            self._news.put(Broken(brief(error)))

    def _live(self) -> None:
        """One actor's life: wait for a place, load the models, shade pictures."""
        ray, cluster = self._ray, self._start.cluster
        threads = cluster.cpus_per_worker
        made = ray.remote(ClusterWorker).options(
            num_cpus=threads,
            num_gpus=cluster.gpus_per_worker,
            runtime_env={"env_vars": worker_environment(threads, {})},
        )
        worker = made.remote(
            self._start.model_dump_json(exclude={"cluster", "silence_seconds"}), self._open_engine, __version__
        )
        place = None
        try:
            place = Place(*ray.get(worker.where.remote()))
            opened = EVENTS.validate_json(ray.get(worker.open.remote(), timeout=self._start.silence_seconds))
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError, ray.exceptions.OutOfMemoryError) as error:
            ray.kill(worker)
            if isinstance(error, ray.exceptions.OutOfMemoryError):
                unopened = Unopened("its machine is short of memory", counts=False)
            else:
                unopened = Unopened(brief(error), counts=place is not None and self._lives(place))
            self._news.put(unopened)
            time.sleep(PAUSE_SECONDS)
            return
        if not isinstance(opened, Ready):
            self._news.put(opened)
            return
        logger.info("models loaded", machine=place.host, device=opened.device, seconds=round(opened.seconds, 1))
        self._news.put(Opened(opened))
        while self._shade(worker, place, self._tasks.get()):
            pass

    def _shade(self, worker: Any, place: Place, task: ShadeTask) -> bool:
        """One picture; whether the worker is still there."""
        ray = self._ray
        try:
            source = (
                read_settled(task.source, task.root, task.max_bytes, task.sha256)
                if task.sha256
                else read_bytes(task.source, task.root, task.max_bytes)
            )
            stream = worker.shade.options(num_returns="streaming").remote(task.model_dump_json(), ray.put(source))
            del source
            outcome = self._follow(task, stream)
        except (ray.exceptions.RayActorError, _Silent) as error:
            self._news.put(Vacant())
            ray.kill(worker)
            self._news.put(self._obituary(task, place, brief(error)))
            return False
        except ray.exceptions.OutOfMemoryError:
            logger.warning("memory ran out, and Ray ended a worker", machine=place.host)
            self._news.put(Vacant())
            ray.kill(worker)
            self._news.put(failure_of(task.job_id, MemoryError()))
            return False
        except Exception as error:  # noqa: BLE001 - as a worker does
            # What the worker's own code raised is told as at home; what Ray itself raised says nothing about a picture.
            raised = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
            if isinstance(raised, ray.exceptions.RayError):
                self._news.put(transient(task.job_id, f"the cluster failed ({brief(error)})"))
            else:
                self._news.put(failure_of(task.job_id, raised if isinstance(raised, Exception) else error))
            return True
        ends = isinstance(outcome, Failure) and outcome.ends_worker
        if ends:  # its GPU stopped working: another process may find it well again
            self._news.put(Vacant())
            ray.kill(worker)
        self._news.put(outcome)
        return not ends

    def _follow(self, task: ShadeTask, stream: Any) -> AnyEvent:
        """Pass progress on until the outcome is there."""
        for said in self._said(stream):
            if isinstance(said, Parcel):
                return delivered(task, said)
            event = EVENTS.validate_json(said)
            if not isinstance(event, Progress):
                return event
            self._news.put(event)
        raise Transient("the worker gave no result", remedy="It is tried again by itself")

    def _said(self, stream: Any) -> Iterator[str | Parcel]:
        """What a worker yields.

        Raises:
            _Silent: Nothing came for too long.
            RayError: Neither will anything come.
        """
        while True:
            ready, _ = self._ray.wait([stream], timeout=self._start.silence_seconds)
            if not ready:
                raise _Silent(f"it said nothing for {self._start.silence_seconds:.0f} seconds and was ended")
            try:
                reference = next(stream)
            except StopIteration:
                return
            yield self._ray.get(reference)

    def _obituary(self, task: ShadeTask, place: Place, detail: str) -> WorkerDied | Failure:
        """A worker is gone in the middle of a picture: its machine's fault, or perhaps the picture's."""
        if self._lives(place):
            return WorkerDied(job_ids=(task.job_id,), detail=f"on {place.host}: {detail}")
        return transient(task.job_id, f"the cluster lost the machine {place.host}")

    def _lives(self, place: Place) -> bool:
        """Whether a machine is there: it starts a task. Ray's own list may be behind by half a minute."""
        ray = self._ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415 - see `connect`

        there = NodeAffinitySchedulingStrategy(place.node, soft=False)
        probe = ray.remote(still_here).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        try:
            return bool(ray.get(probe.remote(), timeout=PROBE_SECONDS))
        except ray.exceptions.RayError:
            return False
