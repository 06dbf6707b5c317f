"""The lock that lets one daemon use a state folder."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shaded.daemon.holdings import LEDGER_NAME, LOCK_NAME, PID_NAME, prepare_folder, read_small
from shaded.daemon.secretfile import installation_secret
from shaded.errors import AlreadyRunning, Unavailable

__all__ = [
    "LEDGER_NAME", "LOCK_NAME", "PID_NAME", "installation_secret", "is_locked", "lock_owner", "only_instance",
    "prepare_folder",
]  # fmt: skip

#: Whoever only asks holds the lock for an instant: so often, and with this pause in seconds, it is tried.
_TRIES = 5
_PAUSE = 0.05
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class _Held(Exception):  # noqa: N818 - never leaves this module
    """Another process has the lock."""


def lock_owner(state_dir: Path) -> int | None:
    """The process id that the lock's holder wrote down, if any did."""
    for name in (LOCK_NAME, PID_NAME):
        with suppress(OSError, ValueError):
            return int(read_small(state_dir / name, 32) or b"")
    return None


def is_locked(state_dir: Path) -> bool:
    """Whether a daemon holds this state folder."""
    for path, flags in ((state_dir / LOCK_NAME, _FILE & ~os.O_CREAT), (state_dir, _FOLDER)):
        try:
            held = _lock(path, flags, fcntl.LOCK_SH)
        except _Held:
            return True
        if held is not None:
            os.close(held)
    return False


@contextmanager
def only_instance(state_dir: Path) -> Iterator[None]:
    """Hold the lock of this state folder; it goes with the process, however that ends.

    The lock is on a file, which earlier versions lock too, and on the folder itself: so it holds where something else
    stands in the file's place.

    Raises:
        AlreadyRunning: Another process holds it; the message names that process.
        Unavailable: The folder cannot be locked now.
    """
    held: list[int] = []
    try:
        try:
            file = _patiently(state_dir / LOCK_NAME, _FILE, held)
            folder = _patiently(state_dir, _FOLDER, held)
        except _Held:
            owner = lock_owner(state_dir)
            who = "another process" if owner is None else f"process {owner}"
            raise AlreadyRunning(
                f"{who} is already running with this state folder",
                path=state_dir,
                remedy="Stop it first, or set SHADED_STATE_DIR to another folder",
            ) from None
        if file is None and folder is None:
            raise Unavailable("the state folder cannot be locked", path=state_dir, remedy="Make it writable")
        with suppress(OSError):  # on a full disk the lock holds without it
            _write_down(file, b"%d\n" % os.getpid())
        yield
        with suppress(OSError):
            _write_down(file, b"")
    finally:
        for descriptor in held:
            os.close(descriptor)


def _patiently(path: Path, flags: int, held: list[int]) -> int | None:
    for left in reversed(range(_TRIES)):
        try:
            descriptor = _lock(path, flags, fcntl.LOCK_EX)
        except _Held:
            if not left:
                raise
            time.sleep(_PAUSE)
        else:
            held += [] if descriptor is None else [descriptor]
            return descriptor
    return None


def _lock(path: Path, flags: int, kind: int) -> int | None:
    """A descriptor with the lock on it; ``None`` where that cannot be locked."""
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        return None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return descriptor
    except BlockingIOError:
        os.close(descriptor)
        raise _Held from None
    except OSError:  # some network file systems lock no folders
        pass
    os.close(descriptor)
    return None


def _write_down(descriptor: int | None, text: bytes) -> None:
    """Write into the lock's file, if nothing but such a number stands there: it may be a hard link to anything."""
    if descriptor is not None and not os.pread(descriptor, _LONGEST, 0).strip(b"0123456789\n"):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)
