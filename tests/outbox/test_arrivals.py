from __future__ import annotations

import errno
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path, PurePath

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import binary, floats, sampled_from

from shaded.clock import FakeClock, SystemClock
from shaded.filestat import FileStat
from shaded.outbox.arrivals import Outbox
from shaded.outbox.hearing import HEALTH_SECONDS, LONGEST_BACK_OFF
from shaded.outbox.mounts import Mount
from shaded.outbox.observer import FakeObserver, NativeObserver
from shaded.settings import Folder, Watching

WATCHING = Watching(quiet_seconds=3, longest_wait_seconds=60, rescan_seconds=300)


class World:
    """An outbox on a real folder with a fake clock, a fake observer, and a ledger that is a dictionary."""

    def __init__(
        self, base: Path, watching: Watching = WATCHING, *, events="auto", mounts: Sequence[Mount] = (), memory=None
    ) -> None:
        self.root = base / "outbox"
        self.root.mkdir(parents=True)
        self.clock = FakeClock()
        self.observer = FakeObserver()
        self.ledger: dict[Path, FileStat] = {}
        self.asked: list[Path] = []
        self.mounts = list(mounts)
        folder = Folder(outbox=self.root, publish=base / "published", events=events)
        self.outbox = Outbox(
            folder, watching, self.clock, self.observer, self.known, memory=memory, table=lambda: self.mounts
        )

    def known(self, relative: Path, stat: FileStat) -> bool:
        self.asked.append(relative)
        return self.ledger.get(relative) == stat

    def write(self, name: str, content: bytes = b"picture", *, heard: bool = True) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if heard:
            self.observer.see(path)

    def arrivals(self, seconds: float = 0.0, *, admit: bool = True) -> list[str]:
        """Let time pass as the daemon does, from deadline to deadline; the names that arrived."""
        end = self.clock.monotonic() + seconds
        names = []
        while True:
            for arrival in self.outbox.poll():
                names.append(str(arrival.relative))
                if admit:
                    self.ledger[arrival.relative] = arrival.stat
            if self.clock.monotonic() >= end:
                return names
            pause = min(max(self.outbox.next_deadline(), self.clock.monotonic() + 0.001), end)
            self.clock.advance(pause - self.clock.monotonic())


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_file_that_is_there_at_the_start_settles_like_any_other(world):
    """The first scan finds it, and it waits for the quiet period too."""
    world.write("a.png", heard=False)
    world.outbox.start()
    assert world.arrivals(2.9) == []
    assert world.outbox.unsettled == 1
    assert world.arrivals(0.2) == ["a.png"]
    assert world.outbox.unsettled == 0


def test_the_observer_starts_before_the_first_scan(world, monkeypatch):
    """Otherwise a file that comes between the two would be missed."""
    order = []
    monkeypatch.setattr(world.observer, "start", lambda: order.append("observer"))
    monkeypatch.setattr(world.outbox, "rescan", lambda: order.append("scan"))
    world.outbox.start()
    assert order == ["observer", "scan"]


def test_an_event_makes_a_file_arrive_after_the_quiet_period(world):
    """What is heard of settles and is handed over once, with its root, path and stat."""
    world.outbox.start()
    world.write("sub/a.png", b"12345")
    assert world.arrivals() == []
    world.clock.advance(3)
    (arrival,) = world.outbox.poll()
    assert arrival.root == world.root
    assert arrival.path == world.root / "sub" / "a.png"
    assert arrival.stat == FileStat.of((world.root / "sub" / "a.png").stat())
    assert world.outbox.poll() == []


def test_a_change_during_the_quiet_period_is_noticed_without_an_event(world):
    """The second look finds it: events are hints only."""
    world.outbox.start()
    world.write("a.png", b"1")
    assert world.arrivals(2) == []
    world.write("a.png", b"1234", heard=False)
    assert world.arrivals(2) == []
    assert world.arrivals(4) == ["a.png"]


def test_a_file_that_is_saved_again_arrives_again(world):
    """Another content at a known path is a new arrival."""
    world.outbox.start()
    world.write("a.png", b"1")
    assert world.arrivals(4) == ["a.png"]
    world.write("a.png", b"22")
    assert world.arrivals(4) == ["a.png"]


