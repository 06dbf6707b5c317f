"""Logs: readable lines on a terminal, JSON lines anywhere else, always on standard error.

A line names what happened in plain words (``picture published``) and carries its facts as keys. Everything on one
picture's way is logged inside :func:`about_job`, so that each of its lines has the same ``job``.

A warning that repeats itself is thinned out: the first is written, and then one in each ``repeat_seconds``, with how
often it was left out (``repeated``). What cannot be written, on a full disk or a closed terminal, is lost; the daemon
goes on.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from shaded.errors import printable

LogFormat = Literal["console", "json"]
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def resolve_format(wanted: Literal["auto", "console", "json"], stream: TextIO) -> LogFormat:
    """What ``auto`` means for this stream: ``console`` on a terminal, else ``json``."""
    if wanted != "auto":
        return wanted
    return "console" if stream.isatty() else "json"


def get_logger(room: str) -> FilteringBoundLogger:
    """A logger whose lines carry ``room``, the part of the program that speaks."""
    logger: FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def about_job(job_id: str) -> AbstractContextManager[None]:
    """Bind every line logged inside the ``with`` block to this job."""
    return structlog.contextvars.bound_contextvars(job=job_id)


class _CurrentStderr:
    """Looks standard error up at every write, because a live display replaces it while it draws."""

    def msg(self, line: str) -> None:
        """Write one line at once, so that lines of two threads do not mix."""
        with suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = error = critical = exception = failure = fatal = msg


def _plain_level(_logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Name the level without structlog's aliases (``exception`` is an error)."""
    event["level"] = "error" if name == "exception" else name
    return event


class Thinning:
    """Drops warnings and errors that repeat themselves: same event, same file, same reason.

    Args:
        seconds: A repeated one is written once in so long; 0: every time.
        now: A monotonic clock, in seconds.
    """

    #: So many different warnings are remembered; of the one seen longest ago the next is written again.
    MOST = 1000

    def __init__(self, seconds: float, now: Callable[[], float] | None = None) -> None:
        self._seconds = seconds
        self._now = now or time.monotonic
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        """Pass an event on, or drop it."""
        if not self._seconds or event.get("level") not in ("warning", "error"):
            return event
        keys = ("room", "event", "outbox", "file", "path", "why", "reason", "detail", "line")
        same = tuple(str(event.get(key, "")) for key in keys)
        with self._lock:
            written_at, dropped = self._seen.pop(same, (float("-inf"), 0))
            due = self._now() - written_at >= self._seconds
            self._seen[same] = (self._now(), 0) if due else (written_at, dropped + 1)
            if len(self._seen) > self.MOST:
                self._seen.popitem(last=False)
        if not due:
            raise structlog.DropEvent
        if dropped:
            event["repeated"] = dropped
        return event


def shorten(
    most_bytes: int = 10_000_000, kept_bytes: int = 1_000_000, descriptor: int = 2, own: Path | None = None
) -> bool:
    """Cut a log file that outgrew its limit down to its end; whether that was done.

    Only this program's own log is cut, opened for appending, as launchd opens it. A file that a person has the log
    appended to may hold other things; journals and pipes look after themselves.

    Args:
        most_bytes: Larger files are cut.
        kept_bytes: So much of the end stays, from the start of a line.
        descriptor: Where the log is written to.
        own: The path of this program's own log: another file is left alone. ``None``: it is known to be that.
    """
    import fcntl  # noqa: PLC0415 - only the daemon's maintenance needs it

    try:
        found = os.fstat(descriptor)
        appending = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
        if not stat.S_ISREG(found.st_mode) or not appending or found.st_size <= most_bytes:
            return False
        if own is not None and not os.path.samestat(found, own.lstat()):
            return False
        with open(f"/dev/fd/{descriptor}", "rb") as stream:  # noqa: PTH123 - not a path of ours
            stream.seek(found.st_size - kept_bytes)
            end = stream.read(kept_bytes).partition(b"\n")[2]
        os.ftruncate(descriptor, 0)
        os.write(descriptor, end)
    except OSError:
        return False
    return True


def _on_one_line(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Escape what a file name could do to a terminal; the traceback at the end may have lines."""
    told = {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}
    return told | {key: event[key] for key in ("exception",) if key in event}


def _json(event: EventDict, **options: Any) -> str:
    """One JSON line that is safe to look at: what cannot be printed is escaped, as JSON allows."""
    line = json.dumps(event, ensure_ascii=False, **options)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _processors(style: LogFormat, colours: bool, repeat_seconds: float) -> list[Processor]:
    """The pipeline that every line goes through, renderer last."""
    steps: list[Processor] = [structlog.contextvars.merge_contextvars, _plain_level, Thinning(repeat_seconds)]
    if style == "json":
        return [
            *steps,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json, default=str),
        ]
    return [
        *steps,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _on_one_line,
        structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        ),
    ]


class _FromStandardLibrary(logging.Handler):
    """Hands what libraries log through ``logging`` to the same pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record under its library's name."""
        structlog.get_logger(room=record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def configure(level: str = "info", style: LogFormat = "console", repeat_seconds: float = 3600.0) -> None:
    """Set the pipeline up for this process; later calls replace earlier ones.

    Args:
        level: Lines below ``debug``, ``info``, ``warning`` or ``error`` are dropped. Libraries are heard from
            ``warning`` on, whatever this says.
        style: ``console`` or ``json``; see :func:`resolve_format`.
        repeat_seconds: How often a warning that repeats itself is written; see :class:`Thinning`.
    """
    structlog.configure(
        processors=_processors(style, sys.stderr.isatty(), repeat_seconds),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_names: _CurrentStderr(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _FromStandardLibrary)]
    root.addHandler(_FromStandardLibrary(level=logging.WARNING))
    logging.captureWarnings(True)
