"""What the signals mean to a running daemon."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from shaded.signalling import ENDING


@contextmanager
def listening_to_signals(on_stop: Callable[[], None], on_reload: Callable[[], None]) -> Iterator[None]:
    """While this lasts SIGTERM, SIGINT and their like ask for the end, and SIGHUP for the settings to be read anew.

    A terminal that is closed sends SIGHUP too, and takes its programs along. Where SIGHUP was ignored from the start
    (``nohup``), it stays so.
    """
    terminal = sys.stderr.isatty()

    def stop(_number: int, _frame: FrameType | None) -> None:
        on_stop()

    def hangup(_number: int, _frame: FrameType | None) -> None:
        if terminal and not sys.stderr.isatty():
            on_stop()
        else:
            on_reload()

    before = {number: signal.signal(number, stop) for number in ENDING}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, hangup)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