def test_a_known_file_is_not_tracked_again(world):
    """An event or a scan that finds a file as the ledger knows it costs one question."""
    world.outbox.start()
    world.write("a.png")
    assert world.arrivals(4) == ["a.png"]
    world.observer.see(world.root / "a.png")
    world.outbox.rescan()
    assert world.arrivals(10) == []
    assert world.outbox.status()["tracked"] == 0


def test_what_was_missed_is_found_by_the_scan(world):
    """A file without any event arrives after the next scan."""
    world.outbox.start()
    world.write("a.png", heard=False)
    assert world.arrivals(WATCHING.rescan_seconds - 1) == []
    assert world.arrivals(10) == ["a.png"]


def test_an_overflow_of_events_leads_to_a_scan_at_once(world):
    """What did not fit into the queue is found without waiting for the interval."""
    world.outbox.start()
    for number in range(30):
        world.write(f"{number}.png", heard=False)
    world.observer.overflow()
    assert len(world.arrivals(4)) == 30


def test_an_arrival_that_was_not_admitted_comes_again_with_the_next_scan(world):
    """What could not be read the first time is not forgotten."""
    world.outbox.start()
    world.write("a.png")
    assert world.arrivals(4, admit=False) == ["a.png"]
    assert world.arrivals(100, admit=False) == []
    assert world.arrivals(WATCHING.rescan_seconds) == ["a.png"]


def test_a_folder_that_was_moved_in_is_looked_through(world, tmp_path):
    """One event for the folder is enough for everything in it."""
    world.outbox.start()
    (tmp_path / "album" / "deep").mkdir(parents=True)
    (tmp_path / "album" / "deep" / "a.png").write_bytes(b"x")
    (tmp_path / "album" / "b.tmp").write_bytes(b"x")
    (tmp_path / "album").replace(world.root / "album")
    world.observer.see(world.root / "album")
    assert world.arrivals(4) == ["album/deep/a.png"]


def test_what_is_ignored_does_not_arrive(world):
    """Neither by event nor by scan."""
    world.outbox.start()
    world.write(".hidden/a.png")
    world.write("a.tmp")
    world.write("b.part", heard=False)
    world.outbox.rescan()
    assert world.arrivals(10) == []
    assert world.outbox.status()["tracked"] == 0


def test_the_ignore_file_holds_from_the_next_scan_on(world):
    """A pattern that is added while a file settles keeps it from arriving."""
    world.outbox.start()
    world.write("a.psd")
    assert world.arrivals(1) == []
    world.write(".shadedignore", b"*.psd\n")
    world.outbox.rescan()
    assert world.arrivals(10) == []


def test_temporary_file_and_rename_over_gives_one_arrival(world):
    """The temporary name never arrives; the final one does, once."""
    world.outbox.start()
    world.write("a.png", b"old")
    assert world.arrivals(4) == ["a.png"]
    world.write("a.png~", b"newer")
    assert world.arrivals(1) == []
    (world.root / "a.png~").replace(world.root / "a.png")
    world.observer.see(world.root / "a.png")
    assert world.arrivals(10) == ["a.png"]


def test_a_file_that_never_rests_is_reported_and_arrives_in_the_end(world):
    """Status names it, it holds up nothing, and it arrives once it rests."""
    world.outbox.start()
    for second in range(70):
        world.write("busy.png", b"x" * (second + 1))
        assert world.arrivals(1) == []
    assert world.outbox.status()["restless"] == ["busy.png"]
    assert "stopped changing" in world.outbox.why_not(Path("busy.png"))
    assert world.outbox.unsettled == 0
    assert world.arrivals(4) == ["busy.png"]
    assert world.outbox.status()["restless"] == []


def test_why_a_tracked_file_waits_can_be_told(world):
    """A settling file has a sentence, another one has none."""
    world.outbox.start()
    world.write("a.png")
    world.arrivals(1)
    assert "not changed for 3 seconds" in world.outbox.why_not(Path("a.png"))
    assert world.outbox.why_not(Path("b.png")) is None


