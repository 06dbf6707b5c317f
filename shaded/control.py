"""The control socket: how commands reach the running daemon.

A Unix stream socket of mode 0600 (``daemon/rendezvous.py`` says where), one JSON object per line in each direction. A
request is ``{"command": NAME, ...}``; the answer is ``{"ok": true, "result": {...}}`` or ``{"ok": false, "error":
{...}}``. Only processes of the daemon's own user are answered. Neither side trusts the other: lines have a limit on
their length and nesting before they are parsed, and on the time they take.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from shaded import logs
from shaded.daemon import rendezvous
from shaded.daemon.rendezvous import LONGEST_PATH, POINTER_NAME, SHORT_PREFIX, SOCKET_NAME, socket_path
from shaded.daemon.wake import Wake
from shaded.errors import DaemonNotRunning, ShadedError

__all__ = [
    "LONGEST_PATH", "POINTER_NAME", "SHORT_PREFIX", "SOCKET_NAME", "ControlServer", "peer_uid", "request", "socket_path"
]  # fmt: skip

logger = logs.get_logger("control")

LONGEST_REQUEST = 65_536
LONGEST_ANSWER = 64_000_000
#: A request is an object of plain values; nothing that is asked has more levels.
DEEPEST = 16
MOST_CLIENTS = 64
#: How long a client may take to say a line, to hear the answer, or to say nothing, in seconds.
PATIENCE = 5.0
#: How often the socket's place is looked at, in seconds: somebody may clean up there. A lost one is made anew.
LOOK_SECONDS = 60.0
#: The pause when a client cannot be taken, in seconds: no descriptor is left, say.
PAUSE_SECONDS = 0.5

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


def _is_own(connection: socket.socket) -> bool:
    """Whether the other end is this user's."""
    try:
        return peer_uid(connection) in (None, os.getuid())
    except (OSError, struct.error):
        return False


def is_deep(line: bytes) -> bool:
    """Whether a line of JSON has more levels of lists and objects than are asked for, without parsing it."""
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return False
    depth = 0
    quoted = escaped = False
    for byte in line:
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = byte == ord("\\"), byte != ord('"')
        elif byte == ord('"'):
            quoted = True
        elif byte in b"[{":
            depth += 1
            if depth > DEEPEST:
                return True
        elif byte in b"]}":
            depth -= 1
    return False


def _lines(connection: socket.socket, longest: int, seconds: float) -> Iterator[bytes | None]:
    """What the other end says, line by line, each within so many seconds; ``None``, the last, is one that is too long.

    Raises:
        OSError: The connection broke, or the time is over.
    """
    held = bytearray()
    until = time.monotonic() + seconds
    while True:
        end = held.find(b"\n")
        if max(end, len(held) if end < 0 else 0) > longest:
            yield None
            return
        if end >= 0:
            yield bytes(held[:end])
            del held[: end + 1]
            until = time.monotonic() + seconds
            continue
        connection.settimeout(max(0.001, until - time.monotonic()))
        piece = connection.recv(65_536)
        if not piece:
            if held:
                yield bytes(held)
            return
        held += piece


