"""From a waiting job to a finished result: claims jobs, feeds the executor, and books what it says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from shaded import logs
from shaded.clock import Clock
from shaded.daemon.audience import Audience, Finished, Flight
from shaded.daemon.backoff import backoff
from shaded.daemon.boundary import concerns_all
from shaded.daemon.holdings import job_folder, make_job_folder, remove_staged
from shaded.daemon.intake import Source
from shaded.daemon.machine import machine_state
from shaded.daemon.profiles import candidates, profile_of
from shaded.daemon.space import Disks
from shaded.errors import ConfigurationError, ModelError, ShadedError, StateUnusable, Transient, Unavailable, Unreadable
from shaded.ledger import Claim, Job, Ledger
from shaded.publishing.naming import published_name
from shaded.scheduling.executor import LOOKAHEAD, AnyEvent, Executor, Pick
from shaded.scheduling.messages import Failure, Progress, Ready, Rendered, ShadeTask, Unusable, WorkerDied
from shaded.scheduling.worker import failure_of
from shaded.settings import Settings

logger = logs.get_logger("shading")

#: How long the time of one waiting picture is foretold from the same look at the queue, in seconds: sorting thousands
#: of jobs in every round of the daemon would be work for nothing.
FORETELL_SECONDS = 5.0


class Shading:
    """Keeps the executor busy.

    Args:
        ledger: Where jobs come from and outcomes go.
        executor: Does the work.
        source_of: The watched folder of an outbox, or ``None`` where it is not watched any more.
        disks: Says whether there is room for a picture.
        secret: The installation's secret, in hexadecimal digits.
        audience: Hears of progress and of pictures that will not be published.
        away: Why an outbox is missing now; empty where it is not.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        settings: Settings,
        source_of: Callable[[Path], Source | None],
        *,
        clock: Clock,
        disks: Disks,
        secret: str,
        audience: Audience,
        away: Callable[[Path], str] = lambda _root: "",
    ) -> None:
        self._away = away
        self._ledger = ledger
        self._executor = executor
        self._settings = settings
        self._source_of = source_of
        self._disks = disks
        self._clock = clock
        self._secret = secret
        self._audience = audience
        self._claims: dict[str, Claim] = {}
        self._flights: dict[str, Flight] = {}
        self._heard_at = clock.monotonic()
        self._unbooked: deque[AnyEvent] = deque()
        self._moved = False
        self._renew_at = 0.0
        self._seconds_each: float | None = None
        self._foretell_at = float("-inf")
        self.device = ""

    @property
    def flights(self) -> tuple[Flight, ...]:
        """What is under way."""
        return tuple(self._flights.values())

    def reconfigure(self, settings: Settings, source_of: Callable[[Path], Source | None], disks: Disks) -> None:
        """Other settings from the next picture on; the one under way is finished as it was begun."""
        self._settings, self._source_of, self._disks = settings, source_of, disks

    @property
    def heard_at(self) -> float | None:
        """When the busy worker last said something (``Clock.monotonic``); ``None`` while nothing is under way."""
        return self._heard_at if self._claims else None

    @property
    def busy(self) -> bool:
        """Whether something is under way, or its outcome is still to be booked."""
        return bool(self._claims) or bool(self._unbooked) or self._moved

    @property
    def next_deadline(self) -> float:
        """When there is something to do even if the executor says nothing (``Clock.monotonic``)."""
        if self._moved:
            return self._clock.monotonic()
        check = self._executor.next_check
        return self._renew_at if check is None else min(check, self._renew_at)

    def listen(self) -> bool:
        """Book what the executor said; whether a result became ready to be published.

        An unexpected error while one event is booked sets its picture aside, and the others go on.

        Raises:
            ModelError, ConfigurationError: Nothing can be shaded here.
            Transient: The ledger cannot be written now; the event is kept and booked at the next call.
        """
        events = self._executor.events(0)
        if events:
            self._heard_at = self._clock.monotonic()
        self._unbooked.extend(alone for event in events for alone in _one_by_one(event))
        finished, self._moved = self._moved, False
        while self._unbooked:
            try:
                finished |= self._book(self._unbooked[0])
            except Exception as error:
                if concerns_all(error):
                    raise
                logger.exception("what the worker said could not be booked")
                self._give_up(self._unbooked[0], error)
            self._unbooked.popleft()
        if self._clock.monotonic() >= self._renew_at:
            self._renew_leases()
        return finished

    def _renew_leases(self) -> None:
        """Keep the leases of what is under way; what was claimed and never begun goes back into the queue."""
        for job_id in self._claims:
            self._ledger.renew(job_id)
        for job_id in self._ledger.expire_leases():
            logger.warning("a job that nobody worked on was put back", job=job_id)
        self._renew_at = self._clock.monotonic() + self._settings.scheduling.lease_seconds / 3

    def start_next(self, blocked: Collection[Path] = ()) -> bool:
        """Hand a waiting job to the executor, if it takes one; whether one outside ``blocked`` was begun or decided."""
        if self._executor.full or self._unbooked:
            return False
        waiting = self._ledger.waiting(LOOKAHEAD, blocked)
        offered = candidates(waiting)
        if len(offered) < len(waiting):
            self._set_unreadable_aside(waiting)
            return True
        pick = self._executor.pick(offered)
        if pick is None:
            return False
        claims = self._ledger.claim(1, blocked, machine_state(), waiting[pick.index].id)
        tasks = [task for claim in claims if (task := self._prepare(claim, pick)) is not None]
        if tasks:
            self._heard_at = self._clock.monotonic()
            try:
                self._executor.submit(tasks)
            except (ModelError, ConfigurationError):
                raise
            except Exception as error:
                logger.exception("nothing can be handed to a worker now")
                for task in tasks:
                    self._failed(self._claims[task.job_id], failure_of(task.job_id, error))
        return bool(claims)

    def _set_unreadable_aside(self, waiting: Sequence[Job]) -> None:
        """Let those have failed whose stored profile this version cannot read."""
        for job in waiting:
            try:
                profile_of(job)
            except Unreadable as error:
                with logs.about_job(job.id):
                    paths = [place.path for place in self._ledger.places(job.id)]
                    self._set_aside(job, paths, error.what, error.remedy)

    def _give_up(self, event: AnyEvent, error: Exception) -> None:
        """Book the picture that an event is about as one that met an unexpected error."""
        job_ids = event.job_ids if isinstance(event, WorkerDied) else (getattr(event, "job_id", ""),)
        for claim in [self._claims[job_id] for job_id in job_ids if job_id in self._claims]:
            with logs.about_job(claim.job.id):
                try:
                    self._failed(claim, failure_of(claim.job.id, error))
                except Exception as again:
                    if concerns_all(again):
                        raise
                    logger.exception("nor can the picture be set aside; it is put back when its lease is over")
                    self._forget(claim.job.id, remove_staging=True)

    def _set_aside(self, job: Job, paths: Sequence[Path], what: str, remedy: str) -> None:
        """Let a picture have failed."""
        logger.warning("picture failed", file=", ".join(map(str, paths)), why=what, remedy=remedy)
        self._ledger.failed(job.id, what, remedy)
        for path in paths:
            self._audience.finished(Finished(path, "failed", reason=what, remedy=remedy))

    def queue_seconds(self, waiting: int, blocked: Collection[Path] = ()) -> float | None:
        """How long what is under way and so many waiting pictures will take, in seconds; ``None``: it is not known.

        Of a long queue the first pictures stand for all of them.
        """
        now = self._clock.monotonic()
        under_way = max((left for flight in self.flights if (left := flight.eta(now)) is not None), default=None)
        if not waiting:
            return under_way
        if now >= self._foretell_at:
            first = candidates(self._ledger.waiting(LOOKAHEAD, blocked))
            backlog = self._executor.backlog(first) if first else None
            self._seconds_each = None if backlog is None else backlog / len(first)
            self._foretell_at = now + FORETELL_SECONDS
        return None if self._seconds_each is None else (under_way or 0.0) + self._seconds_each * waiting

    def abandon(self) -> None:
        """Stop at once: the worker is ended and its job waits again, with nothing counted."""
        self._executor.close(now=True)
        for job_id in list(self._claims):
            self._ledger.release(job_id)
            self._forget(job_id, remove_staging=True)

    def _prepare(self, claim: Claim, pick: Pick) -> ShadeTask | None:
        """The task for a claimed job; ``None`` where it cannot be begun, which is booked."""
        job, placement = claim.job, claim.placement
        with logs.about_job(job.id):
            self._claims[job.id] = claim
            try:
                if not self._is_to_be_begun(claim):
                    self._forget(job.id, remove_staging=False)
                    return None
                task = self._task(claim, pick.canvas_pixels)
            except StateUnusable:  # a broken ledger is no picture's fault
                raise
            except Exception as error:
                failure = failure_of(job.id, error)
                logger.warning("the picture could not be begun", why=failure.what, exc_info=failure.outcome == "failed")
                self._failed(claim, failure)
                return None
            now = self._clock.monotonic()
            flight = Flight(job.id, placement.path, started_at=now, stage_at=now, expected=pick.seconds)
            self._flights[job.id] = flight
            about = {"expected_seconds": round(pick.seconds)} if pick.seconds else {}
            logger.info("shading begins", file=str(placement.path), attempt=job.attempts, **about)
            self._audience.progress(flight)
            return task

    def _is_to_be_begun(self, claim: Claim) -> bool:
        """Whether a claimed job is begun from its place; what becomes of it otherwise is booked."""
        place = claim.placement
        if self._source_of(place.root) is None:
            logger.info("its outbox is not watched any more", file=str(place.path))
            self._ledger.changed(claim.job.id, place.id)
            return False
        moved = self._ledger.follow_profiles(claim, self._present_profile)
        if moved:
            self._moved = True  # the result for the present profile may be there already
            logger.info("the settings changed; the present profile holds", files=[str(one.path) for one in moved])
        return place.id not in [one.id for one in moved]

    def _present_profile(self, root: Path) -> tuple[str, str] | None:
        source = self._source_of(root)
        return None if source is None else (source.digest, source.json)

    def _task(self, claim: Claim, canvas_pixels: int) -> ShadeTask:
        """What the worker is told, with an empty staging folder made for it.

        Raises:
            Refusal: The picture's name cannot be published.
            Unreadable: Its profile cannot be read.
            Transient: There is no room for it.
            OSError: The staging folder cannot be made.
        """
        job, placement = claim.job, claim.placement
        self._disks.refuse_if_full(placement.root, placement.stat.size)
        profile = profile_of(job)
        name = published_name(placement.relative.name, profile.output_format)
        staging = make_job_folder(self._settings, job.id)
        return ShadeTask(
            job_id=job.id,
            root=placement.root,
            source=placement.path,
            sha256=job.sha256,
            name=placement.relative.name,
            staging=staging,
            output_name=name,
            profile=profile,
            budget=self._settings.budget,
            secret=self._secret if self._settings.shading.targets == "own" else "",
            max_pixels=self._settings.watching.max_pixels,
            max_bytes=self._settings.watching.max_bytes,
            canvas_pixels=canvas_pixels,
        )

    def _book(self, event: AnyEvent) -> bool:
        """Write one event into the ledger; whether it was a result to be published."""
        if isinstance(event, Unusable):
            raise _as_error(event)
        if isinstance(event, Ready):
            self.device = event.device
        elif isinstance(event, WorkerDied):
            for job_id in event.job_ids:
                self._died(job_id, event)
        elif isinstance(event, Progress | Rendered | Failure) and event.job_id in self._claims:
            with logs.about_job(event.job_id):
                return self._book_job(event)
        return False

    def _book_job(self, event: Progress | Rendered | Failure) -> bool:
        claim = self._claims[event.job_id]
        if isinstance(event, Progress):
            self._progress(event)
            return False
        if isinstance(event, Failure):
            self._failed(claim, event)
            return False
        wanted = self._ledger.rendered(
            event.job_id, event.picture, event.sidecar, event.sha256, event.bytes, event.summary
        )
        self._forget(event.job_id, remove_staging=not wanted)
        return wanted

    def _progress(self, event: Progress) -> None:
        before = self._flights[event.job_id]
        stage_at = before.stage_at if before.stage == event.stage else self._clock.monotonic()
        flight = replace(
            before, stage=event.stage, step=event.step, steps=event.steps, pull=event.pull, stage_at=stage_at
        )
        self._flights[event.job_id] = flight
        self._audience.progress(flight)

    def _failed(self, claim: Claim, failure: Failure) -> None:
        """Book a job that ended without a result, by its outcome."""
        job, path = claim.job, claim.placement.path
        if failure.outcome == "changed" and (away := self._away(claim.placement.root)):
            failure = failure_of(job.id, Transient(f"its outbox is missing: {away}"))
        if failure.outcome == "changed":
            logger.info("the file changed meanwhile; it is looked at again", file=str(path), why=failure.what)
            self._ledger.changed(job.id, claim.placement.id)
        elif failure.outcome == "transient":
            other_way = failure.out_of_memory and not failure.blames_picture
            wait = 0.0 if other_way else backoff(self._settings.scheduling.retry_seconds, job.attempts + job.deferrals)
            logger.warning("picture put off", file=str(path), why=failure.what, again_in=round(wait))
            state = self._ledger.retry_later(job.id, failure.what, wait, failure.remedy, counts=failure.blames_picture)
            if state == "failed":
                self._audience.finished(Finished(path, "failed", reason=failure.what, remedy=failure.remedy))
        else:
            self._decide(claim, failure.outcome, failure.what, failure.remedy)
        self._forget(job.id, remove_staging=True)

    def _decide(self, claim: Claim, outcome: str, what: str, remedy: str) -> None:
        """Refuse a job or let it have failed, for good."""
        path = claim.placement.path
        if outcome != "refused":
            self._set_aside(claim.job, [path], what, remedy)
            return
        logger.warning("picture refused", file=str(path), why=what, remedy=remedy)
        self._ledger.refused(claim.job.id, what, remedy)
        self._audience.finished(Finished(path, "refused", reason=what, remedy=remedy))

    def _died(self, job_id: str, event: WorkerDied) -> None:
        """A worker ended in the middle of this job; the ledger decides whether it is done once more."""
        claim = self._claims.get(job_id)
        if claim is None:
            return
        with logs.about_job(job_id):
            path = claim.placement.path
            logger.error("the worker died", file=str(path), detail=event.detail)
            if self._ledger.died(job_id, event.detail, counts=event.opened) == "failed":
                job = self._ledger.job(job_id)
                what, remedy = ("", "") if job is None else (job.reason, job.remedy)
                logger.warning("picture failed", file=str(path), why=what, remedy=remedy)
                self._audience.finished(Finished(path, "failed", reason=what, remedy=remedy))
            self._forget(job_id, remove_staging=True)

    def _forget(self, job_id: str, *, remove_staging: bool) -> None:
        self._claims.pop(job_id, None)
        self._flights.pop(job_id, None)
        if remove_staging:
            remove_staged(job_folder(self._settings.staging_dir, job_id))


def _one_by_one(event: AnyEvent) -> list[AnyEvent]:
    """An event for each picture, so that what cannot be booked costs one picture."""
    if not isinstance(event, WorkerDied) or len(event.job_ids) < 2:
        return [event]
    return [event.model_copy(update={"job_ids": (job_id,)}) for job_id in event.job_ids]


def _as_error(event: Unusable) -> ShadedError:
    """The error that stops the daemon."""
    kinds = {"configuration": ConfigurationError, "unavailable": Unavailable, "model": ModelError}
    return kinds[event.cause](event.what, path=event.path, remedy=event.remedy)
