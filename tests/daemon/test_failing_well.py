"""What fails is tried again as long as that can help, and no longer; a person is told which."""

from __future__ import annotations

import itertools
import shutil

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from shaded.daemon import loop, shading
from shaded.daemon.backoff import LONGEST_PAUSE, backoff
from shaded.daemon.machine import machine_state
from shaded.errors import POLICIES, OutOfMemory, Refusal, SourceChanged, Transient, Unreadable, policy_of
from shaded.reports import explain_document
from shaded.scheduling.worker import failure_of
from tests.daemon.rig import png


def explained(rig, path):
    return explain_document(rig.ledger, rig.settings, path, None, running=True)


@given(floats(0.1, 3600), integers(1, 10_000))
def test_pauses_double_up_to_a_bound(first, failures):
    """Each pause is about twice the last one, with a fifth of chance, and never longer than the bound."""
    pause = backoff(first, failures)
    assert pause <= LONGEST_PAUSE
    if failures < 20:
        exact = first * 2 ** (failures - 1)
        assert min(LONGEST_PAUSE, 0.8 * exact) <= pause <= min(LONGEST_PAUSE, 1.2 * exact)


@pytest.mark.parametrize(
    ("error", "outcome", "blames"),
    [
        (Refusal("a link"), "refused", True),
        (Unreadable("broken"), "failed", True),
        (SourceChanged("gone"), "changed", True),
        (Transient("full"), "transient", False),
        (OutOfMemory("large"), "transient", True),
        (MemoryError(), "transient", True),
        (OSError(28, "No space left on device"), "transient", False),
        (ZeroDivisionError(), "failed", True),
    ],
)
def test_every_error_has_its_policy(error, outcome, blames):
    """The worker reports each class of error by the one table of policies."""
    failure = failure_of("1", error)
    assert (failure.outcome, failure.blames_picture) == (outcome, blames)
    assert policy_of(error) in POLICIES.values()


def test_a_picture_that_kills_the_worker_is_set_aside_across_restarts(rig):
    """One death before and one after a restart of the daemon are two: the picture is set aside, the others go on."""
    rig.executor.deadly = "evil"
    path = rig.put("evil.png", png(1))
    rig.daemon.pause(None)
    rig.settle()
    rig.daemon.resume()
    rig.executor.automatic = False
    rig.daemon.step()
    rig.executor.work()
    rig.daemon._shading.listen()
    assert rig.ledger.find(path)[0].job.deaths == 1
    rig.executor.automatic = True
    rig.restart()
    rig.put("fox.png", png(2))
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    (record,) = rig.ledger.find(path)
    assert (record.job.state, record.job.deaths) == ("failed", 2)
    assert [task.name for task in rig.executor.submitted].count("evil.png") == 2
    assert "2 times with this picture" in explained(rig, path)["why"]
    assert "shaded retry" in explained(rig, path)["next"]


def crash_while_shading(rig):
    """Begin whatever is next, and end the daemon in the middle of it."""
    rig.executor.automatic = False
    for _ in range(30):
        rig.daemon.step()
        rig.clock.advance(1.0)
        if rig.executor.held:
            break
    (task,) = rig.executor.held
    rig.executor.held = []
    rig.restart()
    return task.name


def test_a_picture_that_takes_the_machine_down_twice_is_set_aside(rig, monkeypatch):
    """Memory that ran out, or a reboot, while a picture was under way counts like a death of the worker."""
    boots = iter(range(100))
    now = ["boot"]
    for module in (loop, shading):
        monkeypatch.setattr(module, "machine_state", lambda: now[0])
    path = rig.put("evil.png", png(1))
    for _ in range(2):
        assert rig.ledger.find(path)[:1] == [] or rig.ledger.find(path)[0].job.state == "settled"
        now[0] = f"boot {next(boots)}"
        real_restart = rig.restart

        def restart(real=real_restart):
            now[0] = f"boot {next(boots)}"
            real()

        monkeypatch.setattr(rig, "restart", restart)
        assert crash_while_shading(rig) == "evil.png"
        monkeypatch.setattr(rig, "restart", real_restart)
    (record,) = rig.ledger.find(path)
    assert (record.job.state, record.job.deaths) == ("failed", 2)
    assert "the machine ran out of memory or went down" in record.job.reason
    rig.executor.automatic = True
    rig.put("fox.png", png(2))
    rig.settle()
    assert rig.published() == ["fox.png"]


def test_a_machine_that_is_shut_down_blames_no_picture(rig, monkeypatch):
    """A stop was asked for, the machine did not wait for the picture, and it boots anew: nothing is counted."""
    boots = itertools.count()
    for module in (loop, shading):
        monkeypatch.setattr(module, "machine_state", lambda: f"boot {next(boots)}")
    path = rig.put("large.png")
    for _ in range(3):
        rig.executor.automatic = False
        for _ in range(200):
            rig.daemon.step()
            rig.clock.advance(1.0)
            if rig.executor.held:
                break
        rig.executor.held = []
        rig.daemon.request_stop()
        rig.daemon.step()
        rig.restart()
    assert rig.ledger.find(path)[0].job.deaths == 0
    rig.executor.automatic = True
    rig.settle(1000)
    assert rig.published() == ["large.png"]


