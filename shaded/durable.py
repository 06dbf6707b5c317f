"""Waiting until the disk has a file or a folder's names: a file that was flushed is lost with a name that was not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def settle(folder: int) -> None:
    """Wait until the disk has the names in an open folder, on file systems that can say so."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def settle_folder(path: Path) -> None:
    """The same for a folder by its path; one that this user may not list is left to the system."""
    try:
        folder = os.open(path, _FOLDER)
    except PermissionError:
        return
    try:
        settle(folder)
    finally:
        os.close(folder)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it, unless they are there; the disk has its name when this returns.

    The name is waited for even where the folder is there: whoever made it may have been ended before that.

    Args:
        path: The folder.
        mode: Its permissions, before the umask; those above it have the usual ones.

    Raises:
        OSError: It cannot be made, or something else has its name.
    """
    if not path.parent.exists():
        make_folder(path.parent)
    path.mkdir(mode=mode, exist_ok=True)
    settle_folder(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it: the ledger will say that it is there."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
