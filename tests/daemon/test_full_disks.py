"""Disks that are full, read-only or forbidden: nothing is lost, nothing half-done stays, and work goes on by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from shaded.daemon import space
from shaded.daemon.space import Disk, look_at, needed_bytes
from shaded.reports import explain_document, status_document
from tests.daemon.disks import fill, mount, small_disk
from tests.daemon.rig import Rig, png

NOBODY = 65534


@pytest.fixture
def small(tmp_path, monkeypatch, request):
    """A rig of which one folder, the parameter, lies on a small disk; staging has a folder of its own."""
    places = {"publish": tmp_path / "pub", "staging": tmp_path / "staging", "state": tmp_path / "state"}
    monkeypatch.setenv("SHADED_PUBLISHING__STAGING", str(places["staging"]))
    kind, check = request.param
    if not check:
        for each in places:
            monkeypatch.setenv(f"SHADED_SPACE__{each.upper()}", "0")
    with small_disk(places[kind]) as disk:
        made = Rig(tmp_path, retry_seconds=5)
        made.kind, made.disk, made.check = kind, disk, check
        yield made
        made.close()


def _nothing_half_done(rig):
    """No temporary file, and no picture without its sidecar."""
    assert not list(rig.publish.rglob("*.tmp"))
    for path in rig.publish.rglob("*.png"):
        assert path.with_name(f"{path.name}.shaded.json").exists()


EVERY_DISK = [(kind, check) for kind in ("publish", "staging", "state") for check in (True, False)]


@pytest.mark.real_disk
@pytest.mark.parametrize("small", EVERY_DISK, ids=str, indirect=True)
def test_a_full_disk_is_waited_out(small):
    """With a full publish, staging or state disk, checked or not, each picture is published once there is room."""
    small.ledger.compact()
    filler = fill(small.disk)
    small.put("fox.png", png(1, size=64))
    troubled = False
    for _ in range(30):
        small.daemon.step()
        small.clock.advance(1.0)
        troubled |= bool(small.daemon.view.problems() or small.daemon.view.troubles)
        troubled |= any(queued.job.reason for queued in small.ledger.queue())
        _nothing_half_done(small)
    assert troubled
    assert small.published() == []
    filler.unlink()
    small.settle(60)
    small.settle(60)
    assert small.published() == ["fox.png"]
    assert list(small.settings.staging_dir.iterdir()) == []
    assert small.daemon.view.problems() == []
    if small.check:
        assert len(small.executor.submitted) == 1


@pytest.mark.real_disk
@pytest.mark.parametrize("small", [("publish", True), ("publish", False), ("staging", True), ("staging", False)],
                         ids=str, indirect=True)  # fmt: skip
def test_a_disk_that_becomes_read_only_is_waited_out(small):
    """A publish or staging disk remounted read-only stops nothing for good: writable again, it is used."""
    assert mount("-o", "remount,ro", str(small.disk))
    small.put("fox.png")
    small.settle(30)
    assert small.published() == []
    problems = small.daemon.view.problems()
    assert any(small.kind in problem and "read-only" in problem for problem in problems)
    assert mount("-o", "remount,rw", str(small.disk))
    small.settle(60)
    small.settle(60)
    assert small.published() == ["fox.png"]
    assert small.daemon.view.problems() == []


@pytest.mark.real_disk
def test_nothing_is_published_into_the_mount_point_of_a_disk_that_is_away(tmp_path):
    """While the publish folder's disk is away, also after a restart, pictures wait; mounted again, it gets them."""
    with small_disk(tmp_path / "pub"):
        rig = Rig(tmp_path, retry_seconds=5)
        rig.put("before.png")
        rig.settle(10)
        assert rig.published() == ["before.png"]
        subprocess.run(["umount", str(rig.publish)], check=True)
        rig.put("fox.png", png(2))
        rig.settle(30)
        rig.restart()
        rig.settle(30)
        assert list(rig.publish.iterdir()) == []
        assert len(rig.executor.submitted) == 1
        assert any("publish folder is missing" in problem for problem in rig.daemon.view.problems())
        assert mount("-t", "tmpfs", "tmpfs", str(rig.publish))
        rig.settle(60)
        assert rig.published() == ["fox.png"]
        assert rig.daemon.view.problems() == []
        rig.close()


