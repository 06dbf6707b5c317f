"""One odd row, one event, one file, one failing part: the others go on."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import pytest
import structlog

from shaded import logs, reports
from shaded.clock import FakeClock
from shaded.daemon.boundary import Boundary
from shaded.daemon.instance import LEDGER_NAME
from shaded.daemon.leftovers import not_done
from shaded.errors import LedgerDamaged, ModelError, Refusal, Transient
from shaded.ledger import LedgerReader
from shaded.scheduling.messages import WorkerDied
from tests.daemon.rig import png

#: For each column of a waiting job what a version, a disk or a person may have left there.
ODD = {
    "profile": ['{"intensity": "default", "speling": 1}', "", "{", "[1]", "null", b"\xff\xfe", 7],
    "summary": ["{", "[1]", '"x"', b"\xff", "[" * 5000, 7],
    "priority": ["x", b"\xff", -(2**63), 2.5],
    "queued_at": ["x", 9e999, -5.0],
    "not_before": ["x", -1.0],
    "attempts": ["x", -3, b"\xff"],
    "interruptions": ["x", -3],
    "deaths": ["x", -3],
    "deferrals": ["x", -(2**40)],
    "pixels": ["x", -5, b"\xff"],
    "reason": [b"\xff\xfe", 7],
    "remedy": [b"\xff\xfe"],
    "changed_at": ["x", -5.0],
    "output_bytes": ["x", -5],
    "picture": ["x", 7],
    "sha256": [b"\xff"],
}
ODD_PLACE = {
    "root": ["text", 7, b"", b"/a\0b", b"\xff"],
    "relative": ["text", 7, b"", b"..", b"/etc/passwd", b"a\0b", b"\xff"],
    "size": ["x", -5],
    "mtime_ns": ["x"],
    "inode": ["x", -1],
    "seen_at": ["x"],
    "refusal": [b"\xff"],
}
EACH = [("jobs", c, v) for c, values in ODD.items() for v in values]
EACH += [("placements", c, v) for c, values in ODD_PLACE.items() for v in values]


@pytest.fixture
def log(capsys):
    logs.configure("info", "json")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    structlog.reset_defaults()


def _spoil(rig, table, column, value, name="odd.png"):
    """Write something into the row of one picture, as a disk or a person might."""
    connection = sqlite3.connect(rig.settings.state_dir / LEDGER_NAME)
    query = "SELECT jobs.id, placements.id FROM jobs JOIN placements ON job_id = jobs.id WHERE relative = ?"
    job, place = connection.execute(query, (name.encode(),)).fetchone()
    with connection:
        where = {"jobs": job, "placements": place}[table]
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (value, where))
    connection.close()
    return str(job)


@pytest.mark.parametrize(("table", "column", "value"), EACH)
def test_an_odd_row_never_stops_the_others(rig, table, column, value):
    """Whatever stands in one waiting row, the daemon starts, publishes the others, and answers questions."""
    rig.daemon.pause(None)
    rig.put("odd.png", png(1))
    rig.settle()
    _spoil(rig, table, column, value)
    rig.restart()
    reader = LedgerReader.open_readonly(rig.settings.state_dir / LEDGER_NAME, rig.clock)
    with reader:
        json.dumps(reports.status_document(reader, rig.daemon.view))
        json.dumps(reports.queue_document(reader))
        json.dumps(reports.explain_document(reader, rig.settings, rig.outbox / "odd.png", None, running=True))
    rig.daemon.resume()
    rig.put("fox.png", png(2))
    rig.settle(20)
    list(not_done(rig.settings, rig.daemon))
    assert (rig.publish / "fox.png").exists()
    assert rig.daemon.view.problems() == []
    rig.restart()
    rig.put("wolf.png", png(3))
    rig.settle(20)
    assert (rig.publish / "wolf.png").exists()
    rig.settle(310)
    assert rig.daemon.view.problems() == []


@pytest.mark.parametrize("column", ["profile", "summary", "reason", "remedy", "sha256", "profile_digest", "claimed_on"])
def test_text_that_is_no_utf8_never_stops_the_others(rig, column):
    """A bit that tipped over in a row's text fails no question, neither the daemon's nor a command's."""
    rig.daemon.pause(None)
    rig.put("odd.png", png(1))
    rig.settle()
    with sqlite3.connect(rig.settings.state_dir / LEDGER_NAME) as connection:
        connection.execute(f"UPDATE jobs SET {column} = CAST(x'ff41fe' AS TEXT)")
        connection.execute("UPDATE events SET what = CAST(x'ff41fe' AS TEXT)")
        connection.commit()
    connection.close()
    rig.restart()
    with LedgerReader.open_readonly(rig.settings.state_dir / LEDGER_NAME, rig.clock) as reader:
        json.dumps(reports.status_document(reader, None))
        json.dumps(reports.queue_document(reader))
        json.dumps(reports.explain_document(reader, rig.settings, rig.outbox / "odd.png", None, running=False))
    rig.daemon.resume()
    rig.put("fox.png", png(2))
    rig.settle(20)
    assert (rig.publish / "fox.png").exists()
    assert rig.daemon.view.problems() == []


