"""Kill -9 in the middle of the ledger's work, with real processes."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shaded.clock import SystemClock
from shaded.ledger import Ledger

#: Works through pictures without end, and says on standard output what the ledger has acknowledged.
WORKER = """
import sys
from pathlib import Path
from shaded.clock import SystemClock
from shaded.filestat import FileStat
from shaded.ledger import Ledger

path, begin = Path(sys.argv[1]), int(sys.argv[2])
ledger = Ledger.open(path, SystemClock())
ledger.recover()
number = begin
while True:
    number += 1
    name = f"{number}.png"
    ledger.admit(Path("/outbox"), Path(name), FileStat(1, number, number), f"c{number // 2}", "p", "{}")
    print("admitted", name, flush=True)
    for claim in ledger.claim():
        print("claimed", claim.job.id, flush=True)
        if ledger.rendered(claim.job.id, Path("/s/p"), Path("/s/j"), "o" + claim.job.sha256, 1, {}):
            print("rendered", claim.job.sha256, flush=True)
    for job, placement in ledger.pending_publications():
        if ledger.published(placement.id, Path("/publish") / placement.relative, job.output_sha256):
            print("published", placement.relative, flush=True)
"""


@pytest.mark.real_process
def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path):
    """After each kill at a random moment the ledger is sound and holds all that it had acknowledged."""
    path = tmp_path / "ledger.sqlite3"
    chance = random.Random(7)
    acknowledged: dict[str, set[str]] = {
        "admitted": set(),
        "rendered": set(),
        "published": set(),
        "claimed": set(),
    }
    published: list[str] = []
    for life in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(life * 100_000)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(chance.uniform(0.0, 0.25))
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                what, name = line.split()
                acknowledged[what].add(name)
                if what == "published":
                    published.append(name)
        check(path, acknowledged)
    assert len(acknowledged["published"]) > 12
    assert len(published) == len(set(published)), "something was published twice"


def check(path: Path, acknowledged: dict[str, set[str]]) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    placed = {bytes(name).decode() for (name,) in connection.execute("SELECT relative FROM placements")}
    finished = {
        name for (name,) in connection.execute("SELECT sha256 FROM jobs WHERE state IN ('rendered', 'published')")
    }
    done = {
        bytes(name).decode()
        for (name,) in connection.execute("SELECT relative FROM placements WHERE published IS NOT NULL")
    }
    connection.close()
    assert acknowledged["admitted"] <= placed
    assert acknowledged["rendered"] <= finished
    assert acknowledged["published"] <= done


@pytest.mark.real_process
def test_a_killed_migration_is_begun_anew(tmp_path):
    """A process killed inside the first step leaves an empty ledger, which the next one completes."""
    path = tmp_path / "ledger.sqlite3"
    code = """
import os, signal, sqlite3, sys
from shaded.ledger import schema
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
half = schema.MIGRATIONS[0][:4]
connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
schema.migrate(connection, (half + ("SELECT die()",),))
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=30)
    assert done.returncode == -9
    with Ledger.open(path, SystemClock()) as ledger:
        assert set(ledger.counts().values()) == {0}
