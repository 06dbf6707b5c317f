"""Whether the folder that stands at a watched path is the one that is meant: "missing" told from "empty".

The rule, in one place. An outbox carries a marker file, written when it is first taken into use, and the daemon
remembers what the outbox was mounted on then.

- It cannot be opened as a folder: missing.
- It has its marker: there.
- It was never used before: there, and is marked.
- No marker, on the same mount as before: somebody made it anew, or tidied the marker away: there, marked again.
- No marker, on a mount that came on top of the remembered one: another disk was mounted: there, marked.
- No marker, and something lies in it: there. It is marked unless it is on what the remembered mount was mounted
  upon; then the disk is away, somebody saves into its empty mount point, and that is said.
- No marker, nothing in it, and none of these: missing. Most likely the disk is not mounted.

A folder that cannot be marked (read-only) is known by its mount alone, and so is a publish folder, which others see:
no marker is put there. Nothing is ever concluded from a missing one: no file counts as removed, and jobs wait.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shaded.logs import get_logger
from shaded.outbox.mounts import Mount, Table, mount_of, read_mounts

MARKER = ".shaded-outbox"
_MARKER_TEXT = (
    "shaded watches this folder, and knows by this file that the right disk is mounted here.\n"
    "It is never shaded. If you delete it, it is written again.\n"
)
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at a root found.

    Attributes:
        identity: Device and inode; ``None`` where it could not be opened.
        trouble: Why it could not be opened, with what to do.
        marked: Whether its marker is there; ``None`` for a folder that carries none.
        empty: Whether nothing but hidden files is there.
    """

    identity: tuple[int, int] | None = None
    trouble: str = ""
    marked: bool | None = False
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a look.

    Attributes:
        there: Whether the folder is the outbox.
        mark: Whether the marker should be written.
        why: What is wrong and what to do, for a person; also where the folder is there and something is odd.
    """

    there: bool
    mark: bool = False
    why: str = ""


def judge(sight: Sight, mount: Mount | None, remembered: str | None) -> Verdict:
    """The rule above.

    Args:
        sight: The look.
        mount: What the folder is on now, where that is known.
        remembered: ``Mount.to_text`` of what it was on when last in use, or another text where that was not known;
            ``None`` where it never was in use.
    """
    if sight.trouble:
        return Verdict(there=False, why=sight.trouble)
    if sight.marked or remembered is None:
        return Verdict(there=True, mark=sight.marked is False)
    known = Mount.from_text(remembered)
    same = mount is not None and mount.to_text() == remembered
    moved = mount is not None and known is not None and mount.point != known.point
    on_top = moved and mount is not None and known is not None and mount.point.is_relative_to(known.point)
    unmounted = moved and mount is not None and known is not None and known.point.is_relative_to(mount.point)
    away = "its disk is not mounted" if known is None else f"{known} is not mounted"
    if same or on_top or not sight.empty:
        odd = f"{away}, and the folder in its mount point is used instead: mount it again" if unmounted else ""
        return Verdict(there=True, mark=sight.marked is False and not unmounted, why=odd)
    missed = "it is empty" if sight.marked is None else f"it is empty and its marker {MARKER} is gone"
    thing = "a file" if sight.marked is None else "a picture"
    return Verdict(
        there=False,
        why=f"{missed}; perhaps {away}: mount it, or put {thing} into the folder if it is the right one",
    )


def see(root: Path, *, marks: bool = True) -> Sight:
    """Look at a root, which may be a link itself; ``marks`` says whether it carries a marker."""
    try:
        descriptor = os.open(root, _OPEN_FOLDER)
        try:
            status = os.fstat(descriptor)
            marked = _has(descriptor, MARKER) if marks else None
            empty = not marked and _is_empty(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Sight(trouble=_said(error))
    return Sight((status.st_dev, status.st_ino), marked=marked, empty=empty)


def _is_empty(descriptor: int) -> bool:
    with os.scandir(descriptor) as entries:
        return all(_is_hidden(entry.name) for entry in entries)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "lost+found"


def _has(descriptor: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _said(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "the folder is not there: make it again, or mount the disk that it is on"
    if error.errno == errno.ENOTDIR:
        return "what stands there is no folder: move it away and make the folder again"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission is denied: give your user the right to read and enter the folder (chmod u+rwx)"
    return f"it cannot be opened ({error.strerror or error}): mount its disk or share again"


def write_marker(root: Path) -> None:
    """Write the marker, never over or through anything that is there; raises ``OSError`` where that is not possible."""
    folder = os.open(root, _OPEN_FOLDER)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(MARKER, flags, 0o666, dir_fd=folder)
        try:
            os.write(descriptor, _MARKER_TEXT.encode())
        finally:
            os.close(descriptor)
    except FileExistsError:
        return
    finally:
        os.close(folder)


class Memory(Protocol):
    """Keeps one text per folder beyond the end of the process."""

    def recall(self) -> str | None:
        """What was remembered last; ``None`` if nothing ever was."""

    def remember(self, text: str) -> None:
        """Keep this."""


class ShortMemory:
    """A memory that ends with the process."""

    def __init__(self, text: str | None = None) -> None:
        self._text = text

    def recall(self) -> str | None:
        """What was remembered last."""
        return self._text

    def remember(self, text: str) -> None:
        """Keep this."""
        self._text = text


class Root:
    """One outbox's or publish folder, looked at again and again.

    Args:
        path: The folder.
        memory: Remembers what it was mounted on.
        table: The system's mounts.
        marks: Whether the marker is written into it.

    Attributes:
        mount: What it is on, as of the last look that needed to know.
        unmarkable: Why the marker cannot be written; empty where it can.
    """

    def __init__(self, path: Path, memory: Memory, table: Table = read_mounts, *, marks: bool = True) -> None:
        self.path = path
        self._marks = marks
        self.mount: Mount | None = None
        self.unmarkable = ""
        self._memory = memory
        self._table = table
        self._last: Sight | None = None
        self._verdict = Verdict(there=False)
        self._log = get_logger("outbox").bind(folder=str(path))

    def look(self) -> tuple[Verdict, bool]:
        """Whether it is there, and whether it is another folder than at the last look."""
        sight = see(self.path, marks=self._marks)
        other = self._last is None or sight.identity != self._last.identity
        if sight.marked and not other and self._verdict.there and not self._verdict.why:
            return self._verdict, False
        self._last = sight
        if sight.identity is not None:  # asked after it was opened, which may have mounted it
            self.mount = mount_of(Path(os.path.realpath(self.path)), self._table())
        remembered = self._memory.recall()
        if remembered and Mount.from_text(remembered) is None:
            remembered = None  # a text that nobody can read says nothing
        self._verdict = judge(sight, self.mount, remembered)
        if self._verdict.mark:
            self._mark()
        if self._verdict.there and not self._verdict.why:
            now = "" if self.mount is None else self.mount.to_text()
            if now != remembered:
                self._memory.remember(now)
        return self._verdict, other

    def _mark(self) -> None:
        try:
            write_marker(self.path)
        except OSError as error:
            why = error.strerror or str(error)
            if why != self.unmarkable:
                self._log.info("the marker cannot be written; the outbox is known by its mount alone", why=why)
            self.unmarkable = why
        else:
            self.unmarkable = ""
