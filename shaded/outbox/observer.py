"""Being told of arrivals: a thin layer over watchdog that only queues paths.

The operating system's events are hints, never the truth: they can be lost in a burst, and a watched folder
that is deleted and made again falls silent. So the handler does nothing that could fail or block, the queue
is bounded and says when it overflowed, and :meth:`Observer.healthy` lets the caller find out that a fresh
observer and a scan are needed.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Protocol, cast

from shaded.outbox.limits import explained

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers.api import BaseObserver


@dataclass(frozen=True, slots=True)
class Drained:
    """What was queued since the last time.

    Attributes:
        paths: Absolute paths of files and folders, each once, in the order they were first heard of.
        overflowed: Whether more was heard of than fits: only a scan tells what.
    """

    paths: tuple[Path, ...] = ()
    overflowed: bool = False


class Observer(Protocol):
    """Something that hears of changes below one folder."""

    @property
    def kind(self) -> str:
        """How it hears of them, for a person: "native", "polling"."""

    def start(self) -> None:
        """Begin, or begin anew after :meth:`stop`; raises ``OSError`` where the folder cannot be watched."""

    def stop(self) -> None:
        """End; harmless when it did not start."""

    def drain(self) -> Drained:
        """Take what was queued."""

    def healthy(self) -> bool:
        """Whether every part is alive and the watched folder is still the one that is there."""


class Inbox:
    """A bounded set of paths that one thread fills and another empties.

    Args:
        wake: Called, from the filling thread, when there is something to take.
        limit: How many distinct paths it holds.
    """

    def __init__(self, wake: Callable[[], None], limit: int) -> None:
        self._wake = wake
        self._limit = limit
        self._lock = Lock()
        self._paths: dict[str, None] = {}
        self._overflowed = False

    def put(self, path: str) -> None:
        """Queue one path; a repeated one is queued once."""
        with self._lock:
            waking = not self._paths and not self._overflowed
            if len(self._paths) < self._limit or path in self._paths:
                self._paths[path] = None
            else:
                self._overflowed = True
        if waking:
            self._wake()

    def overflow(self) -> None:
        """Note that something was lost before it came here."""
        with self._lock:
            self._overflowed = True
        self._wake()

    def drain(self) -> Drained:
        """Take everything."""
        with self._lock:
            paths, self._paths = self._paths, {}
            overflowed, self._overflowed = self._overflowed, False
        return Drained(tuple(map(Path, paths)), overflowed)


class _Handler:
    """What watchdog calls: it queues the place where something is now, and does nothing else.

    Args:
        inbox: Where paths go.
        watched: The folder as watchdog knows it, links resolved.
        root: The same folder as everyone else names it.
    """

    def __init__(self, inbox: Inbox, watched: str, root: str) -> None:
        self._inbox = inbox
        self._watched = watched
        self._root = root

    def dispatch(self, event: FileSystemEvent) -> None:
        """Queue the event's path; a moved file's new one."""
        path = os.fsdecode(event.dest_path or event.src_path)
        self._inbox.put(self._root + path.removeprefix(self._watched))


class _LostEvents(logging.Handler):
    """Hears watchdog say in its log, the only place where it does, that the system dropped events."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__(logging.WARNING)
        self._inbox = inbox

    def emit(self, record: logging.LogRecord) -> None:
        """Ask for a scan."""
        if "overflow" in record.getMessage():
            self._inbox.overflow()


