"""Looking at what lies in an outbox: whole, or one path.

Folders are opened one below the other without following links, so a folder that is swapped for a link meanwhile is
reported and not entered. Files are only looked at, never opened: a cloud client's placeholder stays a placeholder.
Placeholders are recognised where the system says so (macOS: ``SF_DATALESS``); a file with no blocks is no proof
elsewhere, because some file systems keep small files inside the directory entry.
"""

from __future__ import annotations

import os
import stat as mode
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from shaded.filestat import FileStat
from shaded.outbox.ignore import IgnoreRules

#: ``st_flags`` of a file whose content is not on this machine (macOS, sys/stat.h).
SF_DATALESS = 0x40000000
#: Folders nested deeper are reported, not entered: each level holds one descriptor open.
DEEPEST = 64

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Trouble = Callable[[Path, OSError], None]


def is_placeholder(result: os.stat_result) -> bool:
    """Whether a cloud client holds the content elsewhere."""
    return bool(getattr(result, "st_flags", 0) & SF_DATALESS)


def _taken(result: os.stat_result) -> FileStat | None:
    """The stat of a regular, local file; ``None`` for anything else."""
    return FileStat.of(result) if mode.S_ISREG(result.st_mode) and not is_placeholder(result) else None


def scan(root: Path, rules: IgnoreRules, trouble: Trouble) -> Iterator[tuple[Path, FileStat]]:
    """Every regular, local file below ``root`` that is not ignored, in the order of the names.

    Args:
        root: The outbox; it may itself be a link.
        rules: What is left out; ignored folders are not entered.
        trouble: Told which folder or file could not be looked at, and why. What vanished meanwhile is no trouble.

    Yields:
        The path relative to ``root``, and its stat.
    """
    yield from _scan_folder(root, Path(), rules, trouble, folder=os.fspath(root), within=None, depth=0)


def scan_below(root: Path, relative: Path, rules: IgnoreRules, trouble: Trouble) -> Iterator[tuple[Path, FileStat]]:
    """The same for one folder inside ``root``, given relative to it."""
    if rules.ignored(relative, is_dir=True) is None:
        yield from _scan_folder(
            root, relative, rules, trouble, folder=os.fspath(root / relative), within=None, depth=len(relative.parts)
        )


def _scan_folder(
    root: Path, relative: Path, rules: IgnoreRules, trouble: Trouble, *, folder: str, within: int | None, depth: int
) -> Iterator[tuple[Path, FileStat]]:
    try:
        if depth > DEEPEST:
            raise OSError(0, f"folders are nested more than {DEEPEST} deep")  # noqa: TRY301 - reported like the others
        flags = _OPEN_FOLDER & ~os.O_NOFOLLOW if depth == 0 else _OPEN_FOLDER
        descriptor = os.open(folder, flags, dir_fd=within)
    except FileNotFoundError as error:
        if depth == 0:
            trouble(root, error)
        return
    except OSError as error:
        trouble(root / relative, error)
        return
    try:
        with os.scandir(descriptor) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            yield from _scan_entry(root, relative / entry.name, rules, trouble, entry, descriptor, depth)
    except OSError as error:
        trouble(root / relative, error)
    finally:
        os.close(descriptor)


def _scan_entry(
    root: Path,
    relative: Path,
    rules: IgnoreRules,
    trouble: Trouble,
    entry: os.DirEntry[str],
    descriptor: int,
    depth: int,
) -> Iterator[tuple[Path, FileStat]]:
    try:
        is_dir = entry.is_dir(follow_symlinks=False)
        if rules.ignored(relative, is_dir) is not None:
            return
        found = None if is_dir else _taken(entry.stat(follow_symlinks=False))
    except FileNotFoundError:
        return
    except OSError as error:
        trouble(root / relative, error)
        return
    if is_dir:
        yield from _scan_folder(root, relative, rules, trouble, folder=entry.name, within=descriptor, depth=depth + 1)
    elif found is not None:
        yield relative, found


def look(path: Path) -> FileStat | None:
    """How a regular, local file looks now; ``None`` where it is gone, something else, or not to be looked at."""
    try:
        return _taken(os.lstat(path))
    except (OSError, ValueError):
        return None


def why_not_taken(root: Path, relative: PurePath, rules: IgnoreRules) -> str | None:
    """A sentence that says why a path in an outbox is never taken; ``None`` where nothing stands against it."""
    try:
        result = os.lstat(root / relative)
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:
        return f"it cannot be looked at ({getattr(error, 'strerror', None) or error})"
    reason = rules.ignored(relative, mode.S_ISDIR(result.st_mode))
    if reason is not None:
        return f"it is ignored by the pattern {reason}"
    if mode.S_ISLNK(result.st_mode):
        return "it is a symbolic link, and links are never followed"
    if mode.S_ISDIR(result.st_mode):
        return "it is a folder; the pictures in it are taken one by one"
    if not mode.S_ISREG(result.st_mode):
        return "it is no regular file"
    if is_placeholder(result):
        return "its content is still in the cloud; it is taken once it is on this machine"
    if result.st_size == 0:
        return "it is empty; it is taken once something is written into it"
    return None
