"""The process between the daemon and a Ray cluster: the only one that talks to Ray, and the only module that needs it.

It is spoken to like a worker, one JSON line per message, but has as many pictures at once as the cluster has workers.
Each worker has a thread here (``cluster_seat.py``); all books are kept in the main thread.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, NoReturn

from shaded import logs
from shaded.scheduling.cluster import transient
from shaded.scheduling.cluster_seat import Broken, News, Opened, Seat, Unopened, Vacant, brief
from shaded.scheduling.messages import (
    ClusterStart,
    ClusterState,
    Failure,
    Ready,
    Rendered,
    ShadeTask,
    Stop,
    Unusable,
    WorkerDied,
)
from shaded.scheduling.process import HOPELESS_STARTS
from shaded.scheduling.worker import (
    EngineFactory,
    Voice,
    ignore_signals,
    leave,
    listen,
    private_streams,
    real_engine,
)
from shaded.settings import Cluster

logger = logs.get_logger("cluster")

#: How long connecting may take, in seconds; Ray itself would go on trying.
CONNECT_SECONDS = 60.0
#: How often the cluster's machines are counted, in seconds.
LOOK_SECONDS = 10.0
REMEDY = "Start Ray on this machine, as a part of the cluster, before the daemon: see docs/cluster.md"


def connect(address: str) -> Any:
    """Ray, connected to a cluster that runs already; nothing is started.

    Raises:
        Exception: Whatever keeps it from that.
    """
    if address != "auto":
        host, port = address.rsplit(":", 1)
        socket.create_connection((host, int(port)), timeout=5.0).close()
    import ray  # noqa: PLC0415 - only with the extra, and only here

    ray.init(address=address, log_to_driver=False, logging_level="warning")
    return ray


def places(nodes: Sequence[Mapping[str, Any]], cluster: Cluster) -> int:
    """How many workers the living machines of a cluster have room for, as ``ray.nodes()`` tells of them."""
    total = 0
    for node in nodes:
        if node["Alive"]:
            has = node["Resources"]
            room = has.get("CPU", 0) // cluster.cpus_per_worker
            if cluster.gpus_per_worker:
                room = min(room, has.get("GPU", 0) // cluster.gpus_per_worker)
            total += int(room)
    return total


class _Books:
    """What is owed, and how many workers there are; only for the main thread."""

    def __init__(
        self, ray: Any, start: ClusterStart, open_engine: EngineFactory, news: queue.SimpleQueue[News], voice: Voice
    ) -> None:
        self._ray = ray
        self._start = start
        self._news = news
        self._voice = voice
        self._tasks: queue.SimpleQueue[ShadeTask] = queue.SimpleQueue()
        self._open_engine = open_engine
        self._seats = 0
        self._ready = 0
        self._owed = 0
        self._deaths = 0
        self._stopping = False
        self._told = ClusterState(workers=0)
        self._introduced = False

    def keep(self) -> int:
        """Pass pictures and news on until told to stop; the exit code."""
        self._voice.say(self._told)
        look_at = time.monotonic()
        code = None
        while code is None and not (self._stopping and not self._owed):
            if time.monotonic() >= look_at:
                self._hire()
                look_at = time.monotonic() + LOOK_SECONDS
            try:
                code = self._hear(self._news.get(timeout=max(0.0, look_at - time.monotonic())))
            except queue.Empty:
                continue
        return code or 0

    def _hire(self) -> None:
        """A seat for each worker that there may be; those without a place wait for one in Ray's own queue."""
        cluster = self._start.cluster
        room = places(self._ray.nodes(), cluster)
        for _ in range((cluster.workers or room) - self._seats):
            seat = Seat(self._ray, self._start, self._open_engine, self._tasks, self._news)
            threading.Thread(target=seat.run, daemon=True, name="seat").start()
            self._seats += 1
        if not room and not self._ready:
            needed = f"{cluster.cpus_per_worker} CPUs and {cluster.gpus_per_worker} GPUs"
            self._tell(
                f"no machine of the cluster has {needed} for a worker. Add one, or lower cluster.cpus_per_worker"
            )

    def _tell(self, trouble: str = "") -> None:
        state = ClusterState(workers=self._ready, trouble=trouble)
        if state != self._told:
            self._told = state
            self._voice.say(state)

    def _hear(self, news: News) -> int | None:
        """Keep the books for one thing; an exit code where that was the last."""
        if isinstance(news, Stop):
            self._stopping = True
        elif isinstance(news, ShadeTask):
            self._owed += 1
            self._tasks.put(news)
            self._put_off_without_workers()
        elif isinstance(news, Opened):
            self._opened(news.ready)
        elif isinstance(news, Vacant):
            self._ready -= 1
            self._tell()
            self._put_off_without_workers()
        elif isinstance(news, Unopened):
            return self._unopened(news)
        elif isinstance(news, Broken):
            self._voice.say(ClusterState(workers=0, reached=False, trouble=news.detail, remedy=REMEDY))
            return 1
        else:
            return self._pass_on(news)
        return None

    def _pass_on(self, event: Any) -> int | None:
        if isinstance(event, Rendered | Failure | WorkerDied):
            self._owed -= 1
        self._voice.say(event)
        return 1 if isinstance(event, Unusable) else None

    def _opened(self, ready: Ready) -> None:
        self._ready += 1
        self._deaths = 0
        if not self._introduced:
            self._introduced = True
            self._voice.say(ready.model_copy(update={"device": f"cluster ({ready.device})"}))
        self._tell()

    def _unopened(self, news: Unopened) -> int | None:
        logger.warning("a worker could not be started", why=news.detail)
        self._deaths += news.counts
        if self._deaths >= HOPELESS_STARTS:
            what = f"the worker died {self._deaths} times before its models were loaded ({news.detail})"
            return self._pass_on(Unusable(cause="model", what=what, remedy="The machine's Ray logs have the details"))
        if not self._ready:
            self._tell(f"no worker of the cluster could be started ({news.detail}). It is tried again by itself")
        return None

    def _put_off_without_workers(self) -> None:
        """Pictures that nobody has begun wait at home, not here."""
        while not self._ready:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            self._pass_on(transient(task.job_id, "the cluster has no worker now"))