@pytest.mark.parametrize("state", ["running", "rendered", "published", "refused", "failed"])
@pytest.mark.parametrize("column", ["profile", "summary", "interruptions", "attempts", "picture", "output_sha256"])
def test_an_odd_row_in_any_state_never_stops_the_others(rig, state, column):
    """The same holds for a row that was begun, finished or decided when it became odd."""
    rig.put("odd.png", png(1))
    rig.daemon.pause(None)
    rig.settle()
    _spoil(rig, "jobs", "state", state)
    _spoil(rig, "jobs", column, b"\xff\xfe{")
    rig.restart()
    rig.daemon.resume()
    rig.put("fox.png", png(2))
    rig.settle(20)
    list(not_done(rig.settings, rig.daemon))
    assert (rig.publish / "fox.png").exists()
    rig.ledger.retry(rig.outbox / "odd.png")
    rig.daemon.delivery.note()
    rig.put("wolf.png", png(3))
    rig.settle(20)
    assert (rig.publish / "wolf.png").exists()


def test_a_stored_profile_with_an_unknown_key_is_set_aside(rig, log):
    """A row whose profile this version cannot read has failed with reason and remedy; retry takes it up anew."""
    rig.daemon.pause(None)
    rig.put("odd.png", png(1))
    rig.settle()
    job = _spoil(rig, "jobs", "profile", '{"intensity": "default", "speling": 1}')
    rig.restart()
    rig.daemon.resume()
    rig.put("fox.png", png(2))
    rig.settle()
    assert rig.published() == ["fox.png"]
    row = rig.ledger.job(job)
    assert row.state == "failed"
    assert "profile" in row.reason
    assert "shaded retry" in row.remedy
    assert ("odd.png", "failed", row.reason) in rig.audience.heard
    assert [line["event"] for line in log() if line["level"] != "info"] == ["picture failed"]
    assert rig.ledger.retry(rig.outbox / "odd.png") == 1
    rig.settle(310)
    assert rig.published() == ["fox.png", "odd.png"]


def test_all_failed_takes_an_unreadable_profile_up_anew(rig):
    """`retry --all-failed` counts it too."""
    rig.put("odd.png", png(1))
    rig.daemon.pause(None)
    rig.settle()
    _spoil(rig, "jobs", "profile", "{")
    rig.daemon.resume()
    rig.settle()
    assert rig.ledger.retry() == 1
    rig.settle(310)
    assert rig.published() == ["odd.png"]


def test_a_pause_that_cannot_be_read_is_one_without_an_end(rig):
    """A damaged pause does not keep the daemon from starting; a person ends it."""
    for odd in ("soon", "1e999 5", "nan nan", "5 x"):
        rig.ledger.meta_set("paused_until", odd)
        rig.restart()
        assert rig.daemon.paused
        assert rig.daemon.paused_until is None
        rig.daemon.step()
    rig.daemon.resume()
    rig.put("fox.png")
    rig.settle()
    assert rig.published() == ["fox.png"]


