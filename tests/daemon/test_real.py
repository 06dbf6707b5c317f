"""Real processes, real folders, real signals; only the engine is a fake that copies."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from shaded.clock import SystemClock
from shaded.control import request
from shaded.errors import DaemonNotRunning, ShadedError
from shaded.ledger import LedgerReader
from shaded.publishing.sidecar import is_own_output
from tests.daemon.rig import png

pytestmark = [pytest.mark.real_disk, pytest.mark.real_process]

SCRIPT = Path(__file__).parent / "real_daemon.py"
CONFIG = """\
state_dir = "{base}/state"
[[folder]]
outbox = "{base}/out"
publish = "{base}/pub"
[watching]
quiet_seconds = 0.3
rescan_seconds = 2.0
[scheduling]
retry_seconds = 1.0
worker_idle_seconds = {idle}
"""


class Real:
    """One folder pair; daemons are started and ended over it."""

    def __init__(self, base: Path):
        self.base = base
        self.outbox, self.publish, self.state = base / "out", base / "pub", base / "state"
        self.outbox.mkdir()
        self.process = None
        self.configure()

    def configure(self, idle=60.0):
        (self.base / "config.toml").write_text(CONFIG.format(base=self.base, idle=idle))

    def start(self, *options, **environment):
        env = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2]), **environment}
        env.pop("SHADED_STATE_DIR", None)
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(self.base / "config.toml"), *options],
                env=env,
                stderr=log,
                process_group=0,
            )
        if not options:
            self.until(self.answers)
        return self.process

    def answers(self):
        try:
            return request(self.state, "status")["daemon"]["running"]
        except DaemonNotRunning:
            assert self.process.poll() is None, self.log()
            return False

    def log(self):
        return (self.base / "log").read_text()[-4000:]

    def until(self, condition, seconds=30.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def save(self, name, data):
        """Save as a careful program does: under another name, then renamed."""
        path = self.outbox / name
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_bytes(data)
        temporary.rename(path)
        return path

    def published(self):
        """Names of the complete pairs; anything else in the publish folder is an error."""
        names, seen = set(), set()
        for path in self.publish.rglob("*") if self.publish.exists() else []:
            if path.is_file():
                seen.add(path.name)
                if not path.name.endswith((".shaded.json", ".tmp")) and is_own_output(path):
                    names.add(path.name)
        return names, seen - names - {f"{name}.shaded.json" for name in names}

    def until_published(self, names, seconds=30.0):
        self.until(lambda: self.published()[0] >= set(names), seconds)

    def shaded_times(self):
        """How often shading was finished for each job, from the log."""
        return (self.base / "log").read_text().count('"event": "shading begins"')

    def worker_pids(self):
        listing = subprocess.run(
            ["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(None, 2) for line in listing.splitlines()[1:]]
        return [
            int(pid) for pid, parent, args in rows if "fake_worker.py" in args and int(parent) in (self.process.pid, 1)
        ]

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def real(tmp_path):
    """A folder pair whose daemon is ended afterwards."""
    made = Real(tmp_path)
    yield made
    made.end()


def test_every_way_of_saving_is_published_once(real):
    """Slow copy, rename in, move from another disk, temp-and-rename save, and a new subfolder: each once."""
    real.start()
    slow = (real.outbox / "slowly.png").open("wb", buffering=0)
    data = png(1, size=64)
    real.save("renamed.png", png(2))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as other:
        (Path(other) / "moved.png").write_bytes(png(3))
        shutil.move(Path(other) / "moved.png", real.outbox / "moved.png")
    (real.outbox / "new folder").mkdir()
    real.save("new folder/inside.png", png(4))
    for start in range(0, len(data), len(data) // 10):
        slow.write(data[start : start + len(data) // 10])
        assert "slowly.png" not in real.published()[0]
        time.sleep(0.15)
    slow.close()
    real.until_published({"slowly.png", "renamed.png", "moved.png", "inside.png"})
    assert (real.publish / "slowly.png").read_bytes() == data + b"shaded"
    real.save("renamed.png", png(5, size=9))
    real.until(lambda: (real.publish / "renamed.png").read_bytes() == png(5, size=9) + b"shaded")
    assert real.stop() == 0
    assert real.published()[1] == set()
    assert real.shaded_times() == 5


def test_a_burst_of_small_pictures(real):
    """Two hundred pictures dropped at once are all published, each shaded once."""
    real.start()
    for number in range(200):
        real.save(f"p{number:03}.png", png(number))
    real.until_published({f"p{number:03}.png" for number in range(200)}, seconds=55)
    assert real.stop() == 0
    assert real.shaded_times() == 200
    assert real.published()[1] == set()


def test_a_restart_publishes_nothing_twice(real):
    """Stopped and started again, the daemon leaves published pictures as they are."""
    real.start()
    real.save("fox.png", png())
    real.until_published({"fox.png"})
    assert real.stop() == 0
    before = _identity(real.publish / "fox.png")
    real.start()
    real.save("wolf.png", png(7))
    real.until_published({"wolf.png"})
    assert real.stop(signal.SIGINT) == 0
    assert _identity(real.publish / "fox.png") == before
    assert real.shaded_times() == 2


def test_pictures_are_shaded_side_by_side(real, monkeypatch):
    """Two workers have two pictures at once, one killed costs a second try, and the daemon's death ends both."""
    monkeypatch.setenv("SHADED_SCHEDULING__WORKERS", "2")
    real.start()
    for name in ("a-slow.png", "b-slow.png", "c-slow.png"):
        real.save(name, png(ord(name[0])))
    real.until(lambda: len(request(real.state, "status")["current"]) == 2)
    workers = real.worker_pids()
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    real.until_published({"a-slow.png", "b-slow.png", "c-slow.png"})
    assert real.shaded_times() == 4
    real.save("d-slow.png", png(5))
    real.save("e-slow.png", png(6))
    real.until(lambda: len(request(real.state, "status")["current"]) == 2)
    workers = real.worker_pids()
    real.end()
    real.until(lambda: not any(map(_alive, workers)))
    real.start()
    real.until_published({"d-slow.png", "e-slow.png"})
    assert real.stop() == 0
    assert real.published()[1] == set()


