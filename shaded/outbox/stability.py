"""When a file has stopped changing: a function of time and stats alone.

Nothing here touches a disk or a clock. The caller looks at files, tells :meth:`StabilityTracker.note` what it
saw and when (monotonic seconds), and takes what has come to rest. A path is settled once two looks at least
the quiet period apart found the same size, times, inode and device, with no different look between them. A look may
be late: what counts is the time between looks. Empty files never settle: most programs create the file first and write
later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from shaded.filestat import FileStat


@dataclass(frozen=True, slots=True)
class Tracked:
    """What is known about one path that has not settled.

    Attributes:
        stat: How it looked last.
        first_seen: When it was first noted; it decides when the path counts as restless.
        look_at: When the next look can settle it: the quiet period after it was first seen looking like
            ``stat``.
    """

    stat: FileStat
    first_seen: float
    look_at: float


class StabilityTracker:
    """Paths on their way to rest.

    The tracked paths are kept in the order of their next look, which is the order in which they changed, so
    that asking what is due costs no more than what is due. Nothing here that is asked often looks at all of them.
    """

    def __init__(self, quiet_seconds: float, longest_wait_seconds: float) -> None:
        self._quiet = quiet_seconds
        self._longest_wait = longest_wait_seconds
        # A dict that is emptied from its front looks for its first entry ever longer.
        self._tracked: OrderedDict[Path, Tracked] = OrderedDict()
        self._settled: OrderedDict[Path, FileStat] = OrderedDict()
        self._restless: dict[Path, float] = {}
        self._grown_restless: dict[Path, None] = {}
        self._empty: set[Path] = set()  # after a quiet period, and not restless

    def note(self, path: Path, stat: FileStat | None, now: float) -> None:
        """Record one look at ``path``; ``None`` says that it is gone or no regular file any more."""
        known = self._tracked.get(path)
        if stat is None:
            self._forget(path)
        elif known is None:
            if self._settled.get(path) != stat:
                self._settled.pop(path, None)
                self._tracked[path] = Tracked(stat, now, now + self._quiet)
        elif known.stat != stat:
            self._move_back(path, replace(known, stat=stat, look_at=now + self._quiet), now)
        elif now >= known.look_at:
            self._rested(path, known, now)

    def _rested(self, path: Path, known: Tracked, now: float) -> None:
        if known.stat.size == 0:
            self._move_back(path, replace(known, look_at=now + self._quiet), now)
            return
        self._forget(path)
        self._settled[path] = known.stat

    def _move_back(self, path: Path, tracked: Tracked, now: float) -> None:
        self._tracked[path] = tracked
        self._tracked.move_to_end(path)
        if now - tracked.first_seen >= self._longest_wait and path not in self._restless:
            self._restless[path] = tracked.first_seen
            self._grown_restless[path] = None
        if tracked.stat.size or path in self._restless or tracked.look_at <= tracked.first_seen + self._quiet:
            self._empty.discard(path)
        else:
            self._empty.add(path)

    def _forget(self, path: Path) -> None:
        self._tracked.pop(path, None)
        self._settled.pop(path, None)
        self._restless.pop(path, None)
        self._grown_restless.pop(path, None)
        self._empty.discard(path)

    def due(self, now: float, limit: int | None = None) -> list[Path]:
        """The paths to look at now, at most so many: they settle if they still look the same."""
        paths = []
        for path, tracked in islice(self._tracked.items(), limit):
            if tracked.look_at > now:
                break
            paths.append(path)
        return paths

    def take_settled(self, limit: int | None = None) -> list[tuple[Path, FileStat]]:
        """Hand over what has come to rest, at most so many, with the stat that it rests at; each once."""
        count = len(self._settled) if limit is None else min(limit, len(self._settled))
        return [self._settled.popitem(last=False) for _ in range(count)]

    def take_restless(self) -> list[Path]:
        """Hand over what has become restless since the last time."""
        taken, self._grown_restless = list(self._grown_restless), {}
        return taken

    def next_deadline(self) -> float | None:
        """When :meth:`due` next has something to say (monotonic seconds), if anything is tracked."""
        first = next(iter(self._tracked.values()), None)
        return None if first is None else first.look_at

    @property
    def restless(self) -> Mapping[Path, float]:
        """Paths that did not rest within the longest wait, and when they were first seen; still tracked."""
        return MappingProxyType(self._restless)

    @property
    def unsettled(self) -> int:
        """How many paths are expected to settle: neither restless nor still empty after a quiet period."""
        return len(self._tracked) - len(self._restless) - len(self._empty)

    @property
    def settled(self) -> int:
        """How many paths wait to be handed over."""
        return len(self._settled)

    def __contains__(self, path: object) -> bool:
        return path in self._tracked

    def __len__(self) -> int:
        return len(self._tracked)