def test_an_event_that_cannot_be_booked_costs_one_picture(rig, log, monkeypatch):
    """A bug while one result is booked sets that picture aside, once with its traceback, and the others go on."""
    real = rig.ledger.rendered

    def rendered(job_id, *rest):
        if rig.ledger.find(rig.outbox / "odd.png")[0].job.id == job_id:
            raise RuntimeError("no such thing")
        return real(job_id, *rest)

    monkeypatch.setattr(rig.ledger, "rendered", rendered)
    rig.put("odd.png", png(1))
    rig.put("fox.png", png(2))
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    (record,) = rig.ledger.find(rig.outbox / "odd.png")
    assert record.job.state == "failed"
    assert "RuntimeError: no such thing" in record.job.reason
    assert len([line for line in log() if "no such thing" in line.get("exception", "")]) == 1
    assert not rig.daemon._shading.busy


def test_a_ledger_that_cannot_be_written_keeps_the_event(rig, monkeypatch):
    """What is transient is no bug: the result is booked once the ledger can be written."""
    real, broken = rig.ledger.rendered, [True]

    def rendered(*rest):
        if broken[0]:
            raise Transient("the disk is full")
        return real(*rest)

    monkeypatch.setattr(rig.ledger, "rendered", rendered)
    rig.put("fox.png", png(2))
    rig.settle(20)
    assert rig.published() == []
    broken[0] = False
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 1


def test_a_dead_worker_that_cannot_be_booked_for_one_picture_is_for_the_other(rig, monkeypatch):
    """A worker's death is booked for each picture by itself."""
    rig.executor.automatic = False
    rig.put("odd.png", png(1))
    rig.settle()
    (task,) = rig.executor.submitted
    died = rig.ledger.died

    def dies(job_id, detail, **facts):
        if job_id == "77":
            raise RuntimeError("bug")
        return died(job_id, detail, **facts)

    monkeypatch.setattr(rig.ledger, "died", dies)
    shading = rig.daemon._shading
    claim = shading._claims[task.job_id]
    shading._claims["77"] = replace(claim, job=replace(claim.job, id="77"))
    rig.executor.held = []
    rig.executor.said = [WorkerDied(job_ids=("77", task.job_id), detail="killed")]
    rig.daemon.step()
    assert rig.ledger.job(task.job_id).deaths == 1
    assert "77" not in shading._claims


def test_an_arrival_that_the_ledger_will_not_have_costs_one_picture(rig, log, monkeypatch):
    """A bug while one file is entered refuses that file with the reason; the next ones are taken up."""
    real = rig.ledger.admit

    def admit(root, relative, *rest, **facts):
        if relative.name == "odd.png":
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        return real(root, relative, *rest, **facts)

    monkeypatch.setattr(rig.ledger, "admit", admit)
    rig.put("odd.png", png(1))
    rig.put("fox.png", png(2))
    rig.settle()
    assert rig.published() == ["fox.png"]
    (record,) = rig.ledger.find(rig.outbox / "odd.png")
    assert record.job.state == "refused"
    assert "OverflowError" in record.job.reason
    assert len([line for line in log() if "OverflowError" in line.get("exception", "")]) == 1