def test_killing_the_daemon_in_the_middle(real):
    """After kill -9 in the middle of a picture no worker stays, and the restart publishes it whole, once."""
    real.start()
    real.save("slow.png", png())
    real.until(lambda: request(real.state, "status")["current"])
    (worker,) = real.worker_pids()
    real.end()
    real.until(lambda: not _alive(worker))
    assert real.published() == (set(), set())
    real.start()
    real.until_published({"slow.png"})
    assert real.stop() == 0
    assert real.published()[1] == set()
    assert list((real.state / "staging").iterdir()) == []


def test_killing_the_worker_in_the_middle(real):
    """After kill -9 of the worker the daemon starts another, and the picture is published once."""
    real.start()
    real.save("slow.png", png())
    real.until(lambda: request(real.state, "status")["current"] and real.worker_pids())
    os.kill(real.worker_pids()[0], signal.SIGKILL)
    real.until_published({"slow.png"})
    assert real.stop() == 0
    assert real.shaded_times() == 2


def test_sigterm_finishes_the_picture_under_way(real):
    """SIGTERM lets the picture under way be published, begins no other, and exits with 0."""
    real.start()
    real.save("slow1.png", png(1))
    real.until(lambda: request(real.state, "status")["current"])
    real.save("slow2.png", png(2))
    assert real.stop() == 0
    assert real.published() == ({"slow1.png"}, set())