def serve(open_engine: EngineFactory, requests: BinaryIO, voice: Voice) -> int:
    """Connect, and answer requests until told to stop.

    Returns:
        The exit code: 0 after ``Stop``, 1 when the cluster is not reached or nothing can be shaded there.
    """
    start = ClusterStart.model_validate_json(requests.readline())
    logs.configure(start.log_level, start.log_format)
    address = start.cluster.address

    def unreachable(why: str) -> int:
        trouble = f"the cluster at {address} is not reached: {why}"
        voice.say(ClusterState(workers=0, reached=False, trouble=trouble, remedy=REMEDY))
        return 1

    def give_up() -> NoReturn:
        leave(unreachable(f"no answer for {CONNECT_SECONDS:.0f} seconds"))

    news: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(requests, news, leave), daemon=True, name="requests").start()
    patience = threading.Timer(CONNECT_SECONDS, give_up)
    patience.daemon = True
    patience.start()
    try:
        ray = connect(address)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return unreachable(brief(error))
    finally:
        patience.cancel()
    try:
        return _Books(ray, start, open_engine, news, voice).keep()
    except Exception as error:
        logger.debug("Ray failed", exc_info=True)
        return unreachable(brief(error))


def main(open_engine: EngineFactory) -> NoReturn:
    """Run on this process's standard streams, then end the process; Ray ends the actors with it."""
    ignore_signals()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    requests, events = private_streams()
    leave(serve(open_engine, requests, Voice(events, leave)))


if __name__ == "__main__":
    main(real_engine)
