"""What is this program's own: its state folder and its staging folder, each proven by a marker that it wrote.

A folder that the settings name may be anybody's. One that is missing is made; an empty one is taken and marked; one
with other things in it is refused before anything is created, and its permissions are never changed. Finished pictures
wait in a subfolder that this program makes, and only what has its own exact pattern of name is ever removed there.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from shaded import logs
from shaded.durable import make_folder
from shaded.errors import AlreadyRunning, ConfigurationError, ShadedError, Transient, unusable_folder
from shaded.settings import Settings

logger = logs.get_logger("daemon")

LOCK_NAME = "daemon.lock"
PID_NAME = "daemon.pid"  # of earlier versions
LEDGER_NAME = "ledger.sqlite3"
SECRET_NAME = "installation.secret"  # noqa: S105 - a file's name
STATE_MARKER = ".shaded-state"
STAGING_MARKER = ".shaded-staging"
_NEW = ".new"

#: Every name that this program gives in its state folder. Earlier versions wrote no marker.
_STATE_NAMES = {
    LEDGER_NAME, f"{LEDGER_NAME}-wal", f"{LEDGER_NAME}-shm", f"{LEDGER_NAME}-journal", LOCK_NAME, PID_NAME,
    SECRET_NAME, SECRET_NAME + _NEW, STATE_MARKER, STATE_MARKER + _NEW, "control.sock", "control.path", "staging",
}  # fmt: skip
#: What the system itself puts into a folder that nobody has used yet.
_SYSTEM_NAMES = {"lost+found", ".DS_Store", ".Trashes", ".fseventsd", ".Spotlight-V100"}
#: A job's folder in staging, and the one for a copy under way.
_STAGED = re.compile(r"\Ashaded-(job|copy)-[0-9]+\Z")
_LONGEST_MARKER = 16_384
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

Kind = Literal["outbox", "publish", "sidecars"]


def named_folders(settings: Settings) -> list[tuple[str, Kind, Path]]:
    """Each folder for pictures and for sidecars that the settings name: its key, its kind and its path."""
    named: list[tuple[str, Kind, Path]] = []
    for number, folder in enumerate(settings.folder):
        named.append((f"folder.{number}.outbox", "outbox", folder.outbox))
        named.append((f"folder.{number}.publish", "publish", folder.publish))
    sidecars = settings.publishing.sidecars
    return named if sidecars is None else [*named, ("publishing.sidecars", "sidecars", sidecars)]


def prepare_folder(path: Path, key: str, *, private: bool = False) -> bool:
    """Make a folder and its parents; whether it was missing. The permissions of one that is there stay as they are.

    Args:
        path: The folder.
        key: The setting that names it, for the message.
        private: Nobody but its owner may enter the one that is made (mode 0700).

    Raises:
        ConfigurationError: It cannot be made, and time will not change that.
        Unavailable: It cannot be made now.
    """
    try:
        missing = not path.exists()
        make_folder(path, 0o700 if private else 0o777)
    except OSError as error:
        raise unusable_folder(error, key, path) from error
    return missing


def read_small(path: Path, most: int) -> bytes | None:
    """The bytes of a small regular file; ``None`` where none stands there. Links are not followed, pipes not waited on.

    Raises:
        OSError: It cannot be read now.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_LINK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        if path.is_symlink() or not path.is_file():
            return None
        raise
    try:
        return os.read(descriptor, most) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    finally:
        os.close(descriptor)


