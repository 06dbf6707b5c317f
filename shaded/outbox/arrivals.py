"""One outbox: the daemon asks it what arrived, and when to ask again.

Events tell quickly, scans tell truly. Both only say which paths to look at; what a look finds goes through
the stability tracker, and what comes to rest there and is not in the ledger yet is an :class:`Arrival`.
While no events can be had, scans are more frequent: that is all that polling is.

What takes as long as there are files, which is scans, what was heard, and looks that are due, is done in short steps:
each poll does some of them, and the deadline says that more are to be done at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from shaded.clock import Clock
from shaded.errors import ShadedError
from shaded.filestat import FileStat
from shaded.logs import get_logger
from shaded.outbox.hearing import FIRST_BACK_OFF, HEALTH_SECONDS, LONGEST_BACK_OFF, Hearing
from shaded.outbox.looking import Arrival, Looker, Steps, unexpected
from shaded.outbox.mounts import Table, read_mounts
from shaded.outbox.observer import Observer
from shaded.outbox.roots import Memory, Root, ShortMemory, Verdict
from shaded.settings import Folder, Watching

__all__ = ["POLL_SECONDS", "Arrival", "Outbox"]

#: How long one :meth:`Outbox.poll` works, give or take one step, in seconds.
POLL_SECONDS = 0.2
#: Between two scans passes at least so many times the time that a scan takes: a large share is not read all the time.
REST_PER_SCAN = 9.0
#: How many troubles and restless paths ``status`` names.
MOST_NAMED = 20


@dataclass
class _Scan:
    """A scan under way: what is left of it, when it began, and how many seconds it has taken."""

    steps: Steps
    begun: float
    seconds: float = 0.0


def _is_done(steps: Steps, until: float) -> bool:
    """Do one step, and more until ``time.monotonic`` says so; whether none is left."""
    return all(time.monotonic() < until for _ in steps)


class Outbox:
    """One watched folder.

    Args:
        folder: Which.
        watching: Quiet period, longest wait, interval of the scans, patterns.
        clock: Its monotonic time is the only time that decides what is due.
        observer: Hears of changes below ``folder.outbox``.
        already_known: Whether a path relative to the outbox was dealt with as it looks now; the ledger's
            answer.
        memory: Remembers between two runs what the outbox was mounted on.
        table: The system's mounts.
    """

    def __init__(
        self,
        folder: Folder,
        watching: Watching,
        clock: Clock,
        observer: Observer,
        already_known: Callable[[Path, FileStat], bool],
        memory: Memory | None = None,
        table: Table = read_mounts,
    ) -> None:
        self.folder = folder
        self._root = folder.outbox
        self._watching = watching
        self._clock = clock
        self._observer = observer
        self._looker = Looker(folder.outbox, watching, clock, already_known)
        self._log = get_logger("outbox").bind(outbox=str(self._root))
        self._folder = Root(folder.outbox, memory or ShortMemory(), table)
        self._hearing = Hearing(folder, clock, observer)
        self._verdict = Verdict(there=False)
        self._heard: Steps | None = None
        self._scanning: _Scan | None = None
        self._scan_again = False
        self._looking: Steps | None = None
        self._check_at = 0.0
        self._scan_at = 0.0
        self._polled_at = 0.0
        self._last_scan: float | None = None
        self._anew = True
        self._failure = ""
        self._aside_until = -math.inf
        self._pause = FIRST_BACK_OFF

    def start(self, seconds: float = POLL_SECONDS) -> None:
        """Listen first, then scan for about so long, so that nothing falls between; a missing folder is waited for."""
        until = time.monotonic() + seconds
        self._guarded(self._check)
        self._guarded(lambda: self._scan_on(until))

    def stop(self) -> None:
        """Stop listening and looking."""
        self._hearing.stop()
        self._drop()

    def poll(self, seconds: float = POLL_SECONDS) -> list[Arrival]:
        """Do what is due, for about so long, and hand over what has come to rest.

        Each arrival is handed over once; what the ledger still does not know at the next scan arrives again.
        """
        self._polled_at = self._clock.monotonic()
        if not self._is_aside:
            self._guarded(lambda: self._work(seconds))
        arrived, self._looker.arrived = self._looker.arrived, []
        return arrived

    def rescan(self) -> None:
        """Begin to look at everything; the rules are made anew where ``.shadedignore`` has changed.

        A scan that is under way is finished first. A missing outbox is not looked through: what lies in an empty mount
        point says nothing about the pictures.
        """
        begin = self._clock.monotonic()
        interval = self._watching.rescan_seconds if self._hearing.listening else self._watching.poll_seconds
        self._scan_at = begin + interval
        self._scan_again = self._scanning is not None
        if self._verdict.there and not self._scan_again:
            self._looker.read_rules()
            self._scanning = _Scan(self._looker.scan(), begin)

    def next_deadline(self) -> float:
        """When :meth:`poll` has something to do even if nothing is heard of (monotonic seconds); never before the last.

        While something is under way that is at once.
        """
        if self._is_aside:
            return self._aside_until
        if self._busy:
            return self._polled_at
        look_at = self._looker.tracker.next_deadline()
        deadlines = [self._check_at, self._hearing.check_at, self._scan_at, *([] if look_at is None else [look_at])]
        return max(self._polled_at, min(deadlines))

    @property
    def unsettled(self) -> int:
        """How many files are still expected to come to rest, as far as is known; more than none while it is looked."""
        tracker = self._looker.tracker
        return 0 if self._is_aside else tracker.unsettled + tracker.settled + self._busy

    @property
    def looked_through(self) -> bool:
        """Whether the first scan is through; a folder that is missing or set aside keeps nobody waiting."""
        return self._last_scan is not None or self._scanning is None

    @property
    def healthy(self) -> bool:
        """Whether the folder is there and could be scanned, and changes are noticed in the way that suits it."""
        noticed = self._hearing.listening or self._hearing.way.polling
        return self._verdict.there and noticed and self._root not in self._looker.troubles and not self._is_aside

    @property
    def away(self) -> str:
        """Why the folder was not there when it was looked at last; empty where it was."""
        return "" if self._verdict.there else self._verdict.why

    def missing(self) -> str:
        """Why the folder is not there, looked at just now; empty where it is there."""
        self._guarded(self._check)
        return self.away

    def why_not(self, relative: Path) -> str | None:
        """What keeps a file from being taken as far as is known here, as a sentence; ``None`` for nothing."""
        if not self._verdict.there:
            return f"its outbox is missing: {self._verdict.why}"
        if relative in self._looker.tracker.restless:
            return f"it has not stopped changing for more than {self._watching.longest_wait_seconds:g} seconds"
        if relative in self._looker.tracker:
            return f"it is taken once it has not changed for {self._watching.quiet_seconds:g} seconds"
        return f"its outbox is set aside for a moment: {self._failure}" if self._is_aside else None

    def status(self) -> dict[str, Any]:
        """For a person and for ``--json``: what is waited for, heard and wrong. Ages in seconds."""
        now = self._clock.monotonic()
        there = self._verdict.there
        failure = f"it is set aside and tried again by itself: {self._failure}" if self._is_aside else ""
        first = [] if there else [f"missing: {self._verdict.why}"]
        odd = self._verdict.why if there else ""
        first += [why for why in (failure, odd, self._hearing.trouble, self._looker.ignore_trouble) if why]
        troubles = (
            [f"{path}: {why}" for path, why in islice(self._looker.troubles.items(), MOST_NAMED)] if there else []
        )
        return {
            "outbox": str(self._root),
            "publish": str(self.folder.publish),
            "profile": self.folder.profile,
            "healthy": self.healthy,
            "there": there,
            "marked": there and not self._folder.unmarkable,
            "watching": self._hearing.kind if there else "nothing",
            "why": self._hearing.why if there else self._verdict.why,
            "trouble": first + troubles,
            "tracked": len(self._looker.tracker),
            "restless": [str(path) for path in islice(self._looker.tracker.restless, MOST_NAMED)],
            "scanning": self._scanning is not None,
            "last_scan_age": None if self._last_scan is None else now - self._last_scan,
        }

    # What is done in steps -------------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        """Whether something is under way."""
        return any(work is not None for work in (self._heard, self._scanning, self._looking))

    def _work(self, seconds: float) -> None:
        """Do what is due: what was heard, the scan and the looks get a third of the time each, and what is left.

        The first scan goes before the looks, since the service manager waits for it.
        """
        begun = time.monotonic()
        now = self._clock.monotonic()
        if now >= min(self._check_at, self._hearing.check_at):
            self._check()
        if self._heard is None:
            drained = self._observer.drain()
            self._heard = self._looker.heard(drained.paths) if drained.paths else None
            if drained.overflowed:
                self._log.warning("more happened than could be queued; scanning")
                self.rescan()
        if now >= self._scan_at and self._scanning is None:
            self.rescan()
        if self._heard is not None and _is_done(self._heard, begun + seconds / 3):
            self._heard = None
        self._scan_on(begun + seconds * (2 / 3 if self.looked_through else 1))
        if self.looked_through:
            self._looking = self._looking or self._looker.again()
            self._looking = None if _is_done(self._looking, begun + seconds) else self._looking

    def _drop(self) -> None:
        """Leave what is under way; a scan finds it again."""
        for steps in (self._heard, self._scanning.steps if self._scanning else None, self._looking):
            if steps is not None:
                steps.close()
        self._heard = self._scanning = self._looking = None
        self._scan_again = False

    def _scan_on(self, until: float) -> None:
        scan, begun = self._scanning, self._clock.monotonic()
        if scan is None:
            return
        done = _is_done(scan.steps, until)
        scan.seconds += self._clock.monotonic() - begun
        if done:
            self._scanning, self._last_scan = None, scan.begun
            self._scan_at = max(self._scan_at, self._clock.monotonic() + REST_PER_SCAN * scan.seconds)
            if self._scan_again:
                self.rescan()

    # What goes wrong -------------------------------------------------------------------------------------------

    @property
    def _is_aside(self) -> bool:
        return self._clock.monotonic() < self._aside_until

    def _guarded(self, do: Callable[[], None]) -> None:
        """Whatever goes wrong in this outbox keeps nobody from the others."""
        try:
            do()
        except ShadedError:  # the ledger: what was under way is not at its end, and begun anew
            self._drop()
            self._scan_at = self._clock.monotonic()
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of one outbox
            self._set_aside(error)

    def _set_aside(self, error: Exception) -> None:
        """Leave the outbox alone for a while, twice as long each time, and begin anew then."""
        now = self._clock.monotonic()
        if now > self._aside_until + LONGEST_BACK_OFF:
            self._failure, self._pause = "", FIRST_BACK_OFF
        why = unexpected(error)
        if why != self._failure:
            self._log.error("it is set aside and tried again by itself", why=why, exc_info=error)
        self._failure, self._aside_until = why, now + self._pause
        self._pause = min(2 * self._pause, LONGEST_BACK_OFF)
        self._drop()
        self._anew, self._check_at = True, self._aside_until

    def _check(self) -> None:
        """Look after the folder and the observer, and scan where either was away."""
        self._check_at = self._clock.monotonic() + HEALTH_SECONDS
        before = self._verdict
        self._verdict, other = self._folder.look()
        if self._verdict.why and self._verdict.why != before.why:
            self._log.warning("odd" if self._verdict.there else "missing", why=self._verdict.why)
        if not self._verdict.there:
            self._hearing.stop()
            self._drop()
            return
        if self._anew or not before.there or other:
            if before.why:
                self._log.info("it is back")
            self._drop()
            self._hearing.begin(self._folder.mount)
            self._anew = False
            self.rescan()
        elif self._hearing.check():
            self.rescan()
