"""An :class:`~shaded.scheduling.executor.Executor` over a Ray cluster.

Ray lives in a process of its own (``cluster_driver.py``), so that the daemon is never blocked by a network, and stays
what it is when Ray ends that process, which it does when a cluster's head is gone for a minute. Here is what the daemon
sees of it: pictures go out while workers are free; a connection that is lost puts pictures off, and is made anew.
"""

from __future__ import annotations

import importlib.util
import os
import queue
import sys
from collections.abc import Callable, Sequence

from shaded import logs
from shaded.clock import Clock
from shaded.errors import ConfigurationError
from shaded.outbox.roots import ShortMemory
from shaded.scheduling.child import Child, Ended, Said, end, launch
from shaded.scheduling.executor import AnyEvent, AnyTask, Candidate, Pick
from shaded.scheduling.memory import Footprint
from shaded.scheduling.messages import ClusterStart, ClusterState, Failure, Rendered, Unusable, WorkerDied
from shaded.scheduling.room import Room

logger = logs.get_logger("cluster")

DRIVER_COMMAND = (sys.executable, "-m", "shaded.scheduling.cluster_driver")
#: The pause before a lost connection is made anew, in seconds; it doubles each time, up to the second.
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
#: So much longer than a worker may the process that speaks for all of them say nothing, in seconds.
GRACE_SECONDS = 120.0
#: How much memory the machines have is Ray's to know; here a picture gets a smaller canvas once it ran out of it there.
_ANY = sys.maxsize


