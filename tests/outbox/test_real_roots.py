"""Real folders, real mounts, a real watcher: an outbox that goes away comes back by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from shaded.clock import SystemClock
from shaded.filestat import FileStat
from shaded.outbox import hearing
from shaded.outbox.arrivals import Outbox
from shaded.outbox.observer import NativeObserver
from shaded.outbox.roots import MARKER
from shaded.settings import Folder, Watching

pytestmark = [pytest.mark.real_disk]

WATCHING = Watching(quiet_seconds=0.3, longest_wait_seconds=60, rescan_seconds=3600, poll_seconds=1)


class Watched:
    """An outbox under the real clock, with a ledger that is a dictionary."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.woken = threading.Event()
        self.clock = SystemClock()
        self.ledger: dict[Path, FileStat] = {}
        self.arrived: list[str] = []
        folder = Folder(outbox=root, publish=root.parent / "published")
        observer = NativeObserver(root, self.woken.set)
        self.outbox = Outbox(folder, WATCHING, self.clock, observer, self.known)
        self.outbox.start()

    def known(self, relative: Path, stat: FileStat) -> bool:
        return self.ledger.get(relative) == stat

    def until(self, condition, seconds: float = 20.0) -> None:
        """Work as the daemon does until it holds."""
        end = self.clock.monotonic() + seconds
        while not condition():
            assert self.clock.monotonic() < end, self.outbox.status()
            self.woken.wait(max(0.0, min(self.outbox.next_deadline() - self.clock.monotonic(), 0.2)))
            self.woken.clear()
            for arrival in self.outbox.poll():
                self.arrived.append(str(arrival.relative))
                self.ledger[arrival.relative] = arrival.stat

    def status(self, key: str):
        return self.outbox.status()[key]

    def takes(self, name: str) -> None:
        """A file that is written now arrives, once."""
        (self.root / name).write_bytes(b"picture of " + name.encode())
        self.until(lambda: name in self.arrived)
        assert self.arrived.count(name) == 1


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Watch ``outbox`` in a folder of its own, looking after it every half second."""
    monkeypatch.setattr("shaded.outbox.arrivals.HEALTH_SECONDS", 0.5)
    monkeypatch.setattr(hearing, "HEALTH_SECONDS", 0.5)
    made = []

    def build(root: Path | None = None) -> Watched:
        root = root or tmp_path / "outbox"
        root.mkdir(exist_ok=True)
        made.append(Watched(root))
        return made[-1]

    yield build
    for watched in made:
        watched.outbox.stop()


def test_a_root_that_is_deleted_and_recreated_is_watched_again(watch):
    """It is missing meanwhile; the new folder's files arrive by events again, without a restart."""
    watched = watch()
    watched.takes("before.png")
    for number in range(2):
        shutil.rmtree(watched.root)
        watched.until(lambda: not watched.status("there"))
        watched.root.mkdir()
        watched.until(lambda: watched.status("healthy"))
        assert (watched.root / MARKER).exists()
        watched.takes(f"after{number}.png")
    assert watched.arrived == ["before.png", "after0.png", "after1.png"]


def test_a_root_that_is_replaced_is_watched_again(watch, tmp_path):
    """Another folder moved to its place is taken into use, with what lies in it."""
    watched = watch()
    watched.takes("before.png")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "inside.png").write_bytes(b"inside")
    watched.root.rename(tmp_path / "kept")
    (tmp_path / "other").rename(watched.root)
    watched.until(lambda: "inside.png" in watched.arrived)
    watched.takes("after.png")


def test_permission_lost_and_given_back(watch):
    """With chmod 000 the outbox is missing and says so; given back, what came meanwhile arrives, once."""
    with _as_nobody() as base:
        watched = watch(base / "outbox")
        watched.takes("before.png")
        watched.root.chmod(0)
        watched.until(lambda: not watched.status("there"))
        assert "permission is denied" in watched.status("why")
        watched.root.chmod(0o700)
        watched.until(lambda: watched.status("healthy"))
        watched.takes("after.png")
        assert watched.arrived == ["before.png", "after.png"]


@contextmanager
def _as_nobody():
    """A folder, and no right to read everything: the superuser becomes another user for so long."""
    base = Path(tempfile.mkdtemp(prefix="shaded-test-"))
    user = os.geteuid()
    try:
        if user == 0:
            os.chown(base, 65534, -1)
            os.seteuid(65534)
        yield base
    finally:
        os.seteuid(user)
        shutil.rmtree(base)


@contextmanager
def _mounting(root: Path):
    """A tmpfs that can be mounted upon ``root`` and taken away again, or a skip that says why not."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only the superuser may mount, on Linux")

    def mount():
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "shaded-test", root], check=False)
        if done.returncode:
            pytest.skip("mounting is not permitted here")

    def unmount():
        subprocess.run(["umount", root], check=True)

    try:
        yield mount, unmount
    finally:
        subprocess.run(["umount", "-q", root], check=False, stderr=subprocess.DEVNULL)


def test_a_disk_that_is_unmounted_and_mounted_again(watch, tmp_path):
    """An outbox below a mount is missing without its disk, and nothing is written into the empty mount point."""
    root = tmp_path / "outbox"
    root.mkdir()
    with _mounting(root) as (mount, unmount):
        mount()
        watched = watch(root)
        watched.takes("before.png")
        kept = tmp_path / "disk"
        kept.mkdir()
        subprocess.run(["mount", "--bind", root, kept], check=True)  # so that the disk lives on without its place
        try:
            unmount()
            watched.until(lambda: not watched.status("there"))
            assert "shaded-test (tmpfs)" in watched.status("why")
            assert list(root.iterdir()) == []
            subprocess.run(["mount", "--bind", kept, root], check=True)
            watched.until(lambda: watched.status("healthy"))
            watched.takes("after.png")
            assert watched.arrived == ["before.png", "after.png"]
            unmount()
        finally:
            watched.outbox.stop()
            subprocess.run(["umount", kept], check=True)


def test_a_disk_mounted_upon_a_root_in_use(watch, tmp_path):
    """The new disk is watched instead of what it hides, and the hidden folder again when the disk is gone."""
    root = tmp_path / "outbox"
    root.mkdir()
    with _mounting(root) as (mount, unmount):
        watched = watch(root)
        watched.takes("below.png")
        mount()
        watched.until((root / MARKER).exists)
        watched.until(lambda: watched.status("healthy"))
        watched.takes("upon.png")
        time.sleep(0.1)
        unmount()
        watched.until(lambda: watched.outbox.missing() == "" and watched.status("healthy"))
        watched.takes("again.png")
        assert watched.arrived == ["below.png", "upon.png", "again.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is inotify's")
def test_a_limit_that_is_used_up_means_polling_until_it_is_raised(watch, monkeypatch):
    """With no watch to be had files arrive by polling, and events come back without a restart."""
    from watchdog.observers import api

    real = api.EventEmitter.start
    monkeypatch.setattr(hearing, "LONGEST_BACK_OFF", 1.0)

    def refuse(self):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(api.EventEmitter, "start", refuse)
    watched = watch()
    assert watched.status("watching") == "polling"
    assert "sudo sysctl fs.inotify.max_user_watches=" in watched.status("why")
    watched.takes("polled.png")
    monkeypatch.setattr(api.EventEmitter, "start", real)
    watched.until(lambda: watched.status("watching") == "native")
    watched.takes("heard.png")
    assert watched.status("trouble") == []