def test_a_jump_of_the_date_changes_nothing(world):
    """Only monotonic time counts for settling."""
    world.outbox.start()
    world.write("a.png")
    assert world.arrivals(1) == []
    world.clock.set_date(4_000_000_000.0)
    assert world.arrivals(1) == []
    world.clock.set_date(0.0)
    assert world.arrivals(2) == ["a.png"]


def test_paths_outside_the_outbox_are_not_looked_at(world, tmp_path):
    """An event that names another place is dropped."""
    world.outbox.start()
    (tmp_path / "else.png").write_bytes(b"x")
    world.observer.see(tmp_path / "else.png")
    world.observer.see(world.root)
    assert world.arrivals(10) == []
    assert world.outbox.status()["tracked"] == 0


def test_links_do_not_arrive(world, tmp_path):
    """A link to a file or folder outside is not followed, whatever the event says."""
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "a.png").write_bytes(b"x")
    world.outbox.start()
    (world.root / "link.png").symlink_to(tmp_path / "else" / "a.png")
    (world.root / "folder").symlink_to(tmp_path / "else")
    world.observer.see(world.root / "link.png")
    world.observer.see(world.root / "folder")
    world.outbox.rescan()
    assert world.arrivals(10) == []
    world.observer.see(world.root / "folder")
    assert world.arrivals(10) == []
    assert world.outbox.status()["trouble"] == []


def test_a_missing_outbox_is_waited_for(world):
    """It is told in status with what to do, looked for every few seconds, and scanned once it is there."""
    shutil.rmtree(world.root)
    world.outbox.start()
    assert world.arrivals(100) == []
    status = world.outbox.status()
    assert not status["healthy"]
    assert not status["there"]
    assert status["watching"] == "nothing"
    assert any("make it again" in line for line in status["trouble"])
    assert "missing" in world.outbox.why_not(Path("a.png"))
    assert world.observer.starts == 0
    world.write("a.png", heard=False)
    assert world.arrivals(HEALTH_SECONDS + 4) == ["a.png"]
    assert world.outbox.healthy
    assert world.outbox.status()["trouble"] == []


def test_a_broken_observer_is_started_anew_and_a_scan_finds_what_it_missed(world):
    """Within seconds, without waiting for the interval of the scans."""
    world.outbox.start()
    world.observer.broken = True
    world.write("a.png", heard=False)
    assert world.arrivals(HEALTH_SECONDS + 4) == ["a.png"]
    assert world.observer.starts == 2


def test_an_outbox_that_cannot_be_watched_is_polled_until_it_can(world):
    """Without events everything arrives within the polling interval, and events come back by themselves."""
    world.observer.refuse = OSError(errno.ENOSPC, "too many folders are watched")
    world.outbox.start()
    world.write("a.png", heard=False)
    assert world.arrivals(WATCHING.poll_seconds + 4) == ["a.png"]
    status = world.outbox.status()
    assert (status["watching"], status["why"]) == ("polling", "too many folders are watched")
    assert status["trouble"] == ["too many folders are watched"]
    assert not status["healthy"]
    world.arrivals(100)
    assert 5 <= world.observer.starts <= 9
    world.observer.refuse = None
    world.write("b.png", heard=False)
    assert world.arrivals(LONGEST_BACK_OFF + 4) == ["b.png"]
    assert world.outbox.healthy
    assert world.outbox.status()["trouble"] == []
    assert world.outbox.status()["watching"] == "fake"


@pytest.mark.parametrize(
    ("events", "kind", "watching"),
    [("auto", "ext4", "fake"), ("auto", "cifs", "polling"), ("native", "cifs", "fake"), ("polling", "ext4", "polling")],
)
def test_the_file_system_and_the_setting_decide_how_changes_are_noticed(tmp_path, events, kind, watching):
    """On a share the folder is polled and no observer starts, unless the settings say otherwise; status says why."""
    world = World(tmp_path, events=events, mounts=[Mount(PurePath("/"), kind, "there")])
    world.outbox.start()
    status = world.outbox.status()
    assert status["watching"] == watching
    assert (kind if events == "auto" else events) in status["why"]
    assert status["healthy"]
    assert world.observer.starts == (watching == "fake")
    world.write("a.png", heard=watching == "fake")
    assert world.arrivals(WATCHING.poll_seconds + 4) == ["a.png"]


