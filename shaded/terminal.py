"""What stands between the program and a terminal: characters that would steer it are escaped.

File names, metadata and the messages of libraries are other people's words. One escape sequence in them can empty a
screen, rename a window or write text that was never said. So the commands run with guarded standard streams, and no
message has to be escaped where it is made.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from shaded.errors import ShadedError, Unavailable, printable

#: What rich sends to a terminal for colours and progress bars: styles, up, erase the line, hide and show the cursor.
_RICH = re.compile(r"(\x1b\[[0-9;]*m|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[lh]|\r)")


class OutputGone(ShadedError):  # noqa: N818 - no fault: ``head`` has what it wanted
    """Nobody reads standard output any more; nothing is said about it."""

    exit_code = 141  # 128 and SIGPIPE, as a shell gives it


class Guarded:
    """A text stream that writes nothing which steers a terminal; line ends stay.

    What cannot be written ends the command (:class:`OutputGone`, or :class:`~shaded.errors.Unavailable` where the
    device is full, say), unless the stream is expendable. It is raised again by whatever is tried next, so that a
    library that passes over it does not make a success of it.

    Args:
        stream: The real stream.
        rich: Let the few sequences pass that rich makes, if the stream is a terminal. Rich itself writes into such a
            one, since it looks for ``rich_proxied_file``; everybody else writes into the strict one.
        expendable: What cannot be written is lost, and the command goes on.
    """

    errors = "backslashreplace"

    def __init__(self, stream: TextIO, *, rich: bool = False, expendable: bool = False) -> None:
        self.stream = stream
        self._rich = rich
        self._expendable = expendable
        self.failed: list[ShadedError] = []
        if not rich:
            self.rich_proxied_file = Guarded(stream, rich=True, expendable=expendable)
            self.rich_proxied_file.failed = self.failed

    @property
    def encoding(self) -> str:
        """Rich asks what it may draw with; everybody else may write anything: what cannot be encoded is escaped."""
        return self._encoding() if self._rich else "utf-8"

    def write(self, text: str) -> int:
        """Write text, steering characters escaped."""
        if not isinstance(text, str):
            raise TypeError(f"text is written here, and not {type(text).__name__}")
        if not text:
            return 0  # a full device refuses even that
        if self._rich and not text.isprintable() and self.stream.isatty():
            parts = _RICH.split(text)  # every second part is a sequence of rich's
            safe = "".join(part if number % 2 else printable(part, "\n") for number, part in enumerate(parts))
        else:
            safe = printable(text, "\n")
        encoding = self._encoding()
        self._do(lambda: self.stream.write(safe.encode(encoding, "backslashreplace").decode(encoding)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are, for a pipe."""
        self.flush()
        self._do(lambda: self.stream.buffer.write(data))

    def flush(self) -> None:
        """Hand everything over to the system."""
        self._do(self.stream.flush)

    def _do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            if self._expendable:
                return  # later it may be possible again: a daemon's log is on a disk that is full for a while
            _turn_away(self.stream)
            self.failed.append(_about_output(error))
        if self.failed:
            raise self.failed[0]

    def _encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "utf-8"

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real stream's own."""
        return getattr(self.stream, name)


def _about_output(error: OSError) -> ShadedError:
    if isinstance(error, BrokenPipeError | ConnectionResetError):
        return OutputGone("nobody reads standard output any more")
    return Unavailable(
        f"standard output cannot be written: {error.strerror or error}",
        remedy="Free some space, or send it somewhere else",
    )


def _turn_away(stream: TextIO) -> None:
    """Lead a stream to where everything can be written: else Python tries the rest again at its end, and complains."""
    with suppress(OSError, ValueError):  # it has no descriptor
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, stream.fileno())
        finally:
            os.close(nothing)


def for_rich(stream: TextIO) -> TextIO:
    """Where a display draws; a plain one writes into the stream itself, and finds this by itself."""
    found: TextIO = getattr(stream, "rich_proxied_file", stream)
    return found


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard standard output and standard error; that the latter is closed or full ends no command."""
    before = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, Guarded(sys.stdout))
    sys.stderr = cast(TextIO, Guarded(sys.stderr, expendable=True))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
