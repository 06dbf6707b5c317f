"""Logs: readable lines on a terminal, JSON lines anywhere else, always on standard error.

A line names what happened in plain words (``picture published``) and carries its facts as keys. Everything on one
picture's way is logged inside :func:`about_job`, so that each of its lines has the same ``job``.

A warning that repeats itself is thinned out: the first is written, and then one in each ``repeat_seconds``, with how
often it was left out (``repeated``). Of different ones of one kind no more than a few are written in that time, and a
line says how many were left out. What cannot be written, on a full disk or a closed terminal, is lost; the daemon goes
on.

Names and messages in a line are other people's words: characters that steer a terminal or end a line are escaped.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from shaded.errors import printable
from shaded.terminal import Guarded

if TYPE_CHECKING:  # structlog takes longer to load than a question takes to answer
    from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor, WrappedLogger

LogFormat = Literal["console", "json"]
#: What makes two events of one kind the same.
_SAME = ("room", "event", "outbox", "file", "path", "why", "reason", "detail", "line", "part")
_SEE = "`shaded status` has the last ones, `shaded explain PATH` has each file's"
#: Speaks of the log itself; it is never thinned out.
_OWN_ROOM = "log"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def resolve_format(wanted: Literal["auto", "console", "json"], stream: TextIO) -> LogFormat:
    """What ``auto`` means for this stream: ``console`` on a terminal, else ``json``."""
    if wanted != "auto":
        return wanted
    return "console" if stream.isatty() else "json"


def get_logger(room: str) -> FilteringBoundLogger:
    """A logger whose lines carry ``room``, the part of the program that speaks; it is set up by its first line."""
    return cast("FilteringBoundLogger", _Later(room))


class _Later:
    """Stands in for structlog's logger, and asks for it each time."""

    def __init__(self, room: str) -> None:
        self._room = room

    def __getattr__(self, name: str) -> Any:
        import structlog  # noqa: PLC0415 - see above

        return getattr(structlog.get_logger(room=self._room), name)


def about_job(job_id: str) -> AbstractContextManager[None]:
    """Bind every line logged inside the ``with`` block to this job."""
    import structlog  # noqa: PLC0415 - see above

    return structlog.contextvars.bound_contextvars(job=job_id)


#: The format that was set last.
_style: list[LogFormat] = ["console"]


class _CurrentStderr:
    """Looks standard error up at every write, because a live display replaces it while it draws."""

    def msg(self, line: str) -> None:
        """Write one line at once, so that lines of two threads do not mix."""
        stream = sys.stderr.rich_proxied_file if isinstance(sys.stderr, Guarded) else sys.stderr  # it may be coloured
        with suppress(OSError, ValueError):  # ValueError: it is closed
            stream.write(line + "\n")
            stream.flush()

    log = debug = info = warn = warning = error = critical = exception = failure = fatal = msg