def test_a_daemon_that_is_killed_blames_no_picture(make_rig):
    """Killed by hand again and again in one picture, the daemon waits longer before it, never gives it up."""
    rig = make_rig(retry_seconds=4)
    rig.put("fox.png")
    waits = []
    for _ in range(7):
        assert crash_while_shading(rig) == "fox.png"
        (queued,) = rig.ledger.queue()
        waits.append(max(0.0, queued.job.not_before - rig.clock.time()))
        rig.clock.advance(waits[-1])
    assert waits == [0, 4, 8, 16, 32, 64, 64]
    rig.executor.automatic = True
    rig.settle(2)
    assert rig.published() == ["fox.png"]


def test_the_machine_tells_a_reboot_and_lost_memory(tmp_path):
    """Another boot and another count of processes ended for memory are other states; without /proc there is none."""
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    boot, counters = tmp_path / "sys/kernel/random/boot_id", tmp_path / "vmstat"
    boot.write_text("one\n")
    counters.write_text("nr_free_pages 5\noom_kill 0\n")
    states = [machine_state(tmp_path)]
    counters.write_text("nr_free_pages 9\noom_kill 1\n")
    states.append(machine_state(tmp_path))
    boot.write_text("two\n")
    states.append(machine_state(tmp_path))
    assert states == ["one 0", "one 1", "two 1"]
    assert machine_state(tmp_path / "nowhere") == ""


def test_an_outbox_that_goes_away_in_the_middle_is_waited_for(make_rig):
    """A picture whose outbox vanished while it was shaded is not forgotten, and is shaded when the outbox is back."""
    rig = make_rig(retry_seconds=5)
    rig.executor.automatic = False
    path = rig.put("fox.png")
    rig.settle()
    away = rig.base / "away"
    rig.outbox.rename(away)
    rig.executor.automatic = True
    rig.settle(5)
    assert rig.ledger.find(path)[0].job.reason.startswith("its outbox is missing: ")
    away.rename(rig.outbox)
    rig.settle(30)
    assert rig.published() == ["fox.png"]


def test_explain_says_what_happens_next(make_rig):
    """A picture that is put off, and one that was refused, each say what happens by itself and what a person can do."""
    rig = make_rig(retry_seconds=600)
    busy, refused, large = (rig.put(name, png(n)) for n, name in enumerate(("busy.png", "refuse.png", "memory.png")))
    rig.settle(20)
    document = explained(rig, busy)
    assert "it is tried again in" in document["why"]
    assert "the disk is full" in document["why"]
    assert document["next"].startswith("it is tried again by itself for as long as it takes")
    assert explained(rig, refused)["next"].endswith("you ask with `shaded retry`")
    assert explained(rig, large)["next"].startswith("it is tried again by itself, 2 times at most")


@pytest.mark.parametrize("back", [60.0, 86_400.0 * 365])
def test_a_clock_set_back_holds_no_pause_and_no_wait(make_rig, back):
    """A clock that is set back, by a minute or a year, prolongs neither a pause nor a picture's wait."""
    rig = make_rig(retry_seconds=30)
    rig.put("busy.png")
    rig.settle(10)
    rig.daemon.pause(120)
    rig.put("fox.png", png(2))
    rig.clock.set_date(rig.clock.time() - back)
    rig.settle(90)
    assert rig.published() == []
    assert rig.daemon.paused
    rig.settle(40)
    assert rig.published() == ["fox.png"]
    tried = [task.name for task in rig.executor.submitted].count("busy.png")
    rig.settle(1000)
    assert [task.name for task in rig.executor.submitted].count("busy.png") > tried


def test_a_clock_set_back_holds_no_pause_after_a_restart(rig):
    """After a restart with the clock a year back the pause lasts no longer than it was asked for."""
    rig.daemon.pause(120)
    rig.clock.set_date(rig.clock.time() - 86_400 * 365)
    rig.restart()
    rig.put("fox.png")
    rig.settle(100)
    assert rig.published() == []
    rig.settle(40)
    assert rig.published() == ["fox.png"]


def test_books_of_what_is_gone_are_closed(make_rig):
    """A trouble with publishing a picture that is not wanted any more is not told for ever."""
    rig = make_rig(retry_seconds=5)
    rig.executor.automatic = False
    path = rig.put("fox.png")
    rig.settle()
    shutil.rmtree(rig.publish)
    rig.executor.work()
    rig.executor.automatic = True
    rig.settle(3)
    assert rig.daemon.delivery.troubles
    path.write_bytes(png(9, size=9))
    rig.publish.mkdir()
    rig.observers[0].see(path)
    rig.settle(40)
    rig.put("wolf.png", png(3))
    rig.settle()
    assert rig.daemon.delivery.troubles == {}
    assert rig.daemon.delivery._failures == {}
    assert rig.published() == ["fox.png", "wolf.png"]
