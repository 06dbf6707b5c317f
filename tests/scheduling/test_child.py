"""A child process is heard until its end, whatever happens to those who listen."""

from __future__ import annotations

import errno
import io
import os
import queue
import sys
import threading

import pytest

from shaded.scheduling import child
from shaded.scheduling.child import Ended, launch

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