def test_polling_leaves_a_slow_share_alone_most_of_the_time(tmp_path, monkeypatch):
    """A scan that takes a minute is followed by nine minutes without one, whatever the interval."""
    import shaded.outbox.arrivals as module

    world = World(tmp_path, events="polling")
    scans = []

    def slow(*_, **_named):
        scans.append(world.clock.monotonic())
        world.clock.advance(60)
        return iter(())

    monkeypatch.setattr(module, "scan", slow)
    world.outbox.start()
    world.arrivals(1300)
    assert scans == [0.0, 600.0, 1200.0]


def test_an_unmounted_outbox_is_missing_and_comes_back_by_itself(world):
    """Nothing is concluded from an empty mount point: what was there is neither forgotten nor taken a second time."""
    share = Mount(PurePath(world.root), "cifs", "//nas/art")
    world.mounts.append(share)
    world.write("old.png", heard=False)
    world.outbox.start()
    assert world.arrivals(30) == ["old.png"]
    world.root.rename(world.root.with_name("away"))  # as an unmount: another, empty folder is there now
    world.root.mkdir()
    world.mounts.clear()
    world.mounts.append(Mount(PurePath("/"), "ext4", "/dev/sda"))
    assert world.arrivals(700) == []
    status = world.outbox.status()
    assert not status["there"]
    assert "//nas/art (cifs)" in status["trouble"][0]
    assert list(world.root.iterdir()) == []
    world.root.rmdir()
    world.root.with_name("away").rename(world.root)
    world.mounts.append(share)
    world.write("new.png", heard=False)
    assert world.arrivals(30) == ["new.png"]
    assert world.outbox.status()["there"]
    assert world.outbox.status()["trouble"] == []


def test_a_deleted_outbox_works_again_when_it_is_made_anew(world):
    """Without restart, also when the new folder is empty at first."""
    world.mounts.append(Mount(PurePath("/"), "ext4", "/dev/sda"))
    world.outbox.start()
    shutil.rmtree(world.root)
    assert world.arrivals(20) == []
    assert world.outbox.missing()
    world.root.mkdir()
    assert world.arrivals(HEALTH_SECONDS) == []
    assert world.outbox.missing() == ""
    world.write("a.png")
    assert world.arrivals(4) == ["a.png"]


def test_stopping_stops_the_observer(world):
    """Nothing is heard of afterwards."""
    world.outbox.start()
    world.outbox.stop()
    assert not world.observer.running
    assert not world.outbox.healthy


def test_a_scan_that_takes_long_does_not_shorten_the_quiet_period(world, monkeypatch):
    """Each look counts from when it was taken, not from when the scan began."""
    import shaded.outbox.arrivals as module

    world.write("a.png", heard=False)
    world.write("b.png", heard=False)
    real = module.scan

    def slow(*arguments, **_named):
        for found in real(*arguments):
            world.clock.advance(10)
            yield found

    monkeypatch.setattr(module, "scan", slow)
    world.outbox.start()
    assert world.arrivals(2.9) == ["a.png"]
    assert world.arrivals(0.2) == ["b.png"]


class OutboxMachine(RuleBasedStateMachine):
    """Random saves, renames, lost events and waits: what rests long enough arrives, whole and once."""

    names = sampled_from(["a.png", "b.png", "sub/c.png"])

    @initialize()
    def begin(self):
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.world.outbox.start()
        self.content: dict[str, bytes] = {}
        self.arrived: dict[str, bytes] = {}

    def collect(self, seconds: float) -> None:
        before = {name: self.read(name) for name in self.content}
        for name in self.world.arrivals(seconds):
            assert before[name] != self.arrived.get(name), "the same content arrived twice in place"
            self.arrived[name] = before[name]

    def read(self, name: str) -> bytes:
        return (self.world.root / name).read_bytes()

    def save(self, name: str, content: bytes) -> None:
        # another size each time: a fake clock moves no file's modification time
        self.content[name] = content + b"." * (len(self.content.get(name, b"")) + 1)

    @rule(name=names, content=binary(max_size=3))
    def save_in_place(self, name, content):
        self.save(name, content)
        self.world.write(name, self.content[name])

    @rule(name=names, content=binary(max_size=3))
    def save_by_rename(self, name, content):
        self.save(name, content)
        self.world.write(name + ".tmp", self.content[name])
        (self.world.root / (name + ".tmp")).replace(self.world.root / name)
        self.world.observer.see(self.world.root / name)

    @rule(name=names, content=binary(max_size=3))
    def save_unheard(self, name, content):
        self.save(name, content)
        self.world.write(name, self.content[name], heard=False)

    @rule(name=names)
    def hear_again(self, name):
        self.world.observer.see(self.world.root / name)

    @rule()
    def overflow(self):
        self.world.observer.overflow()

    @rule()
    def break_observer(self):
        self.world.observer.broken = True

    @rule(seconds=floats(0.1, 5.0))
    def wait(self, seconds):
        self.collect(seconds)

    @rule()
    def wait_long(self):
        self.collect(WATCHING.rescan_seconds + 10)
        assert self.arrived == self.content
        assert self.world.outbox.unsettled == 0

    @invariant()
    def nothing_torn_arrived(self):
        for name, content in getattr(self, "arrived", {}).items():
            assert content, f"{name} arrived empty"

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()


