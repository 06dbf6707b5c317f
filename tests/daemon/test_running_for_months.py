"""What a daemon that is never stopped needs: other settings, signs of life, small files, flat memory."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import signal
import socket
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from shaded.daemon.assembly import prepare_folders
from shaded.daemon.notify import Notifier, beat_seconds
from shaded.daemon.reloading import reread
from shaded.daemon.signals import listening_to_signals
from shaded.daemon.vitals import OVERDUE_SECONDS, stuck_parts
from shaded.errors import ConfigurationError
from shaded.outbox.arrivals import Outbox
from shaded.settings import Folder, Settings, load_settings
from tests.daemon.rig import FakeExecutor, Rig, png

TOML = """\
state_dir = "{state}"
[scheduling]
retry_seconds = {retry}
[[folder]]
outbox = "{base}/out"
publish = "{base}/pub"
"""
SECOND = """\
[[folder]]
outbox = "{base}/out2"
publish = "{base}/pub2"
"""


class Reloadable(Rig):
    """A rig whose settings come from a file, as assembly does it."""

    def __init__(self, base: Path):
        super().__init__(base)
        self.file = base / "config.toml"
        self.write()
        self.settings = load_settings(self.file)
        self.restart()

    def write(self, state="", retry=60.0, more=""):
        text = TOML.format(base=self.base, state=state or self.base / "state", retry=retry)
        self.file.write_text(text + more.format(base=self.base))

    def restart(self):
        super().restart()
        self.daemon._parts = replace(self.daemon._parts, again=self._again)

    def _again(self, current: Settings):
        fresh = reread(partial(load_settings, self.file), current)
        prepare_folders(fresh.settings)
        self.settings = fresh.settings
        self.observers = []
        parts = replace(self.daemon._parts, settings=fresh.settings, outboxes=self._outboxes)
        return parts, fresh.kept


@pytest.fixture
def reloadable(tmp_path, monkeypatch):
    """A daemon that can read its settings anew."""
    monkeypatch.delenv("SHADED_STATE_DIR")
    made = Reloadable(tmp_path)
    yield made
    made.close()


def test_other_settings_hold_at_once_and_the_picture_under_way_is_finished(reloadable):
    """A new folder is watched after a reload, without a restart; the picture under way is published, shaded once."""
    rig = reloadable
    rig.executor.automatic = False
    rig.put("fox.png", png(1))
    rig.settle()
    rig.write(retry=7, more=SECOND)
    rig.daemon.request_reload()
    rig.daemon.step()
    (rig.base / "out2" / "wolf.png").write_bytes(png(2))
    rig.observers[1].see(rig.base / "out2" / "wolf.png")
    rig.executor.automatic = True
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert (rig.base / "pub2" / "wolf.png").exists()
    assert [task.name for task in rig.executor.submitted] == ["fox.png", "wolf.png"]
    assert rig.daemon.settings.scheduling.retry_seconds == 7
    assert rig.ledger._scheduling.retry_seconds == 7
    assert rig.daemon.view.problems() == []


def test_a_folder_that_left_the_settings_is_not_watched_any_more(reloadable):
    """After a reload a dropped outbox is left alone, and its events are heard by nobody."""
    rig = reloadable
    rig.write(more=SECOND)
    rig.daemon.reload()
    (rig.base / "out2" / "wolf.png").write_bytes(png(2))
    rig.write()
    rig.daemon.reload()
    rig.settle(20)
    assert rig.executor.submitted == []
    assert [folder["outbox"] for folder in rig.daemon.view.folders] == [str(rig.outbox)]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("nonsense =", "not valid TOML"),
        ("[scheduling2]\nx = 1\n", "there is no such key"),
        ('[space]\nstate = "much"\n', "share"),
    ],
)
def test_wrong_settings_change_nothing(reloadable, more, why):
    """Settings that are wrong are refused as a whole; the old ones hold, and status says what is wrong."""
    rig = reloadable
    rig.write(retry=7, more=more)
    rig.daemon.request_reload()
    rig.put("fox.png")
    rig.settle()
    assert rig.published() == ["fox.png"]
    assert rig.daemon.settings.scheduling.retry_seconds == 60
    (problem,) = rig.daemon.view.problems()
    assert why in problem
    rig.write(retry=8)
    rig.daemon.reload()
    rig.daemon.step()
    assert rig.daemon.view.problems() == []
    assert rig.daemon.settings.scheduling.retry_seconds == 8


def test_what_cannot_change_while_it_runs_is_said(reloadable):
    """Another state folder waits for the next start, which status says; the rest of the settings hold at once."""
    rig = reloadable
    rig.write(state=rig.base / "elsewhere", retry=7)
    assert rig.daemon.reload() == ("state_dir",)
    rig.daemon.step()
    assert rig.daemon.settings.state_dir == rig.base / "state"
    assert rig.daemon.settings.scheduling.retry_seconds == 7
    assert "state_dir: holds after the next start only" in rig.daemon.view.problems()[0]


def test_a_daemon_without_a_settings_reader_says_so(rig):
    """Where the settings cannot be read anew the request is refused and the daemon goes on."""
    with pytest.raises(ConfigurationError, match="cannot be read anew"):
        rig.daemon.reload()
    rig.put("fox.png")
    rig.settle()
    assert rig.published() == ["fox.png"]


@pytest.fixture
def hangup():
    """Sets what SIGHUP does at first, whatever the tests themselves were started with."""
    before = signal.getsignal(signal.SIGHUP)
    yield partial(signal.signal, signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("first", "expected"), [(signal.SIG_DFL, 9), (signal.SIG_IGN, 60)])
def test_sighup_reads_the_settings_anew(reloadable, hangup, first, expected):
    """SIGHUP lets a running daemon follow the changed file, unless it was started to ignore it, as by ``nohup``.

    SIGTERM ends it, and the handlers are put back.
    """
    rig = reloadable
    hangup(first)
    rig.write(retry=9)

    def send():
        os.kill(os.getpid(), signal.SIGHUP)
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()

    threading.Timer(0.5, send).start()
    with listening_to_signals(rig.daemon.request_stop, rig.daemon.request_reload):
        rig.daemon.run()
    assert rig.daemon.settings.scheduling.retry_seconds == expected
    assert signal.getsignal(signal.SIGHUP) is first


def test_a_manager_that_does_not_listen_stops_nothing(tmp_path, monkeypatch):
    """A notify socket that nobody reads fills up, and the daemon loses words instead of waiting for ever."""
    from shaded.daemon import notify

    monkeypatch.setattr(notify, "SEND_SECONDS", 0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(600):
            notifier.alive()


@pytest.fixture
def manager(tmp_path):
    """A service manager's end of the notify socket; ``said()`` is what came since the last call."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)

        def said():
            lines = []
            while True:
                try:
                    lines.append(made.recv(500).decode())
                except BlockingIOError:
                    return lines

        yield said, {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}


