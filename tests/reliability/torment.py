"""Starts, kills and questions real daemons over two pairs of folders, in which people do things meanwhile."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from shaded.control import request
from shaded.errors import ShadedError
from shaded.publishing.sidecar_places import SidecarPlaces
from tests.publishing.sidecars import a_sidecar as a_stated_picture

ROOT = Path(__file__).parents[2]
#: The longest side of a published picture of the second pair before any reload; all sources have 64 pixels.
FIRST_SIDE = 60
#: A worker that is killed is no sign of a bad picture here; that pictures are set aside has a test of its own.
CONFIG = """\
state_dir = "{base}/state"
[[folder]]
outbox = "{base}/out"
publish = "{base}/pub"
profile = "quick"
[[folder]]
outbox = "{base}/turned"
publish = "{base}/turned pub"
profile = "turned"
[profile.quick]
intensity = "low"
quality = "fast"
[profile.turned]
intensity = "low"
quality = "fast"
max_side = {side}
[watching]
quiet_seconds = 0.1
rescan_seconds = 1.0
[shading]
canvas_pixels = 65536
threads = 1
[scheduling]
retry_seconds = {retry_seconds}
niceness = 0
max_deaths = {max_deaths}
[publishing]
sidecars = "{sidecars}"
"""
#: Every row of the ledger: the source, what it was published as, and of which job it is.
ROWS = (
    "SELECT root, relative, published, published_sha256, sha256, state, profile, output_sha256 "
    "FROM placements JOIN jobs ON jobs.id = job_id"
)


def sha(data):
    """A content's SHA-256."""
    return hashlib.sha256(data).hexdigest()


