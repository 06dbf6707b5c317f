from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from shaded.outbox.observer import Drained, FakeObserver, Inbox, NativeObserver


def test_the_inbox_keeps_each_path_once_in_order():
    """Repeated events of one path take one place."""
    inbox = Inbox(lambda: None, limit=10)
    for path in ("/o/b", "/o/a", "/o/b"):
        inbox.put(path)
    assert inbox.drain() == Drained((Path("/o/b"), Path("/o/a")), overflowed=False)
    assert inbox.drain() == Drained()


def test_the_inbox_is_bounded_and_says_when_it_overflowed():
    """More than the limit is dropped and told once; what is queued already may still repeat."""
    inbox = Inbox(lambda: None, limit=2)
    for path in ("/o/a", "/o/b", "/o/a"):
        inbox.put(path)
    assert not inbox.drain().overflowed
    for path in ("/o/a", "/o/b", "/o/c"):
        inbox.put(path)
    assert inbox.drain() == Drained((Path("/o/a"), Path("/o/b")), overflowed=True)
    assert not inbox.drain().overflowed


def test_the_inbox_wakes_its_reader_once_until_it_is_drained():
    """A burst of events is one wake-up, and none is lost after draining."""
    woken = []
    inbox = Inbox(lambda: woken.append(1), limit=10)
    inbox.put("/o/a")
    inbox.put("/o/b")
    assert len(woken) == 1
    inbox.drain()
    inbox.put("/o/a")
    assert len(woken) == 2


def test_the_fake_observer_behaves_like_one():
    """It hears what it is told, breaks when told, and heals at the next start."""
    observer = FakeObserver()
    assert not observer.healthy()
    observer.start()
    observer.see(Path("/o/a"))
    assert observer.drain().paths == (Path("/o/a"),)
    observer.broken = True
    assert not observer.healthy()
    observer.start()
    assert observer.healthy()
    observer.overflow()
    assert observer.drain().overflowed
    observer.stop()
    assert not observer.healthy()


class Listener:
    """A real observer on a real folder, with what it heard so far."""

    def __init__(self, root: Path) -> None:
        self.woken = threading.Event()
        self.observer = NativeObserver(root, self.woken.set)
        self.heard: set[Path] = set()

    def hears(self, path: Path, seconds: float = 10.0) -> bool:
        end = time.monotonic() + seconds
        while path not in self.heard and time.monotonic() < end:
            self.woken.wait(0.2)
            self.woken.clear()
            self.heard |= set(self.observer.drain().paths)
        return path in self.heard


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "outbox"
    folder.mkdir()
    return folder


@pytest.fixture
def listener(root):
    listening = Listener(root)
    listening.observer.start()
    yield listening
    listening.observer.stop()


@pytest.mark.real_disk
def test_a_written_file_is_heard_of(root, listener):
    """Creating and writing a file queues its path."""
    (root / "a.png").write_bytes(b"x")
    assert listener.hears(root / "a.png")


@pytest.mark.real_disk
def test_a_file_renamed_over_another_is_heard_of_by_its_new_name(root, listener):
    """Saving by temporary file and rename queues the place where the file is now."""
    (root / "a.png").write_bytes(b"old")
    assert listener.hears(root / "a.png")
    listener.heard.clear()
    (root / "a.tmp").write_bytes(b"new")
    (root / "a.tmp").replace(root / "a.png")
    assert listener.hears(root / "a.png")


@pytest.mark.real_disk
def test_a_file_moved_in_from_outside_is_heard_of(root, listener, tmp_path):
    """A move from an unwatched folder is no less an arrival."""
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "a.png").replace(root / "a.png")
    assert listener.hears(root / "a.png")


@pytest.mark.real_disk
def test_files_below_a_folder_that_is_made_later_are_heard_of(root, listener):
    """New folders are watched too."""
    (root / "new" / "deep").mkdir(parents=True)
    assert listener.hears(root / "new")
    (root / "new" / "deep" / "a.png").write_bytes(b"x")
    assert listener.hears(root / "new" / "deep" / "a.png")


@pytest.mark.real_disk
def test_a_folder_moved_in_is_heard_of(root, listener, tmp_path):
    """The folder's own path is queued, so that it can be scanned whatever else is heard."""
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.png").write_bytes(b"x")
    (tmp_path / "album").replace(root / "album")
    assert listener.hears(root / "album")


@pytest.mark.real_disk
def test_reading_a_file_is_not_heard_of(root, listener):
    """Opening and reading wakes nobody: the daemon's own reading would keep it awake."""
    (root / "a.png").write_bytes(b"x")
    assert listener.hears(root / "a.png")
    time.sleep(0.3)
    listener.observer.drain()
    (root / "a.png").read_bytes()
    (root / "b.png").write_bytes(b"x")
    listener.heard.clear()
    assert listener.hears(root / "b.png")
    assert root / "a.png" not in listener.heard


