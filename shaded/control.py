"""The control socket: how commands reach the running daemon.

A Unix stream socket in the state folder, mode 0600, one JSON object per line in each direction. A request is
``{"command": NAME, ...}``; the answer is ``{"ok": true, "result": {...}}`` or ``{"ok": false, "error": {...}}``.
Only processes of the daemon's own user are answered. Where the state folder's path is too long for a socket
(about 100 bytes), the socket stands in a private short folder and a pointer file in the state folder says where.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from shaded.errors import DaemonNotRunning, ShadedError

SOCKET_NAME = "control.sock"
POINTER_NAME = "control.path"
SHORT_PREFIX = "shaded-"
#: ``sockaddr_un.sun_path`` holds 108 bytes on Linux and 104 on macOS, the closing zero included.
LONGEST_PATH = 103
LONGEST_REQUEST = 65_536
#: How long the server waits for a client that says nothing, in seconds.
PATIENCE = 5.0

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def peer_uid(connection: socket.socket) -> int | None:
    """The user id at the other end, where the system tells it."""
    if hasattr(socket, "SO_PEERCRED"):
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", packed)[1])
    if sys.platform == "darwin":
        local, local_peercred = (
            0,
            1,
        )  # SOL_LOCAL and LOCAL_PEERCRED of sys/un.h; struct xucred: version, uid, ...
        packed = connection.getsockopt(local, local_peercred, 76)
        return int(struct.unpack_from("=II", packed)[1])
    return None


def _short_folder() -> Path:
    """A new private folder whose path is short."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = bool(runtime) and len(os.fsencode(runtime)) < LONGEST_PATH - 40 and Path(runtime).is_dir()
    base = runtime if usable else "/tmp"  # noqa: S108 - mkdtemp makes it private
    return Path(tempfile.mkdtemp(prefix=SHORT_PREFIX, dir=base))


def _remove_short(path: Path) -> None:
    """Remove a socket in a short folder and that folder; nothing that is not exactly that."""
    if path.name == SOCKET_NAME and path.parent.name.startswith(SHORT_PREFIX):
        with suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()


def _is_short(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_PATH


def socket_path(state_dir: Path) -> Path:
    """Where the socket of the daemon with this state folder is, or would be."""
    here = state_dir / SOCKET_NAME
    if _is_short(here):
        return here
    try:
        return Path(os.fsdecode((state_dir / POINTER_NAME).read_bytes()))
    except OSError:
        return here


def request(state_dir: Path, command: str, *, timeout: float = 10.0, **arguments: Any) -> dict[str, Any]:
    """Ask the daemon something.

    Args:
        state_dir: The daemon's state folder.
        command: The command's name.
        timeout: Seconds to wait for the answer.
        arguments: What goes along with the command; anything that JSON can hold.

    Raises:
        DaemonNotRunning: Nobody listens, or nobody answers in time.
        ShadedError: What the daemon says is wrong with the request.
    """
    path = socket_path(state_dir)
    line = json.dumps({"command": command, **arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(os.fspath(path))
            connection.sendall(line)
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline() or b"{}")
    except (OSError, ValueError) as error:
        raise DaemonNotRunning(
            "the daemon is not running, or does not answer",
            path=path,
            remedy="Start it with `shaded run`, or as a service with `shaded service install`",
        ) from error
    if answer.get("ok"):
        result: dict[str, Any] = answer["result"]
        return result
    problem = answer.get("error", {})
    raise ShadedError(
        problem.get("what", "the daemon closed the connection"),
        path=problem.get("path"),
        remedy=problem.get("remedy", ""),
    )


class ControlServer:
    """Answers requests, each connection in a thread of its own.

    Args:
        state_dir: Where the socket is made; an existing folder. A socket left by a dead daemon is replaced: only the
            holder of the instance lock may start a server.
        answer: Gets the request, gives the result. A :class:`ShadedError` is passed on to the client.
    """

    def __init__(self, state_dir: Path, answer: Answer) -> None:
        self._state_dir = state_dir
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._path = state_dir / SOCKET_NAME
        self._closing = False

    def start(self) -> None:
        """Listen."""
        if not _is_short(self._path):
            _remove_short(socket_path(self._state_dir))  # a killed daemon's
            self._path = _short_folder() / SOCKET_NAME
            (self._state_dir / POINTER_NAME).write_bytes(os.fsencode(self._path))
        self._path.unlink(missing_ok=True)
        self._socket.bind(os.fspath(self._path))
        self._path.chmod(0o600)
        self._socket.listen(16)
        threading.Thread(target=self._accept, daemon=True, name="control").start()

    def stop(self) -> None:
        """Listen no more and remove the socket."""
        self._closing = True
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(1.0)
            knock.connect(os.fspath(self._path))  # wakes the thread that accepts
        self._socket.close()
        self._path.unlink(missing_ok=True)
        if self._path.parent != self._state_dir:
            _remove_short(self._path)
            (self._state_dir / POINTER_NAME).unlink(missing_ok=True)

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self._closing or peer_uid(connection) not in (None, os.getuid()):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True, name="control-client").start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rwb") as stream:
            connection.settimeout(PATIENCE)
            while line := stream.readline(LONGEST_REQUEST):
                stream.write(json.dumps(self._reply(line)).encode() + b"\n")
                stream.flush()

    def _reply(self, line: bytes) -> dict[str, Any]:
        """The answer to one request line."""
        try:
            asked = json.loads(line)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return {"ok": False, "error": {"what": "a request is one JSON object on one line"}}
        try:
            return {"ok": True, "result": dict(self._answer(asked))}
        except ShadedError as error:
            path = None if error.path is None else str(error.path)
            return {"ok": False, "error": {"what": error.what, "path": path, "remedy": error.remedy}}
        except Exception as error:  # noqa: BLE001 - a request must never end the daemon
            return {"ok": False, "error": {"what": f"an unexpected error ({type(error).__name__}: {error})"}}
