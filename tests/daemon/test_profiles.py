"""Other settings: what waits is shaded as the settings say when it is begun."""

from __future__ import annotations

import pytest

from shaded.daemon.loop import BEGIN_SECONDS
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.settings import Folder, Profile
from tests.daemon.rig import Rig, png
from tests.daemon.test_running_for_months import Reloadable


@pytest.fixture
def reloadable(tmp_path, monkeypatch):
    """A daemon that can read its settings anew, with two outboxes of a profile each."""
    monkeypatch.delenv("SHADED_STATE_DIR")
    made = TwoProfiles(tmp_path)
    yield made
    made.close()


class TwoProfiles(Reloadable):
    """A rig whose two outboxes have the profiles ``one`` and ``two``."""

    def say(self, one, two, **more):
        """Write the settings: the intensity of each profile."""
        profiles = f'[profile.one]\nintensity = "{one}"\n[profile.two]\nintensity = "{two}"\n'
        second = f'profile = "one"\n[[folder]]\noutbox = "{self.base}/out2"\npublish = "{self.base}/pub2"\n'
        self.write(more=second + 'profile = "two"\n' + profiles, **more)

    def put_both(self, name, data):
        """The same picture in both outboxes."""
        self.put(name, data)
        (self.base / "out2" / name).write_bytes(data)
        self.observers[1].see(self.base / "out2" / name)

    def begun(self):
        return [(task.name, task.profile.intensity) for task in self.executor.submitted]


def test_a_waiting_picture_is_begun_under_the_profile_of_the_reload(reloadable, monkeypatch):
    """Between a reload and the next look at the outbox nothing is begun under the old profile any more."""
    rig = reloadable
    rig.say("low", "low")
    rig.daemon.reload()
    rig.daemon.pause(None)
    rig.put("fox.png", png(1))
    rig.settle()
    rig.say("high", "low")
    monkeypatch.setattr("shaded.outbox.arrivals.Outbox.poll", lambda *_: [])
    rig.daemon.reload()
    rig.daemon.resume()
    rig.settle()
    assert rig.begun() == [("fox.png", "high")]
    assert rig.published() == ["fox.png"]
    assert rig.ledger.counts()["published"] == 1
    assert rig.ledger.counts()["settled"] == 0


def test_a_waiting_picture_is_begun_under_the_profile_of_the_restart(reloadable, monkeypatch):
    """The same holds when the daemon is started with other settings."""
    rig = reloadable
    rig.daemon.pause(None)
    rig.put("fox.png", png(1))
    rig.put("wolf.png", png(2))
    rig.settle()
    rig.ledger.bump(rig.outbox / "wolf.png")
    monkeypatch.setattr("shaded.outbox.arrivals.Outbox.poll", lambda *_: [])
    rig.settings = rig.settings.model_copy(update={"profile": {"default": Profile(intensity="high")}})
    rig.restart()
    rig.daemon.resume()
    rig.settle()
    assert rig.begun() == [("wolf.png", "high"), ("fox.png", "high")]
    assert rig.published() == ["fox.png", "wolf.png"]


@pytest.mark.parametrize("one", ["low", "high"])
@pytest.mark.parametrize("two", ["low", "high"])
def test_a_picture_of_two_outboxes_follows_each(reloadable, monkeypatch, one, two):
    """A job that two outboxes share is shaded for each under the profile that holds there now."""
    rig = reloadable
    rig.say("low", "low")
    rig.daemon.reload()
    rig.daemon.pause(None)
    rig.put_both("fox.png", png(1))
    rig.settle()
    assert len(rig.ledger.queue()) == 1
    rig.say(one, two)
    monkeypatch.setattr("shaded.outbox.arrivals.Outbox.poll", lambda *_: [])
    rig.daemon.reload()
    rig.daemon.resume()
    rig.settle()
    assert sorted(rig.begun()) == sorted({("fox.png", one), ("fox.png", two)})
    for publish, intensity in ((rig.publish, one), (rig.base / "pub2", two)):
        stated = read_sidecar(sidecar_path(publish / "fox.png"))
        (record,) = rig.ledger.find(publish / "fox.png")
        assert Profile.model_validate_json(record.job.profile).intensity == intensity
        assert stated.published.name == "fox.png"
    assert rig.ledger.counts()["settled"] == 0


