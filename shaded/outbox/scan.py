"""Looking at what lies in an outbox: whole, or one path.

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Trouble = Callable[[Path, OSError], None]


def is_placeholder(result: os.stat_result, path: Path, *, downloads: bool = False) -> bool:
    """Whether a cloud client holds the content elsewhere; asking downloads nothing.

    Where ``downloads`` is allowed, only stubs are placeholders: reading anything else brings the content.
    """
    if path.name.endswith(STUBS):
        return True
    if downloads:
        return False
    if getattr(result, "st_flags", 0) & SF_DATALESS:
        return True
    return result.st_size < _TINY and any(_says(path, name, value) for name, value in _ATTRIBUTES)


def _says(path: Path, attribute: str, value: bytes | None) -> bool:
    if sys.platform != "linux":
        return False
    try:
        found = os.getxattr(path, attribute, follow_symlinks=False)
    except OSError:
        return False
    return value is None or found == value


def _taken(result: os.stat_result, path: Path, *, downloads: bool) -> FileStat | None:
    """The stat of a regular file that may be read; ``None`` for anything else."""
    if not mode.S_ISREG(result.st_mode) or is_placeholder(result, path, downloads=downloads):
        return None
    return FileStat.of(result)


def scan(
    root: Path, rules: IgnoreRules, trouble: Trouble, *, downloads: bool = False
) -> Iterator[tuple[Path, FileStat]]:
    """Every regular, local file below ``root`` that is not ignored, in the order of the names.

    Args:
        root: The outbox; it may itself be a link.
        rules: What is left out; ignored folders are not entered.
        trouble: Told which folder or file could not be looked at, and why. Vanishing is no trouble.
        downloads: Whether files are taken too whose content a cloud client brings when they are read.

    Yields:
        The path relative to ``root``, and its stat.
    """
    try:
        descriptor = os.open(root, _OPEN_FOLDER & ~os.O_NOFOLLOW)
    except OSError as error:
        trouble(root, error)
        return
    yield from _Walk(root, rules, trouble, downloads).below(descriptor, Path())


def scan_below(
    root: Path, relative: Path, rules: IgnoreRules, trouble: Trouble, *, downloads: bool = False
) -> Iterator[tuple[Path, FileStat]]:
    """The same for one folder inside ``root``, given relative to it."""
    if rules.ignored(relative, is_dir=True) is not None:
        return
    try:
        descriptor = _open_inside(root, relative)
    except FileNotFoundError:
        return
    except OSError as error:
        trouble(root / relative, error)
        return
    yield from _Walk(root, rules, trouble, downloads).below(descriptor, relative)


@dataclass(frozen=True, slots=True)
class _Walk:
    """What stays the same on the way through an outbox."""

    root: Path
    rules: IgnoreRules
    trouble: Trouble
    downloads: bool

    def below(self, descriptor: int, relative: Path) -> Iterator[tuple[Path, FileStat]]:
        """Everything in an open folder, which is closed at the end."""
        try:
            with os.scandir(descriptor) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            for entry in entries:
                yield from self._entry(descriptor, relative / entry.name, entry)
        except OSError as error:
            self.trouble(self.root / relative, error)
        finally:
            os.close(descriptor)

    def _entry(self, descriptor: int, relative: Path, entry: os.DirEntry[str]) -> Iterator[tuple[Path, FileStat]]:
        try:
            is_dir = entry.is_dir(follow_symlinks=False)
            if self.rules.ignored(relative, is_dir) is not None:
                return
            if not is_dir:
                found = _taken(entry.stat(follow_symlinks=False), self.root / relative, downloads=self.downloads)
                if found is not None:
                    yield relative, found
                return
            below = _open_below(descriptor, entry.name, depth=len(relative.parts))
        except FileNotFoundError:
            return
        except OSError as error:
            self.trouble(self.root / relative, error)
            return
        yield from self.below(below, relative)


def _open_below(descriptor: int, name: str, depth: int) -> int:
    if depth > DEEPEST:
        raise OSError(errno.ELOOP, f"folders are nested more than {DEEPEST} deep")
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


def why_not_taken(root: Path, relative: PurePath, rules: IgnoreRules, *, downloads: bool = False) -> str | None:
    """Why a path in an outbox is not taken, one clause; ``None`` where nothing stands against it."""
    try:
        result = os.lstat(root / relative)
    except FileNotFoundError:
        return _IN_THE_CLOUD if _has_stub(root / relative) else "there is no such file"
    except (OSError, ValueError) as error:
        return f"it cannot be looked at ({getattr(error, 'strerror', None) or error})"
    is_dir = mode.S_ISDIR(result.st_mode)
    ignored = rules.ignored(relative, is_dir)
    answers = (
        (
            mode.S_ISREG(result.st_mode) and is_placeholder(result, root / relative, downloads=downloads),
            _IN_THE_CLOUD,
        ),
        (ignored is not None, f"it is ignored by the pattern {ignored}"),
        (mode.S_ISLNK(result.st_mode), "it is a symbolic link, and links are never followed"),
        (is_dir, "it is a folder; the pictures in it are taken one by one"),
        (not mode.S_ISREG(result.st_mode), "it is no regular file"),
        (result.st_size == 0, "it is empty; it is taken once something is written into it"),
    )
    return next((sentence for holds, sentence in answers if holds), None)
