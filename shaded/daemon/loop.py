"""The daemon's one thread: look, take up, shade, publish, sleep until the next of these is due.

:meth:`Daemon.step` does everything that is due and says when the next thing will be; :meth:`Daemon.run` repeats it
and sleeps in between, woken by events in the outboxes, by the worker, by commands and by signals. Nothing polls.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import shaded
from shaded import logs
from shaded.configuration.places import known_as
from shaded.daemon.boundary import Boundary
from shaded.daemon.commands import Commands, Order
from shaded.daemon.delivery import Delivery
from shaded.daemon.intake import Intake
from shaded.daemon.machine import machine_state
from shaded.daemon.parts import Parts
from shaded.daemon.pausing import Pause
from shaded.daemon.politeness import why_wait
from shaded.daemon.remembering import remembered_sidecar_places, root_memory
from shaded.daemon.secretfile import installation_secret
from shaded.daemon.shading import Shading
from shaded.daemon.space import LOOK_SECONDS, Disks
from shaded.daemon.upkeep import Upkeep
from shaded.daemon.vitals import Heartbeat, Stopped, stuck_parts
from shaded.daemon.watchers import Readiness, poll_all, start_all
from shaded.errors import ConfigurationError, PictureError, ShadedError, Transient
from shaded.ledger import Ledger
from shaded.reports import DaemonView
from shaded.settings import Settings

logger = logs.get_logger("daemon")

#: How long arrivals are taken up before the worker and the commands are looked after again, in seconds.
INTAKE_SECONDS = 0.25
#: How long pictures are begun, moved to another profile or set aside, in seconds: there may be very many of the latter.
BEGIN_SECONDS = 0.25
#: `status` names so many files that cannot be read now, and as many that cannot be published now.
MOST_TROUBLES = 100
#: How long a ledger that could not be written is left alone, in seconds.
LEDGER_PAUSE = 5.0
#: In the ledger from the first signal on: a machine that is shut down may not wait, and the picture is not to blame.
_STOP_ASKED = "stop_asked"


class Daemon:
    """One daemon over its parts.

    ``once``: end when everything that is there has come to rest and was dealt with.
    """

    def __init__(self, parts: Parts, *, once: bool = False) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._clock = parts.clock
        self._ledger = parts.ledger
        self._executor = parts.executor
        self._wake = parts.wake
        self._notifier = parts.notifier
        self._once = once
        self._heart = Heartbeat(parts.notifier, parts.clock)
        self._settle_in(parts)
        self._shading = Shading(
            parts.ledger,
            parts.executor,
            parts.settings,
            self.intake.source,
            clock=parts.clock,
            disks=self.disks,
            secret=installation_secret(parts.settings, parts.ledger),
            audience=parts.audience,
            away=self._away,
        )
        self._commands = Commands(self)
        self._started_at = parts.clock.time()
        self._signals = self._hangups = 0
        self._ready = Readiness()
        self._rest_until = 0.0
        self._pause = Pause(parts.ledger, parts.clock)
        self._settings_trouble = ""
        self._loaded_at = self._started_at
        self._owed_since: float | None = None
        self._upkeep = Upkeep(parts.clock)
        self.view = self._look()

    def _settle_in(self, parts: Parts) -> None:
        """Make what depends on the settings."""
        self._settings = parts.settings
        self._part = Boundary(parts.clock, strict=self._once)
        self.disks = Disks(parts.settings, parts.clock, partial(root_memory, parts.ledger))
        places = remembered_sidecar_places(parts.settings, parts.ledger)
        self.intake = Intake(
            parts.ledger, parts.settings, parts.audience, self._heart.between_pieces, places, parts.clock
        )
        self._outboxes = tuple(parts.outboxes(self.intake))
        self.delivery = Delivery(
            parts.ledger, parts.settings.staging_dir, self.intake.source, clock=parts.clock,
            retry_seconds=parts.settings.scheduling.retry_seconds, disks=self.disks, audience=parts.audience,
            alive=self._heart.between_pieces, places=places,
        )  # fmt: skip

    # The life of a daemon --------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until it is asked to stop, or, with ``once``, until there is nothing left to do.

        Raises:
            ModelError, ConfigurationError: No picture can be shaded here.
        """
        try:
            self.start()
            sleep = self.step()
            while not self.finished:
                self._wake.wait(sleep)
                sleep = self.step()
        except Stopped:
            logger.info("stopped in the middle of a long copy; it is made again at the next start")
        finally:
            self.stop()

    def start(self) -> None:
        """Mend what a crash left, and begin to watch and to look at everything; ready is said when that is done."""
        asked = self._ledger.meta_get(_STOP_ASKED) is not None
        for job_id in self._ledger.recover("" if asked else machine_state()):
            logger.info("taken up again after an interruption", job=job_id)
        self._ledger.meta_set(_STOP_ASKED, None)
        self._part.run("tidying up", self.delivery.tidy)
        start_all(self._outboxes)
        self.view = self._look()
        self._ready.look(self._outboxes, self._notifier)

    def step(self) -> float | None:
        """Do everything that is due; how many seconds until something else is (``None``: only an event can tell)."""
        try:
            self._work()
            self._ready.look(self._outboxes, self._notifier)
            seen = self._part.run("the status", self._look)
            self.view = seen or replace(self.view, stuck=(*self._heart.stuck, *self._part.troubles))
            self._notifier.status(self.view.sentence())
            sleep = self._part.slowed(self._part.run("the next deadline", self._sleep_seconds))
        except Transient as error:
            self._rest_until = self._clock.monotonic() + LEDGER_PAUSE
            logger.warning("the ledger cannot be used now", why=error.what, remedy=error.remedy)
            self.view = replace(self.view, ledger_trouble=f"{error.what}. {error.remedy}")
            self._ledger.reconnect_after(error)
            sleep = LEDGER_PAUSE
        now = self._clock.monotonic()
        return self._heart.after_round([] if now < self._rest_until else self._stuck_parts(now), sleep)

    def _stuck_parts(self, now: float) -> list[str]:
        return stuck_parts(
            now,
            watchers_due=[] if self._signals else [outbox.next_deadline() for outbox in self._outboxes],
            scheduler_due=self._owed_since,
            worker_heard=self._shading.heard_at,
            lease_seconds=self._settings.scheduling.lease_seconds,
        )

    def stop(self) -> None:
        """Stop watching and end the worker; a picture that is still under way waits for the next start."""
        self._notifier.stopping()
        for outbox in self._outboxes:
            outbox.stop()
        try:
            self._shading.abandon()
        except Transient as error:
            logger.warning("the ledger cannot be written now", why=error.what)  # recovered at the next start
        logger.info("stopped")

    @property
    def finished(self) -> bool:
        """Whether :meth:`run` may end."""
        if self._signals > 1:
            return True
        if self._shading.busy:
            return False
        return self._signals > 0 or (self._once and self._nothing_left())

    @property
    def interrupted(self) -> bool:
        """Whether a signal asked for the end."""
        return self._signals > 0

    def request_stop(self) -> None:
        """The first time: finish the picture under way, then end. The second time: end now."""
        self._signals += 1
        self._heart.stop_soon(at_once=self._signals > 1)
        self._wake.ring()

    def request_reload(self) -> None:
        """Read the settings anew before the next step."""
        self._hangups += 1
        self._wake.ring()

    def reload(self) -> tuple[str, ...]:
        """Follow settings that are read now; the picture under way is finished as it was begun.

        Returns:
            The keys that cannot change while the daemon runs, and were changed.

        Raises:
            ShadedError: The settings are wrong. The old ones go on holding.
        """
        self._notifier.reloading()
        try:
            if self._parts.again is None:
                raise ConfigurationError("these settings cannot be read anew", remedy="Start the program again")
            parts, kept = self._parts.again(self._settings)
        except ShadedError as error:
            self._settings_trouble = str(error)
            logger.error("the settings are wrong; the old ones go on holding", why=str(error))  # noqa: TRY400
            raise
        else:
            self._adopt(parts)
            self._settings_trouble = "; ".join(f"{key}: holds after the next start only" for key in kept)
            self._loaded_at = self._clock.time()
            logger.info("the settings were read anew", not_changed=list(kept))
            return kept
        finally:
            self._ready.again(self._notifier)

    def _adopt(self, parts: Parts) -> None:
        """Replace what depends on the settings; ledger, lock, worker and control socket stay."""
        for outbox in self._outboxes:
            outbox.stop()
        self._ledger.reconfigure(parts.settings.scheduling)
        self._settle_in(parts)
        self._shading.reconfigure(parts.settings, self.intake.source, self.disks)
        start_all(self._outboxes)
        self.view = self._look()  # who asked for it may ask for the status as soon as the answer is there

    # One round -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        if self._clock.monotonic() < self._rest_until:
            return
        self._ledger.insist_on_its_file()
        if self._signals and self._ledger.meta_get(_STOP_ASKED) is None:
            self._ledger.meta_set(_STOP_ASKED, "yes")
        part = self._part.run
        if self._hangups:
            self._hangups = 0
            with suppress(ShadedError):  # it is in the log and in the status
                part("the settings", self.reload)
        if part("the workers' outcomes", self._shading.listen):
            self.delivery.note()
        part("commands", self._commands.work)
        if not self._signals:
            part("the outboxes", lambda: self.intake.add(poll_all(self._outboxes)))
            taken = part("arrivals", partial(self.intake.work, INTAKE_SECONDS)) or []
            # A known one may be a copy that was found, from which other places get theirs.
            if any(admission.kind in ("publish_again", "known") for admission in taken):
                self.delivery.note()
        part("publishing", self.delivery.work)
        part("beginning pictures", self._begin)
        part("upkeep", lambda: self._upkeep.work(self._ledger, self.intake, busy=self._shading.busy))

    def _begin(self) -> None:
        blocked = self.blocked()
        end = self._clock.monotonic() + BEGIN_SECONDS
        while self._may_start() and self._shading.start_next(blocked):
            if self._clock.monotonic() >= end:
                self._owed_since = None  # it goes on in the next round
                return
        self._note_what_is_owed()

    def _note_what_is_owed(self) -> None:
        """Since when a picture could be begun and was not: never for long, unless something is stuck."""
        if not self._may_start() or self._executor.full or self._ledger.next_ready_in(self.blocked()) != 0:
            self._owed_since = None
        elif self._owed_since is None:
            self._owed_since = self._clock.monotonic()

    def _may_start(self) -> bool:
        return not self._signals and not self.paused

    def _nothing_left(self) -> bool:
        """Whether all that is there has settled and was dealt with; what is put off to later does not count."""
        unsettled = any(outbox.unsettled for outbox in self._outboxes)
        due = self.delivery.next_deadline
        publishing = due is not None and due <= self._clock.monotonic()
        waiting = unsettled or not self.intake.idle or publishing
        return not waiting and self._ledger.next_ready_in(self.blocked()) != 0

    def _sleep_seconds(self) -> float | None:
        now = self._clock.monotonic()
        if now < self._rest_until:
            return self._rest_until - now
        if self._commands.waiting or (len(self.intake) and not self._signals):
            return 0.0
        deadlines = [self._shading.next_deadline, self.delivery.next_deadline]
        if not self._signals:
            deadlines += [self.intake.next_deadline, *(outbox.next_deadline() for outbox in self._outboxes)]
        if self._may_start() and not self._executor.full:
            blocked = self.blocked()
            ready = self._ledger.next_ready_in(blocked)
            deadlines.append(None if ready is None else now + ready)
            deadlines.append(now + LOOK_SECONDS if blocked else None)
        remaining = self._pause.remaining
        if remaining is not None:
            deadlines.append(now + remaining)
        times = [at for at in deadlines if at is not None]
        return max(0.0, min(times) - now) if times else None

    # Pausing ---------------------------------------------------------------------------------------------------

    @property
    def paused_until(self) -> float | None:
        """The date (seconds since 1970) until which no picture is begun; ``None``: not paused, or without an end."""
        return self._pause.until

    @property
    def paused(self) -> bool:
        """Whether no new picture is begun now; ``--once`` does not wait for the end of a pause."""
        return not self._once and self._pause.active

    def pause(self, seconds: float | None) -> None:
        """Begin no picture for so long, or until :meth:`resume`; the one under way is finished. Survives a restart."""
        self._pause.begin(seconds)

    def resume(self) -> None:
        """Go on."""
        self._pause.end()

    # Commands --------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """The ledger; only for this thread."""
        return self._ledger

    @property
    def settings(self) -> Settings:
        """What holds now."""
        return self._settings

    def order(self, order: Order) -> None:
        """Queue a command from another thread."""
        self._commands.put(order)
        self._wake.ring()

    def why_not(self, path: Path) -> str | None:
        """Why a path that is no job is none, as far as only a running daemon knows."""
        path = known_as(path, [outbox.folder.outbox for outbox in self._outboxes])
        for outbox in self._outboxes:
            if path.is_relative_to(outbox.folder.outbox):
                return outbox.why_not(path.relative_to(outbox.folder.outbox)) or self.intake.why_not(path)
        return None

    def _away(self, root: Path) -> str:
        """Why an outbox is missing now; empty where it is not."""
        return next((outbox.missing() for outbox in self._outboxes if outbox.folder.outbox == root), "")

    def blocked(self) -> dict[Path, str]:
        """The outboxes whose pictures are not begun now, and why: the user's wish, a disk without room, or missing."""
        waiting = "" if self._once else why_wait(self._settings.scheduling, self._clock.time())
        if waiting:
            return dict.fromkeys((outbox.folder.outbox for outbox in self._outboxes), waiting)
        missing = {
            outbox.folder.outbox: f"its outbox is missing: {outbox.away}" for outbox in self._outboxes if outbox.away
        }
        return missing | self.disks.blocked()

    def _first_troubles(self) -> list[tuple[Path, PictureError]]:
        unread = list(islice(self.intake.put_off.items(), MOST_TROUBLES))
        return unread + self.delivery.first_troubles(MOST_TROUBLES)

    def _look(self) -> DaemonView:
        """What commands are told, as of now."""
        counts, blocked = self._ledger.counts(), self.blocked()
        return DaemonView(
            pid=os.getpid(),
            version=shaded.__version__,
            since=self._started_at,
            paused=self.paused,
            paused_until=self.paused_until,
            stopping=self._signals > 0,
            device=self._shading.device,
            folders=tuple(outbox.status() for outbox in self._outboxes),
            flights=self._shading.flights,
            now=self._clock.monotonic(),
            counts=counts,
            queue_seconds=self._shading.queue_seconds(counts.get("settled", 0), blocked),
            troubles={str(path): error.what for path, error in self._first_troubles()},
            disks=tuple(room.document() for room in self.disks.rooms),
            blocked=blocked,
            settings_loaded_at=self._loaded_at,
            settings_trouble=self._settings_trouble,
            stuck=(*self._heart.stuck, *self._part.troubles),
            shortage=self._executor.shortage,
            courtesy=self._executor.courtesy,
        )
