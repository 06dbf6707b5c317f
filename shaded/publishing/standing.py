"""What stands under a name in an open folder, and whether it still is what it was; no link is followed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader

from shaded.filestat import FileStat

_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STEP = 1 << 20

#: Called between pieces of a long read or copy; what it raises ends it, and nothing half-done is left.
Alive = Callable[[], None]


class Taken(Exception):  # noqa: N818 - never leaves the publisher
    """Somebody else's file has appeared under the name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file under one of a pair's names: how it looks, and its hash."""

    looks: FileStat
    sha256: str


@contextmanager
def open_regular(folder: int, name: str) -> Iterator[BufferedReader]:
    """A regular file, open for reading.

    Raises:
        FileNotFoundError: Nothing has the name.
        Taken: A link, a folder, a pipe or anything else that is no file has it.
        OSError: It cannot be read now; that may pass, and so it says nothing about whose the file is.
    """
    try:
        descriptor = os.open(name, _OLD, dir_fd=folder)
    except OSError as error:
        if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise
        raise Taken from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Taken
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def looks(folder: int, name: str) -> FileStat | None:
    """How whatever has a name looks; ``None`` where nothing has it."""
    try:
        return FileStat.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def find(folder: int, name: str, may_have: Callable[[int], bool], alive: Alive) -> Found | None:
    """The regular file under a name; ``None`` where nothing has it.

    Raises:
        Taken: Something else has it, or a file of a size that it may not have, which is not read.
    """
    try:
        with open_regular(folder, name) as stream:
            seen = FileStat.of(os.fstat(stream.fileno()))
            if not may_have(seen.size):
                raise Taken
            digest = hashlib.sha256()
            while piece := stream.read(_STEP):
                digest.update(piece)
                alive()
    except FileNotFoundError:
        return None
    return Found(seen, digest.hexdigest())


def expect(folder: int, name: str, found: Found | None, alive: Alive) -> None:
    """Make sure that a name still holds what was found there.

    Where it only looks otherwise (a cloud client notes things in a file's attributes), its bytes decide.
    """
    if looks(folder, name) == (found and found.looks):
        return
    now = None if found is None else find(folder, name, lambda size: size == found.looks.size, alive)
    if found is None or now is None or now.sha256 != found.sha256:
        raise Taken