def write_small(path: Path, data: bytes) -> None:
    """Write a small private file whole and durably; only a regular file of that name is replaced.

    Raises:
        OSError: It cannot be written, or something else stands there.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise FileExistsError(17, "something that is no file stands there", str(path))
    unfinished = path.with_name(path.name + _NEW)
    with suppress(FileNotFoundError):
        unfinished.unlink()  # a crash left it
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _marker(path: Path, kind: Literal["state", "staging"]) -> dict[str, Any] | None:
    """What a marker says; ``None`` where there is none that this program wrote."""
    try:
        found = json.loads(read_small(path, _LONGEST_MARKER) or b"null")
    except (OSError, ValueError, RecursionError):
        return None
    whole = isinstance(found, dict) and found.get("shaded") == kind and isinstance(found.get("id"), str)
    return found if whole else None


def _mark(path: Path, key: str, content: dict[str, str]) -> None:
    about = "Written by shaded: it uses this folder. Do not delete it while shaded is in use."
    try:
        write_small(path, json.dumps({**content, "about": about}).encode() + b"\n")
    except OSError as error:
        raise unusable_folder(error, key, path) from error


def _names(folder: Path, key: str) -> set[str]:
    """What is in a folder; a missing one is empty.

    Raises:
        ConfigurationError: It is no folder.
        Unavailable: It cannot be read now.
    """
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names are all that is asked for
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise unusable_folder(error, key, folder) from error


def _foreign(key: str, folder: Path, others: Collection[str]) -> ConfigurationError:
    return ConfigurationError(
        f"{key}: the folder holds other things ({min(others)}), and shaded did not make it",
        path=folder,
        remedy="Name a folder for shaded alone, one that is empty or does not exist yet; nothing was changed there",
    )


def refuse_foreign(settings: Settings) -> None:
    """Say no to state and staging folders that are somebody else's; nothing is created or changed.

    Raises:
        ConfigurationError: One of them is; the message names the key.
        Unavailable: One of them cannot be read now.
    """
    refuse_foreign_state(settings.state_dir)
    refuse_foreign_staging(settings)


def refuse_foreign_state(state_dir: Path) -> None:
    """Say no to a state folder that this program did not make; see :func:`refuse_foreign`."""
    names = _names(state_dir, "state_dir") - _SYSTEM_NAMES
    if _marker(state_dir / STATE_MARKER, "state") is not None or _has_ledger(state_dir):
        return
    others = {name for name in names if name not in _STATE_NAMES or not _may_be_ours(state_dir / name)}
    if others:
        raise _foreign("state_dir", state_dir, others)


def _may_be_ours(path: Path) -> bool:
    """Whether what has one of this program's names looks like what a start that was cut off leaves there.

    An empty file is nobody's loss. A lock holds a number, and the secret and the marker begin as they do. A database
    that can be read is another program's, since ours was looked for before; one that cannot may be ours.
    """
    if path.name.startswith(LEDGER_NAME):
        with suppress(ShadedError):
            return not _peek(path.with_name(LEDGER_NAME), "SELECT name FROM sqlite_master WHERE type = 'table'")
        return True
    if path.name == "staging" and path.is_dir():
        return all(_STAGED.match(each.name) for each in path.iterdir())
    if path.is_symlink() or not path.is_file():
        return True  # what is no file is left alone wherever it stands
    with suppress(OSError):
        held = read_small(path, _LONGEST_MARKER)
        return held is not None and (
            not held.strip(b"0123456789\n") or held.startswith((b"shaded secret ", b'{"shaded": '))
        )
    return False


def _peek(path: Path, query: str) -> list[tuple[Any, ...]]:
    from shaded.ledger.connection import peek  # noqa: PLC0415 - who asks a running daemon needs no ledger

    return peek(path, query)


def _has_ledger(state_dir: Path) -> bool:
    """Whether an earlier version's ledger is there."""
    with suppress(ShadedError):
        tables = _peek(state_dir / LEDGER_NAME, "SELECT name FROM sqlite_master WHERE type = 'table'")
        return {("jobs",), ("placements",), ("outputs",)} <= set(tables)
    return False


def refuse_foreign_staging(settings: Settings) -> None:
    """Say no to a staging folder that this program did not make; see :func:`refuse_foreign`."""
    key, home = "publishing.staging", settings.staging_home
    if settings.staging_dir.is_symlink():
        raise ConfigurationError(
            f"{key}: a link stands where finished pictures wait",
            path=settings.staging_dir,
            remedy="Remove the link, and name the folder it leads to, or another one, as publishing.staging",
        )
    if home is None:
        return
    names = _names(home, key)
    marker = _marker(home / STAGING_MARKER, "staging")
    if marker is None:
        others = names - _SYSTEM_NAMES - {STAGING_MARKER, STAGING_MARKER + _NEW} - _known_here(settings, home)
        if others:
            raise _foreign(key, home, others)
    elif not _is_owner(settings.state_dir, marker):
        raise ConfigurationError(
            f"{key}: the folder belongs to the daemon whose state folder is {marker.get('state_dir')}",
            path=home,
            remedy=f"Give each daemon a folder of its own. If that daemon is gone, delete {settings.staging_dir.name} "
            f"and {STAGING_MARKER} there",
        )


def _is_owner(state_dir: Path, marker: dict[str, Any]) -> bool:
    mine = _marker(state_dir / STATE_MARKER, "state")
    known = mine is not None and mine["id"] == marker["id"]
    return known or os.path.realpath(state_dir) == marker.get("state_dir")


