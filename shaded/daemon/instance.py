"""The state folder, and the lock that lets one daemon use it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from shaded.clock import SystemClock
from shaded.durable import make_folder
from shaded.errors import AlreadyRunning, ConfigurationError
from shaded.ledger import Ledger, LedgerReader
from shaded.settings import Settings

LOCK_NAME = "daemon.lock"
PID_NAME = "daemon.pid"
LEDGER_NAME = "ledger.sqlite3"


def prepare_folder(path: Path, key: str, *, private: bool = False) -> bool:
    """Make a folder and its parents; whether it was missing.

    Args:
        path: The folder.
        key: The setting that names it, for the message.
        private: Nobody but its owner may enter it (mode 0700); for an existing folder too.

    Raises:
        ConfigurationError: It cannot be made.
    """
    try:
        missing = not path.exists()
        make_folder(path, 0o700 if private else 0o777)
        if private:
            path.chmod(0o700)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigurationError(
            f"{key}: the folder cannot be made or used: {why}",
            path=path,
            remedy="Name another folder, or mend this one",
        ) from error
    return missing


def lock_owner(state_dir: Path) -> int | None:
    """The process id that the lock's holder wrote down, if any did."""
    try:
        return int((state_dir / PID_NAME).read_text())
    except (OSError, ValueError):
        return None


@contextmanager
def only_instance(state_dir: Path) -> Iterator[None]:
    """Hold the lock of this state folder; it goes with the process, however that ends.

    Raises:
        AlreadyRunning: Another process holds it; the message names that process.
    """
    lock = FileLock(state_dir / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        owner = lock_owner(state_dir)
        who = "another process" if owner is None else f"process {owner}"
        raise AlreadyRunning(
            f"{who} is already running with this state folder",
            path=state_dir,
            remedy="Stop it first, or set SHADED_STATE_DIR to another folder",
        ) from error
    pid_file = state_dir / PID_NAME
    try:
        with suppress(OSError):  # on a full disk the lock holds without it
            pid_file.write_text(f"{os.getpid()}\n")
        yield
        with suppress(OSError):
            pid_file.unlink(missing_ok=True)
    finally:
        lock.release()


def installation_secret(settings: Settings) -> str:
    """The secret that chooses targets on this installation, 64 hexadecimal digits; made if there is none yet."""
    prepare_folder(settings.state_dir, "state_dir", private=True)
    place, clock = settings.state_dir / LEDGER_NAME, SystemClock()
    reader = LedgerReader.open_readonly(place, clock)
    if reader is not None:
        with reader:
            known = reader.meta_get("secret")
        if known is not None:
            return known
    with Ledger.open(place, clock) as ledger:
        return ledger.secret()