def test_a_reload_is_announced(reloadable, manager):
    """The service manager hears RELOADING=1 with the monotonic time in microseconds, and READY=1 when it is done."""
    said, environment = manager
    reloadable.daemon._notifier = Notifier(environment)
    reloadable.daemon.reload()
    first, *_, last = [line for line in said() if not line.startswith("STATUS")]
    kind, _, micros = first.partition("\nMONOTONIC_USEC=")
    assert (kind, last) == ("RELOADING=1", "READY=1")
    assert int(micros) > 0


def test_the_watchdog_is_asked_for_by_the_environment():
    """The period and the process that are meant come from the environment; nonsense means none."""
    me = str(os.getpid())
    assert beat_seconds({"WATCHDOG_USEC": "30000000"}) == 10
    assert beat_seconds({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": me}) == 10
    for environment in ({}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}):
        assert beat_seconds(environment) is None


def beats(rig, said, seconds):
    """How often WATCHDOG=1 was said while so many seconds passed."""
    said()
    count, end = 0, rig.clock.monotonic() + seconds
    while rig.clock.monotonic() < end:
        sleep = rig.daemon.step()
        rig.clock.advance(min(5.0, max(0.1, 5.0 if sleep is None else sleep)))
        count += said().count("WATCHDOG=1")
    return count


def test_signs_of_life_come_in_time(rig, manager):
    """A healthy daemon gives a sign of life at least twice in each watchdog period, busy or idle."""
    said, environment = manager
    rig.daemon._notifier = rig.daemon._heart._notifier = Notifier(environment)
    assert beats(rig, said, 120) >= 8
    rig.executor.automatic = False
    rig.put("fox.png")
    assert beats(rig, said, 120) >= 8


def test_a_silent_worker_that_cannot_be_replaced_stops_the_signs_of_life(make_rig, manager):
    """When the worker holds a picture and says nothing for two leases, WATCHDOG=1 stops, and status says why."""
    said, environment = manager
    rig = make_rig(lease_seconds=60)
    rig.daemon._notifier = rig.daemon._heart._notifier = Notifier(environment)
    rig.executor.automatic = False
    rig.put("fox.png")
    assert beats(rig, said, 110) > 0
    beats(rig, said, 40)
    assert beats(rig, said, 120) == 0
    assert any("the worker is silent" in problem for problem in rig.daemon.view.problems())
    rig.executor.automatic = True
    assert beats(rig, said, 60) > 0
    assert rig.published() == ["fox.png"]


def test_a_stuck_watcher_stops_the_signs_of_life(rig, manager, monkeypatch):
    """When an outbox does not do what is due, WATCHDOG=1 stops."""
    said, environment = manager
    rig.daemon._notifier = rig.daemon._heart._notifier = Notifier(environment)
    assert beats(rig, said, 60) > 0
    monkeypatch.setattr(Outbox, "poll", lambda self, seconds: [])
    beats(rig, said, OVERDUE_SECONDS + 60)
    assert beats(rig, said, 60) == 0


def test_a_stuck_scheduler_stops_the_signs_of_life(rig, manager, monkeypatch):
    """When pictures wait, nothing runs and none is begun, WATCHDOG=1 stops."""
    said, environment = manager
    rig.daemon._notifier = rig.daemon._heart._notifier = Notifier(environment)
    monkeypatch.setattr(rig.daemon._shading, "start_next", lambda blocked: False)
    rig.put("fox.png")
    beats(rig, said, OVERDUE_SECONDS + 60)
    assert beats(rig, said, 60) == 0


def test_no_part_is_stuck_at_its_limit():
    """A part counts as stuck only after its allowance has passed."""
    ask = partial(stuck_parts, watchers_due=[10.0], scheduler_due=10.0, worker_heard=10.0, lease_seconds=50.0)
    assert ask(10.0 + OVERDUE_SECONDS) == []
    assert len(ask(10.1 + OVERDUE_SECONDS)) == 2
    assert len(ask(111.0)) == 3


def test_the_ledger_is_put_in_order_once_a_day(rig, monkeypatch):
    """Compaction runs while nothing is under way, some minutes after the start and then daily."""
    done = []
    monkeypatch.setattr(rig.ledger, "compact", lambda: done.append(rig.clock.monotonic()))
    for _ in range(300):
        rig.daemon.step()
        rig.clock.advance(1000)
    assert len(done) == 4


def lean_executor():
    """A fake that keeps no list of what it did."""
    executor = FakeExecutor()
    executor.submitted = type("Nothing", (list,), {"extend": lambda self, _: None})()
    return executor


def resident_bytes():
    """This process's resident memory; the peak where the present value is not told."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory_over_pictures(base, counts):
    """Publish as many pictures as the largest of `counts`; the process's resident bytes after each of them."""
    rig = Rig(base, executor=lean_executor())
    rig.audience.finished = lambda _: None
    data, measured = png(0), {}
    try:
        for number in range(max(counts)):
            path = rig.put(f"p{number:05}.png", data + number.to_bytes(4, "big"))
            if number % 100 == 99:
                while rig.ledger.counts()["published"] < number + 1:
                    rig.daemon.step()
                    rig.clock.advance(1.0)
                for old in (*rig.outbox.iterdir(), *rig.publish.iterdir()):
                    old.unlink()
                rig.observers[0].see(path)
            if number + 1 in counts:
                gc.collect()
                measured[number + 1] = resident_bytes()
    finally:
        rig.close()
    return measured


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_is_flat_over_ten_thousand_pictures(tmp_path):
    """One daemon publishes 10,000 pictures; its memory after them is within 8 MB of that after 2,000."""
    shm = Path("/dev/shm")
    base = tmp_path if not shm.is_dir() else shm / f"shaded-flat-{os.getpid()}"
    base.mkdir(exist_ok=True)
    try:
        # In a process of its own: what other tests left free in this one would hide what a daemon comes to hold.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            measured = alone.submit(memory_over_pictures, base, (2_000, 10_000)).result()
        print({count: f"{size / 1e6:.1f} MB" for count, size in measured.items()})  # noqa: T201 - the figures
        assert measured[10_000] - measured[2_000] < 8_000_000
    finally:
        if base != tmp_path:
            shutil.rmtree(base)


def test_settings_that_only_a_flag_names_stay(tmp_path):
    """Reading anew keeps the folders that the command line named."""
    from shaded.cli.running import with_folders

    def read(**fixed):
        flags = (tmp_path / "a", tmp_path / "b", None)
        return with_folders(load_settings(None, **fixed), *flags, **fixed)

    current = read()
    assert reread(read, current).settings.model_dump() == current.model_dump()
    assert current.folder == (Folder(outbox=tmp_path / "a", publish=tmp_path / "b"),)
