from __future__ import annotations

import threading
import time

import pytest

from shaded.clock import FakeClock
from shaded.daemon.commands import Order, answerer
from shaded.errors import ShadedError, UsageError
from shaded.ledger import LedgerReader
from shaded.reports import explain_document, queue_document, status_document
from tests.daemon.rig import FakeExecutor, png


@pytest.fixture
def ask(rig):
    """Ask the daemon as a client's thread would, while the daemon's own thread works."""
    answer = answerer(rig.daemon, rig.settings, rig.clock)

    def asking(command, **arguments):
        got = []

        def client():
            try:
                got.append(answer({"command": command, **arguments}))
            except ShadedError as error:
                got.append(error)

        thread = threading.Thread(target=client)
        thread.start()
        end = time.monotonic() + 20
        while thread.is_alive() and time.monotonic() < end:
            rig.daemon.step()
            thread.join(0.01)
        if isinstance(got[0], ShadedError):
            raise got[0]
        return got[0]

    return asking


def test_status_tells_what_is_under_way(rig, ask):
    """The status names daemon, folders, counts and the picture under way."""
    rig.executor.automatic = False
    rig.put("fox.png")
    rig.settle()
    document = ask("status")
    assert document["daemon"]["running"]
    assert document["folders"][0]["outbox"] == str(rig.outbox)
    assert document["counts"]["running"] == 1
    (current,) = document["current"]
    assert current["path"] == str(rig.outbox / "fox.png")


def test_status_tells_how_long_it_will_take(rig, ask):
    """What is under way has the rest of its own time, and what waits adds its own; unknown times are not made up."""
    rig.executor.automatic = False
    rig.put("fox.png", png(1))
    rig.settle()
    assert ask("status")["eta_seconds"] is None
    rig.executor.work()
    rig.settle()
    rig.executor.seconds = 100.0
    for number in range(2, 5):
        rig.put(f"{number}.png", png(number))
    rig.settle()
    rig.clock.advance(30)
    rig.daemon.step()
    document = ask("status")
    (current,) = document["current"]
    assert 0 < current["eta_seconds"] <= 70
    assert document["counts"]["settled"] == 2
    assert document["eta_seconds"] == pytest.approx(current["eta_seconds"] + 200)
    assert "2 waiting (about " in rig.daemon.view.sentence()


def test_the_queue_is_looked_through_for_the_time_left_only_now_and_then(rig, monkeypatch):
    """Rounds that follow each other closely share one look, however many pictures wait."""
    rig.executor.automatic = False
    rig.executor.seconds = 100.0
    for number in range(3):
        rig.put(f"{number}.png", png(number))
    rig.settle()
    asked = []
    monkeypatch.setattr(rig.executor, "backlog", lambda candidates: asked.append(1) or 100.0 * len(candidates))
    for _ in range(40):
        rig.daemon.step()
        rig.clock.advance(0.25)
    assert 1 <= len(asked) <= 3
    assert rig.daemon.view.queue_seconds > 200


def test_status_tells_how_each_outbox_is_watched(rig, ask):
    """The document has the way and its reason, and a missing outbox with what to do."""
    (folder,) = ask("status")["folders"]
    assert (folder["there"], folder["marked"], folder["healthy"]) == (True, True, True)
    assert folder["watching"] == "fake"
    assert folder["why"]
    rig.outbox.rename(rig.base / "away")
    rig.settle()
    (folder,) = ask("status")["folders"]
    assert (folder["there"], folder["marked"], folder["healthy"]) == (False, False, False)
    assert folder["watching"] == "nothing"
    assert "make it again" in folder["trouble"][0]


def test_status_tells_the_last_troubles(rig, ask):
    """Refused and failed pictures are named with their reasons."""
    rig.put("refuse.png")
    rig.settle()
    (error,) = ask("status")["errors"]
    assert (error["state"], error["reason"], error["remedy"]) == (
        "refused",
        "it is animated",
        "Save one frame of it",
    )


