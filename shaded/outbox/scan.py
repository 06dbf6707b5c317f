"""Looking at what lies in an outbox: whole, or one path. Both come to the same files, by the same steps.

Folders are opened one below the other without following links, so a folder that is swapped for a link
meanwhile is reported and not entered. Files are only looked at, never opened: a cloud client's placeholder
stays a placeholder. Placeholders are recognised by the system's flag (macOS: ``SF_DATALESS``), by the names that
clients give them, and by the attributes of Nextcloud's and OpenCloud's clients on Linux. A file without blocks is
no proof: some file systems keep small files inside the directory, and network shares do not always tell.
"""

from __future__ import annotations

import errno
import os
import stat as mode
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path, PurePath

from shaded.filestat import FileStat
from shaded.outbox.ignore import IgnoreRules

#: ``st_flags`` of a file whose content is not on this machine (macOS, sys/stat.h).
SF_DATALESS = 0x40000000
#: How clients name what stands for a file in the cloud: iCloud Drive before macOS 14 (``.fox.png.icloud``), Nextcloud
#: and ownCloud (``fox.png.nextcloud``).
STUBS = (".icloud", ".nextcloud", ".owncloud")
#: Extended attributes of placeholders, with the value that says so (``None``: any), looked for on tiny files only: what
#: clients leave on Linux has one byte, and no picture is so small.
_ATTRIBUTES: tuple[tuple[str, bytes | None], ...] = (
    ("user.nextcloud.hydrate_exec", None),
    ("user.openvfs.state", b"dehydrated"),
)
_TINY = 64
#: Folders nested deeper are reported, not entered: each level holds one descriptor open.
DEEPEST = 64
_TOO_DEEP = f"folders that are nested more than {DEEPEST} deep are not entered"
#: How many names of a folder are read between two pauses.
_LISTED_AT_ONCE = 512

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Trouble = Callable[[Path, Exception], None]
#: What is found, bit by bit: a file to take, or ``None`` where there is none yet, so that the caller can pause.
Found = Generator[tuple[Path, FileStat] | None, None, None]
_name = attrgetter("name")


def is_placeholder(result: os.stat_result, path: Path | str, *, downloads: bool = False) -> bool:
    """Whether a cloud client holds the content elsewhere; asking downloads nothing.

    Where ``downloads`` is allowed, only stubs are placeholders: reading anything else brings the content.
    """
    if os.fspath(path).endswith(STUBS):
        return True
    if downloads:
        return False
    if getattr(result, "st_flags", 0) & SF_DATALESS:
        return True
    return result.st_size < _TINY and any(_says(Path(path), name, value) for name, value in _ATTRIBUTES)


def _says(path: Path, attribute: str, value: bytes | None) -> bool:
    if sys.platform != "linux":
        return False
    try:
        found = os.getxattr(path, attribute, follow_symlinks=False)
    except OSError:
        return False
    return value is None or found == value


def _taken(result: os.stat_result, path: Path | str, *, downloads: bool) -> FileStat | None:
    """The stat of a regular file that may be read; ``None`` for anything else."""
    if not mode.S_ISREG(result.st_mode) or is_placeholder(result, path, downloads=downloads):
        return None
    return FileStat.of(result)


def scan(root: Path, rules: IgnoreRules, trouble: Trouble, *, downloads: bool = False) -> Found:
    """Every regular, local file below ``root`` that is not ignored, in the order of the names.

    Args:
        root: The outbox; it may itself be a link.
        rules: What is left out; ignored folders are not entered.
        trouble: Told which folder or file could not be looked at, and why. Vanishing is no trouble.
        downloads: Whether files are taken too whose content a cloud client brings when they are read.

    Yields:
        The path relative to ``root``, and its stat; ``None`` where there was something else, or time for a pause.
    """
    try:
        descriptor = os.open(root, _OPEN_FOLDER & ~os.O_NOFOLLOW)
    except OSError as error:
        trouble(root, error)
        return
    yield from _Walk(root, rules, trouble, downloads).below(descriptor, "")


def scan_named(
    root: Path, folder: Path, names: Iterable[str], rules: IgnoreRules, trouble: Trouble, *, downloads: bool = False
) -> Generator[Found, None, None]:
    """What a :func:`scan` finds at some names in one folder: that file, or all in that folder; nothing at others.

    Yields:
        For each name what is found there, to be read to its end or closed; for none where a scan does not come to the
        folder.
    """
    if rules.ignored(folder, is_dir=True) is not None:
        return
    try:
        above = _open_inside(root, folder)
    except FileNotFoundError:
        return
    except OSError as error:
        for name in names:
            trouble(root.joinpath(*[*folder.parts, name][: DEEPEST + 1]), error)
        return
    walk = _Walk(root, rules, trouble, downloads)
    prefix = f"{folder}/" if folder.parts else ""
    try:
        for name in names:
            yield walk.at(above, _Name(name, above), prefix + name)
    finally:
        os.close(above)


@dataclass(frozen=True, slots=True)
class _Name:
    """One name in an open folder, asked as an ``os.DirEntry`` is."""

    name: str
    above: int

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        """Whether it is a folder."""
        return mode.S_ISDIR(os.stat(self.name, dir_fd=self.above, follow_symlinks=follow_symlinks).st_mode)


@dataclass(frozen=True, slots=True)
class _Folder:
    """An open folder that is to be looked through."""

    descriptor: int
    relative: str