@pytest.fixture
def listening_to_hangups():
    """Programs that are started now do not ignore SIGHUP, even where the tests run under ``nohup``."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("listening_to_hangups")
def test_sighup_and_the_command_read_the_settings_anew(real):
    """A folder that is added to the settings of a running daemon is watched after SIGHUP, and left after a reload."""
    process = real.start()
    second = real.base / "second"
    config = real.base / "config.toml"
    before = config.read_text()
    config.write_text(f'{before}[[folder]]\noutbox = "{second}"\npublish = "{real.base}/pub2"\n')
    process.send_signal(signal.SIGHUP)
    real.until(lambda: len(request(real.state, "status")["folders"]) == 2)
    (second / "fox.png").write_bytes(png(1))
    real.save("hen.png", png(2))
    real.until((real.base / "pub2" / "fox.png").exists)
    real.until_published({"hen.png"})
    config.write_text("no settings at all")
    with pytest.raises(ShadedError):
        request(real.state, "reload")
    assert len(request(real.state, "status")["folders"]) == 2
    config.write_text(before)
    assert request(real.state, "reload")["reloaded"]
    assert len(request(real.state, "status")["folders"]) == 1
    assert process.poll() is None, real.log()


def test_a_second_signal_ends_at_once(real):
    """A second signal ends daemon and worker in the middle; the picture is done after a restart."""
    real.start()
    real.save("hang.png", png(1))
    real.until(lambda: request(real.state, "status")["current"] and real.worker_pids())
    (worker,) = real.worker_pids()
    real.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert real.process.poll() is None
    assert real.stop() == 0
    assert not _alive(worker)
    with LedgerReader.open_readonly(real.state / "ledger.sqlite3", SystemClock()) as reader:
        assert reader.counts()["settled"] == 1


def test_only_one_daemon_per_state_folder(real):
    """A second daemon with the same state folder exits with 75 and names the first one's process."""
    real.start()
    first = real.process
    second = real.start("--once")
    assert second.wait(20) == 75
    assert f"process {first.pid} " in real.log()
    real.process = first
    assert real.stop() == 0


def test_once_shades_what_is_there_and_ends(real):
    """With --once everything that is there is published and the process ends by itself."""
    real.save("fox.png", png(1))
    real.save("refuse.png", png(2))
    assert real.start("--once").wait(30) == 0
    assert real.published() == ({"fox.png"}, set())


def test_unusable_models_end_the_daemon(real):
    """A worker that cannot open its models stops the daemon with that error instead of being restarted for ever."""
    real.save("fox.png", png(1))
    assert real.start("--once", "no-model").wait(30) == 1
    assert "a model's file is altered" in real.log()
    assert real.start("--once", "bad-settings").wait(30) == 78


def test_the_service_manager_hears_ready_after_the_first_scan(real):
    """READY comes once the first scan is done, a status line while it works, STOPPING at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(real.base / "notify"))
        manager.settimeout(20)
        real.start(NOTIFY_SOCKET=str(real.base / "notify"))
        assert manager.recv(200) == b"READY=1"
        assert manager.recv(200) == b"STATUS=idle; 0 waiting, 0 published"
        real.stop()
        said = []
        with suppress(TimeoutError):
            manager.settimeout(1)
            while True:
                said.append(manager.recv(200))
        assert b"STOPPING=1" in said


def test_an_idle_daemon_is_small_and_quiet(real):
    """Idle after work: under 80 MB and under 0.5 % of a core, with no worker left and no model held."""
    real.configure(idle=0.5)
    real.start()
    real.save("fox.png", png())
    real.until_published({"fox.png"})
    real.until(lambda: not real.worker_pids())
    time.sleep(1.0)
    before = _cpu_seconds(real.process.pid)
    time.sleep(6.0)
    assert (_cpu_seconds(real.process.pid) - before) / 6.0 < 0.005
    assert _resident_bytes(real.process.pid) < 80_000_000
    assert real.stop() == 0


def _identity(path):
    """What changes when a file is written or replaced."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return True


def _ps(pid, what):
    return subprocess.run(["ps", "-o", f"{what}=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout


def _resident_bytes(pid):
    return int(_ps(pid, "rss")) * 1024


def _cpu_seconds(pid):
    """User and system time so far; finer than ``ps`` where /proc tells."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        pytest.skip("CPU time is read from /proc")
    fields = stat.read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
