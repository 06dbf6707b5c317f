from __future__ import annotations

import errno
import os
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
from shaded.errors import Transient
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
    import shaded.outbox.looking as module

    world = World(tmp_path, events="polling")
    scans = []

    def slow(*_, **_named):
        scans.append(world.clock.monotonic())
        world.clock.advance(60)
        yield None

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
    import shaded.outbox.looking as module

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


# In steps ------------------------------------------------------------------------------------------------------


def settled_in_steps(world, seconds=0.0, limit=100_000) -> list[str]:
    """Poll for no time at all, one step each, as long as more is to be done at once; the names that arrived."""
    names = []
    for _ in range(limit):
        for arrival in world.outbox.poll(seconds):
            names.append(str(arrival.relative))
            world.ledger[arrival.relative] = arrival.stat
        if world.outbox.next_deadline() > world.clock.monotonic():
            return names
    pytest.fail("there is no end to it")


def test_a_poll_without_time_does_a_step_and_says_that_more_is_to_do(world):
    """Scan, looks and arrivals come one by one; until the end the deadline is now, and something is unsettled."""
    for number in range(200):
        world.write(f"{number:03}.png", heard=False)
    world.outbox.start(0)
    assert not world.outbox.looked_through
    assert world.outbox.status()["scanning"]
    assert world.outbox.status()["tracked"] <= 1
    assert world.outbox.next_deadline() == world.clock.monotonic()
    assert world.outbox.unsettled > 0
    assert settled_in_steps(world) == []
    assert world.outbox.looked_through
    assert not world.outbox.status()["scanning"]
    assert world.outbox.status()["tracked"] == 200
    world.clock.advance(3)
    first = world.outbox.poll(0)
    assert len(first) <= 1
    assert world.outbox.unsettled > 0
    names = [str(arrival.relative) for arrival in first] + settled_in_steps(world)
    assert sorted(names) == [f"{number:03}.png" for number in range(200)]
    assert world.outbox.unsettled == 0


def test_a_burst_of_events_is_worked_off_in_steps(world):
    """What was heard of waits for its turn, none is lost, and each path is looked at like any other."""
    world.outbox.start()
    for number in range(9):
        world.write(f"{number}.png")
    world.outbox.poll(0)
    assert world.outbox.status()["tracked"] == 1
    assert world.outbox.next_deadline() == world.clock.monotonic()
    assert settled_in_steps(world) == []
    assert world.outbox.status()["tracked"] == 9
    world.clock.advance(3)
    assert len(settled_in_steps(world)) == 9


def test_what_was_known_to_be_missed_during_a_scan_is_found_by_another_one(world):
    """An overflow while a scan is under way does not begin a second one beside it, but one after it."""
    for name in "bcd":
        world.write(f"{name}.png", heard=False)
    world.outbox.start(0)
    world.outbox.poll(0)
    world.write("a.png", heard=False)  # behind the scan's back
    world.observer.overflow()
    assert settled_in_steps(world) == []
    assert world.outbox.status()["tracked"] == 4
    assert world.outbox.next_deadline() > world.clock.monotonic()


def test_events_and_due_looks_go_on_during_a_long_scan(world, monkeypatch):
    """A scan without an end keeps nothing that is heard of from arriving."""
    import itertools

    import shaded.outbox.looking as module

    world.outbox.start()
    monkeypatch.setattr(module, "scan", lambda *_, **_named: (None for _ in itertools.count()))
    world.outbox.rescan()
    world.write("a.png")
    names = []
    for _ in range(200):
        names += [str(arrival.relative) for arrival in world.outbox.poll(0)]
        world.clock.advance(0.1)
    assert names == ["a.png"]
    assert world.outbox.status()["scanning"]