def test_the_queue_is_in_order_and_bump_changes_it(rig, ask):
    """The queue names what runs and what waits; a bumped picture is next."""
    rig.executor.automatic = False
    for number in range(4):
        rig.put(f"p{number}.png", png(number))
    rig.settle()
    waiting = [w["path"] for w in ask("queue")["waiting"]]
    assert waiting == [str(rig.outbox / f"p{number}.png") for number in (1, 2, 3)]
    assert ask("bump", path=waiting[2])["bumped"]
    assert [w["path"] for w in ask("queue")["waiting"]] == [waiting[2], waiting[0], waiting[1]]
    assert not ask("bump", path=str(rig.outbox / "nowhere.png"))["bumped"]


def test_retry_tries_a_failed_picture_again(rig, ask):
    """A failed picture is shaded again when someone asks for it, alone or with all failed ones."""
    rig.put("unreadable.png")
    rig.settle()
    assert ask("retry", path=str(rig.outbox / "unreadable.png"))["retried"] == 1
    rig.settle(2)
    assert ask("retry")["retried"] == 1
    rig.settle(2)
    assert len(rig.executor.submitted) == 3


def test_retry_publishes_a_removed_copy_again(rig, ask):
    """A published picture whose copy was deleted is published again, shaded anew since no result is left."""
    path = rig.put("fox.png")
    rig.settle()
    for file in rig.publish.iterdir():
        file.unlink()
    assert ask("retry", path=str(path))["retried"] == 1
    rig.settle()
    assert rig.published() == ["fox.png"]


def test_pause_and_resume(rig, ask):
    """Pause and resume reach the daemon, and a senseless length is refused."""
    assert ask("pause", seconds=60)["until"] == rig.clock.time() + 60
    assert rig.daemon.paused
    assert ask("resume") == {"paused": False}
    assert not rig.daemon.paused
    for senseless in (-1, 0, "long"):
        with pytest.raises(UsageError):
            ask("pause", seconds=senseless)


def test_explain_knows_every_state(rig, ask):
    """Each file's state is explained in a sentence: published, refused, waiting, ignored, not there, elsewhere."""
    published, refused = rig.put("fox.png", png(1)), rig.put("refuse.png", png(2))
    rig.settle()
    rig.executor.automatic = False
    rig.put("first.png", png(3))
    waiting = rig.put("wolf.png", png(4))
    rig.settle()
    ignored = rig.put("note.tmp")
    fresh = rig.put("fresh.png", png(5))

    def why(path):
        return ask("explain", path=str(path))["why"]

    assert why(published) == f"it is published as {rig.publish / 'fox.png'}"
    assert why(rig.publish / "fox.png") == why(published)
    assert why(refused) == "it was refused: it is animated. Save one frame of it"
    assert "number 1 in the queue" in why(waiting)
    assert why(rig.outbox / "first.png") == "it is being shaded now"
    assert "*.tmp" in why(ignored)
    assert "not changed" in why(fresh)
    assert why(rig.outbox / "nowhere.png") == "there is no such file"
    assert why(rig.base / "elsewhere.png") == "it lies in no watched outbox"
    with pytest.raises(UsageError, match="absolute"):
        ask("explain", path="relative.png")


def test_unknown_commands_are_refused(ask):
    """A command that does not exist is named in the error."""
    with pytest.raises(UsageError, match="dance"):
        ask("dance")


def test_without_a_daemon_the_ledger_answers(rig):
    """The same documents come from the ledger alone, and before there is one they are empty."""
    rig.put("refuse.png")
    rig.settle()
    reader = LedgerReader.open_readonly(rig.settings.state_dir / "ledger.sqlite3", rig.clock)
    with reader:
        document = status_document(reader, None)
        assert document["daemon"] == {"running": False}
        assert document["counts"]["refused"] == 1
        fresh = rig.outbox / "new.png"
        fresh.write_bytes(png())
        assert "not running" in explain_document(reader, rig.settings, fresh, None, running=False)["why"]
    assert status_document(None, None)["counts"] == {}
    assert queue_document(None) == {"running": [], "waiting": []}


def test_the_status_sentence_is_short(make_rig):
    """The service manager's line says what is done now and how much waits."""
    rig = make_rig(executor=FakeExecutor())
    assert rig.daemon.view.sentence() == "idle; 0 waiting, 0 published"
    rig.executor.automatic = False
    rig.put("fox.png", png(1))
    rig.put("wolf.png", png(2))
    rig.settle()
    assert rig.daemon.view.sentence() == "shading fox.png; 1 waiting, 0 published"
    assert FakeClock().time() < rig.daemon.view.since + 1