@pytest.mark.real_disk
@pytest.mark.parametrize("kind", ["publish", "staging"])
def test_a_folder_that_may_not_be_written_is_waited_out(kind, monkeypatch):
    """Without permission to write, nothing is begun and status says why; with it again, the picture is published."""
    base = Path(tempfile.mkdtemp(prefix="shaded-eacces-"))
    root = os.geteuid() == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(base / "config"))
    if root:
        os.chown(base, NOBODY, NOBODY)
        os.seteuid(NOBODY)  # root may write everywhere
    try:
        monkeypatch.setenv("SHADED_PUBLISHING__STAGING", str(base / "staging"))
        rig = Rig(base, retry_seconds=5)
        folder = rig.publish if kind == "publish" else base / "staging"
        folder.chmod(0o500)
        rig.put("fox.png")
        rig.settle(30)
        assert rig.executor.submitted == []
        assert any("may not be written" in problem for problem in rig.daemon.view.problems())
        folder.chmod(0o700)
        rig.settle(20)
        assert rig.published() == ["fox.png"]
        rig.close()
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(base)


@pytest.fixture
def full(monkeypatch):
    """Pretends that so few bytes are free on folders whose path ends with a name."""
    free = {}
    real = os.statvfs

    def look(path):
        found = list(real(path))
        for name, size in free.items():
            if str(path).endswith(name):
                found[4] = size // found[1]  # f_bavail, in f_frsize
        return os.statvfs_result(found)

    monkeypatch.setattr(space.Disks.__init__, "__defaults__", (look,))
    return free


def test_nothing_is_begun_for_a_full_disk(rig, full):
    """While the publish disk is full no picture is begun; status and explain name the disk, and work resumes itself."""
    full["pub"] = 0
    rig.restart()
    path = rig.put("fox.png")
    rig.settle(20)
    assert rig.executor.submitted == []
    document = status_document(rig.ledger, rig.daemon.view)
    assert not document["health"]["ok"]
    (bad,) = [disk for disk in document["disks"] if not disk["ok"]]
    assert (bad["kind"], bad["path"]) == ("publish", str(rig.publish))
    assert "is full" in bad["trouble"]
    why = explain_document(rig.ledger, rig.settings, path, None, running=True, blocked=rig.daemon.view.blocked)["why"]
    assert "the disk of the publish folder is full" in why
    full.clear()
    rig.settle(10)
    assert rig.published() == ["fox.png"]


def test_a_full_disk_costs_no_claims_and_no_busy_waiting(rig, full):
    """However many pictures wait for room, none is claimed and the daemon sleeps between its looks at the disk."""
    full["pub"] = 0
    rig.restart()
    for number in range(50):
        rig.put(f"p{number}.png", png(number))
    rig.settle(10)
    steps, end = 0, rig.clock.monotonic() + 60
    while rig.clock.monotonic() < end:
        rig.clock.advance(max(0.01, rig.daemon.step()))
        steps += 1
    assert steps < 60
    assert all(queued.job.attempts == 0 and not queued.job.reason for queued in rig.ledger.queue())


def test_only_the_folder_with_the_full_disk_waits(make_rig, tmp_path, full):
    """Of two folders the one whose publish disk has room goes on."""
    from shaded.settings import Folder

    full["full"] = 0
    rig = make_rig(
        folders=(
            Folder(outbox=tmp_path / "out", publish=tmp_path / "full"),
            Folder(outbox=tmp_path / "out2", publish=tmp_path / "pub"),
        )
    )
    rig.put("fox.png", png(1))
    (tmp_path / "out2" / "wolf.png").write_bytes(png(2))
    rig.observers[1].see(tmp_path / "out2" / "wolf.png")
    rig.settle()
    assert rig.published() == ["wolf.png"]
    assert [task.name for task in rig.executor.submitted] == ["wolf.png"]


def test_a_picture_too_large_for_the_room_lets_smaller_ones_pass(rig, full):
    """A picture that does not fit is put off with the reason, and one that fits is published."""
    rig.put("large.png", png(1) + bytes(4_000_000))
    rig.put("small.png", png(2))
    settings_wanted = look_at(Disk("publish", rig.publish, "1 %")).wanted
    full["pub"] = full["staging"] = settings_wanted + needed_bytes(100_000) * 3
    rig.restart()
    rig.settle(10)
    assert rig.published() == ["small.png"]
    (record,) = rig.ledger.find(rig.outbox / "large.png")
    assert record.job.state == "settled"
    assert "is full" in record.job.reason


def test_a_folder_that_is_missing_is_not_called_full(tmp_path):
    """What cannot be asked is no trouble of the disk's."""
    assert look_at(Disk("publish", tmp_path / "gone", "1 %")).trouble is None
