"""One outbox: the daemon asks it what arrived, and when to ask again.

Events tell quickly, scans tell truly. Both only say which paths to look at; what a look finds goes through
the stability tracker, and what comes to rest there and is not in the ledger yet is an :class:`Arrival`.
While no events can be had, scans are more frequent: that is all that polling is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shaded.clock import Clock
from shaded.filestat import FileStat
from shaded.logs import get_logger
from shaded.outbox.hearing import HEALTH_SECONDS, Hearing
from shaded.outbox.ignore import IgnoreRules, read_ignore_file
from shaded.outbox.mounts import Table, read_mounts
from shaded.outbox.observer import Observer
from shaded.outbox.roots import Memory, Root, ShortMemory, Verdict
from shaded.outbox.scan import look, scan, scan_below
from shaded.outbox.stability import StabilityTracker
from shaded.settings import Folder, Watching

#: Between two scans passes at least so many times the time that a scan takes: a large share is not read all the time.
REST_PER_SCAN = 9.0
#: How many troubles and restless paths ``status`` names.
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has come to rest in an outbox.

    Attributes:
        root: The outbox.
        relative: Where the file lies in it.
        stat: How it looked at both ends of the quiet period; another look now means that it changed since.
    """

    root: Path
    relative: Path
    stat: FileStat

    @property
    def path(self) -> Path:
        """The whole path."""
        return self.root / self.relative


