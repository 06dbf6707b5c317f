"""What the daemon answers on its control socket.

Questions are answered in the client's thread, from a read-only connection to the ledger and the daemon's last view of
itself; orders that change something wait for the daemon's own thread.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shaded import logs
from shaded.clock import Clock
from shaded.daemon.holdings import LEDGER_NAME
from shaded.errors import ShadedError, UsageError
from shaded.ledger import LedgerReader
from shaded.reports import explain_document, queue_document, status_document
from shaded.settings import Settings

if TYPE_CHECKING:
    from shaded.daemon.loop import Daemon

logger = logs.get_logger("daemon")

#: In bytes: what systems allow.
LONGEST_PATH = 4096
#: In seconds.
LONGEST_PAUSE = 100 * 366 * 86_400.0
#: How long orders are carried out in one round, in seconds.
COMMAND_SECONDS = 0.1
#: How long a client waits for the daemon's thread, in seconds; it may be reading a large file just then.
PATIENCE = 60.0


@dataclass(frozen=True)
class Order:
    """A command on its way to the daemon's thread."""

    asked: Mapping[str, Any]
    reply: queue.SimpleQueue[dict[str, Any] | ShadedError] = field(default_factory=queue.SimpleQueue)


class Commands:
    """Carries orders out, in the daemon's thread."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()

    def put(self, order: Order) -> None:
        """Queue an order, from any thread."""
        self._orders.put(order)

    @property
    def waiting(self) -> bool:
        """Whether an order waits to be carried out."""
        return not self._orders.empty()

    def work(self) -> None:
        """Carry out what is queued, for a moment at most: whoever asks without end waits for the rest of the round."""
        until = time.monotonic() + COMMAND_SECONDS
        while not self._orders.empty() and time.monotonic() < until:
            order = self._orders.get()
            try:
                order.reply.put(self._carry_out(order.asked))
            except ShadedError as error:
                order.reply.put(error)
            except Exception as error:  # the asker is told, and the daemon goes on
                logger.exception("a command failed unexpectedly", command=str(order.asked.get("command"))[:100])
                order.reply.put(ShadedError(f"an unexpected error ({type(error).__name__}: {error})"))

    def _carry_out(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        daemon, command = self._daemon, asked.get("command")
        if command == "pause":
            daemon.pause(_seconds(asked))
            return {"paused": True, "until": daemon.paused_until}
        if command == "resume":
            daemon.resume()
            return {"paused": False}
        if command == "retry":
            changed = daemon.ledger.retry(None if asked.get("path") is None else self._known_path(asked))
            daemon.delivery.note()
            return {"retried": changed}
        if command == "reload":
            return {"reloaded": True, "not_changed": list(daemon.reload())}
        if command == "bump":
            return {"bumped": daemon.ledger.bump(self._known_path(asked))}
        if command == "why_not":
            return {"why": daemon.why_not(_path(asked))}
        raise UsageError(f"there is no command {str(command)[:100]!r}")

    def _known_path(self, asked: Mapping[str, Any]) -> Path:
        """The path that a request names, as the ledger knows it: it may lead through a link to an outbox."""
        return self._daemon.ledger.known_path(_path(asked), self._daemon.settings.folders_named)


def _path(asked: Mapping[str, Any]) -> Path:
    """The path that a request names."""
    path = asked.get("path")
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        raise UsageError("the request needs an absolute path")
    try:
        length = len(os.fsencode(path))
    except UnicodeEncodeError:
        raise UsageError("the request names no path that there could be") from None
    if length > LONGEST_PATH:
        raise UsageError("the path is too long", remedy=f"A path has at most {LONGEST_PATH} bytes")
    return Path(path)


def _seconds(asked: Mapping[str, Any]) -> float | None:
    """How long a request says; ``None``: without an end."""
    seconds = asked.get("seconds")
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_PAUSE:
        raise UsageError("a pause lasts a positive number of seconds, a hundred years at most")
    return float(seconds)


def answerer(daemon: Daemon, settings: Settings, clock: Clock) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """The function that a :class:`~shaded.control.ControlServer` calls in its clients' threads."""

    def answer(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        command = asked.get("command")
        if command not in ("status", "queue", "explain"):
            return _ordered(daemon, asked)
        reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, clock, settings.scheduling)
        try:
            if command == "status":
                return status_document(reader, daemon.view)
            if command == "queue":
                return queue_document(reader)
            path = _path(asked)
            why = _ordered(daemon, {"command": "why_not", "path": str(path)})["why"]
            return explain_document(reader, daemon.settings, path, why, running=True, blocked=daemon.view.blocked)
        finally:
            if reader is not None:
                reader.close()

    return answer


def _ordered(daemon: Daemon, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Let the daemon's thread carry it out."""
    order = Order(asked)
    daemon.order(order)
    try:
        result = order.reply.get(timeout=PATIENCE)
    except queue.Empty:
        raise ShadedError("the daemon is too busy to answer", remedy="Try again in a moment") from None
    if isinstance(result, ShadedError):
        raise result
    return result