def require_ray() -> None:
    """Say what to install where Ray is missing, without importing it.

    Raises:
        ConfigurationError: The extra is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigurationError(
            "cluster.address: Ray is not installed, and without it there is no cluster",
            remedy="Install it with: pip install 'shaded[cluster]'; or leave cluster.address empty",
        )


class ClusterExecutor:
    """Feeds a Ray cluster.

    Args:
        start: What the process that talks to Ray is told first.
        idle_seconds: Without work for so long the cluster is left, so that its machines are free for others.
        clock: Its monotonic time.
        on_event: Called from another thread whenever :meth:`events` has something new.
        command: That process's command line.

    A cluster that is not reached when that is tried for the first time, at once, is told as ``Unusable``.
    """

    def __init__(
        self,
        start: ClusterStart,
        *,
        idle_seconds: float,
        clock: Clock,
        on_event: Callable[[], None] = lambda: None,
        command: Sequence[str] = DRIVER_COMMAND,
    ) -> None:
        self._start = start
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._on_event = on_event
        self._command = tuple(command)
        self._inbox: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._retired: list[Child] = []
        self._held: dict[str, Footprint | None] = {}
        self._picked: dict[str, Footprint | None] = {}
        self._room = Room(start.shading.canvas_pixels, lambda _name: ShortMemory(), clock)
        self._reached = False
        self._losses = 0
        self._rest_until = float("-inf")
        self._trouble = ""
        self._child: Child | None = None
        self._workers = 0
        self._stale = False
        self._heard_at = clock.monotonic()
        self._begin()

    def renew(self, start: ClusterStart, *, idle_seconds: float) -> None:
        """Other settings: what is under way is finished, then the workers are made anew."""
        self._idle_seconds = idle_seconds
        self._stale = self._stale or (start != self._start and self._child is not None)
        self._start = start
        self._room.canvas_pixels = start.shading.canvas_pixels

    @property
    def busy(self) -> bool:
        """Whether a submitted picture's outcome is still to come."""
        return bool(self._held)

    @property
    def full(self) -> bool:
        """Whether no worker is free, or the cluster is left alone for a moment."""
        if self._child is None:
            return self._clock.monotonic() < self._rest_until
        return self.busy if self._stale else len(self._held) >= self._workers

    @property
    def shortage(self) -> str:
        """Why the cluster shades nothing now."""
        return "" if self.busy else self._trouble

    @property
    def courtesy(self) -> str:
        """Machines of a cluster are there for it."""
        return ""

    @property
    def next_check(self) -> float | None:
        """When a rest is over, or the cluster was idle or silent for too long."""
        if self._child is None:
            return self._rest_until if self._clock.monotonic() < self._rest_until else None
        if self._held:
            return self._heard_at + self._start.silence_seconds + GRACE_SECONDS
        return self._heard_at + self._idle_seconds if self._workers else None

    def pick(self, candidates: Sequence[Candidate]) -> Pick | None:
        """The first, while a worker is free; where there is no connection, one is made for it.

        On a smaller canvas where it ran out of memory before.
        """
        if not candidates or self.full:
            return None
        if self._stale:
            self._leave()
        if self._child is None:
            self._begin_or_rest()
            return None
        pick = self._room.pick(candidates[:1], [], _ANY, _ANY)
        if pick is None:
            return None
        self._picked = {candidates[0].job_id: pick.footprint}
        return Pick(0, canvas_pixels=pick.canvas_pixels)

    def backlog(self, candidates: Sequence[Candidate]) -> float | None:  # noqa: ARG002 - the seam's shape
        """It keeps no record of how long pictures take: its machines differ."""
        return None

    def submit(self, batch: Sequence[AnyTask]) -> None:
        """Hand pictures over that were picked."""
        if self._child is None:
            raise RuntimeError("there is no connection to the cluster")
        self._heard_at = self._clock.monotonic()
        self._held.update((task.job_id, self._picked.get(task.job_id)) for task in batch)
        self._child.send(*(task.model_dump_json() for task in batch))

    def events(self, timeout: float) -> Sequence[AnyEvent]:
        """What was said since the last call, waiting at most ``timeout`` seconds for the first word."""
        self._look_after()  # before anything new is heard: workers that are ready now are to be used, not sent away
        told: list[AnyEvent] = []
        wait = timeout
        while True:
            try:
                said = self._inbox.get(timeout=wait) if wait > 0 else self._inbox.get_nowait()
            except queue.Empty:
                return told
            wait = 0.0
            told.extend(self._take(said))

    def close(self, *, now: bool = False) -> None:
        """Leave the cluster: after what is under way, or at once. The last events stay readable."""
        child, self._child = self._child, None
        end([*self._retired, *([] if child is None else [child])], now=now, patient=self.busy)
        self._retired.clear()

    def _begin(self) -> None:
        """Start the process that talks to Ray; it connects, and has the workers load their models, at once."""
        self._workers, self._stale = 0, False
        self._heard_at = self._clock.monotonic()
        # Ray tells its makers nothing unless somebody asks for it.
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        self._child = launch(self._command, environment, self._start.model_dump_json(), self._inbox, self._on_event)

    def _begin_or_rest(self) -> None:
        """Where no process can be started now, it is tried again after a pause."""
        try:
            self._begin()
        except OSError as error:
            self._rest_until = self._clock.monotonic() + FIRST_PAUSE
            self._trouble = f"the process that talks to the cluster cannot be started ({error.strerror}); again soon"
            logger.warning("the process that talks to the cluster cannot be started", why=str(error))

    def _leave(self) -> None:
        """Let the process end, and with it the workers; only while nothing is under way."""
        if self._child is not None:
            self._child.stop()
            self._retired.append(self._child)
        self._child, self._workers, self._stale = None, 0, False

    def _look_after(self) -> None:
        """Leave a cluster that has had nothing to do; end a process that has pictures and says nothing."""
        due = self.next_check
        if self._child is None or due is None or self._clock.monotonic() < due:
            return
        if self._held:
            self._heard_at = self._clock.monotonic()
            self._child.kill(f"nothing was heard for {self._start.silence_seconds + GRACE_SECONDS:.0f} seconds")
        else:
            self._leave()

    def _take(self, said: Said) -> list[AnyEvent]:
        """Keep the books for one thing that was said; what the daemon is told of it."""
        event = said.what
        if isinstance(event, Ended):
            said.child.hang_up()
            self._retired = [child for child in self._retired if child is not said.child]
            if said.child is not self._child:
                return []
            self._child = None
            return self._lost(said.child.obituary(event.code))
        if said.child is not self._child:
            return []
        self._heard_at = self._clock.monotonic()
        if isinstance(event, ClusterState):
            return self._note(event)
        if isinstance(event, Rendered | Failure):
            return [self._outcome(event, self._held.pop(event.job_id, None))]
        if isinstance(event, WorkerDied):
            for job_id in event.job_ids:
                self._held.pop(job_id, None)
        elif isinstance(event, Unusable):
            self._held.clear()
        return [event]

    def _outcome(self, event: Rendered | Failure, footprint: Footprint | None) -> Rendered | Failure:
        """Where memory ran out, the picture is not to blame as long as there is a smaller canvas for it."""
        if isinstance(event, Rendered):
            self._room.done(event.job_id)
        elif event.out_of_memory and footprint and self._room.ran_out(event.job_id, footprint, alone=True):
            return event.model_copy(update={"blames_picture": False})
        elif event.outcome != "transient":
            self._room.done(event.job_id)
        return event

    def _note(self, state: ClusterState) -> list[AnyEvent]:
        if state.workers != self._workers:
            logger.info("the cluster's workers", ready=state.workers)
        self._workers, self._trouble = state.workers, state.trouble
        if not state.reached:
            if self._reached:
                return self._lost(state.trouble)
            return [Unusable(cause="unavailable", what=f"cluster.address: {state.trouble}", remedy=state.remedy)]
        self._reached = True
        self._losses = 0 if state.workers else self._losses
        return []

    def _lost(self, why: str) -> list[AnyEvent]:
        """The connection is gone: what was under way is put off, and after a rest it is made anew."""
        if not self._reached:
            self._held.clear()
            what = f"cluster.address: connecting to {self._start.cluster.address} failed: {why}"
            return [Unusable(cause="unavailable", what=what, remedy="The log has the details; see docs/cluster.md")]
        self._leave()
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._losses)
        self._losses += 1
        self._rest_until = self._clock.monotonic() + pause
        what = f"the cluster at {self._start.cluster.address} is not reached ({why})"
        self._trouble = f"{what}. It is tried again by itself"
        logger.warning("the cluster was lost", why=why, again_in=round(pause))
        held, self._held = sorted(self._held), {}
        return [transient(job_id, what) for job_id in held]


def transient(job_id: str, what: str) -> Failure:
    """A picture is put off because of the cluster; it is not to blame."""
    return Failure(
        job_id=job_id, outcome="transient", what=what, remedy="It is tried again by itself", blames_picture=False
    )
