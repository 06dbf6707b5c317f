from __future__ import annotations

import os
import signal
import threading

import pytest

from shaded.daemon.signals import listening_to_signals
from shaded.errors import ConfigurationError, ModelError, Transient
from shaded.scheduling.messages import Unusable
from tests.daemon.rig import FakeExecutor, png


def test_a_stop_finishes_the_picture_under_way(make_rig):
    """After the first signal the picture under way is finished and published, and no other is begun."""
    rig = make_rig()
    rig.executor.automatic = False
    rig.put("a.png", png(1))
    rig.put("b.png", png(2))
    rig.settle()
    rig.daemon.request_stop()
    rig.daemon.step()
    assert not rig.daemon.finished
    rig.executor.automatic = True
    rig.daemon.step()
    assert rig.daemon.finished
    assert len(rig.published()) == 1
    assert rig.ledger.counts()["settled"] == 1


def test_a_second_stop_ends_at_once(make_rig):
    """After the second signal the daemon ends with the picture under way, which waits again with nothing counted."""
    rig = make_rig()
    rig.executor.automatic = False
    rig.put("a.png")
    rig.settle()
    rig.daemon.request_stop()
    rig.daemon.request_stop()
    assert rig.daemon.finished
    rig.daemon.stop()
    assert rig.executor.closed == "now"
    (queued,) = rig.ledger.queue()
    assert (queued.job.state, queued.job.attempts) == ("settled", 0)


def test_signals_ask_for_the_stop(rig):
    """SIGTERM, SIGINT and their like end a running daemon in peace, and the handlers are put back."""
    before = signal.getsignal(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU):
        rig.daemon._signals = 0
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        with listening_to_signals(rig.daemon.request_stop, rig.daemon.request_reload):
            rig.daemon.run()
        assert rig.daemon.interrupted
    assert signal.getsignal(signal.SIGTERM) is before


def test_once_ends_when_everything_is_done(make_rig, tmp_path):
    """With once the daemon waits for files to settle, shades them, and is finished then and not before."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fox.png").write_bytes(png())
    rig = make_rig(once=True)
    assert not rig.daemon.finished
    rounds = 0
    while not rig.daemon.finished:
        rig.daemon.step()
        rig.clock.advance(0.5)
        rounds += 1
        assert rounds < 60
    assert rig.published() == ["fox.png"]


def test_once_waits_for_a_file_that_is_being_written(make_rig, tmp_path):
    """With once a file that still grows keeps the daemon waiting."""
    (tmp_path / "out").mkdir()
    rig = make_rig(once=True)
    data = png(size=64)
    for end in range(1, len(data) + 20, 20):
        rig.put("fox.png", data[:end])
        rig.daemon.step()
        rig.clock.advance(2.0)
        assert not rig.daemon.finished
    rig.settle()
    assert rig.daemon.finished
    assert rig.published() == ["fox.png"]


def test_once_with_an_empty_outbox_ends(make_rig):
    """With once and nothing there the daemon is finished after one round."""
    rig = make_rig(once=True)
    rig.daemon.step()
    assert rig.daemon.finished


def test_once_does_not_wait_for_what_is_put_off(make_rig):
    """With once a picture that is to be tried again in an hour does not keep the daemon from ending."""
    rig = make_rig(once=True, retry_seconds=3600)
    rig.put("busy.png")
    rig.settle()
    assert rig.daemon.finished


@pytest.mark.parametrize(("cause", "kind"), [("model", ModelError), ("configuration", ConfigurationError)])
def test_unusable_models_stop_the_daemon(make_rig, cause, kind):
    """When no picture can be shaded here the daemon ends with that error, and the pictures wait unharmed."""

    class Unfit(FakeExecutor):
        def work(self):
            if self.held:
                self.said = [Unusable(cause=cause, what="the weights are altered", remedy="Reinstall")]
                self.held = []

    rig = make_rig(executor=Unfit())
    rig.put("fox.png")
    with pytest.raises(kind, match="the weights are altered"):
        rig.settle()
    rig.daemon.stop()
    (queued,) = rig.ledger.queue()
    assert (queued.job.state, queued.job.attempts) == ("settled", 0)


def test_a_full_state_disk_is_waited_out(rig, monkeypatch):
    """When the ledger cannot be written the daemon rests, loses nothing, and goes on by itself."""
    real, failing = rig.ledger.rendered, [True, True, True]

    def rendered(*args):
        if failing:
            failing.pop()
            raise Transient("the disk is full")
        return real(*args)

    monkeypatch.setattr(rig.ledger, "rendered", rendered)
    rig.put("fox.png")
    rig.settle(40)
    assert failing == []
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 1


def test_a_pause_holds_new_pictures_back(rig):
    """While paused nothing is begun; after the time is over it goes on by itself."""
    rig.daemon.pause(30)
    rig.put("fox.png")
    rig.settle(20)
    assert rig.executor.submitted == []
    assert rig.daemon.view.paused
    rig.settle(30)
    assert rig.published() == ["fox.png"]
    assert not rig.daemon.view.paused


def test_a_pause_survives_a_restart(rig):
    """A pause without an end still holds after a restart, until resume."""
    rig.daemon.pause(None)
    rig.restart()
    rig.put("fox.png")
    rig.settle()
    assert rig.executor.submitted == []
    rig.daemon.resume()
    rig.settle(2)
    assert rig.published() == ["fox.png"]


def test_leases_are_renewed_while_a_picture_takes_long(make_rig):
    """A picture that takes longer than a lease keeps its lease."""
    rig = make_rig(lease_seconds=30)
    rig.executor.automatic = False
    rig.put("fox.png")
    rig.settle(100)
    assert rig.ledger.expire_leases() == []
    rig.executor.automatic = True
    rig.settle(2)
    assert rig.published() == ["fox.png"]
