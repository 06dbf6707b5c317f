"""The daemon and its outboxes: short rounds, ready after the first scans, and one outbox's trouble is its own."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from shaded.daemon import watchers
from shaded.daemon.watchers import poll_all, start_all
from shaded.ledger import Ledger
from shaded.settings import Folder
from tests.daemon.rig import png


class Remembering:
    """A service manager that is told."""

    beat_seconds = None

    def __init__(self):
        self.said = []

    def ready(self):
        self.said.append("ready")

    def reloading(self):
        self.said.append("reloading")

    def status(self, _sentence):
        pass

    def stopping(self):
        pass


@pytest.fixture
def no_time(monkeypatch):
    """Each round does one step of each thing."""
    monkeypatch.setattr(watchers, "OUTBOX_SECONDS", 0.0)


def fill(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:04}.png").write_bytes(png(number))


def test_ready_is_said_after_the_first_scan_of_each_outbox(make_rig, tmp_path, no_time, monkeypatch):
    """Not before, and once, however many rounds the scans take; one that is missing keeps nobody waiting."""
    folders = tuple(Folder(outbox=tmp_path / f"out{n}", publish=tmp_path / f"pub{n}") for n in range(3))
    for folder in folders[:2]:
        fill(folder.outbox, 20)
    rig = make_rig(folders=folders)
    rig.daemon.stop()
    shutil.rmtree(folders[2].outbox)
    monkeypatch.setattr("tests.daemon.rig.prepare_folders", lambda _settings: None)
    rig.restart()
    rig.daemon._notifier = manager = Remembering()
    rounds, sleep = 0, 0.0
    while "ready" not in manager.said:
        assert sleep == 0.0
        sleep = rig.daemon.step()
        rounds += 1
        assert rounds < 200
    assert rounds >= 20
    assert all(outbox.looked_through for outbox in rig.daemon._outboxes)
    rig.settle()
    assert manager.said == ["ready"]


def test_a_run_for_once_waits_for_the_scans_and_looks(make_rig, tmp_path, no_time):
    """It ends when everything was found, has settled and was published, however short the rounds are."""
    fill(tmp_path / "out", 30)
    rig = make_rig(once=True)
    for _ in range(1200):
        if rig.daemon.finished:
            break
        if rig.daemon.step():
            rig.clock.advance(0.5)
    assert len(rig.published()) == 30


def test_a_round_ends_in_time_however_many_files_there_are(make_rig, tmp_path, monkeypatch):
    """Scan, settling and rescan are done in rounds of a bounded length; it is the processor's time that is measured."""
    monkeypatch.setattr(watchers, "OUTBOX_SECONDS", 0.02)
    monkeypatch.setattr("shaded.daemon.loop.INTAKE_SECONDS", 0.02)
    for number in range(1200):
        folder = tmp_path / "out" / str(number // 400)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(b"no picture" * 10 + str(number).encode())
    rig = make_rig()
    cost: list[float] = []

    def rounds(done):
        for _ in range(20_000):
            began = time.thread_time()
            sleep = rig.daemon.step()
            cost.append(time.thread_time() - began)
            if done():
                return
            if sleep:
                rig.clock.advance(min(sleep, 1.0))
        pytest.fail("there is no end to it")

    (outbox,) = rig.daemon._outboxes
    rounds(lambda: rig.ledger.counts()["refused"] == 1200)
    outbox.rescan()
    rounds(lambda: not outbox.status()["scanning"])
    assert len(cost) > 20
    assert sorted(cost)[-3] < 0.3  # of processor time; each of these phases takes several times that


def test_an_outbox_that_raises_leaves_the_others_alone(make_rig, tmp_path, monkeypatch):
    """Its reason is in the status, the other one's pictures are published, and in the end so are its own."""
    folders = tuple(Folder(outbox=tmp_path / f"out{n}", publish=tmp_path / f"pub{n}") for n in range(2))
    rig = make_rig(folders=folders)
    with monkeypatch.context() as patched:
        patched.setattr(rig.observers[0], "drain", lambda: 1 / 0)
        for folder in folders:
            fill(folder.outbox, 2)
        for path in folders[1].outbox.glob("*.png"):
            rig.observers[1].see(path)
        rig.settle(8)
        assert len(list((tmp_path / "pub1").glob("*.png"))) == 2
        assert not list((tmp_path / "pub0").glob("*.png"))
        (problem,) = rig.daemon.view.problems()
        assert "ZeroDivisionError" in problem
        assert str(tmp_path / "out0") in problem
    rig.settle(80)
    assert len(list((tmp_path / "pub0").glob("*.png"))) == 2
    assert rig.daemon.view.problems() == []


def test_each_outbox_gets_its_turn(make_rig, tmp_path, no_time):
    """One with thousands of files keeps no other one waiting."""
    folders = tuple(Folder(outbox=tmp_path / f"out{n}", publish=tmp_path / f"pub{n}") for n in range(2))
    fill(folders[0].outbox, 200)
    fill(folders[1].outbox, 1)
    rig = make_rig(folders=folders)
    outboxes = rig.daemon._outboxes
    for outbox in outboxes:
        outbox.stop()
        outbox._anew = True
    start_all(outboxes)
    for _ in range(5):
        assert list(poll_all(outboxes)) == []
    assert outboxes[1].looked_through
    assert not outboxes[0].looked_through


def edited_in_place(path: Path, data: bytes) -> None:
    """As a program does that restores the date; the new content has the old size."""
    before = path.stat()
    assert len(data) == before.st_size
    time.sleep(0.02)
    with path.open("r+b") as stream:
        stream.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("heard", [True, False])
def test_an_edit_that_restores_size_and_date_is_shaded(rig, heard):
    """Heard of or only found by a scan, the new content replaces the published copy."""
    old, new = png(1), png(2)
    assert len(old) == len(new)
    path = rig.put("fox.png", old)
    rig.settle()
    edited_in_place(path, new)
    if heard:
        rig.observers[0].see(path)
    rig.settle(10 if heard else rig.settings.watching.rescan_seconds + 10)
    assert len(rig.executor.submitted) == 2
    assert rig.published() == ["fox.png"]


def test_changed_rights_and_attributes_cost_no_second_shading(rig, monkeypatch):
    """After ``chmod`` or a hard link a picture is read once more, known after that, and never shaded again."""
    admitted = []
    real = Ledger.admit
    monkeypatch.setattr(Ledger, "admit", lambda self, *args, **more: admitted.append(1) or real(self, *args, **more))
    path = rig.put("fox.png")
    rig.settle()
    for change in (lambda: path.chmod(0o600), lambda: os.link(path, rig.base / "other"), lambda: path.chmod(0o644)):
        time.sleep(0.02)
        change()
        rig.observers[0].see(path)
        rig.settle()
    assert len(admitted) == 4
    for _ in range(3):
        rig.observers[0].see(path)
        rig.settle(rig.settings.watching.rescan_seconds + 10)
    assert len(admitted) == 4
    assert len(rig.executor.submitted) == 1
    assert rig.ledger.counts()["published"] == 1


def test_a_pattern_that_would_take_years_holds_up_nothing(rig):
    """With ``*a*a*a...b`` in ``.shadedignore``, and names that nearly match it, pictures are published as ever."""
    (rig.outbox / ".shadedignore").write_text("*a" * 40 + "b\n")
    rig.settle(rig.settings.watching.rescan_seconds + 1)
    rig.put("a" * 200 + ".png")
    rig.settle()
    assert rig.published() == ["a" * 200 + ".png"]