def request(state_dir: Path, command: str, *, timeout: float = 10.0, **arguments: Any) -> dict[str, Any]:
    """Ask the daemon something.

    Args:
        state_dir: The daemon's state folder.
        command: The command's name.
        timeout: Seconds to wait for the answer.
        arguments: What goes along with the command; anything that JSON can hold.

    Raises:
        DaemonNotRunning: Nobody listens, nobody answers in time, or what answers is no daemon.
        ShadedError: What the daemon says is wrong with the request.
    """
    path = socket_path(state_dir)
    line = json.dumps({"command": command, **arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            _connect(connection, path, time.monotonic() + timeout)
            if not _is_own(connection):
                raise PermissionError("the socket is another user's")
            with suppress(BrokenPipeError, ConnectionResetError):  # turned away: it may have said why
                connection.sendall(line)
            answer = json.loads(next(_lines(connection, LONGEST_ANSWER, timeout), None) or b"null")
        if not isinstance(answer, dict) or not isinstance(answer.get("result" if answer.get("ok") else "error"), dict):
            raise ValueError("that is no answer")  # noqa: TRY301, TRY004 - told like silence
    except (OSError, ValueError, RecursionError) as error:
        raise DaemonNotRunning(
            "the daemon is not running, or does not answer",
            path=path,
            remedy="Start it with `shaded run`, or as a service with `shaded service install`",
        ) from error
    if answer.get("ok"):
        result: dict[str, Any] = answer["result"]
        return result
    problem = {key: str(value) for key, value in answer["error"].items() if value is not None}
    raise ShadedError(
        problem.get("what", "the daemon does not say what is wrong"),
        path=problem.get("path"),
        remedy=problem.get("remedy", ""),
    )


def _connect(connection: socket.socket, path: Path, until: float) -> None:
    """Connect; while too many others do so at the same moment, wait."""
    while True:
        try:
            connection.connect(os.fspath(path))
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.02)
        else:
            return


class ControlServer:
    """Answers requests, each connection in a thread of its own.

    Nothing that is sent, and no error of the system, ends it. Where the socket has no place, or lost it, that is logged
    and tried again; the daemon works on meanwhile.

    Args:
        state_dir: The state folder; only the holder of its instance lock may start a server.
        answer: Gets the request, gives the result. A :class:`ShadedError` is passed on to the client.
    """

    def __init__(self, state_dir: Path, answer: Answer) -> None:
        self._state_dir = state_dir
        self._answer = answer
        self._socket: socket.socket | None = None
        self._path = state_dir / SOCKET_NAME
        self._identity: tuple[int, int] | None = None
        self._wake = Wake()
        self._slots = threading.BoundedSemaphore(MOST_CLIENTS)
        self._closing = False
        self._troubled = ""
        self._thread = threading.Thread(target=self._run, daemon=True, name="control")

    def start(self) -> None:
        """Listen, or say in the log why that is not possible now."""
        self._open()
        try:
            self._thread.start()
        except RuntimeError as error:  # no thread can be started
            self._trouble("nobody answers at the control socket until the next start", error)

    def stop(self) -> None:
        """Listen no more and remove the socket."""
        self._closing = True
        self._wake.ring()
        if self._thread.is_alive():
            self._thread.join(timeout=PATIENCE)
        self._close()
        self._wake.close()

    def _open(self) -> bool:
        """Make the socket; whether it listens."""
        listening = None
        try:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listening.setblocking(False)
            self._path = rendezvous.bind(listening, self._state_dir)
            listening.listen(MOST_CLIENTS)
        except OSError as error:
            if listening is not None:
                listening.close()
            self._trouble("the daemon runs without its control socket", error)
            return False
        self._socket, self._identity, self._troubled = listening, rendezvous.identity(self._path), ""
        return True

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            if rendezvous.identity(self._path) == self._identity:
                rendezvous.leave(self._path, self._state_dir)

    def _trouble(self, what: str, error: Exception) -> None:
        """Say what does not work, once for as long as it lasts."""
        if what != self._troubled:
            logger.warning(what, why=str(error), path=str(self._path), again_in=LOOK_SECONDS)
        self._troubled = what

    def _run(self) -> None:
        """Take clients until the end; in a thread of its own."""
        while not self._closing:
            try:
                self._round()
            except Exception:
                if not self._closing:
                    logger.exception("the control socket failed unexpectedly")
                    self._wake.wait(PAUSE_SECONDS)

    def _round(self) -> None:
        """Wait for a client and take it; or look after the socket, where none comes."""
        if self._socket is None:
            self._wake.wait(LOOK_SECONDS)
            if not self._closing:
                self._open()
            return
        if self._socket.fileno() < 0:  # closed by somebody else
            self._closing = True
            return
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._socket, select.POLLIN)
        ready = poll.poll(LOOK_SECONDS * 1000)
        if self._closing:
            return
        if ready:
            self._take_one(self._socket)
        elif rendezvous.identity(self._path) != self._identity:
            logger.warning("the control socket is gone from its place; it is made anew", path=str(self._path))
            self._close()
            self._open()

    def _take_one(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # it left again
        except OSError as error:  # no descriptors, no memory: that passes
            self._trouble("no client of the control socket can be taken now", error)
            self._wake.wait(PAUSE_SECONDS)
            return
        self._troubled = ""
        connection.settimeout(PATIENCE)
        if not _is_own(connection):
            connection.close()
        elif not self._slots.acquire(blocking=False):
            self._turn_away(connection, "too many ask at once; try again in a moment")
        else:
            try:
                threading.Thread(target=self._serve, args=(connection,), daemon=True, name="control-client").start()
            except RuntimeError as error:  # no thread can be started
                self._slots.release()
                self._trouble("no client of the control socket can be taken now", error)
                self._turn_away(connection, "the daemon has no thread for another client; try again in a moment")
                self._wake.wait(PAUSE_SECONDS)

    @staticmethod
    def _turn_away(connection: socket.socket, why: str) -> None:
        with suppress(OSError), connection:
            connection.setblocking(False)
            connection.send(_line(_error(why)))

    def _serve(self, connection: socket.socket) -> None:
        """Answer one client; in a thread of its own."""
        try:
            with connection:
                self._converse(connection)
        except OSError:
            pass  # it hung up, or is too slow
        except Exception:
            logger.exception("a client of the control socket failed unexpectedly")
        finally:
            self._slots.release()

    def _converse(self, connection: socket.socket) -> None:
        for line in _lines(connection, LONGEST_REQUEST, PATIENCE):
            if line is None:
                connection.sendall(_line(_error(f"a request has at most {LONGEST_REQUEST} bytes")))
                _hear_out(connection)
                return
            answer = self._reply(line)
            connection.settimeout(PATIENCE)
            connection.sendall(_line(answer))

    def _reply(self, line: bytes) -> dict[str, Any]:
        """The answer to one request line."""
        asked = None
        with suppress(ValueError, RecursionError):
            asked = None if is_deep(line) else json.loads(line)
        if not isinstance(asked, dict):
            return _error("a request is one JSON object on one line")
        try:
            return {"ok": True, "result": dict(self._answer(asked))}
        except ShadedError as error:
            path = None if error.path is None else str(error.path)
            return {"ok": False, "error": {"what": error.what, "path": path, "remedy": error.remedy}}
        except Exception as error:
            logger.exception("a request failed unexpectedly")
            return _error(f"an unexpected error ({type(error).__name__}: {error})")


def _error(what: str) -> dict[str, Any]:
    return {"ok": False, "error": {"what": what}}


def _line(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _hear_out(connection: socket.socket) -> None:
    """Let a client that says too much come to its end for a moment: hung up on, it would not read the answer."""
    connection.shutdown(socket.SHUT_WR)
    until = time.monotonic() + PATIENCE
    while (left := until - time.monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(65_536):
            return
