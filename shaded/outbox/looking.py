"""What one outbox has seen: looks at its files, taken in short steps, until they have come to rest.

Everything here that takes as long as there are files is a generator that pauses after each of them, so that whoever
works it off decides how long that may take.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from shaded.clock import Clock
from shaded.errors import ShadedError
from shaded.filestat import FileStat
from shaded.logs import get_logger
from shaded.outbox.ignore import IGNORE_FILE, IgnoreFile, IgnoreRules, read_ignore_file
from shaded.outbox.scan import Found, scan, scan_named
from shaded.outbox.stability import StabilityTracker
from shaded.settings import Watching

#: How many paths are looked at again, or handed over, before it is asked anew which.
_AT_ONCE = 64
#: How many unexpected errors are logged as a whole.
_MOST_TOLD = 20

_folder_of = attrgetter("parent")

#: Work that is done in short steps.
Steps = Generator[None, None, None]


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


class Looker:
    """Looks at an outbox's files.

    Args:
        root: The outbox.
        watching: Quiet period, longest wait, patterns.
        clock: Says when a look was taken.
        already_known: Whether a path relative to the outbox was dealt with as it looks now.

    Attributes:
        tracker: What is on its way to rest.
        troubles: What could not be looked at, and why, as of the last whole scan and since.
        arrived: What has come to rest; whoever takes it empties the list.
    """

    def __init__(
        self, root: Path, watching: Watching, clock: Clock, already_known: Callable[[Path, FileStat], bool]
    ) -> None:
        self.tracker = StabilityTracker(watching.quiet_seconds, watching.longest_wait_seconds)
        self.troubles: dict[Path, str] = {}
        self.arrived: list[Arrival] = []
        self._root = root
        self._watching = watching
        self._clock = clock
        self._already_known = already_known
        self._downloads = watching.placeholders == "download"
        self._ignore_file = IgnoreFile()
        self._rules = IgnoreRules(watching.ignore)
        self._fresh: dict[Path, str] = {}
        self._log = get_logger("outbox").bind(outbox=str(root))

    @property
    def ignore_trouble(self) -> str:
        """What of ``.shadedignore`` does not hold, and why."""
        said = "; ".join(why for why in (self._ignore_file.trouble, self._rules.left_out) if why)
        return f"{IGNORE_FILE}: {said}" if said else ""

    def read_rules(self) -> None:
        """Make the rules anew where ``.shadedignore`` has changed."""
        found = read_ignore_file(self._root)
        if found != self._ignore_file:
            self._ignore_file, self._rules = found, IgnoreRules(self._watching.ignore, found.lines)
            if self.ignore_trouble:
                self._log.warning("the ignore file does not hold as it stands", why=self.ignore_trouble)

    def heard(self, paths: tuple[Path, ...]) -> Steps:
        """Look at what was heard of."""
        for first in range(0, len(paths), _AT_ONCE):
            some = paths[first : first + _AT_ONCE]
            inside = [path for path in some if path.is_relative_to(self._root) and path != self._root]
            yield from self._look_at(path.relative_to(self._root) for path in inside)
            yield

    def scan(self) -> Steps:
        """Look at everything; at the end only the troubles of this scan are left."""
        self._fresh = {}
        with closing(scan(self._root, self._rules, self._trouble, downloads=self._downloads)) as steps:
            for found in steps:
                if found is not None:
                    self._note(*found)
                yield
        self.troubles = self._fresh

    def again(self) -> Steps:
        """Look at the tracked paths whose time has come, and hand over what has settled."""
        while True:
            due = self.tracker.due(self._clock.monotonic(), _AT_ONCE)
            yield from self._look_at(due)
            for relative in self.tracker.take_restless():
                self._log.warning("does not stop changing", path=str(self._root / relative))
            settled = self.tracker.take_settled(_AT_ONCE)
            for relative, stat in settled:
                if self._rules.ignored(relative) is None and not self._is_known(relative, stat):
                    self.arrived.append(Arrival(self._root, relative, stat))
                yield
            if not due and not settled:
                return

    def _look_at(self, paths: Iterable[Path]) -> Steps:
        """Look at paths as a scan would; one may be a folder, or gone. A folder is entered once for all that follow."""
        for folder, group in groupby(paths, key=_folder_of):
            names = [path.name for path in group]
            looked = 0
            told = partial(self._trouble_below, self._root / folder)
            seen = scan_named(self._root, folder, names, self._rules, told, downloads=self._downloads)
            with closing(seen):
                for name, found in zip(names, seen, strict=False):
                    yield from self._look_at_one(folder / name, found)
                    looked += 1
            for name in names[looked:]:  # the folder is not entered
                self.tracker.note(folder / name, None, self._clock.monotonic())
                yield

    def _look_at_one(self, relative: Path, steps: Found) -> Steps:
        there = False
        with closing(steps):
            for found in steps:
                if found is not None:
                    there = there or found[0] == relative
                    self._note(*found)
                yield
        if not there:
            self.tracker.note(relative, None, self._clock.monotonic())

    def _note(self, relative: Path, stat: FileStat) -> None:
        """Note a look at the time it was taken: a scan may take longer than the quiet period."""
        if relative in self.tracker or not self._is_known(relative, stat):
            self.tracker.note(relative, stat, self._clock.monotonic())

    def _is_known(self, relative: Path, stat: FileStat) -> bool:
        """Ask the ledger; what cannot be asked for is left alone, and that is said."""
        try:
            return self._already_known(relative, stat)
        except ShadedError:
            raise
        except Exception as error:  # noqa: BLE001 - it keeps nobody from the other files
            self._trouble(self._root / relative, error)
            return True

    def _trouble_below(self, folder: Path, path: Path, error: Exception) -> None:
        """That a path itself cannot be looked at, the next scan tells, once for its folder."""
        if path.parent != folder:
            self._trouble(path, error)

    def _trouble(self, path: Path, error: Exception) -> None:
        """Remember, until the end of the next scan, what could not be looked at; log it when it is new."""
        expected = isinstance(error, OSError)
        why = (error.strerror or str(error)) if isinstance(error, OSError) else unexpected(error)
        if self.troubles.get(path) != why:
            cause = None if expected or len(self.troubles) > _MOST_TOLD else error
            self._log.warning("cannot be looked at", path=str(path), why=why, exc_info=cause)
        self.troubles[path] = why
        self._fresh[path] = why


def unexpected(error: Exception) -> str:
    """For a person."""
    return f"an unexpected error ({type(error).__name__}: {error})"
