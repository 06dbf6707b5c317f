"""A child process that is told lines and says events: what every executor with processes behind it is made of."""

from __future__ import annotations

import errno
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pydantic import ValidationError

import shaded
from shaded import logs
from shaded.scheduling.executor import AnyEvent
from shaded.scheduling.messages import EVENTS, Stop
from shaded.signalling import HELD

logger = logs.get_logger("executor")

#: How long a process that was told to stop may take before it is killed; nothing of value is under way then.
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Ended:
    """A worker's event stream ended and its process was reaped."""

    code: int


@dataclass(frozen=True)
class Said:
    """One thing a worker reported. ``child`` tells a replaced one's late words apart."""

    child: Child
    what: AnyEvent | Ended


@dataclass(eq=False)
class Child:
    """One process, and what is known of it."""

    process: subprocess.Popen[bytes]
    opened: bool = False
    killed_because: str = ""
    listener: threading.Thread | None = None
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=5))

    def send(self, *lines: str) -> None:
        """Write lines to its standard input. A worker that is gone is noticed by its event stream ending."""
        stream = self.process.stdin
        if stream is None or stream.closed:
            return
        with suppress(BrokenPipeError):
            stream.write("".join(line + "\n" for line in lines).encode())
            stream.flush()

    def stop(self) -> None:
        """Ask it to finish what is under way and exit."""
        self.send(Stop().model_dump_json())
        self.hang_up()

    def hang_up(self) -> None:
        """Close its standard input."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    def kill(self, why: str) -> None:
        """End it and everything it started, at once."""
        if self.process.poll() is None:
            self.killed_because = why
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def obituary(self, code: int) -> str:
        """How it ended, in words, with the last things it wrote."""
        if self.killed_because:
            how = self.killed_because
        elif code < 0:
            how = f"the worker was killed by {_signal_name(-code)}"
            if -code == signal.SIGKILL:
                how += " (by hand, or because memory ran out)"
        else:
            how = f"the worker ended unexpectedly with code {code}"
        words = " | ".join(self.last_words)
        return f"{how}: {words}" if words else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def launch(
    command: Sequence[str],
    environment: Mapping[str, str],
    first_line: str,
    inbox: queue.SimpleQueue[Said],
    on_event: Callable[[], None],
) -> Child:
    """Start a process.

    Args:
        command: Its command line.
        environment: Its environment.
        first_line: What it is told at once.
        inbox: Where everything goes that it says, from another thread, and that it ended.
        on_event: Called, in that thread, after each.

    Raises:
        OSError: No process or no thread can be started now.
    """
    # Ctrl-C in the terminal is for this process only. The other one is in a group of its own, and does not hear one
    # that is sent to it all the same: such signals are held back from its first moment on, until it ignores them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        process = subprocess.Popen(
            tuple(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=Path(shaded.__file__).parents[1],
            process_group=0,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    child = Child(process)
    relay = threading.Thread(target=_relay, args=(child,), daemon=True, name="worker-log")
    listener = threading.Thread(target=_listen, args=(child, relay, inbox, on_event), daemon=True, name="worker-events")
    try:
        relay.start()
        listener.start()
    except RuntimeError as error:  # nobody would hear it
        child.kill("no thread can be started")
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None and not (stream is process.stderr and relay.is_alive()):
                stream.close()
        raise OSError(errno.EAGAIN, "no thread can be started") from error
    child.listener = listener
    child.send(first_line)
    return child


def end(children: Sequence[Child], *, now: bool, patient: bool) -> None:
    """Stop processes and wait for their end: at once, or after what they hold, however long (``patient``) or not."""
    for child in children:
        if now:
            child.kill("the worker was stopped")
        else:
            child.stop()
    for child in children:
        try:
            child.process.wait(None if patient and not now else STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill("the worker did not stop")
            child.process.wait()
        child.hang_up()
        if child.listener is not None:
            child.listener.join(timeout=2.0)


def _listen(
    child: Child, relay: threading.Thread, inbox: queue.SimpleQueue[Said], on_event: Callable[[], None]
) -> None:
    """Queue a process's events until its end, which is told whatever happens; runs in its own thread."""
    try:
        _hear(child, inbox, on_event)
    except Exception:
        logger.exception("the worker cannot be heard any more")
        child.kill("the worker could not be heard any more")
    code = child.process.wait()
    relay.join(timeout=1.0)
    inbox.put(Said(child, Ended(code)))
    on_event()


def _hear(child: Child, inbox: queue.SimpleQueue[Said], on_event: Callable[[], None]) -> None:
    assert child.process.stdout is not None  # noqa: S101 - it was started with a pipe
    with child.process.stdout as stream:
        for line in stream:
            try:
                event = EVENTS.validate_json(line)
            except ValidationError:
                logger.warning("the worker said something that nobody understands", line=line[:200].decode("latin-1"))
                continue
            inbox.put(Said(child, event))
            on_event()


class Relay:
    """Passes on what a worker writes for the log, bounded: a library may write anything, and as much as it likes.

    Args:
        write: Writes one line.
        now: A monotonic clock, in seconds.
    """

    #: A longer line is cut, and so many lines are passed on in a minute; the others are counted.
    LONGEST_LINE = 16_384
    MOST_LINES = 1000
    PERIOD = 60.0

    def __init__(self, write: Callable[[str], None] = logs.pass_on, now: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now = now
        self._began = now()
        self._lines = 0

    def read(self, stream: IO[bytes], last_words: deque[str]) -> None:
        """Pass on whole lines until the stream's end, and remember the last of them."""
        while raw := stream.readline(self.LONGEST_LINE):
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if len(raw) == self.LONGEST_LINE and not raw.endswith(b"\n"):
                line += self._rest_of(stream)
            if line.strip():
                last_words.append(line.strip()[:300])
            self._pass_on(line)
        self._say_what_was_left_out()

    def _rest_of(self, stream: IO[bytes]) -> str:
        """Skip the rest of a line that is too long."""
        skipped = 0
        while raw := stream.readline(self.LONGEST_LINE):
            skipped += len(raw)
            if raw.endswith(b"\n"):
                break
        return f" (cut here, {skipped} bytes were left out)"

    def _pass_on(self, line: str) -> None:
        if self._now() - self._began >= self.PERIOD:
            self._say_what_was_left_out()
            self._began, self._lines = self._now(), 0
        self._lines += 1
        if self._lines <= self.MOST_LINES:
            self._write(line)

    def _say_what_was_left_out(self) -> None:
        if self._lines > self.MOST_LINES:
            self._write(f"{self._lines - self.MOST_LINES} further lines of the worker were left out")


def _relay(child: Child) -> None:
    """Pass on what a worker logs; runs in its own thread."""
    assert child.process.stderr is not None  # noqa: S101 - it was started with a pipe
    with child.process.stderr as stream:
        Relay().read(stream, child.last_words)