class NativeObserver:
    """The operating system's own events (inotify, FSEvents, kqueue), below one folder and its subfolders.

    Args:
        root: The folder.
        wake: Called from another thread when something was queued after nothing was.
        limit: How many distinct paths are queued at most.
    """

    kind = "native"

    def __init__(self, root: Path, wake: Callable[[], None], limit: int = 50_000) -> None:
        self._root = root
        self._inbox = Inbox(wake, limit)
        self._lost = _LostEvents(self._inbox)
        self._observer: BaseObserver | None = None
        self._threads: list[Thread] = []
        self._identity: tuple[int, int] | None = None

    def start(self) -> None:
        """Watch; an ``OSError`` says why not, and which of the system's limits to raise where that helps."""
        from watchdog import events  # noqa: PLC0415 - commands that never watch do not pay for it
        from watchdog.observers import Observer as Watchdog  # noqa: PLC0415

        self.stop()
        self._identity = _identity(self._root)
        wanted = [
            events.FileCreatedEvent,
            events.FileModifiedEvent,
            events.FileMovedEvent,
            events.FileClosedEvent,
            events.DirCreatedEvent,
            events.DirMovedEvent,
        ]
        _silence()
        others = set(threading.enumerate())
        observer: BaseObserver | None = None
        try:
            observer = Watchdog()
            # A link as the root is the user's own choice; watchdog itself would not follow it.
            watched = os.path.realpath(self._root)
            handler = _Handler(self._inbox, watched, os.fspath(self._root))
            observer.schedule(cast("FileSystemEventHandler", handler), watched, recursive=True, event_filter=wanted)
            observer.start()
        except (OSError, RuntimeError) as error:
            if observer is not None:
                observer.stop()
            if isinstance(error, OSError):
                raise explained(error, self._root) from error
            raise OSError(errno.EAGAIN, str(error), os.fspath(self._root)) from error  # no thread can be started now
        # Which threads there are differs between versions and systems; whose they are does not.
        begun = set(threading.enumerate()) - others
        self._threads = [thread for thread in begun if type(thread).__module__.startswith("watchdog.")]
        self._observer = observer
        logging.getLogger("watchdog").addHandler(self._lost)

    def stop(self) -> None:
        """Stop watchdog's threads and wait for them."""
        logging.getLogger("watchdog").removeHandler(self._lost)
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join(timeout=5)

    def drain(self) -> Drained:
        """Take what was queued."""
        return self._inbox.drain()

    def healthy(self) -> bool:
        """Whether watchdog's threads live and the folder still is the one they watch.

        A deleted folder ends its emitter a moment later; a folder that took the watched one's place is known
        by its inode. No descriptor is kept open to tell them apart: it would keep a disk from being ejected.
        """
        if self._observer is None or not all(thread.is_alive() for thread in self._threads):
            return False
        try:
            return _identity(self._root) == self._identity
        except OSError:
            return False


def _silence() -> None:
    """Keep watchdog's notes to its developers out of the user's log.

    It warns whenever a new folder's watch is set twice, which is harmless, and logs an error at each stop.
    """
    warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)
    logging.getLogger("watchdog").propagate = False


def _identity(root: Path) -> tuple[int, int]:
    """What tells this folder from another one of the same name."""
    result = os.stat(root)  # noqa: PTH116 - os.PathLike in, plain stat out
    return result.st_dev, result.st_ino


class FakeObserver:
    """An observer without a disk, for tests: it hears what it is told.

    Attributes:
        broken: Set it to make :meth:`healthy` say no until the next start.
        refuse: An error for :meth:`start` to raise.
        running: Whether it was started and not stopped.
        starts: How often it was started.
    """

    kind = "fake"

    def __init__(self) -> None:
        self.broken = False
        self.refuse: OSError | None = None
        self.running = False
        self.starts = 0
        self._inbox = Inbox(lambda: None, limit=10)

    def see(self, path: Path) -> None:
        """Hear of ``path``."""
        self._inbox.put(str(path))

    def overflow(self) -> None:
        """Hear of more than fits."""
        for number in range(11):
            self._inbox.put(f"/nowhere/{number}")

    def start(self) -> None:
        """Start, or raise what ``refuse`` says."""
        self.starts += 1
        if self.refuse is not None:
            raise self.refuse
        self.running = True
        self.broken = False

    def stop(self) -> None:
        """Stop."""
        self.running = False

    def drain(self) -> Drained:
        """Take what it heard."""
        return self._inbox.drain()

    def healthy(self) -> bool:
        """Whether it runs and nobody broke it."""
        return self.running and not self.broken
