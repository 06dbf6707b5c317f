"""What stands between the program and a terminal: characters that would steer it are escaped.

File names, metadata and the messages of libraries are other people's words. One escape sequence in them can empty a
screen, rename a window or write text that was never said. So the commands run with guarded standard streams, and no
message has to be escaped where it is made.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from shaded.errors import printable

#: What rich sends to a terminal for colours and progress bars: styles, up, erase the line, hide and show the cursor.
_RICH = re.compile(r"(\x1b\[[0-9;]*m|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[lh]|\r)")


class Guarded:
    """A text stream that writes nothing which steers a terminal; line ends stay.

    Args:
        stream: The real stream.
        rich: Let the few sequences pass that rich makes, if the stream is a terminal. Rich itself writes into such a
            one, since it looks for ``rich_proxied_file``; everybody else writes into the strict one.
    """

    errors = "backslashreplace"

    def __init__(self, stream: TextIO, *, rich: bool = False) -> None:
        self.stream = stream
        self._rich = rich
        if not rich:
            self.rich_proxied_file = Guarded(stream, rich=True)

    @property
    def encoding(self) -> str:
        """Rich asks what it may draw with; everybody else may write anything: what cannot be encoded is escaped."""
        return self._encoding() if self._rich else "utf-8"

    def write(self, text: str) -> int:
        """Write text, steering characters escaped."""
        if not isinstance(text, str):
            raise TypeError(f"text is written here, and not {type(text).__name__}")
        if self._rich and not text.isprintable() and self.stream.isatty():
            parts = _RICH.split(text)  # every second part is a sequence of rich's
            safe = "".join(part if number % 2 else printable(part, "\n") for number, part in enumerate(parts))
        else:
            safe = printable(text, "\n")
        encoding = self._encoding()
        self.stream.write(safe.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def _encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "utf-8"

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real stream's own."""
        return getattr(self.stream, name)


def for_rich(stream: TextIO) -> TextIO:
    """Where a display draws; a plain one writes into the stream itself, and finds this by itself."""
    found: TextIO = getattr(stream, "rich_proxied_file", stream)
    return found


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard standard output and standard error."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast(TextIO, Guarded(sys.stdout)), cast(TextIO, Guarded(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