def test_a_folder_that_goes_away_ends_its_scan_and_begins_another_when_it_is_back(world):
    """Nothing of it stays open, and nothing is missed."""
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        world.write(name, heard=False)
    before = len(list(Path("/dev/fd").iterdir()))
    world.outbox.start(0)
    world.outbox.poll(0)
    assert len(list(Path("/dev/fd").iterdir())) > before
    world.root.rename(world.root.with_name("away"))
    assert world.outbox.missing()
    assert len(list(Path("/dev/fd").iterdir())) == before
    assert world.outbox.looked_through
    assert not world.outbox.status()["scanning"]
    world.root.with_name("away").rename(world.root)
    assert sorted(world.arrivals(HEALTH_SECONDS + 10)) == ["a/1.png", "a/2.png", "b/3.png"]


def test_stopping_during_a_scan_closes_what_is_open(world):
    """An outbox that is stopped or replaced after a reload keeps no folder busy."""
    world.write("a/b/c.png", heard=False)
    before = len(list(Path("/dev/fd").iterdir()))
    world.outbox.start(0)
    world.outbox.poll(0)
    world.outbox.stop()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_troubles_are_told_during_the_next_scan_too(world):
    """A scan under way does not make the status healthier than it is; at its end only what is still so is told."""
    (world.root / "/".join(["d"] * 66)).mkdir(parents=True)
    world.write("a.png", heard=False)
    world.outbox.start()
    assert any("nested" in line for line in world.outbox.status()["trouble"])
    shutil.rmtree(world.root / "d")
    world.outbox.rescan()
    world.outbox.poll(0)
    assert any("nested" in line for line in world.outbox.status()["trouble"])
    world.arrivals(1)
    assert world.outbox.status()["trouble"] == []


# What is seen ---------------------------------------------------------------------------------------------------