def test_an_arrival_that_cannot_even_be_set_aside_waits(rig, monkeypatch):
    """Where the ledger cannot hold the refusal either, status says why, and the file is tried at the next scan."""
    monkeypatch.setattr(rig.ledger, "admit", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(rig.ledger, "set_aside", lambda *_, **__: 1 / 0)
    rig.put("odd.png", png(1))
    rig.settle()
    assert "ZeroDivisionError" in rig.daemon.view.troubles[str(rig.outbox / "odd.png")]
    monkeypatch.undo()
    rig.settle(310)
    assert rig.published() == ["odd.png"]


def test_a_ledger_that_is_full_keeps_the_arrival(rig, monkeypatch):
    """An arrival that meets a ledger that cannot be written now is taken up later, and not set aside."""

    def admit(*_, **__):
        raise Transient("the disk is full")

    monkeypatch.setattr(rig.ledger, "admit", admit)
    rig.put("fox.png")
    rig.settle(20)
    monkeypatch.undo()
    rig.settle(20)
    assert rig.published() == ["fox.png"]


PARTS = {
    "delivery": lambda rig: (rig.daemon.delivery, "work"),
    "intake": lambda rig: (rig.daemon.intake, "work"),
    "listen": lambda rig: (rig.daemon._shading, "listen"),
    "begin": lambda rig: (rig.daemon._shading, "start_next"),
    "commands": lambda rig: (rig.daemon._commands, "work"),
    "outbox": lambda rig: (rig.daemon._outboxes[0], "poll"),
    "upkeep": lambda rig: (rig.daemon._upkeep, "work"),
    "view": lambda rig: (rig.daemon._shading, "queue_seconds"),
    "deadline": lambda rig: (rig.daemon, "_sleep_seconds"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_fails_is_tried_again(rig, log, monkeypatch, part):
    """A bug in one part of the round is logged once and told in status, does not spin, and ends by itself."""
    with monkeypatch.context() as broken:
        broken.setattr(*PARTS[part](rig), lambda *_, **__: 1 / 0)
        rig.put("fox.png")
        sleeps = []
        for _ in range(30):
            sleeps.append(rig.daemon.step())
            rig.clock.advance(1.0)
        assert any("ZeroDivisionError" in problem for problem in rig.daemon.view.problems())
        assert min(sleeps) >= 1.0
    rig.settle(70)
    assert rig.published() == ["fox.png"]
    assert rig.daemon.view.problems() == []
    assert len([line for line in log() if line["event"] == "a part of the daemon failed"]) == 1


def test_in_the_foreground_a_bug_is_seen(make_rig, monkeypatch):
    """With --once somebody waits for the end, so that an unexpected error ends it."""
    rig = make_rig(once=True)
    monkeypatch.setattr(rig.daemon.delivery, "work", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rig.daemon.step()


@pytest.mark.parametrize("error", [ModelError("the weights are altered"), Transient("the disk is full")])
def test_known_errors_pass_the_boundary(error):
    """What ends the daemon, and what it waits out, is for the loop to take."""

    def broken():
        raise error

    with pytest.raises(type(error)):
        Boundary(FakeClock(), strict=False).run("a part", broken)


def test_a_part_rests_longer_each_time():
    """The pauses after failures double up to a minute, and one success ends them."""
    clock, calls = FakeClock(), []

    def broken():
        calls.append(clock.monotonic())
        raise Refusal("odd")

    boundary = Boundary(clock, strict=False)
    for _ in range(1000):
        assert boundary.run("a part", broken) is None
        clock.advance(1.0)
    assert 15 <= len(calls) <= 40
    assert boundary.slowed(0.0) >= 1.0
    clock.advance(60.0)
    assert boundary.run("a part", lambda: 5) == 5
    assert boundary.troubles == ()
    assert boundary.slowed(0.0) == 0.0


def test_a_row_that_the_ledger_does_not_take_sets_one_picture_aside(rig):
    """A statement that fails for one picture, as with a reference to nothing, ends neither daemon nor others."""
    with sqlite3.connect(rig.settings.state_dir / LEDGER_NAME) as connection:
        connection.execute(
            "CREATE TRIGGER odd BEFORE INSERT ON placements WHEN CAST(NEW.relative AS TEXT) LIKE 'odd%' "
            "BEGIN SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed'); END"
        )
    connection.close()
    rig.put("odd.png", png(1))
    rig.put("fox.png", png(2))
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert list(rig.daemon.intake.put_off) == [rig.outbox / "odd.png"]


def test_a_damaged_ledger_is_no_pictures_fault(rig, monkeypatch):
    """It ends the daemon with what to do, wherever it shows: while a picture is taken up, or while it is begun."""

    def broken(*_arguments, **_named):
        raise LedgerDamaged("the ledger is damaged", remedy="Run `shaded recover`")

    rig.daemon.pause(None)
    rig.put("fox.png", png(1))
    rig.settle(20)
    rig.daemon.resume()
    monkeypatch.setattr(rig.ledger, "follow_profiles", broken)
    with pytest.raises(LedgerDamaged):
        rig.settle(20)
    rig.restart()
    rig.put("owl.png", png(2))
    monkeypatch.setattr(rig.ledger, "admit", broken)
    with pytest.raises(LedgerDamaged):
        rig.settle(20)
    assert rig.audience.heard == [("fox.png", "published", "")]