def _plain_level(_logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Name the level without structlog's aliases (``exception`` is an error)."""
    event["level"] = "error" if name == "exception" else name
    return event


@dataclass
class _Kind:
    """Warnings of one kind: when each was written and how often it was dropped since, and what was left out."""

    told: dict[int, tuple[float, int]] = field(default_factory=dict)
    left_out: int = 0
    since: float = 0.0


class Thinning:
    """Drops warnings and errors that repeat themselves: same event, same file, same reason.

    Memory and output are bounded, however many different ones there are: of one kind (room and event) a few are
    written in each period, and all kinds beyond a number share one kind.

    Args:
        seconds: A repeated one is written once in so long; 0: every time.
        now: A monotonic clock, in seconds.
    """

    #: So many different ones of a kind are written in a period; the others are counted.
    MOST = 50
    #: So many kinds are told apart. A library's kind is its message, which may have a file's name in it.
    MOST_KINDS = 200
    _OTHERS = ("", "")

    def __init__(self, seconds: float, now: Callable[[], float] | None = None) -> None:
        self._seconds = seconds
        self._now = now or time.monotonic
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._sweep_at = float("-inf")

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        """Pass an event on, or drop it; say what is left out, and how much was in a period that is over."""
        if not self._seconds or event.get("room") == _OWN_ROOM:
            return event
        with self._lock:
            notices = self._left_out_before()
            written, dropped = True, 0
            if event.get("level") in ("warning", "error"):
                kind = self._kind_of(event)
                quiet = not kind.left_out
                written, dropped = self._written(kind, event)
                if quiet and kind.left_out:
                    what = str(event.get("event", ""))
                    notices.append(("further warnings of one kind are left out for a while", {"of": what}))
        for notice, facts in notices:
            get_logger(_OWN_ROOM).warning(notice, **facts, see=_SEE)
        if not written:
            from structlog import DropEvent  # noqa: PLC0415 - see above

            raise DropEvent
        if dropped:
            event["repeated"] = dropped
        return event

    def _left_out_before(self) -> list[tuple[str, dict[str, Any]]]:
        """What is to be said of periods that are over."""
        notices: list[tuple[str, dict[str, Any]]] = []
        for (_, what), kind in self._kinds.items():
            if kind.left_out and self._now() - kind.since >= self._seconds:
                notices.append(("warnings of one kind were left out", {"of": what, "count": kind.left_out}))
                kind.left_out = 0
        return notices

    def _written(self, kind: _Kind, event: EventDict) -> tuple[bool, int]:
        """Whether an event is written, and how often the same one was dropped before."""
        now = self._now()
        same = hash(tuple(str(event.get(key, "")) for key in _SAME))
        written_at, dropped = kind.told.get(same, (None, 0))
        if written_at is not None and now - written_at < self._seconds:
            kind.told[same] = (written_at, dropped + 1)
            return False, 0
        kind.told.pop(same, None)
        if len(kind.told) >= self.MOST:
            kind.told = {one: seen for one, seen in kind.told.items() if now - seen[0] < self._seconds}
        if len(kind.told) < self.MOST:
            kind.told[same] = (now, 0)
            return True, dropped
        if not kind.left_out:
            kind.since = now
        kind.left_out += 1
        return False, 0

    def _kind_of(self, event: EventDict) -> _Kind:
        """The books of an event's kind; one whose events are all long ago makes room for a new one."""
        name = (str(event.get("room", "")), str(event.get("event", ""))[:200])
        now = self._now()
        if name not in self._kinds and len(self._kinds) >= self.MOST_KINDS and now >= self._sweep_at:
            self._sweep_at = now + self._seconds / 10
            for old in [
                key
                for key, kind in self._kinds.items()
                if not kind.left_out and all(now - at >= self._seconds for at, _ in kind.told.values())
            ]:
                del self._kinds[old]
        if name not in self._kinds and len(self._kinds) >= self.MOST_KINDS:
            name = self._OTHERS
        return self._kinds.setdefault(name, _Kind())


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


def _traceback(exc_info: ExcInfo) -> str:
    """A traceback, whose exceptions' texts have one line each: another could pass for a line of the log."""
    parts = traceback.TracebackException(*exc_info).format()
    told = (
        part if part.startswith((" ", "\n", "Traceback")) else printable(part.rstrip("\n")) + "\n" for part in parts
    )
    return "".join(told).rstrip("\n")


def _on_one_line(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Escape what a file name could do to a terminal; only a traceback has lines.

    Numbers stay as they are; anything else is shown as Python writes it, which is escaped.
    """
    told = {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}
    return told | {key: printable(event[key], "\n") for key in ("exception", "stack") if key in event}


def as_json(document: object, **options: Any) -> str:
    """One JSON line that is safe to look at: what cannot be printed is escaped, as JSON allows."""
    line = json.dumps(document, ensure_ascii=False, **options)
    return "".join(c if c.isprintable() else _as_json_escape(c) for c in line)


def _as_json_escape(character: str) -> str:
    escaped = json.dumps(character)[1:-1]
    return escaped if escaped != character else f"\\u{ord(character):04x}"  # JSON need not escape DEL


def _processors(style: LogFormat, colours: bool, repeat_seconds: float) -> list[Processor]:
    """The pipeline that every line goes through, renderer last."""
    import structlog  # noqa: PLC0415 - see above

    steps: list[Processor] = [structlog.contextvars.merge_contextvars, _plain_level, Thinning(repeat_seconds)]
    if style == "json":
        return [
            *steps,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_traceback),
            structlog.processors.JSONRenderer(serializer=as_json, default=str),
        ]
    return [
        *steps,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.processors.ExceptionRenderer(_traceback),
        _on_one_line,
        structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        ),
    ]


class _FromStandardLibrary(logging.Handler):
    """Hands what libraries log through ``logging`` to the same pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record under its library's name."""
        get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def pass_on(line: str) -> None:
    """Write a line that another process wrote, into this log: as it is if it is a line of a log, else as its words."""
    if _style[0] == "json" and not _is_json(line):
        about = {"event": "a worker wrote", "level": "warning", "room": "worker", "line": line}
        about["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = as_json(about)
    _CurrentStderr().msg(printable(line))


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def configure(level: str = "info", style: LogFormat = "console", repeat_seconds: float = 3600.0) -> None:
    """Set the pipeline up for this process; later calls replace earlier ones.

    Args:
        level: Lines below ``debug``, ``info``, ``warning`` or ``error`` are dropped. Libraries are heard from
            ``warning`` on, whatever this says.
        style: ``console`` or ``json``; see :func:`resolve_format`.
        repeat_seconds: How often a warning that repeats itself is written; see :class:`Thinning`.
    """
    import structlog  # noqa: PLC0415 - see above

    _style[0] = style
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