@pytest.mark.real_disk
def test_a_name_that_is_no_text_is_heard_of(root, listener):
    """Bytes that are no UTF-8 come through the events unharmed."""
    path = root / os.fsdecode(b"f\xff.png")
    path.write_bytes(b"x")
    assert listener.hears(path)


@pytest.mark.real_disk
def test_an_outbox_that_is_a_link_is_watched_under_its_own_name(tmp_path, root):
    """Paths are reported below the link as the user wrote it."""
    (tmp_path / "link").symlink_to(root)
    listening = Listener(tmp_path / "link")
    listening.observer.start()
    try:
        (root / "a.png").write_bytes(b"x")
        assert listening.hears(tmp_path / "link" / "a.png")
    finally:
        listening.observer.stop()


@pytest.mark.real_disk
def test_an_outbox_deleted_and_made_again_is_noticed_and_heals(root, listener):
    """A new folder of the same name is not the watched one; a restart listens to it."""
    assert listener.observer.healthy()
    shutil.rmtree(root)
    assert not listener.observer.healthy()
    root.mkdir()
    # The new folder may be given the old one's inode; then the ended emitter tells, a little later.
    end = time.monotonic() + 10
    while listener.observer.healthy() and time.monotonic() < end:
        time.sleep(0.02)
    assert not listener.observer.healthy()
    listener.observer.start()
    assert listener.observer.healthy()
    (root / "a.png").write_bytes(b"x")
    assert listener.hears(root / "a.png")


@pytest.mark.real_disk
def test_an_outbox_replaced_by_another_folder_is_noticed(root, listener, tmp_path):
    """Even with the old one kept elsewhere, so that its watcher never ends."""
    root.rename(tmp_path / "kept")
    root.mkdir()
    assert not listener.observer.healthy()


@pytest.mark.real_disk
def test_a_missing_outbox_cannot_be_watched_and_leaves_no_thread(tmp_path):
    """The error is the system's own, and a later start works."""
    before = threading.active_count()
    observer = NativeObserver(tmp_path / "outbox", lambda: None)
    with pytest.raises(FileNotFoundError):
        observer.start()
    assert not observer.healthy()
    (tmp_path / "outbox").mkdir()
    observer.start()
    assert observer.healthy()
    observer.stop()
    assert not observer.healthy()
    observer.stop()
    assert threading.active_count() == before


@pytest.mark.real_disk
def test_a_watcher_that_cannot_be_set_up_leaves_no_thread(root, monkeypatch):
    """When the system refuses a watch, what was begun is ended again and the reason is explained."""
    from watchdog.observers import api

    def refuse(self):
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    before = threading.active_count()
    monkeypatch.setattr(api.EventEmitter, "start", refuse)
    observer = NativeObserver(root, lambda: None)
    with pytest.raises(OSError, match="max_user_watches"):
        observer.start()
    assert threading.active_count() == before


@pytest.mark.real_disk
def test_a_dead_emitter_is_noticed(root, listener):
    """The observer's own thread may live on while nothing is heard any more."""
    for emitter in list(listener.observer._observer.emitters):
        emitter.stop()
        emitter.join(5)
    assert listener.observer._observer.is_alive()
    assert not listener.observer.healthy()


@pytest.mark.real_disk
@pytest.mark.skipif(sys.platform != "linux", reason="only inotify has a reading thread of its own")
def test_a_dead_reader_is_noticed(root, listener):
    """Observer and emitter wait in peace for a thread that reads no more."""
    reader = listener.observer._observer._inotify_fd
    reader.stop()
    reader.join(5)
    assert listener.observer._observer.is_alive()
    assert not listener.observer.healthy()


@pytest.mark.real_disk
@pytest.mark.skipif(sys.platform != "linux", reason="the message is inotify's")
def test_events_that_the_system_dropped_are_an_overflow(root, listener):
    """When the kernel's queue overflows, watchdog only logs it; that is heard and wakes the caller."""
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent

    listener.observer.drain()
    listener.woken.clear()
    lost = InotifyEvent(-1, InotifyConstants.IN_Q_OVERFLOW, 0, b"")
    listener.observer._observer._inotify_fd.handle_event(lost)
    assert listener.woken.is_set()
    assert listener.observer.drain().overflowed


@pytest.mark.real_disk
def test_watchdogs_own_remarks_stay_out_of_the_log(root, capfd):
    """Starting and stopping says nothing on standard error."""
    observer = NativeObserver(root, lambda: None)
    for _ in range(3):
        observer.start()
        observer.stop()
    assert capfd.readouterr().err == ""


def test_no_thread_for_an_observer_is_an_error_that_passes(tmp_path, monkeypatch):
    """Where no thread can be started the observer is tried again later, like one that the system refuses."""
    import threading

    def start(_thread):
        raise RuntimeError("can't start new thread")

    observer = NativeObserver(tmp_path, lambda: None)
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="can't start new thread"):
        observer.start()
    monkeypatch.undo()
    assert not observer.healthy()
    observer.start()
    assert observer.healthy()
    observer.stop()
