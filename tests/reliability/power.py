"""A disk that loses what was not synced: it watches a folder and says what a power cut could leave of it.

No file system's habits are assumed, only what POSIX promises. A file's content is safe from its ``fsync`` on; a later
one may be empty, cut, old or whole. A name is safe from the ``fsync`` of its folder on; until then each creation,
rename, link and removal may have happened or not, in any combination. A commit of SQLite is safe when it returns where
``PRAGMA synchronous`` is at least FULL; otherwise the ledger may be at any state since the last such commit.

:class:`Disk` looks at the real folder before and after every call that changes or syncs something, so it need not know
who makes the calls. A :class:`Moment` is what it knew at one of them, and gives the possible :class:`Image` s.
"""

from __future__ import annotations

import builtins
import errno
import hashlib
import io
import math
import os
import random
import sqlite3
import stat
import sys
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path

import shaded

PACKAGE = str(Path(shaded.__file__).parent)
CHANGING = ("mkdir", "rename", "replace", "link", "symlink", "unlink", "remove", "rmdir", "truncate", "ftruncate")
FLUSHING = ("fsync", "fdatasync")
FULL = 2
#: So many combinations of undecided names and contents are tried all; of more, the extremes and some by chance.
FEW = 48


class Killed(BaseException):
    """The program ends here, and nothing that it does afterwards reaches the disk."""


@dataclass(frozen=True)
class Moment:
    """What was safe and what was not at one moment.

    Attributes:
        where: What was about to be done, and by which line of the package.
        root: The watched folder's number.
        names: For each folder the names that are safe, with the number of what they name.
        waiting: Changes of names that are not safe: the folder and what each name is to mean (``None``: nothing).
        kinds: For each number what it is: a folder, a file, or a link and where to.
        safe: The content of files as it was synced last.
        now: The content of files as programs see it.
        ledgers: The ledger's possible contents.
        told: What the scenario knew by then.
    """

    where: str
    root: int
    names: dict
    waiting: tuple
    kinds: dict
    safe: dict
    now: dict
    ledgers: tuple
    told: dict = field(default_factory=dict)

    def images(self, seed=0, chances=6):
        """Folders that a power cut at this moment could leave; the same one may come twice."""
        unsafe = [number for number, data in self.now.items() if self.safe.get(number) != data]
        contents = [_versions(self.safe.get(number), self.now[number]) for number in unsafe]
        rng = random.Random(f"{seed} {self.where}")
        for happened, chosen in _outcomes(len(self.waiting), contents, rng, chances):
            for ledger in self.ledgers:
                yield self._image(happened, dict(zip(unsafe, chosen, strict=True)), ledger)

    def _image(self, happened, contents, ledger):
        names = {folder: dict(entries) for folder, entries in self.names.items()}
        for change in happened:
            folder, meant = self.waiting[change]
            entries = names.setdefault(folder, {})
            for name, number in meant.items():
                if number is None:
                    entries.pop(name, None)
                else:
                    entries[name] = number
        found = {}

        def walk(folder, above):
            for name, number in names.get(folder, {}).items():
                kind = self.kinds[number]
                path = f"{above}{name}"
                if kind == "folder":
                    found[path] = None
                    walk(number, f"{path}/")
                elif kind == "file":
                    found[path] = number, contents.get(number, self.safe.get(number, b""))
                else:
                    found[path] = kind

        walk(self.root, "")
        return Image(found, ledger)