OutboxMachine.TestCase.__doc__ = OutboxMachine.__doc__
OutboxMachine.TestCase.settings = hypothesis_settings(max_examples=30, stateful_step_count=25, deadline=None)
TestOutboxMachine = OutboxMachine.TestCase


@pytest.mark.real_disk
def test_a_real_outbox_delivers_every_way_of_saving(tmp_path):
    """Written, slowly written, renamed over, moved in, a folder moved in: each arrives once."""
    root = tmp_path / "outbox"
    root.mkdir()
    woken = threading.Event()
    clock = SystemClock()
    watching = Watching(quiet_seconds=0.3, longest_wait_seconds=60, rescan_seconds=3600)
    ledger: dict[Path, FileStat] = {}
    outbox = Outbox(
        Folder(outbox=root, publish=tmp_path / "published"),
        watching,
        clock,
        NativeObserver(root, woken.set),
        lambda relative, stat: ledger.get(relative) == stat,
    )
    (root / "early.png").write_bytes(b"early")
    outbox.start()
    (root / "plain.png").write_bytes(b"plain")
    (root / "over.tmp").write_bytes(b"over")
    (root / "over.tmp").replace(root / "over.png")
    (tmp_path / "moved.png").write_bytes(b"moved")
    (tmp_path / "moved.png").replace(root / "moved.png")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "one.png").write_bytes(b"one")
    (tmp_path / "album").replace(root / "album")

    def write_slowly():
        with (root / "slow.png").open("wb", buffering=0) as stream:
            for _ in range(10):
                stream.write(b"0123456789")
                time.sleep(0.1)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    arrived: dict[str, int] = {}
    end = clock.monotonic() + 15
    while clock.monotonic() < end and len(arrived) < 6:
        woken.wait(max(0.0, min(outbox.next_deadline() - clock.monotonic(), 0.5)))
        woken.clear()
        for arrival in outbox.poll():
            assert str(arrival.relative) not in arrived
            arrived[str(arrival.relative)] = arrival.stat.size
            ledger[arrival.relative] = arrival.stat
    writer.join()
    outbox.stop()
    assert arrived == {
        "early.png": 5,
        "plain.png": 5,
        "over.png": 4,
        "moved.png": 5,
        "album/one.png": 3,
        "slow.png": 100,
    }


@pytest.mark.parametrize(("placeholders", "arrived"), [("wait", []), ("download", ["fox.png"])])
def test_a_placeholder_arrives_only_where_it_may_be_downloaded(tmp_path, monkeypatch, placeholders, arrived):
    """Heard of, looked at again, and scanned: by setting it is left alone, or settles like any file."""
    monkeypatch.setattr("shaded.outbox.scan._says", lambda path, _name, _value: path.name == "fox.png")
    world = World(tmp_path, WATCHING.model_copy(update={"placeholders": placeholders}))
    world.outbox.start()
    world.write("fox.png", b" ")
    assert world.arrivals(10) == arrived
    world.write("folder/fox.png", b" ", heard=False)
    world.observer.see(world.root / "folder")
    assert world.arrivals(10) == [f"folder/{name}" for name in arrived]
