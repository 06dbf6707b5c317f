"""Starts, kills and questions real daemons over one pair of folders."""

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
from shaded.publishing.reading import decode
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from tests.reliability.engine import rendered_counts

ROOT = Path(__file__).parents[2]
CONFIG = """\
state_dir = "{base}/state"
[[folder]]
outbox = "{base}/out"
publish = "{base}/pub"
profile = "quick"
[profile.quick]
intensity = "low"
quality = "fast"
[watching]
quiet_seconds = 0.1
rescan_seconds = 1.0
[shading]
canvas_pixels = 65536
threads = 1
[scheduling]
retry_seconds = 0.2
niceness = 0
"""


class Torment:
    """One pair of folders; ``command`` makes the daemon's command line from the config file and a last step."""

    def __init__(self, base, command=None):
        self.base = base
        self.outbox, self.publish, self.state = base / "out", base / "pub", base / "state"
        self.outbox.mkdir()
        self.config = base / "config.toml"
        self.config.write_text(CONFIG.format(base=base))
        self.renders, self.placed = base / "renders", base / "placed"
        self.kills = Counter()
        self.process = None
        self._command = command or self._mortal
        self.inputs = {}

    def _mortal(self, last):
        script = Path(__file__).with_name("mortal_daemon.py")
        return [sys.executable, str(script), str(self.config), str(last), str(self.renders), str(self.placed)]

    def save(self, name, data):
        """Save a picture as a careful program does."""
        temporary = self.outbox / f".{name}.part"
        temporary.write_bytes(data)
        temporary.rename(self.outbox / name)
        self.inputs[name] = data

    def start(self, last=0):
        """Start a daemon that dies before its step ``last`` (0: never)."""
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        env.pop("SHADED_STATE_DIR", None)
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command(last), env=env, stderr=log, stdout=log, process_group=0)

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
        """``kill -9`` a worker, if there is one; whether there was."""
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
        """Let a daemon that nobody kills do the rest, and stop it; how many pictures had to be asked for again.

        A picture whose worker was killed twice is set aside, as it should be; a person's ``retry`` brings it back.
        """
        self.start()
        retried = 0

        def done():
            nonlocal retried
            told = self.ask("status")
            if told is None:  # it has not come up yet, and could not end well
                return False
            if told["counts"].get("failed"):
                retried += (self.ask("retry") or {"retried": 0})["retried"]
            return all((self.publish / name).exists() for name in self.inputs) and self._all_published()

        self.until(done, seconds)
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log()
        return retried

    def _all_published(self):
        rows = self._ledger("SELECT COUNT(*) FROM placements WHERE published IS NOT NULL")
        return rows[0][0] >= len(self.inputs)

    def _ledger(self, query):
        with sqlite3.connect(f"file:{self.state}/ledger.sqlite3?mode=ro", uri=True) as connection:
            rows = connection.execute(query).fetchall()
        connection.close()
        return rows

    def log(self):
        """The end of what all the daemons said."""
        return (self.base / "log").read_text()[-6000:]

    def end(self):
        """Leave no process behind."""
        if self.process is not None and self.process.poll() is None:
            self.kill_worker()
            self.process.kill()
            self.process.wait()

    def assert_aftermath(self):
        """Every input has one complete pair; nothing else is left anywhere; the ledger knows each, once."""
        found = {str(path.relative_to(self.publish)) for path in self.publish.rglob("*")}
        assert found == {each for name in self.inputs for each in (name, f"{name}.shaded.json")}
        for name, data in self.inputs.items():
            published = (self.publish / name).read_bytes()
            stated = read_sidecar(sidecar_path(self.publish / name))
            assert stated.published.sha256 == hashlib.sha256(published).hexdigest(), name
            assert stated.source.sha256 == hashlib.sha256(data).hexdigest(), name
            assert (stated.source.name, stated.published.name) == (name, name)
            assert decode(published).size == decode(data).size
            assert (self.publish / name).stat().st_nlink == 1
            assert (self.outbox / name).read_bytes() == data
        assert list((self.state / "staging").iterdir()) == []
        assert {path.name for path in self.state.iterdir()} <= {
            "ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "staging", "daemon.lock", ".shaded-state",
            "installation.secret",
        }  # fmt: skip
        states = dict(self._ledger("SELECT state, COUNT(*) FROM jobs GROUP BY state"))
        assert states == {"published": len(set(self.inputs.values()))}
        told = self._ledger("SELECT path, COUNT(*) FROM events WHERE what = 'It was published.' GROUP BY path")
        assert sorted(os.fsdecode(path) for path, _ in told) == sorted(str(self.outbox / name) for name in self.inputs)
        assert {count for _, count in told} == {1}

    def assert_nothing_done_twice(self):
        """No name was given to a file twice, and no content was rendered again once its result was known."""
        placed = Counter(self.placed.read_text().splitlines())
        pictures = {name: count for name, count in placed.items() if not name.endswith(".shaded.json")}
        assert set(pictures.values()) == {1}, {name: count for name, count in pictures.items() if count > 1}
        begun, ended = rendered_counts(self.renders)
        contents = {hashlib.sha256(data).hexdigest() for data in self.inputs.values()}
        assert set(begun) == set(ended) == contents
        assert sum(begun.values()) <= len(contents) + sum(self.kills.values())
        return sum(begun.values()), sum(ended.values())
