"""Where the control socket stands: in the state folder, or else in a private short folder that a pointer file names.

The second is for state folders whose path is too long for a socket (about 100 bytes), and for those in which something
else stands in the socket's place. Only what this program provably made is ever removed: a socket of this user in its
own state folder, and a short folder that says itself which state folder it serves.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from shaded import logs
from shaded.daemon.holdings import read_small, write_small

logger = logs.get_logger("control")

SOCKET_NAME = "control.sock"
POINTER_NAME = "control.path"
SHORT_PREFIX = "shaded-"
#: In a short folder: the state folder that it serves.
SERVES_NAME = "state-folder"
#: ``sockaddr_un.sun_path`` holds 108 bytes on Linux and 104 on macOS, the closing zero included.
LONGEST_PATH = 103
_SHORT = re.compile(r"\Ashaded-[A-Za-z0-9_]{8}\Z")
_LONGEST_TEXT = 8192


def is_short(path: Path) -> bool:
    """Whether a socket can have this path."""
    return len(os.fsencode(path)) <= LONGEST_PATH


def socket_path(state_dir: Path) -> Path:
    """Where the socket of the daemon with this state folder is, or would be."""
    here = state_dir / SOCKET_NAME
    if is_short(here) and _is_own_socket(here):
        return here
    return _pointed(state_dir) or here


def _pointed(state_dir: Path) -> Path | None:
    """What the pointer file says, if that is the form of a short folder's socket."""
    with suppress(OSError):
        path = Path(os.fsdecode(read_small(state_dir / POINTER_NAME, _LONGEST_TEXT) or b""))
        formed = path.name == SOCKET_NAME and _SHORT.match(path.parent.name)
        if formed and path.is_absolute() and is_short(path) and "\0" not in str(path):
            return path
    return None


def _is_own_socket(path: Path) -> bool:
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid()


def bind(listening: socket.socket, state_dir: Path) -> Path:
    """Give a socket its place, which only the holder of the instance lock may do; a dead daemon's is replaced.

    Raises:
        OSError: There is no place for it now; nothing is left behind.
    """
    here = state_dir / SOCKET_NAME
    _remove_short(state_dir)
    if is_short(here):
        if _is_own_socket(here):
            here.unlink()
        if not os.path.lexists(here):
            _bind_at(listening, here)
            return here
        logger.warning("something else stands in the control socket's place; another place is used", path=str(here))
    pointer = state_dir / POINTER_NAME
    if os.path.lexists(pointer) and _pointed(state_dir) is None:
        raise FileExistsError(errno.EEXIST, "something else stands in the pointer's place", str(pointer))
    folder = _short_folder()
    try:
        write_small(folder / SERVES_NAME, _serves(state_dir))
        _bind_at(listening, folder / SOCKET_NAME)
        write_small(pointer, os.fsencode(folder / SOCKET_NAME))
    except OSError:
        _empty(folder)
        raise
    return folder / SOCKET_NAME


def _bind_at(listening: socket.socket, path: Path) -> None:
    listening.bind(os.fspath(path))
    path.chmod(0o600)


def identity(path: Path) -> tuple[int, int] | None:
    """What tells the socket that stands there from another one; ``None``: there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def leave(path: Path, state_dir: Path) -> None:
    """Remove the socket of this process, and the short folder and pointer where it has these."""
    with suppress(OSError):
        if path.parent == state_dir:
            path.unlink(missing_ok=True)
        else:
            _remove_short(state_dir)


def _short_folder() -> Path:
    """A new private folder whose path is short."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = bool(runtime) and len(os.fsencode(runtime)) < LONGEST_PATH - 40 and Path(runtime).is_dir()
    base = runtime if usable else "/tmp"  # noqa: S108 - mkdtemp makes it private
    return Path(tempfile.mkdtemp(prefix=SHORT_PREFIX, dir=base))


def _serves(state_dir: Path) -> bytes:
    return os.fsencode(os.path.realpath(state_dir))


def _remove_short(state_dir: Path) -> None:
    """Remove the short folder that the pointer names, if that says itself that it serves this state folder."""
    path = _pointed(state_dir)
    if path is None:
        return
    with suppress(OSError):
        found = path.parent.lstat()
        private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
        if private and read_small(path.parent / SERVES_NAME, _LONGEST_TEXT) == _serves(state_dir):
            _empty(path.parent)
            (state_dir / POINTER_NAME).unlink()


def _empty(folder: Path) -> None:
    """Remove a short folder with what this program puts into it; anything else there stays, and the folder with it."""
    with suppress(OSError):
        if _is_own_socket(folder / SOCKET_NAME):
            (folder / SOCKET_NAME).unlink()
        for name in (SERVES_NAME, SERVES_NAME + ".new"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
