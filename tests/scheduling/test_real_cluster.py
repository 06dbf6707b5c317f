"""A real daemon, and a real Ray cluster of two nodes on this machine, bound to loopback; only the engine copies."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from shaded.control import request
from tests.daemon.rig import png
from tests.daemon.test_real import Real

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.real_process, pytest.mark.real_disk, pytest.mark.timeout(900)]

#: For the daemon and the nodes. Ray takes the loopback address for a machine's own only where it believes that clusters
#: are not supported; it gives up on machines that start slowly; it asks for a token, as docs/cluster.md has it; and the
#: nodes import the engine from here.
RAY = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "PYTHONPATH": str(ROOT),
}


class Studio:
    """A cluster of two nodes with two cores each."""

    def __init__(self, base: Path):
        self.base = base
        self.log = base / "log"
        script = Path(__file__).with_name("two_nodes.py")
        (base / "ray").mkdir()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(base / "ray")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "TMPDIR": str(base)}, process_group=0,
            )  # fmt: skip
        self.address = ""
        self.whole = True

    def begin(self):
        self.address = self._heard()

    def _heard(self):
        line = self.process.stdout.readline().strip()
        assert line, self.log.read_text()
        return line

    def _do(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        assert self._heard() == "done"

    def heal(self):
        if not self.whole:
            self._do("heal")
        self.whole = True

    def kill_a_node(self):
        self._do("kill")
        self.whole = False

    def restart(self):
        self._do("restart")
        self.whole = True

    def workers(self):
        """The processes of workers, and the folders that they have or left."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [each for each in below if "ClusterWorker" in each.name()], list(self.base.glob("shaded-worker-*"))

    def shutdown(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture(scope="module")
def studio():
    """The cluster, for all tests here."""
    base = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets have short names
    with pytest.MonkeyPatch.context() as patch:
        for name, value in RAY.items():
            patch.setenv(name, value)
        made = Studio(base)
        try:
            made.begin()
            yield made
        finally:
            made.shutdown()
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def real(studio):
    """A daemon that uses the cluster."""
    studio.heal()
    base = Path(tempfile.mkdtemp(prefix="shaded-", dir="/tmp"))
    made = Real(base)
    yield made
    made.end()
    shutil.rmtree(base, ignore_errors=True)


def _start(real, studio, **environment):
    return real.start(SHADED_CLUSTER__ADDRESS=studio.address, SHADED_CLUSTER__CPUS_PER_WORKER="1", **environment)


def _jobs(real, columns):
    with sqlite3.connect(real.state / "ledger.sqlite3") as connection:
        return connection.execute(f"SELECT {columns} FROM jobs").fetchall()


def test_a_node_that_dies_costs_a_retry_and_nothing_else(studio, real):
    """Forty pictures, one of two nodes killed half-way: all are published once, nothing is left, none is blamed."""
    names = {f"n{number:02}.png" for number in range(40)}
    for number, name in enumerate(sorted(names)):
        real.save(name, png(number))
    _start(real, studio)
    real.until(lambda: len(real.published()[0]) >= 20, 300)
    real.until(lambda: len(request(real.state, "status")["current"]) == 4)
    assert request(real.state, "status")["daemon"]["device"] == "cluster (fake)"
    studio.kill_a_node()
    assert len(real.published()[0]) < 40
    real.until_published(names, 300)
    assert "the cluster lost the machine" in (real.base / "log").read_text()
    assert real.stop() == 0
    assert real.published() == (names, set())
    assert list((real.state / "staging").iterdir()) == []
    assert set(_jobs(real, "state, deaths, attempts")) == {("published", 0, 1)}  # the one that succeeded


def test_a_picture_that_kills_workers_is_set_aside(studio, real):
    """After two deaths on machines that live it has failed, and so has one that hangs; all others are published."""
    names = {f"n{number}.png" for number in range(6)}
    real.save("a-die.png", png(98))
    real.save("a-hang.png", png(99))
    for number, name in enumerate(sorted(names)):
        real.save(name, png(number))
    _start(real, studio, SHADED_SCHEDULING__LEASE_SECONDS="15")
    real.until_published(names, 300)
    real.until(lambda: request(real.state, "status")["counts"]["failed"] == 2, 300)
    assert real.stop() == 0
    assert real.published() == (names, set())
    assert sorted(_jobs(real, "state, deaths")) == [*[("failed", 2)] * 2, *[("published", 0)] * 6]


def test_a_result_that_is_damaged_on_its_way_is_tried_again(studio, real):
    """Bytes that do not have the hash that the worker measured are not published; the next try's are."""
    real.save("damaged.png", png(1))
    real.save("fox.png", png(2))
    _start(real, studio)
    real.until_published({"damaged.png", "fox.png"}, 300)
    assert "the result was damaged on its way" in (real.base / "log").read_text()
    assert real.stop() == 0
    assert real.published() == ({"damaged.png", "fox.png"}, set())
    assert {deaths for (deaths,) in _jobs(real, "deaths")} == {0}
    real.until(lambda: studio.workers() == ([], []))


def test_a_cluster_that_goes_and_comes_back(studio, real):
    """When all of it is gone the daemon stays, no picture is blamed, and it goes on when Ray is back."""
    names = {f"n{number:02}.png" for number in range(12)}
    for number, name in enumerate(sorted(names)):
        real.save(name, png(number))
    _start(real, studio)
    real.until(lambda: len(real.published()[0]) >= 4, 300)
    studio.restart()
    real.until(lambda: "the cluster was lost" in (real.base / "log").read_text(), 300)
    real.until_published(names, 300)
    assert real.stop() == 0
    assert real.published() == (names, set())
    assert set(_jobs(real, "state, deaths, attempts")) == {("published", 0, 1)}