def _known_here(settings: Settings, home: Path) -> set[str]:
    """What earlier versions left right in the staging folder, by the ledger, and the way to the state folder."""
    known = set()
    state_dir = settings.state_dir
    if state_dir.is_relative_to(home) and state_dir != home:
        known.add(state_dir.relative_to(home).parts[0])
    with suppress(ShadedError):
        place = state_dir / LEDGER_NAME
        known |= {str(row[0]) for row in _peek(place, "SELECT id FROM jobs WHERE state IN ('running', 'rendered')")}
        known |= {f"publish-{row[0]}" for row in _peek(place, "SELECT id FROM placements WHERE published IS NULL")}
    return known


def claim_state(state_dir: Path) -> str:
    """Take the state folder: make or mark it where that is still to be done; its identity.

    Raises:
        ConfigurationError: It is somebody else's, or cannot be made.
        Unavailable: It cannot be used now.
    """
    refuse_foreign_state(state_dir)
    prepare_folder(state_dir, "state_dir", private=True)
    marker = _marker(state_dir / STATE_MARKER, "state")
    if marker is None:
        marker = {"shaded": "state", "id": secrets.token_hex(16)}
        _mark(state_dir / STATE_MARKER, "state_dir", marker)
    return str(marker["id"])


def claim_staging(settings: Settings, state_id: str) -> None:
    """Take the staging folder; see :func:`claim_state`."""
    refuse_foreign_staging(settings)
    key, home = "publishing.staging", settings.staging_home
    if home is not None:
        prepare_folder(home, key, private=True)
        if _marker(home / STAGING_MARKER, "staging") is None:
            owner = {"shaded": "staging", "id": state_id, "state_dir": os.path.realpath(settings.state_dir)}
            _mark(home / STAGING_MARKER, key, owner)
    prepare_folder(settings.staging_dir, key, private=True)


@contextmanager
def staging_to_itself(settings: Settings) -> Iterator[None]:
    """Keep other daemons out of the staging folder, for as long as the process lives at most.

    Raises:
        AlreadyRunning: Another one uses it.
        Unavailable: It cannot be locked now.
    """
    if settings.staging_home is None:
        yield  # the lock of the state folder is enough
        return
    marker = settings.staging_home / STAGING_MARKER
    try:
        descriptor = os.open(marker, os.O_RDWR | _NO_LINK)
    except OSError as error:
        raise unusable_folder(error, "publishing.staging", marker) from error
    try:
        with suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(
                    "publishing.staging: another daemon uses this folder",
                    path=settings.staging_home,
                    remedy="Give each daemon a folder of its own",
                ) from None
        yield
    finally:
        os.close(descriptor)


# What stands in the staging folder ---------------------------------------------------------------------------------


def job_folder(staging: Path, job_id: str) -> Path:
    """Where a job's result is rendered."""
    return staging / f"shaded-job-{job_id}"


def copy_folder(staging: Path, placement_id: int) -> Path:
    """Where a copy is made ready for one place."""
    return staging / f"shaded-copy-{placement_id}"


def make_job_folder(settings: Settings, job_id: str) -> Path:
    """An empty folder for a job.

    Raises:
        Transient: The folder that the settings name is away.
        OSError: It cannot be made.
    """
    home = settings.staging_home
    if home is not None and _marker(home / STAGING_MARKER, "staging") is None:
        raise Transient(
            "the staging folder is missing", path=home, remedy="Mount its disk; it is tried again by itself"
        )
    if not settings.staging_dir.is_dir():  # else it was made at the start
        make_folder(settings.staging_dir, 0o700)
    folder = job_folder(settings.staging_dir, job_id)
    remove_staged(folder)
    make_folder(folder, 0o700)
    return folder


def remove_staged(folder: Path) -> bool:
    """Remove a folder of the staging folder, if it has this program's own pattern of name and is no link."""
    try:
        if not _STAGED.match(folder.name) or folder.is_symlink() or not folder.is_dir():
            return False
    except OSError:  # the staging folder may not be looked into now: the next start tidies
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def tidy_staging(staging: Path, needed: Collection[Path]) -> None:
    """Remove what a crash left in the staging folder; ``needed`` are the job folders that are not to go."""
    try:
        entries = sorted(staging.iterdir())
    except OSError as error:
        logger.warning("staging cannot be tidied now", path=str(staging), why=error.strerror)
        return
    for entry in entries:
        if entry not in needed and remove_staged(entry):
            logger.info("removed what a crash left in staging", path=str(entry))
