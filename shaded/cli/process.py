"""The process that a command runs in: what ends it, and what it was started with.

A signal may come between any two steps of the interpreter, also in the middle of an import. There an exception is no
good: libraries make another one of it (pydantic does), print it where none can be raised, or lose it. So a command
that holds nothing is just ended. One that holds workers, files or a display says so (:func:`unwound`), and is ended by
an exception, so that each of them is closed on the way out.

This is the first module that is loaded, so it needs nothing that takes long, not even `typing`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from shaded.signalling import ignore_strays

#: The signals that end a command, and the one line that it says then. The code is 128 and the number, as in a shell.
_LINES = {
    signal.SIGINT: "shaded: interrupted.",
    signal.SIGTERM: "shaded: ended by a signal (SIGTERM).",
    signal.SIGQUIT: "shaded: ended by a signal (SIGQUIT).",
    signal.SIGXCPU: "shaded: ended, since it has used up its time on the CPU (SIGXCPU).",
    signal.SIGHUP: "shaded: ended, since its terminal was closed.",
}
#: What is open is closed in so many seconds. Meanwhile a second Ctrl-C changes nothing; later it ends at once.
PATIENCE = 3.0
#: Where an interruption was lost in a place that can raise nothing, it is raised again after so many seconds.
_AGAIN = 0.01


class Interrupted(BaseException):
    """A signal; not the built-in exception, which the command-line library would turn into another exit code."""


class Ending:
    """What is known of the end of this process.

    Attributes:
        number: The signal that ended the command, if one did.
        told: Whether it was said why it ends: from then on a signal ends the process without a further line.
        depth: How many blocks are to be unwound.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.told = False
        self.depth = 0
        self._since = 0.0

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """A signal has come."""
        if self.told or not self.depth:
            self.leave(number)
        if self.number is None:
            self.number, self._since = number, time.monotonic()
            raise Interrupted
        if time.monotonic() - self._since > PATIENCE:
            self.leave(self.number)

    def leave(self, number: int) -> None:
        """End the process at once, and say why unless that was said."""
        if not self.told:
            self.told = True  # before it: writing may block, and the next signal is to end that
            with suppress(OSError):
                os.write(2, f"{line_of(number)}\n".encode())
        os._exit(128 + number)

    def lost(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Python's hook for exceptions that nobody can catch: an interruption among them is raised again."""
        if self.number is None:
            sys.__unraisablehook__(unraisable)
        elif isinstance(unraisable.exc_value, Interrupted):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)

    def again(self, _number: int, _frame: FrameType | None) -> None:
        """The time has come to raise it again."""
        if self.number is not None:
            if self.told or not self.depth:
                self.leave(self.number)
            raise Interrupted


def line_of(number: int) -> str:
    """What is said after a signal."""
    return _LINES[signal.Signals(number)]


_ending = Ending()


@contextmanager
def heard(*, own: bool) -> Iterator[Ending]:
    """Hear the signals that end a command, and none that nobody should send.

    Args:
        own: Whether the process is there for this command alone. Else Ctrl-C alone is heard, it always raises
            :class:`Interrupted`, and everything is as before afterwards.
    """
    global _ending  # noqa: PLW0603 - the process has one end
    before, ending = _ending, Ending()
    _ending = ending
    if own:
        sys.unraisablehook = ending.lost
        signal.signal(signal.SIGALRM, ending.again)
        for number in _LINES:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # it is with nohup
                signal.signal(number, ending.hear)
        ignore_strays()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _LINES)
        yield ending
        return
    ending.depth = 1
    earlier = signal.signal(signal.SIGINT, ending.hear)
    try:
        yield ending
    finally:
        _ending = before
        signal.signal(signal.SIGINT, earlier)


@contextmanager
def unwound() -> Iterator[None]:
    """While this lasts a signal raises :class:`Interrupted`, so that what is open in the block is closed."""
    _ending.depth += 1
    try:
        yield
    finally:
        _ending.depth -= 1


def finish(code: int) -> None:
    """End the process, when everything is closed: in the interpreter's own end a signal would be heard by nobody."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def open_missing_descriptors() -> None:
    """Open what stands for a closed standard stream: else the next file that is opened takes its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
            os.set_inheritable(descriptor, True)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def keep_own_access() -> None:
    """Let the umask take nothing away from the user: what is made here is read and entered again a moment later."""
    os.umask(os.umask(0o077) & 0o077)


def speak_utf8() -> None:
    """Start anew where Python was told to take file names for ASCII: they are UTF-8 for workers, daemon and ledger.

    That is so only in the C locale with Python's UTF-8 mode switched off. What is printed keeps its encoding.
    """
    if sys.getfilesystemencoding() != "ascii" or sys.flags.utf8_mode or not sys.executable:
        return
    environment = {"PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace"} | os.environ | {"PYTHONUTF8": "1"}
    signal.pthread_sigmask(signal.SIG_BLOCK, _LINES)  # what comes meanwhile is heard by the new program
    with suppress(OSError):
        os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)  # noqa: S606
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _LINES)