def _versions(safe, now):
    """What may be found in a file that was changed since it was synced."""
    return tuple(dict.fromkeys((safe or b"", now[: len(now) // 2], now)))


def _outcomes(count, contents, rng, chances):
    """Which changes of names happened and what is in each file: every combination, or of many some."""
    everything = tuple(range(count))
    combinations_of_files = math.prod(map(len, contents))
    if combinations_of_files << count <= FEW:
        for size in range(count + 1):
            yield from product(combinations(everything, size), product(*contents))
        return
    some = [(), everything]
    some += [(each,) for each in everything]
    some += [tuple(other for other in everything if other != each) for each in everything]
    some += [tuple(each for each in everything if rng.random() < 0.5) for _ in range(chances)]
    for happened in some:
        yield happened, tuple(versions[0] for versions in contents)
        yield happened, tuple(rng.choice(versions) for versions in contents)
    for _ in range(chances):
        yield everything, tuple(rng.choice(versions) for versions in contents)


@dataclass(frozen=True)
class Image:
    """One folder that a power cut could leave.

    Attributes:
        found: For each path below the root: ``None`` for a folder, a number and bytes for a file (two names of one
            file have one number), a text for where a link leads.
        ledger: The ledger's content; ``None``: there is no such file.
    """

    found: dict
    ledger: bytes | None

    def key(self):
        """The same for the same folder."""
        parts = repr(sorted((path, what) for path, what in self.found.items() if what is not None)).encode()
        folders = repr(sorted(path for path, what in self.found.items() if what is None)).encode()
        return hashlib.sha256(parts + folders + (self.ledger or b"none")).hexdigest()

    def data(self, path):
        """A file's bytes, or ``None``."""
        what = self.found.get(path)
        return what[1] if isinstance(what, tuple) else None

    def lay_out(self, root, ledger_at):
        """Make this folder at ``root``, where nothing is."""
        root.mkdir()
        first = {}
        for path, what in self.found.items():  # folders come before what is in them
            place = root / path
            if what is None:
                place.mkdir()
            elif isinstance(what, str):
                place.symlink_to(what)
            elif what[0] in first:
                os.link(first[what[0]], place)
            else:
                place.write_bytes(what[1])
                first[what[0]] = place
        if self.ledger is not None and ledger_at.parent.is_dir():
            ledger_at.write_bytes(self.ledger)

    def rows(self, query):
        """Ask the ledger; nothing where there is none."""
        if not self.ledger:
            return []
        plain = self.ledger[:18] + b"\1\1" + self.ledger[20:]  # a copy in memory has no write-ahead log
        connection = sqlite3.connect(":memory:")
        try:
            connection.deserialize(plain)
            return connection.execute(query).fetchall()
        finally:
            connection.close()


class Disk:
    """Watches ``root`` while it is used as a context manager.

    Args:
        root: An existing folder.
        ledger: The ledger's path; SQLite's own files beside it are not looked at.
        deaf_to: A call of ``fsync`` that does nothing: one of :attr:`heard`.
        told: What the scenario knows at each moment.
        keep: Whether moments are kept.
    """

    def __init__(self, root, ledger, *, deaf_to=None, told=dict, keep=True, relaxed=False):
        self.moments = []
        self.heard = {}
        self.calls = 0
        self.die_at = self.fail_at = 0
        self.keep = keep
        self._root, self._ledger = root, ledger
        self._deaf_to, self._told, self._relaxed = deaf_to, told, relaxed
        self._dead = False
        self._held, self._connections = {}, []
        self._names, self._seen, self._waiting = {}, {}, []
        self._kinds, self._safe, self._now = {}, {}, {}
        self._ledgers = (None,)
        self._real = {}
        self._at_work = False

    def __enter__(self):
        for module, names in ((os, (*CHANGING, *FLUSHING, "open")), (io, ("open",)), (builtins, ("open",))):
            for name in names:
                self._real[module, name] = getattr(module, name)
        self._connect = sqlite3.connect
        self.all_is_safe()
        for module, name in self._real:
            setattr(module, name, self._watched(module, name))
        sqlite3.connect = self._connected
        return self

    def __exit__(self, *_exception):
        for (module, name), call in self._real.items():
            setattr(module, name, call)
        sqlite3.connect = self._connect
        for descriptor in self._held.values():
            os.close(descriptor)

    def all_is_safe(self):
        """Long after everything: the system has written all of it by itself."""
        self._look()
        self._names = {folder: dict(entries) for folder, entries in self._seen.items()}
        self._waiting, self._safe = [], dict(self._now)
        self._ledgers = self._ledgers[-1:]
        self.moments, self.calls = [], 0

    def revive(self):
        """The program is started again after :class:`Killed`; what it had open went with it."""
        for connection in self._connections:
            connection.close()
        self._dead, self.die_at = False, 0

    def moment(self, where):
        """What a power cut could leave now is written down."""
        self._look()
        if self.keep:
            self.moments.append(
                Moment(
                    where, self._number(self._root.stat(), self._root), dict(self._names), tuple(self._waiting),
                    dict(self._kinds), dict(self._safe), dict(self._now), self._ledgers, dict(self._told()),
                )
            )  # fmt: skip

    # What is called ----------------------------------------------------------------------------------------------

    def _watched(self, module, name):
        real = self._real[module, name]

        def call(*arguments, **options):
            if self._at_work or not changes(name, arguments, options):
                return real(*arguments, **options)
            self._at_work = True
            try:
                line = _line()
                self._before(name, line)
                result = real(*arguments, **options)
                if name in FLUSHING:
                    self._flushed(arguments[0], line)
                else:
                    self._look(together=True)
                return result
            finally:
                self._at_work = False

        return call

    def _before(self, what, line):
        if not line:  # a person's program goes on when the daemon is killed
            self.moment(f"before {what} by a person's program")
            return
        if self._dead:
            raise Killed
        self.moment(f"before {what} in {line[0]}")
        self.calls += 1
        if self.calls == self.die_at:
            self._dead = True
            raise Killed
        if self.calls == self.fail_at and what != "commit":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _flushed(self, descriptor, line):
        if line:
            self.heard[line] = self.heard.get(line, 0) + 1
        if line and line == self._deaf_to:
            return
        number = self._number(os.fstat(descriptor), f"/proc/self/fd/{descriptor}")
        if self._kinds[number] == "file":
            self._safe[number] = self._read(f"/proc/self/fd/{descriptor}")
        elif number in self._seen:
            self._names = {**self._names, number: dict(self._seen[number])}
            self._waiting = [change for change in self._waiting if change[0] != number]

    def _connected(self, database, *arguments, **options):
        disk = self
        if os.fspath(database) != os.fspath(self._ledger):
            return self._connect(database, *arguments, **options)

        class Watched(sqlite3.Connection):
            def execute(self, statement, *parameters):
                if disk._dead:
                    raise Killed
                changes = self.total_changes
                if statement == "COMMIT":
                    disk._before("commit", _line())
                result = super().execute(statement, *parameters)
                if statement == "COMMIT" or (self.total_changes != changes and not self.in_transaction):
                    disk._committed(self, super().execute)
                return result

        connection = self._connect(database, *arguments, factory=Watched, **options)
        self._connections.append(connection)
        if self._ledgers == (None,):
            self._ledgers = (None, b"")
        return connection

    def _committed(self, connection, ask):
        level = 1 if self._relaxed else ask("PRAGMA synchronous").fetchone()[0]
        content = connection.serialize()
        self._ledgers = (content,) if level >= FULL else (*self._ledgers, content)

    # What is seen ------------------------------------------------------------------------------------------------

    def _look(self, *, together=False):
        """Notice what has changed; ``together`` says that one call did it, which happens whole in each folder."""
        before = self._seen
        self._seen = {}
        self._walk(self._root)
        for folder, entries in self._seen.items():
            old = before.get(folder, {})
            changed = {n: entries.get(n) for n in [*old, *entries] if old.get(n) != entries.get(n)}
            if together and changed:
                self._waiting.append((folder, changed))
            else:
                self._waiting += [(folder, {name: number}) for name, number in changed.items()]

    def _walk(self, folder):
        entries = self._seen[self._number(Path(folder).stat(), folder)] = {}
        with os.scandir(folder) as listing:
            for entry in listing:
                if entry.path.startswith(str(self._ledger)):
                    continue
                status = entry.stat(follow_symlinks=False)
                if entry.is_symlink():
                    entries[entry.name] = self._number(status, entry.path, str(Path(entry.path).readlink()))
                    continue
                entries[entry.name] = number = self._number(status, entry.path)
                if entry.is_dir():
                    self._walk(entry.path)
                elif stat.S_ISREG(status.st_mode):
                    self._now[number] = self._read(entry.path)

    def _number(self, status, path, link=None):
        """An inode's number, which nothing else gets while this object holds it open."""
        number = status.st_ino
        if number not in self._kinds:
            opened = self._real[os, "open"]
            flags = os.O_PATH | (os.O_NOFOLLOW if link is not None else 0) | os.O_CLOEXEC
            self._held[number] = opened(path, flags)
            self._kinds[number] = link or ("folder" if stat.S_ISDIR(status.st_mode) else "file")
        return number

    def _read(self, path):
        descriptor = self._real[os, "open"](path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, 1 << 24)
        finally:
            os.close(descriptor)


def changes(name, arguments, options):
    """Whether a call may change names or contents: opening does only where it makes, empties or writes."""
    if name != "open":
        return True
    how = arguments[1] if len(arguments) > 1 else options.get("mode", options.get("flags", "r"))
    if isinstance(how, str):
        return not isinstance(arguments[0], int) and bool(set(how) & set("wax+"))
    return bool(how & (os.O_CREAT | os.O_TRUNC))


def _line():
    """The lines of the package that a call comes from, the innermost first."""
    found, frame = [], sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE):
            found.append(f"{code.co_filename[len(PACKAGE) + 1 :]}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return tuple(found)
