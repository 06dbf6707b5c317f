"""A bell that wakes the daemon's one thread."""

from __future__ import annotations

import os
import select
from contextlib import suppress

#: ``poll`` takes milliseconds as a C integer.
LONGEST_SLEEP = 86_400.0


class Wake:
    """May be rung from any thread and from signal handlers; ringing often is like ringing once."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def ring(self) -> None:
        """Wake whoever waits, or will wait next."""
        with suppress(BlockingIOError, OSError):
            os.write(self._writing, b"!")

    def fileno(self) -> int:
        """What to poll beside other descriptors: it can be read once it was rung."""
        return self._reading

    def wait(self, timeout: float | None) -> bool:
        """Sleep until rung, at most ``timeout`` seconds (``None``: for long); whether it was rung."""
        timeout = LONGEST_SLEEP if timeout is None else min(timeout, LONGEST_SLEEP)
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        rung = bool(poll.poll(max(0.0, timeout) * 1000.0))
        if rung:
            with suppress(BlockingIOError):
                os.read(self._reading, 4096)
        return rung

    def close(self) -> None:
        """Give the descriptors back; ringing does nothing any more."""
        for descriptor in (self._reading, self._writing):
            with suppress(OSError):
                os.close(descriptor)
        self._reading = self._writing = -1