class Outbox:
    """One watched folder.

    Args:
        folder: Which.
        watching: Quiet period, longest wait, interval of the scans, patterns.
        clock: Its monotonic time is the only time used.
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
        self._already_known = already_known
        self._downloads = watching.placeholders == "download"
        self._tracker = StabilityTracker(watching.quiet_seconds, watching.longest_wait_seconds)
        self._ignored: list[str] = []
        self._rules = IgnoreRules(watching.ignore)
        self._log = get_logger("outbox").bind(outbox=str(self._root))
        self._complained: set[Path] = set()
        self._troubles: dict[Path, str] = {}
        self._folder = Root(folder.outbox, memory or ShortMemory(), table)
        self._hearing = Hearing(folder, clock, observer)
        self._verdict = Verdict(there=False)
        self._check_at = 0.0
        self._scan_at = 0.0
        self._last_scan: float | None = None

    def start(self) -> None:
        """Listen first, then scan, so that nothing falls between; a missing folder is waited for."""
        self._check()

    def stop(self) -> None:
        """Stop listening."""
        self._hearing.stop()

    def poll(self) -> list[Arrival]:
        """Do what is due, and hand over what has come to rest.

        Each arrival is handed over once; what the ledger still does not know at the next scan arrives again.
        """
        now = self._clock.monotonic()
        if now >= min(self._check_at, self._hearing.check_at):
            self._check()
        drained = self._observer.drain()
        for path in drained.paths:
            self._heard_of(path)
        if drained.overflowed:
            self._log.warning("more happened than could be queued; scanning")
        if drained.overflowed or now >= self._scan_at:
            self.rescan()
        for relative in self._tracker.due(now):
            self._tracker.note(relative, look(self._root / relative, downloads=self._downloads), now)
        self._complain_of_restless()
        return [
            Arrival(self._root, relative, stat)
            for relative, stat in self._tracker.take_settled()
            if self._rules.ignored(relative) is None and not self._already_known(relative, stat)
        ]

    def rescan(self) -> None:
        """Look at everything; the rules are made anew where ``.shadedignore`` has changed.

        A missing outbox is not looked through: what lies in an empty mount point says nothing about the pictures.
        """
        begin = self._clock.monotonic()
        interval = self._watching.rescan_seconds if self._hearing.listening else self._watching.poll_seconds
        self._scan_at = begin + interval
        if not self._verdict.there:
            return
        ignored = read_ignore_file(self._root)
        if ignored != self._ignored:
            self._ignored, self._rules = ignored, IgnoreRules(self._watching.ignore, ignored)
        self._troubles.clear()
        self._note_all(scan(self._root, self._rules, self._trouble, downloads=self._downloads))
        end = self._clock.monotonic()
        self._last_scan = begin
        self._scan_at = max(self._scan_at, end + REST_PER_SCAN * (end - begin))

    def next_deadline(self) -> float:
        """When :meth:`poll` has something to do even if nothing is heard of (monotonic seconds)."""
        look_at = self._tracker.next_deadline()
        deadlines = [self._check_at, self._hearing.check_at, self._scan_at, *([] if look_at is None else [look_at])]
        return min(deadlines)

    @property
    def unsettled(self) -> int:
        """How many files are still expected to come to rest."""
        return self._tracker.unsettled

    @property
    def healthy(self) -> bool:
        """Whether the folder is there and could be scanned, and changes are noticed in the way that suits it."""
        noticed = self._hearing.listening or self._hearing.way.polling
        return self._verdict.there and noticed and self._root not in self._troubles

    @property
    def away(self) -> str:
        """Why the folder was not there when it was looked at last; empty where it was."""
        return "" if self._verdict.there else self._verdict.why

    def missing(self) -> str:
        """Why the folder is not there, looked at just now; empty where it is there."""
        self._check()
        return self.away

    def why_not(self, relative: Path) -> str | None:
        """What keeps a file from being taken as far as is known here, as a sentence; ``None`` for nothing."""
        if not self._verdict.there:
            return f"its outbox is missing: {self._verdict.why}"
        if relative in self._tracker.restless:
            return f"it has not stopped changing for more than {self._watching.longest_wait_seconds:g} seconds"
        if relative in self._tracker:
            return f"it is taken once it has not changed for {self._watching.quiet_seconds:g} seconds"
        return None

    def status(self) -> dict[str, Any]:
        """For a person and for ``--json``: what is waited for, heard and wrong. Ages in seconds."""
        now = self._clock.monotonic()
        there = self._verdict.there
        first = [] if there else [f"missing: {self._verdict.why}"]
        first += [why for why in (self._verdict.why if there else "", self._hearing.trouble) if why]
        troubles = [f"{path}: {why}" for path, why in self._troubles.items()] if there else []
        return {
            "outbox": str(self._root),
            "publish": str(self.folder.publish),
            "profile": self.folder.profile,
            "healthy": self.healthy,
            "there": there,
            "marked": there and not self._folder.unmarkable,
            "watching": self._hearing.kind if there else "nothing",
            "why": self._hearing.why if there else self._verdict.why,
            "trouble": first + troubles[:MOST_NAMED],
            "tracked": len(self._tracker),
            "restless": [str(path) for path in list(self._tracker.restless)[:MOST_NAMED]],
            "last_scan_age": None if self._last_scan is None else now - self._last_scan,
        }

    def _heard_of(self, path: Path) -> None:
        if not path.is_relative_to(self._root) or path == self._root:
            return
        relative = path.relative_to(self._root)
        stat = look(path, downloads=self._downloads)
        if stat is None and _is_folder(path):
            below = scan_below(self._root, relative, self._rules, self._trouble, downloads=self._downloads)
            self._note_all(below)
        elif self._rules.ignored(relative) is None:
            self._note_all([(relative, stat)])

    def _note_all(self, looks: Iterable[tuple[Path, FileStat | None]]) -> None:
        """Note each look at the time it was taken: a scan may take longer than the quiet period."""
        for relative, stat in looks:
            if relative in self._tracker or stat is None or not self._already_known(relative, stat):
                self._tracker.note(relative, stat, self._clock.monotonic())

    def _trouble(self, path: Path, error: OSError) -> None:
        why = error.strerror or str(error)
        if path not in self._troubles:
            self._log.warning("cannot be looked at", path=str(path), why=why)
        self._troubles[path] = why

    def _complain_of_restless(self) -> None:
        restless = set(self._tracker.restless)
        for relative in restless - self._complained:
            self._log.warning("does not stop changing", path=str(self._root / relative))
        self._complained = restless

    def _check(self) -> None:
        """Look after the folder and the observer, and scan where either was away."""
        self._check_at = self._clock.monotonic() + HEALTH_SECONDS
        before = self._verdict
        self._verdict, other = self._folder.look()
        if self._verdict.why and self._verdict.why != before.why:
            self._log.warning("odd" if self._verdict.there else "missing", why=self._verdict.why)
        if not self._verdict.there:
            self._hearing.stop()
            return
        if not before.there or other:
            if before.why:
                self._log.info("it is back")
            self._hearing.begin(self._folder.mount)
            self.rescan()
        elif self._hearing.check():
            self.rescan()


def _is_folder(path: Path) -> bool:
    """Whether a folder stands there, not a link to one; what cannot be looked at is none."""
    return os.path.isdir(path) and not os.path.islink(path)  # noqa: PTH112, PTH114 - Path's own raise
