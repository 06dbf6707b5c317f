from __future__ import annotations

import io
import os
import queue
import sys
from collections import deque

import pytest
import structlog

from shaded import logs
from shaded.scheduling.child import Ended, Relay, launch


@pytest.fixture(autouse=True)
def _restored():
    yield
    structlog.reset_defaults()


def _relayed(data: bytes, now=lambda: 0.0):
    written, words = [], deque(maxlen=5)
    Relay(written.append, now).read(io.BytesIO(data), words)
    return written, list(words)


def test_a_long_line_is_cut():
    """Ten megabytes without a line end are one short line that says so, and the next line is whole."""
    written, words = _relayed(b"x" * 10_000_000 + b"\nnext\n")
    assert len(written) == 2
    assert len(written[0]) < Relay.LONGEST_LINE + 100
    assert "were left out" in written[0]
    assert written[1] == "next"
    assert all(len(word) <= 300 for word in words)


def test_a_flood_of_lines_is_bounded():
    """Of 50,000 lines in one minute a thousand are passed on, and the others are counted."""
    written, words = _relayed(b"".join(b"line %d\n" % number for number in range(50_000)))
    assert len(written) == Relay.MOST_LINES + 1
    assert written[-1] == "49000 further lines of the worker were left out"
    assert words[-1] == "line 49999"


def test_the_next_minute_has_its_own_lines():
    """After a minute lines are passed on again, and what was left out before is said."""
    minutes = iter([0.0] + [0.0] * 1500 + [61.0] * 10)
    written, _ = _relayed(b"x\n" * 1502, lambda: next(minutes))
    assert written[Relay.MOST_LINES] == "500 further lines of the worker were left out"
    assert written[-1] == "x"


@pytest.mark.real_process
@pytest.mark.parametrize("style", ["console", "json"])
def test_a_workers_words_steer_no_terminal(capsys, style):
    """Escapes, invalid UTF-8 and carriage returns in a worker's standard error are escaped; its last words too."""
    logs.configure("info", style)
    code = r"import os; os.write(2, b'a\x1b]0;x\x07\r\xff\xc2\x9b2J\xe2\x80\xae\n'); raise ValueError('\x1b[2Jfox')"
    inbox = queue.SimpleQueue()
    child = launch([sys.executable, "-c", code], os.environ, "{}", inbox, lambda: None)
    while not isinstance((said := inbox.get(timeout=30)).what, Ended):
        pass
    child.listener.join(30)
    child.hang_up()
    err = capsys.readouterr().err
    assert "]0;x" in err
    assert "fox" in err
    assert not [c for c in err if not c.isprintable() and c != "\n"]
    assert len(child.obituary(said.what.code)) < 2000
