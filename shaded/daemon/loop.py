"""The daemon's one thread: look, take up, shade, publish, sleep until the next of these is due.

:meth:`Daemon.step` does everything that is due and says when the next thing will be; :meth:`Daemon.run` repeats it
and sleeps in between, woken by events in the outboxes, by the worker, by commands and by signals. Nothing polls.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import shaded
from shaded import logs
from shaded.clock import Clock
from shaded.daemon.audience import Audience
from shaded.daemon.commands import Commands, Order
from shaded.daemon.delivery import Delivery
from shaded.daemon.intake import Intake
from shaded.daemon.notify import Notifier
from shaded.daemon.shading import Shading
from shaded.daemon.wake import Wake
from shaded.errors import Transient
from shaded.ledger import Ledger
from shaded.outbox.arrivals import Outbox
from shaded.reports import DaemonView
from shaded.scheduling.executor import Executor
from shaded.settings import Settings

logger = logs.get_logger("daemon")

#: How long arrivals are taken up before the worker and the commands are looked after again, in seconds.
INTAKE_SECONDS = 0.25
#: How long the daemon leaves a disk alone on which the ledger could not be written, in seconds.
LEDGER_PAUSE = 5.0
_PAUSED_KEY = "paused_until"


@dataclass(frozen=True)
class Parts:
    """What a daemon is assembled from; tests put fakes in.

    Attributes:
        outboxes: Made from a function that says whether a file is known already, since that needs the ledger.
        wake: Rung by the observers and the executor.
    """

    settings: Settings
    clock: Clock
    ledger: Ledger
    executor: Executor
    outboxes: Callable[[Intake], Sequence[Outbox]]
    wake: Wake
    notifier: Notifier
    audience: Audience


class Daemon:
    """One daemon over its parts.

    Args:
        parts: See :class:`Parts`.
        once: End when everything that is there has come to rest and was dealt with.
    """

    def __init__(self, parts: Parts, *, once: bool = False) -> None:
        self._settings = parts.settings
        self._clock = parts.clock
        self._ledger = parts.ledger
        self._executor = parts.executor
        self._wake = parts.wake
        self._notifier = parts.notifier
        self._once = once
        self.intake = Intake(parts.ledger, parts.settings, parts.audience)
        self._outboxes = tuple(parts.outboxes(self.intake))
        self.delivery = Delivery(
            parts.ledger,
            parts.settings.staging_dir,
            self.intake.source,
            clock=parts.clock,
            retry_seconds=parts.settings.scheduling.retry_seconds,
            audience=parts.audience,
        )
        self._shading = Shading(
            parts.ledger,
            parts.executor,
            parts.settings,
            self.intake.source,
            clock=parts.clock,
            secret=parts.ledger.secret(),
            audience=parts.audience,
            away=self._away,
        )
        self._commands = Commands(self)
        self._started_at = parts.clock.time()
        self._signals = 0
        self._rest_until = 0.0
        self.view = self._look()

    # The life of a daemon --------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until a signal says to stop, or, with ``once``, until there is nothing left to do.

        Raises:
            ModelError, ConfigurationError: No picture can be shaded here.
        """
        with self._listening_to_signals():
            try:
                self.start()
                sleep = self.step()
                while not self.finished:
                    self._wake.wait(sleep)
                    sleep = self.step()
            finally:
                self.stop()

    def start(self) -> None:
        """Mend what a crash left, begin to watch, look at everything once, and say ready."""
        for job_id in self._ledger.recover():
            logger.info("taken up again after an interruption", job=job_id)
        self.delivery.tidy(folder.publish for folder in self._settings.folder)
        for outbox in self._outboxes:
            outbox.start()
        self.view = self._look()
        self._notifier.ready()
        logger.info("ready", outboxes=[str(folder.outbox) for folder in self._settings.folder])

    def step(self) -> float | None:
        """Do everything that is due; how many seconds until something else is (``None``: only an event can tell)."""
        try:
            self._work()
            self.view = self._look()
            self._notifier.status(self.view.sentence())
            return self._sleep_seconds()
        except Transient as error:
            self._rest_until = self._clock.monotonic() + LEDGER_PAUSE
            logger.warning("the ledger cannot be used now", why=error.what, remedy=error.remedy)
            return LEDGER_PAUSE

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
        self._wake.ring()

    # One round -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        if self._clock.monotonic() < self._rest_until:
            return
        if self._shading.listen():
            self.delivery.note()
        self._commands.work()
        if not self._signals:
            for outbox in self._outboxes:
                self.intake.add(outbox.poll())
            if any(admission.kind == "publish_again" for admission in self.intake.work(INTAKE_SECONDS)):
                self.delivery.note()
        self.delivery.work()
        while self._may_start() and not self._executor.busy and self._shading.start_next():
            pass

    def _may_start(self) -> bool:
        return not self._signals and not self.paused

    def _nothing_left(self) -> bool:
        """Whether all that is there has settled and was dealt with; what is put off to later does not count."""
        unsettled = any(outbox.unsettled for outbox in self._outboxes)
        due = self.delivery.next_deadline
        publishing = due is not None and due <= self._clock.monotonic()
        return not (unsettled or len(self.intake) or publishing or self._ledger.next_ready_in() == 0)

    def _sleep_seconds(self) -> float | None:
        now = self._clock.monotonic()
        if now < self._rest_until:
            return self._rest_until - now
        if len(self.intake) and not self._signals:
            return 0.0
        deadlines = [self._shading.next_deadline, self.delivery.next_deadline]
        if not self._signals:
            deadlines += [outbox.next_deadline() for outbox in self._outboxes]
        if self._may_start() and not self._executor.busy:
            ready = self._ledger.next_ready_in()
            deadlines.append(None if ready is None else now + ready)
        until = self.paused_until
        if until is not None:
            deadlines.append(now + max(0.0, until - self._clock.time()))
        times = [at for at in deadlines if at is not None]
        return max(0.0, min(times) - now) if times else None

    # Pausing ---------------------------------------------------------------------------------------------------

    @property
    def paused_until(self) -> float | None:
        """The date (seconds since 1970) until which no picture is begun; ``None``: not paused, or without an end."""
        text = self._ledger.meta_get(_PAUSED_KEY)
        return float(text) if text not in (None, "") else None

    @property
    def paused(self) -> bool:
        """Whether no new picture is begun now; ``--once`` does not wait for the end of a pause."""
        text = self._ledger.meta_get(_PAUSED_KEY)
        if text is None or self._once:
            return False
        if text and float(text) <= self._clock.time():
            self._ledger.meta_set(_PAUSED_KEY, None)
            logger.info("the pause is over")
            return False
        return True

    def pause(self, seconds: float | None) -> None:
        """Begin no picture for so long, or until :meth:`resume`; the one under way is finished. Survives a restart."""
        self._ledger.meta_set(_PAUSED_KEY, "" if seconds is None else repr(self._clock.time() + seconds))
        logger.info("paused", seconds=seconds)

    def resume(self) -> None:
        """Go on."""
        self._ledger.meta_set(_PAUSED_KEY, None)
        logger.info("resumed")

    # Commands --------------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """The ledger; only for this thread."""
        return self._ledger

    def order(self, order: Order) -> None:
        """Queue a command from another thread."""
        self._commands.put(order)
        self._wake.ring()

    def why_not(self, path: Path) -> str | None:
        """Why a path that is no job is none, as far as only a running daemon knows."""
        for outbox in self._outboxes:
            if path.is_relative_to(outbox.folder.outbox):
                return outbox.why_not(path.relative_to(outbox.folder.outbox)) or self.intake.why_not(path)
        return None

    def _away(self, root: Path) -> str:
        """Why an outbox is missing now; empty where it is not."""
        return next((outbox.missing() for outbox in self._outboxes if outbox.folder.outbox == root), "")

    def _look(self) -> DaemonView:
        """What commands are told, as of now."""
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
            counts=self._ledger.counts(),
            troubles={str(p): e.what for p, e in {**self.intake.put_off, **self.delivery.troubles}.items()},
        )

    @contextmanager
    def _listening_to_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask for the end while this lasts."""

        def handler(_number: int, _frame: FrameType | None) -> None:
            self.request_stop()

        before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)