class Torment:
    """Two pairs of folders. Pictures are named by their path below ``base``: ``out/NAME`` or ``turned/NAME``.

    Args:
        base: An existing folder.
        command: Makes the daemon's command line from a last step; without it, a daemon with a quick engine.
        max_deaths: The daemon's setting.
        seconds: How long the quick engine takes for a picture.
        apart: Whether the sidecars have a folder of their own at first.

    Attributes:
        inputs: What lies in the outboxes, by name.
        gone: The names that somebody deleted again.
        contents: Every content that was ever saved, by its hash.
        contents_in: In which outboxes each of them ever lay.
        versions: How often each name was saved.
        retouched: What was published here before it became somebody's.
        foreign: What somebody put into the publish folders, and how it looks; it must never change.
        happened: How often people did what.
        kills: How often what was killed, and how.
    """

    def __init__(self, base, command=None, max_deaths=100, seconds=0.02, *, apart=False):
        self.base, self.state = base, base / "state"
        for folder in ("out", "turned", "pub", "turned pub"):
            (base / folder).mkdir()
        self.config = base / "config.toml"
        self.side, self.apart = FIRST_SIDE, apart
        self.renders, self.placed = base / "renders", base / "placed"
        self.kills, self.happened = Counter(), Counter()
        self.process = None
        self._command = command or self._mortal
        self._max_deaths, self._seconds = max_deaths, seconds
        self.inputs, self.contents, self.contents_in, self.foreign = {}, {}, {}, {}
        self.gone, self.retouched, self.versions = set(), set(), Counter()
        self.configure()

    def _mortal(self, last):
        script = Path(__file__).with_name("mortal_daemon.py")
        about = (self.config, last, self.renders, self.placed, self._seconds)
        return [sys.executable, str(script), *map(str, about)]

    def configure(self):
        """Write the settings; they hold from the next start or reload on."""
        retry_seconds = 0.05 if self._max_deaths > 2 else 0.2
        self.config.write_text(
            CONFIG.format(
                base=self.base, side=self.side, max_deaths=self._max_deaths, retry_seconds=retry_seconds,
                sidecars=self.places.folder or "beside",
            )
        )  # fmt: skip

    @property
    def places(self):
        """Where sidecars go, and where they may have gone before."""
        private = self.base / "private"
        return SidecarPlaces(private if self.apart else None, (private,))

    def sidecar(self, picture):
        """Where a published picture's sidecar stands."""
        return self.places.find(picture, picture.parent).path

    def move_sidecars(self):
        """From the next start on the sidecars go elsewhere. No daemon is at work now."""
        self.apart = not self.apart
        self.configure()
        self.happened["sidecars moved"] += 1

    @property
    def profiles(self):
        """How many profiles there were for the second pair."""
        return FIRST_SIDE - self.side + 1

    # What people do ----------------------------------------------------------------------------------------------

    def save(self, name, data):
        """Save a picture as a careful program does."""
        path = self.base / name
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_bytes(data)
        temporary.rename(path)
        self.inputs[name] = data
        self.contents[sha(data)] = data
        self.contents_in.setdefault(sha(data), set()).add(name.partition("/")[0])
        self.versions[name] += 1

    def delete(self, name):
        """Delete a picture, done or not."""
        (self.base / name).unlink()
        del self.inputs[name]
        self.gone.add(name)
        self.happened["deleted"] += 1

    def target(self, name):
        """Where a picture is published unless that name is taken."""
        folder, _, file = name.partition("/")
        return self.base / {"out": "pub", "turned": "turned pub"}[folder] / file

    def intrude(self, path, make):
        """Somebody puts something at a picture's name or its sidecar's: ``make`` makes it and says what it made."""
        beside = self.places.new(path)
        beside.parent.mkdir(parents=True, exist_ok=True)
        self.foreign |= {made: looks(made) for made in make(path, beside)}
        self.happened[f"foreign: {make.__name__}"] += 1

    def retouch(self, path, data):
        """A person saves a published file: from now on it is theirs. No daemon is at work now."""
        path.write_bytes(data)
        self.foreign[path] = looks(path)
        self.retouched.add(path)
        self.happened["retouched"] += 1

    def reload(self):
        """The settings change, and a running daemon is told."""
        self.side -= 1
        self.configure()
        self.until(lambda: self.ask("status") is not None)  # it listens to signals from then on
        self.process.send_signal(signal.SIGHUP)
        self.happened["reloaded"] += 1

    # The daemon --------------------------------------------------------------------------------------------------

    def start(self, last=0):
        """Start a daemon that dies before its step ``last`` (0: never)."""
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        env.pop("SHADED_STATE_DIR", None)
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command(last), env=env, stderr=log, stdout=log, process_group=0)

    def comes_up(self, seconds=30.0):
        """Wait until the daemon has its lock and begins to work; whether it died instead."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(OSError, ValueError):
                if int((self.state / "daemon.lock").read_text()) == self.process.pid:
                    return False
            if self.wait_for_death(0.02):
                return True
        raise AssertionError(self.log())

    def wait_for_death(self, seconds):
        """Whether the daemon died by SIGKILL within so long; any other end is an error."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        assert code == -signal.SIGKILL, self.log()
        return True

    def kill(self):
        """``kill -9`` the daemon."""
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, self.log()

    def kill_worker(self):
        """``kill -9`` the workers, if there are any; whether there were."""
        pids = self.workers()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def workers(self):
        """The process ids of the daemon's children."""
        with suppress(OSError):
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            return [int(pid) for pid in children.split()]
        listing = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listing.splitlines()[1:]]
        return [int(pid) for pid, parent in rows if int(parent) == self.process.pid]

    def until(self, condition, seconds=60.0):
        """Wait until something holds, the daemon being alive all the while."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def ask(self, command, **arguments):
        """Ask the daemon; ``None`` where it does not answer yet."""
        try:
            return request(self.state, command, **arguments)
        except ShadedError:
            return None

    def finish(self, seconds=60.0):
        """Let a daemon that nobody kills do the rest, with no help of a person, and stop it."""
        self.start()
        self.until(self._all_done, seconds)
        self.stop()

    def stop(self):
        """Ask the daemon to end."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log()

    def _all_done(self):
        """Whether the ledger names a copy of everything that lies in the outboxes, as it is now, and nothing waits."""
        rows = {self.name_of(row): row for row in self.rows()}
        waiting = self.ledger("SELECT 1 FROM jobs WHERE state IN ('settled', 'running', 'rendered')")
        side = f'"max_side":{self.side}'
        return not waiting and all(
            name in rows
            and rows[name]["published"] is not None
            and rows[name]["sha256"] == sha(data)
            and (name.startswith("out/") or side in rows[name]["profile"])
            for name, data in self.inputs.items()
        )

    def name_of(self, row):
        """A row's source, as it is called here."""
        return str((Path(os.fsdecode(row["root"])) / os.fsdecode(row["relative"])).relative_to(self.base))

    def rows(self):
        """All rows of the ledger."""
        return self.ledger(ROWS)

    def ledger(self, query):
        """Ask the ledger, beside the daemon; nothing where it was not made yet."""
        if not (self.state / "ledger.sqlite3").exists():
            return []
        connection = sqlite3.connect(f"file:{self.state}/ledger.sqlite3?mode=ro", uri=True, timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'copies'").fetchall():
                return []
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def log(self):
        """The end of what all the daemons said."""
        return (self.base / "log").read_text()[-6000:]

    def end(self):
        """Leave no process behind."""
        if self.process is not None and self.process.poll() is None:
            self.kill_worker()
            self.process.kill()
            self.process.wait()


def looks(path):
    """All that a program could change of a path: what it is, when that changed, and what it holds."""
    status = path.lstat()
    what = (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_size, status.st_nlink)
    if path.is_symlink():
        return *what, str(path.readlink())
    if path.is_dir():
        return *what, tuple(sorted((each.name, each.read_bytes()) for each in path.iterdir()))
    return *what, path.read_bytes()


# Things that somebody may have put at a published name --------------------------------------------------------------


def a_picture(path, _beside):
    """Another picture of the same name."""
    path.write_bytes(b"somebody's picture")
    return [path]


def a_text(_path, beside):
    """A text where the sidecar is to be."""
    beside.write_text('{"somebody": "notes"}')
    return [beside]


def a_true_sidecar(_path, beside):
    """A sidecar of another picture, as whoever sorts published pictures by hand may leave it."""
    beside.write_text(a_stated_picture().to_json())
    return [beside]


def a_folder(path, _beside):
    """A folder with something in it."""
    path.mkdir()
    (path / "inside.txt").write_text("somebody's")
    return [path]


def a_link(path, _beside):
    """A link to a file elsewhere."""
    elsewhere = path.parent.with_name(f"elsewhere {path.name}")
    elsewhere.write_bytes(b"somebody's, elsewhere")
    path.symlink_to(elsewhere)
    return [path, elsewhere]


def a_dangling_link(path, _beside):
    """A link that leads nowhere."""
    path.symlink_to(path.parent.with_name("nowhere"))
    return [path]


def a_folder_for_a_sidecar(_path, beside):
    """A folder where the sidecar is to be."""
    beside.mkdir()
    return [beside]


def a_link_for_a_sidecar(path, beside):
    """A link where the sidecar is to be."""
    elsewhere = path.parent.with_name(f"elsewhere {path.name}.json")
    elsewhere.write_text("{}")
    beside.symlink_to(elsewhere)
    return [beside, elsewhere]


INTRUDERS = (
    a_picture, a_text, a_true_sidecar, a_folder, a_link, a_dangling_link, a_folder_for_a_sidecar, a_link_for_a_sidecar,
)  # fmt: skip