def test_the_present_profiles_result_is_used_again(reloadable, monkeypatch):
    """Where the other outbox has the result for that profile already, it is published and nothing is shaded twice."""
    rig = reloadable
    rig.say("low", "high")
    rig.daemon.reload()
    (rig.base / "out2" / "fox.png").write_bytes(png(1))
    rig.observers[1].see(rig.base / "out2" / "fox.png")
    rig.settle()
    rig.daemon.pause(None)
    rig.put("fox.png", png(1))
    rig.settle()
    rig.say("high", "high")
    monkeypatch.setattr("shaded.outbox.arrivals.Outbox.poll", lambda *_: [])
    rig.daemon.reload()
    rig.daemon.resume()
    rig.settle()
    assert rig.begun() == [("fox.png", "high")]
    assert rig.published() == ["fox.png"]


def test_the_picture_under_way_is_finished_as_it_was_begun(reloadable, monkeypatch):
    """A reload changes nothing for what is being shaded; the next one follows."""
    rig = reloadable
    rig.say("low", "low")
    rig.daemon.reload()
    rig.executor.automatic = False
    rig.put("fox.png", png(1))
    rig.put("wolf.png", png(2))
    rig.settle()
    rig.say("high", "low")
    monkeypatch.setattr("shaded.outbox.arrivals.Outbox.poll", lambda *_: [])
    rig.daemon.reload()
    rig.executor.automatic = True
    rig.settle()
    assert [intensity for _, intensity in rig.begun()] == ["low", "high"]
    assert rig.published() == ["fox.png", "wolf.png"]


def test_the_place_in_the_queue_is_kept(reloadable, monkeypatch):
    """A picture that moves to the present profile keeps its priority and the time it has waited."""
    rig = reloadable
    rig.say("low", "low")
    rig.daemon.reload()
    rig.daemon.pause(None)
    rig.put("fox.png", png(1))
    rig.settle()
    (before,) = rig.ledger.queue()
    rig.clock.advance(100)
    rig.say("high", "low")
    monkeypatch.setattr("shaded.outbox.arrivals.Outbox.poll", lambda *_: [])
    rig.daemon.reload()
    rig.executor.refuse_submit = OSError(11, "no process")
    rig.daemon.resume()
    rig.daemon.step()
    (after,) = rig.ledger.queue()
    assert after.job.id != before.job.id
    assert after.job.queued_at == before.job.queued_at
    assert after.job.pixels == before.job.pixels == 64


def test_once_follows_the_settings_too(tmp_path):
    """A run with --once shades what an earlier daemon left waiting under the present profile, once."""
    pair = Folder(outbox=tmp_path / "out", publish=tmp_path / "pub")
    rig = Rig(tmp_path, folders=(pair,))
    rig.daemon.pause(None)
    rig.put("fox.png", png(1))
    rig.settle()
    rig.settings = rig.settings.model_copy(update={"profile": {"default": Profile(intensity="high")}})
    rig.once = True
    rig.restart()
    for _ in range(30):
        rig.daemon.step()
        rig.clock.advance(1.0)
        if rig.daemon.finished:
            break
    assert rig.daemon.finished
    assert [task.profile.intensity for task in rig.executor.submitted] == ["high"]
    assert rig.published() == ["fox.png"]
    rig.close()


def test_many_waiting_pictures_follow_their_profile_in_several_rounds(reloadable, monkeypatch):
    """Moving a long queue to another profile keeps the loop from nothing else for long, and nothing counts as stuck."""
    rig = reloadable
    rig.say("low", "low")
    rig.daemon.reload()
    rig.daemon.pause(None)
    for number in range(12):
        rig.put(f"{number}.png", png(number))
    rig.settle()
    rig.say("high", "low")
    monkeypatch.setattr("shaded.outbox.arrivals.Outbox.poll", lambda *_: [])
    rig.daemon.reload()
    rig.executor.automatic = False
    claim = rig.ledger.claim

    def slowly(*arguments):
        rig.clock.advance(BEGIN_SECONDS / 2)
        return claim(*arguments)

    monkeypatch.setattr(rig.ledger, "claim", slowly)
    rig.daemon.resume()
    moved = []
    for _ in range(3):
        assert rig.daemon.step() == 0.0
        moved.append(sum("high" in job.profile for job in rig.ledger.waiting(100)))
    assert moved == [2, 4, 6]
    for _ in range(10):
        rig.daemon.step()
    assert rig.begun() == [("0.png", "high")]
    assert not rig.daemon.view.stuck
