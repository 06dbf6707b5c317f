from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from shaded.cli import asking
from shaded.control import ControlServer
from shaded.daemon.commands import answerer
from shaded.daemon.instance import LEDGER_NAME, only_instance
from tests.daemon.rig import Rig, png


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A daemon over fakes that answers on its socket, working in a thread of its own."""
    ready, end = threading.Event(), threading.Event()
    box = {}

    def live():
        rig = box["rig"] = Rig(tmp_path)
        rig.executor.automatic = False
        rig.put("fox.png", png(1))
        rig.put("wolf.png", png(2))
        rig.settle()
        server = ControlServer(rig.settings.state_dir, answerer(rig.daemon, rig.settings, rig.clock))
        server.start()
        ready.set()
        while not end.wait(0.01):
            rig.daemon.step()
        server.stop()
        rig.close()

    thread = threading.Thread(target=live)
    thread.start()
    assert ready.wait(20)
    monkeypatch.setenv("SHADED_STATE_DIR", str(tmp_path / "state"))
    yield box["rig"]
    end.set()
    thread.join(20)


def test_status_asks_the_daemon(served, shaded):
    """Status says what runs, in words and as JSON."""
    code, out, _ = shaded("status")
    assert code == 0
    assert out.startswith("The daemon is running (process ")
    assert f"{served.outbox} -> {served.publish} (profile default)" in out
    assert "1 settled, 1 running" in out
    assert f"Under way: {served.outbox / 'fox.png'}" in out
    document = json.loads(shaded("status", "--json")[1])
    assert document["daemon"]["running"] is True


def test_status_says_how_each_folder_is_watched():
    """Native events or polling with the reason, and of a missing folder only what is wrong."""
    document = {
        "daemon": {"running": False}, "counts": {}, "current": [], "troubles": {}, "errors": [],
        "folders": [
            {"outbox": "/a", "publish": "/p", "profile": "default", "there": True, "trouble": [], **way}
            for way in ({"watching": "native", "why": "it is on ext4"}, {"watching": "polling", "why": "it is on nfs"},
                        {"there": False, "watching": "nothing", "why": "gone", "trouble": ["missing: gone"]})
        ],
    }  # fmt: skip
    lines = asking.status_lines(document, 0.0)
    assert "  watched by native events: it is on ext4" in lines
    assert "  watched by polling: it is on nfs" in lines
    assert "  trouble: missing: gone" in lines
    assert len([line for line in lines if "watched by" in line]) == 2


def test_queue_asks_the_daemon(served, shaded):
    """Queue names what runs and what waits, with the reason."""
    _, out, _ = shaded("queue")
    first, second = out.splitlines()
    assert first == f"now: {served.outbox / 'fox.png'}"
    assert second.startswith(f"1. {served.outbox / 'wolf.png'}: ")
    assert json.loads(shaded("queue", "--json")[1])["waiting"][0]["position"] == 1


def test_explain_asks_the_daemon(served, shaded):
    """Explain gives the reason and the story of one file."""
    code, out, _ = shaded("explain", served.outbox / "fox.png")
    assert code == 0
    assert out.splitlines()[0] == f"{served.outbox / 'fox.png'}: it is being shaded now."
    assert "ago: " in out
    assert json.loads(shaded("explain", served.outbox / "fox.png", "--json")[1])["state"] == "running"


def test_orders_reach_the_daemon(served, shaded):
    """pause, resume, bump and retry are carried out, and say so."""
    assert shaded("pause", "--for", "2h")[:2] == (0, "Paused for 2h.\n")
    assert "It is paused for" in shaded("status")[1]
    assert shaded("resume")[:2] == (0, "Resumed.\n")
    assert shaded("bump", served.outbox / "wolf.png")[0] == 0
    assert shaded("retry", "--all-failed")[:2] == (0, "0 to be tried again.\n")


def test_orders_that_make_no_sense_are_refused(served, shaded):
    """Bumping what does not wait, retrying nothing, and naming both or neither are wrong usage."""
    assert shaded("bump", served.outbox / "nowhere.png")[0] == 2
    assert shaded("retry", served.outbox / "nowhere.png")[0] == 2
    assert shaded("retry")[0] == 2
    assert shaded("retry", "a.png", "--all-failed")[0] == 2
    assert shaded("pause", "--for", "soon")[0] == 2


def test_without_a_daemon_the_ledger_answers(shaded, tmp_path, monkeypatch):
    """status, queue and explain read the ledger when no daemon runs, and exit with 0."""
    rig = Rig(tmp_path)
    rig.put("refuse.png")
    rig.settle()
    rig.close()
    monkeypatch.setenv("SHADED_STATE_DIR", str(tmp_path / "state"))
    code, out, _ = shaded("status")
    assert code == 0
    assert "not running" in out.splitlines()[0]
    assert "1 refused" in out
    assert "it is animated" in out
    assert shaded("queue") == (0, "Nothing waits.\n", "")
    assert "it was refused: it is animated" in shaded("explain", rig.outbox / "refuse.png")[1]


def test_before_the_first_start_there_is_nothing_to_say(shaded, tmp_path):
    """Without daemon and ledger the questions still have answers, and no ledger is made by asking."""
    assert shaded("status")[0] == 0
    assert shaded("queue") == (0, "Nothing waits.\n", "")
    assert "it lies in no watched outbox" in shaded("explain", tmp_path / "fox.png")[1]
    assert list(tmp_path.rglob(LEDGER_NAME)) == []


def test_a_picture_under_way_is_told_with_its_progress():
    """Steps, pull and the time left are said where they are known."""
    current = {
        "path": "/o/fox.png",
        "stage": "shading",
        "step": 12,
        "steps": 60,
        "pull": 0.213,
        "eta_seconds": 80.0,
    }
    assert asking._current_line(current) == (
        "Under way: /o/fox.png: shading, step 12 of 60, pull 0.21 so far, about 80 s left."
    )


def test_relative_paths_are_meant_from_here(shaded, tmp_path, monkeypatch):
    """Explain takes a relative path from the current folder."""
    monkeypatch.chdir(tmp_path)
    assert json.loads(shaded("explain", "fox.png", "--json")[1])["path"] == str(Path.cwd() / "fox.png")


def test_health_is_an_exit_code(served, shaded, monkeypatch):
    """`status --check` ends with 0 while all is well and 4 when something is not; plain `status` always with 0."""
    assert shaded("status", "--check")[0] == 0
    assert json.loads(shaded("status", "--json")[1])["health"] == {"ok": True, "problems": []}
    served.daemon._settings_trouble = "folder.0.profile: no profile is named 'x'"
    code, out, _ = shaded("status", "--check")
    while code != 4:
        code, out, _ = shaded("status", "--check")
    assert "Not well: the settings: folder.0.profile: no profile is named 'x'." in out
    assert shaded("status")[0] == 0
    document = json.loads(shaded("status", "--json", "--check")[1])
    assert document["health"]["ok"] is False
    assert {disk["kind"] for disk in document["disks"]} == {"publish", "staging", "state"}


def test_health_without_a_daemon_is_not_running(shaded):
    """`status --check` ends with 69 where no daemon runs."""
    code, out, _ = shaded("status", "--check")
    assert code == 69
    assert "not running" in out


def test_reload_reaches_the_daemon(served, shaded):
    """`reload` asks the daemon to read its settings anew, and passes on why it cannot."""
    code, _, err = shaded("reload")
    assert code == 1
    assert "cannot be read anew" in err


@pytest.mark.parametrize(
    "document", [{}, {"daemon": 5}, {"daemon": {"running": True}}, {"waiting": 7, "running": []}, {"path": "x"}]
)
@pytest.mark.parametrize("words", [("status",), ("status", "--check", "--json"), ("queue",), ("explain", "fox.png")])
def test_an_answer_that_makes_no_sense_is_an_error(shaded, monkeypatch, words, document):
    """What another program, or another version, answers ends in one sentence and no traceback."""
    monkeypatch.setattr(asking, "request", lambda *_arguments, **_options: document)
    code, _, err = shaded(*words)
    assert code == 1
    assert err == ("shaded: the daemon's answer cannot be understood. If it is of another version, start it again.\n")


def test_nothing_in_an_answer_moves_the_cursor(shaded, monkeypatch):
    """Control characters are escaped wherever they stand."""
    nasty = "a\x1b[2J\nb"
    document = {"running": [{"path": nasty}], "waiting": [{"position": nasty, "path": nasty, "why": nasty}]}
    monkeypatch.setattr(asking, "request", lambda *_arguments, **_options: document)
    code, out, _ = shaded("queue")
    assert code == 0
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


def test_a_daemon_that_cannot_be_asked_is_no_absent_one(shaded, tmp_path, monkeypatch):
    """While one holds the state folder and has no socket, status says so instead of how to start another."""
    monkeypatch.setenv("SHADED_STATE_DIR", str(tmp_path))
    with only_instance(tmp_path):
        out = shaded("status")[1]
        assert out.startswith("A daemon is running, but it does not answer.")
        assert json.loads(shaded("status", "--json")[1])["health"]["problems"] == [
            "a daemon is running and does not answer"
        ]
    assert shaded("status")[1].startswith("The daemon is not running.")