@dataclass(frozen=True, slots=True)
class _Walk:
    """What stays the same on the way through an outbox."""

    root: Path
    rules: IgnoreRules
    trouble: Trouble
    downloads: bool

    def at(self, above: int, entry: os.DirEntry[str] | _Name, relative: str) -> Found:
        """The file of a name in an open folder, or everything in the folder of that name."""
        found = self._entry(above, entry, relative)
        if isinstance(found, _Folder):
            yield from self.below(found.descriptor, found.relative)
        else:
            yield found

    def below(self, descriptor: int, relative: str) -> Found:
        """Everything in an open folder, which is closed at the end."""
        way = [self._listed(descriptor, relative)]
        try:
            while way:
                for found in way[-1]:
                    if isinstance(found, _Folder):
                        way.append(self._listed(found.descriptor, found.relative))  # begun at once, and so closed
                        break
                    yield found
                else:
                    way.pop()
        finally:
            for folder in reversed(way):
                folder.close()

    def _listed(self, descriptor: int, relative: str) -> Generator[tuple[Path, FileStat] | _Folder | None, None, None]:
        """What is in one open folder, which is closed at the end."""
        entries: list[os.DirEntry[str]] = []
        try:
            with os.scandir(descriptor) as listing:
                for entry in listing:
                    entries.append(entry)
                    if not len(entries) % _LISTED_AT_ONCE:
                        yield None
            entries.sort(key=_name)
            for entry in entries:
                yield self._entry(descriptor, entry, f"{relative}/{entry.name}" if relative else entry.name)
        except OSError as error:
            self.trouble(self.root / relative, error)
        finally:
            os.close(descriptor)

    def _entry(
        self, above: int, entry: os.DirEntry[str] | _Name, relative: str
    ) -> tuple[Path, FileStat] | _Folder | None:
        """What is to be done with one name, whoever told of it: take the file, enter the folder, or nothing."""
        try:
            is_dir = entry.is_dir(follow_symlinks=False)
            if self.rules.own(relative, is_dir) is not None:
                return None
            if is_dir:
                return _Folder(_open_below(above, entry.name, relative.count("/") + 1), relative)
            status = os.stat(entry.name, dir_fd=above, follow_symlinks=False)
            taken = _taken(status, f"{self.root}/{relative}", downloads=self.downloads)
            return None if taken is None else (Path(relative), taken)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever one file does, the others are looked at
            self.trouble(self.root / relative, error)
            return None


def _open_below(descriptor: int, name: str, depth: int) -> int:
    if depth > DEEPEST:
        raise OSError(errno.ELOOP, _TOO_DEEP)
    return os.open(name, _OPEN_FOLDER, dir_fd=descriptor)


def _open_inside(root: Path, relative: PurePath) -> int:
    """Open a folder step by step, so that none on the way is a link."""
    descriptor = os.open(root, _OPEN_FOLDER & ~os.O_NOFOLLOW)
    for depth, name in enumerate(relative.parts, start=1):
        above = descriptor
        try:
            descriptor = _open_below(above, name, depth)
        finally:
            os.close(above)
    return descriptor


def look(path: Path, *, downloads: bool = False) -> FileStat | None:
    """How a regular file that may be read looks now; ``None`` where it is gone or anything else."""
    try:
        return _taken(os.lstat(path), path, downloads=downloads)
    except (OSError, ValueError):
        return None


_IN_THE_CLOUD = (
    "its content is still in the cloud; it is taken once it is on this machine"
    ' (watching.placeholders = "download" fetches what the cloud client brings on reading)'
)


def _has_stub(path: Path) -> bool:
    """Whether a client's placeholder stands for a file that is not there itself."""
    return any(os.path.lexists(path.with_name(f"{dot}{path.name}{stub}")) for stub in STUBS for dot in ("", "."))


def _why_not_reached(root: Path, relative: PurePath, error: Exception) -> str:
    """Why the folder that a path lies in is not entered."""
    folders = relative.parts[:-1]
    for depth, name in enumerate(folders, start=1):
        if os.path.islink(root.joinpath(*folders[:depth])):  # noqa: PTH114 - Path's own raises
            return f"its folder {name!r} is a symbolic link, and links are never followed"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "there is no such file"
    return f"its folder cannot be looked at ({getattr(error, 'strerror', None) or error})"


def why_not_taken(root: Path, relative: PurePath, rules: IgnoreRules, *, downloads: bool = False) -> str | None:
    """Why a path in an outbox is not taken, one clause; ``None`` where nothing stands against it."""
    try:
        above = _open_inside(root, relative.parent)
    except (OSError, ValueError) as error:
        return _why_not_reached(root, relative, error)
    try:
        result = os.stat(relative.name or ".", dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return _IN_THE_CLOUD if _has_stub(root / relative) else "there is no such file"
    except (OSError, ValueError) as error:
        return f"it cannot be looked at ({getattr(error, 'strerror', None) or error})"
    finally:
        os.close(above)
    is_dir = mode.S_ISDIR(result.st_mode)
    ignored = rules.ignored(relative, is_dir)
    answers = (
        (
            mode.S_ISREG(result.st_mode) and is_placeholder(result, root / relative, downloads=downloads),
            _IN_THE_CLOUD,
        ),
        (ignored is not None, f"it is ignored by the pattern {ignored}"),
        (mode.S_ISLNK(result.st_mode), "it is a symbolic link, and links are never followed"),
        (is_dir and len(relative.parts) > DEEPEST, f"it is a folder, and {_TOO_DEEP}"),
        (is_dir, "it is a folder; the pictures in it are taken one by one"),
        (not mode.S_ISREG(result.st_mode), "it is no regular file"),
        (result.st_size == 0, "it is empty; it is taken once something is written into it"),
    )
    return next((sentence for holds, sentence in answers if holds), None)