@pytest.mark.parametrize(
    "asked",
    [
        {"command": "pause", "seconds": float("inf")},
        {"command": "pause", "seconds": float("nan")},
        {"command": "pause", "seconds": 10**400},
        {"command": "pause", "seconds": True},
        {"command": "pause", "seconds": "2h"},
        {"command": "retry", "path": 5},
        {"command": "retry", "path": ["/a"]},
        {"command": "bump", "path": "relative"},
        {"command": "bump", "path": "/a\0b"},
        {"command": "bump", "path": "/" + "a/" * 30_000},
        {"command": "explain", "path": "/\ud800"},
        {"command": ["status"]},
        {"command": {"a": 1}},
        {"command": "x" * 60_000},
        {},
    ],
    ids=range(15),
)
def test_odd_arguments_are_wrong_usage(rig, ask, asked):
    """Numbers, paths and commands that cannot be are refused by name, and the daemon goes on as before."""
    with pytest.raises(UsageError) as caught:
        ask(**{"command": None, **asked})
    assert len(str(caught.value)) < 500
    assert not rig.daemon.paused


def test_a_bug_in_a_command_is_logged_and_answered(rig, ask, monkeypatch, capsys):
    """The asker hears of it, the log has the traceback, and the next command is carried out."""
    monkeypatch.setattr(rig.daemon, "resume", lambda: 1 / 0)
    with pytest.raises(ShadedError, match="ZeroDivisionError"):
        ask("resume")
    assert "Traceback" in capsys.readouterr().out
    assert ask("pause")["paused"]


@pytest.mark.parametrize("text", ["soon", "inf inf", "nan 5", "5 nan", "1e999 1", "\x00"])
def test_a_pause_that_makes_no_sense_lasts_until_resume(rig, text):
    """A damaged note of a pause neither keeps the daemon from starting nor lets it begin what it was told to leave."""
    rig.ledger.meta_set("paused_until", text)
    rig.restart()
    assert rig.daemon.paused
    assert rig.daemon.paused_until is None
    rig.daemon.resume()
    assert not rig.daemon.paused


def test_a_flood_of_orders_leaves_the_rest_of_the_round_its_turn(rig, monkeypatch):
    """Orders are carried out for a tenth of a second in each round; the others come in the next, due at once."""
    from shaded.daemon import commands

    now = iter(range(10_000))
    monkeypatch.setattr(commands.time, "monotonic", lambda: next(now) * 0.01)
    orders = [Order({"command": "resume"}) for _ in range(50)]
    for order in orders:
        rig.daemon.order(order)
    assert rig.daemon.step() == 0.0
    done = sum(not order.reply.empty() for order in orders)
    assert 0 < done < 50
    for _ in range(10):
        rig.daemon.step()
    assert all(not order.reply.empty() for order in orders)


def test_orders_and_questions_know_a_picture_by_every_name(rig, ask):
    """Through a link to the outbox, by its copy, or by a link to the file itself."""
    (rig.base / "link").symlink_to(rig.outbox)
    rig.put("fox.png")
    rig.put("notes.txt", b"buy paint")
    rig.settle()
    (rig.base / "pic.png").symlink_to(rig.outbox / "fox.png")
    for path in (rig.base / "link" / "fox.png", rig.base / "pic.png", rig.publish / "fox.png"):
        assert ask("explain", path=str(path))["state"] == "published"
        assert ask("retry", path=str(path))["retried"] == 1
        rig.settle()
    assert ask("explain", path=str(rig.base / "link" / "notes.txt"))["state"] == "left alone"
    assert "there is no such file" in ask("explain", path=str(rig.base / "link" / "owl.png"))["why"]


def test_bump_knows_a_picture_by_a_link_to_its_outbox(rig, ask):
    """Like any other order."""
    (rig.base / "link").symlink_to(rig.outbox)
    rig.executor.automatic = False
    rig.put("first.png", png(3))
    rig.settle()
    rig.put("wolf.png", png(4))
    rig.settle()
    assert ask("bump", path=str(rig.base / "link" / "wolf.png"))["bumped"]