def test_an_edit_in_place_that_restores_size_and_date_arrives(world):
    """By event and by scan: the time of the last change is one that no program sets."""
    world.outbox.start()
    world.write("a.png", b"1")
    world.write("b.png", b"1")
    assert sorted(world.arrivals(4)) == ["a.png", "b.png"]
    for name in ("a.png", "b.png"):
        before = (world.root / name).stat()
        time.sleep(0.02)
        with (world.root / name).open("r+b") as stream:
            stream.write(b"2")
        os.utime(world.root / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    world.observer.see(world.root / "a.png")
    assert world.arrivals(4) == ["a.png"]
    assert world.arrivals(WATCHING.rescan_seconds + 4) == ["b.png"]


def test_an_edit_in_place_while_it_settles_begins_the_quiet_period_anew(world):
    """Also where size and modification time are as before."""
    world.outbox.start()
    world.write("a.png", b"1")
    assert world.arrivals(2) == []
    before = (world.root / "a.png").stat()
    time.sleep(0.02)
    world.write("a.png", b"2", heard=False)
    os.utime(world.root / "a.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert world.arrivals(2) == []
    assert world.arrivals(2.1) == ["a.png"]


def test_an_event_reaches_nothing_that_a_scan_does_not_reach(world, tmp_path):
    """Too deep, behind a link, in an ignored folder: it does not arrive, and explain's reason is the same as ever."""
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "a.png").write_bytes(b"secret")
    world.outbox.start()
    world.write("/".join(["d"] * 65) + "/deep.png")
    world.write("/".join(["e"] * 64) + "/just.png")
    world.write(".hidden/below/a.png")
    (world.root / "linked").symlink_to(tmp_path / "else")
    world.observer.see(world.root / "linked" / "a.png")
    assert world.arrivals(10) == ["/".join(["e"] * 64) + "/just.png"]


def test_a_folder_that_becomes_a_link_while_its_picture_settles_is_left_alone(world, tmp_path):
    """The second look does not go through it."""
    world.outbox.start()
    world.write("folder/a.png")
    assert world.arrivals(1) == []
    (world.root / "folder").rename(tmp_path / "moved")
    (world.root / "folder").symlink_to(tmp_path / "moved")
    assert world.arrivals(10) == []
    assert world.outbox.status()["tracked"] == 0


def test_an_ignore_file_that_does_not_hold_is_told_in_the_status(world):
    """With the reason, until it does."""
    world.write(".shadedignore", b"*.psd\n[z-a]\n")
    world.outbox.start()
    (line,) = world.outbox.status()["trouble"]
    assert line.startswith(".shadedignore: '[z-a]' is no gitignore pattern")
    assert world.outbox.healthy
    (world.root / ".shadedignore").write_bytes(b"*.psd\n")
    world.arrivals(WATCHING.rescan_seconds + 1)
    assert world.outbox.status()["trouble"] == []


def test_an_ignore_file_that_changes_all_the_time_holds_up_nothing(world):
    """Each scan takes what it finds, at the limits of what may be in it."""
    world.outbox.start()
    began = time.monotonic()
    for number in range(10):
        lines = ["*.psd", *(f"*.x{number}{line}" for line in range(1500)), "*a" * 100]
        (world.root / ".shadedignore").write_text("\n".join(lines))
        world.write(f"{number}.png", heard=False)
        world.write(f"{number}.psd", heard=False)
        world.outbox.rescan()
        assert world.arrivals(4) == [f"{number}.png"]
    assert time.monotonic() - began < 20


# What goes wrong ------------------------------------------------------------------------------------------------


def test_an_unexpected_error_sets_the_outbox_aside_for_a_while(world, monkeypatch, capsys):
    """The reason is in the status, the traceback in the log once, the pauses double, and nothing is lost."""
    world.outbox.start()
    world.write("a.png")
    tries = []

    def failing():
        tries.append(world.clock.monotonic())
        raise RuntimeError("odd")

    with monkeypatch.context() as patched:
        patched.setattr(world.observer, "drain", failing)
        assert world.arrivals(40) == []
        status = world.outbox.status()
        assert not status["healthy"]
        assert "set aside" in status["trouble"][0]
        assert "RuntimeError: odd" in status["trouble"][0]
        assert "set aside" in world.outbox.why_not(Path("a.png"))
        assert world.outbox.unsettled == 0
        assert world.outbox.next_deadline() > world.clock.monotonic()
    assert tries == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
    assert "".join(capsys.readouterr()).count("Traceback") == 1
    assert world.arrivals(40) == ["a.png"]
    assert world.outbox.healthy
    assert world.outbox.status()["trouble"] == []


def test_a_start_that_fails_unexpectedly_is_made_good(world, monkeypatch):
    """Listening and the first scan are begun anew after the pause."""
    world.write("a.png", heard=False)
    with monkeypatch.context() as patched:
        patched.setattr("shaded.outbox.arrivals.Root.look", lambda _self: 1 / 0)
        world.outbox.start()
        assert world.outbox.looked_through
        assert world.arrivals(10) == []
    assert world.arrivals(30) == ["a.png"]
    assert world.observer.running


def test_a_path_that_raises_keeps_nobody_from_the_others(world, monkeypatch):
    """It is named in the status with the reason, and arrives when it raises no more."""
    real = world.known
    odd = Path("b.png")
    world.outbox._looker._already_known = lambda path, stat: 1 / 0 if path == odd else real(path, stat)
    for name in "abc":
        world.write(f"{name}.png", heard=False)
    world.outbox.start()
    assert world.arrivals(4) == ["a.png", "c.png"]
    (line,) = world.outbox.status()["trouble"]
    assert "b.png: an unexpected error (ZeroDivisionError" in line
    assert world.outbox.healthy
    world.outbox._looker._already_known = real
    assert world.arrivals(WATCHING.rescan_seconds + 10) == ["b.png"]
    assert world.outbox.status()["trouble"] == []


def test_a_ledger_that_cannot_be_asked_begins_the_scan_anew(world):
    """The error goes to whoever polls, and what the scan had not come to is not taken for seen."""
    for number in range(5):
        world.write(f"{number}.png", heard=False)
    world.outbox.start(0)
    real, world.outbox._looker._already_known = world.known, lambda *_: (_ for _ in ()).throw(Transient("busy"))
    with pytest.raises(Transient):
        world.outbox.poll()
    assert world.outbox.next_deadline() <= world.clock.monotonic()
    world.outbox._looker._already_known = real
    assert len(world.arrivals(5)) == 5
