"""A child process is heard until its end, whatever happens to those who listen, and whatever it writes."""

from __future__ import annotations

import errno
import io
import os
import queue
import sys
import threading
from collections import deque

import pytest
import structlog

from shaded import logs
from shaded.scheduling import child
from shaded.scheduling.child import Ended, Relay, launch

pytestmark = pytest.mark.real_process


def _launch(code, on_event=lambda: None):
    inbox = queue.SimpleQueue()
    return launch((sys.executable, "-c", code), os.environ, "", inbox, on_event), inbox


def test_a_log_that_cannot_be_written_does_not_stop_the_worker(monkeypatch):
    """With the daemon's log on a full disk, a worker that logs much is read on and comes to its end."""

    class Full(io.StringIO):
        def write(self, _text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    begun, inbox = _launch("import sys; [print('x' * 99, file=sys.stderr) for _ in range(5000)]")
    assert inbox.get(timeout=20).what == Ended(0)
    begun.hang_up()


def test_a_bug_while_listening_still_tells_the_end(monkeypatch):
    """A worker that cannot be heard any more is ended and that is told, so that another can take its place."""
    monkeypatch.setattr(child, "EVENTS", None)
    begun, inbox = _launch("print('{}', flush=True); import time; time.sleep(60)")
    assert isinstance(inbox.get(timeout=20).what, Ended)
    assert "could not be heard" in begun.obituary(-9)
    begun.hang_up()


@pytest.mark.parametrize("thread", ["worker-log", "worker-events"])
def test_without_a_thread_to_listen_no_worker_is_left(monkeypatch, thread):
    """Where no thread can be started the process is ended, and the error is one that passes."""
    real, started = threading.Thread.start, []

    def start(self):
        if self.name == thread:
            raise RuntimeError("can't start new thread")
        started.append(self)
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="no thread") as caught:
        _launch("import time; time.sleep(60)")
    assert caught.value.errno == errno.EAGAIN
    for each in started:
        each.join(10)
        assert not each.is_alive()


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


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_workers_words_steer_no_terminal(capsys, style):
    """Escapes, invalid UTF-8 and carriage returns in a worker's standard error are escaped; its last words too."""
    logs.configure("info", style)
    code = r"import os; os.write(2, b'a\x1b]0;x\x07\r\xff\xc2\x9b2J\xe2\x80\xae\n'); raise ValueError('\x1b[2Jfox')"
    inbox = queue.SimpleQueue()
    begun = launch([sys.executable, "-c", code], os.environ, "{}", inbox, lambda: None)
    while not isinstance((said := inbox.get(timeout=30)).what, Ended):
        pass
    begun.listener.join(30)
    begun.hang_up()
    err = capsys.readouterr().err
    assert "]0;x" in err
    assert "fox" in err
    assert not [c for c in err if not c.isprintable() and c != "\n"]
    assert len(begun.obituary(said.what.code)) < 2000
