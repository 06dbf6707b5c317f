"""A ledger with broken bytes: what can be read goes on, everything else is called damaged, and never a traceback."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shaded.clock import FakeClock
from shaded.errors import LedgerDamaged, StateUnusable
from shaded.ledger import Ledger, LedgerReader
from shaded.ledger.connection import peek
from shaded.publishing.ownership import Copy
from tests.ledger.conftest import PUBLISH, ROOT, STAGING, STAT

DIGEST = "d1" * 32


@pytest.fixture
def path(tmp_path):
    """A ledger's file with one waiting picture and one copy under way, without a log beside it."""
    place = tmp_path / "ledger.sqlite3"
    with Ledger.open(place, FakeClock()) as ledger:
        ledger.admit(ROOT, Path("fox.png"), STAT, "aa" * 32, DIGEST, "{}")
        ledger.copies.intend(ROOT, Path("fox.png"), Copy(PUBLISH / "fox.png", "oo", "ss", 5))
    return place


def change(path: Path, old: bytes, new: bytes, times: int = 1) -> None:
    """Overwrite bytes in the file, as a failing disk does."""
    data = path.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) == times
    path.write_bytes(data.replace(old, new))


def without_constraints(path: Path, statement: str) -> None:
    """Write what the ledger's tables do not allow."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE type = 'table'")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            b"        output_bytes INTEGER,",
            b"        outpu\xff\xff\xffytes INTEGER,",
        ),  # another name
        (b"CREATE INDEX jobs_by_state", b"CREATE INDE\xff jobs_by_state"),  # SQLite's message has the byte
        (b"SQLite format 3\0\x10\0\2\2", b"SQLite format 3\0\x10\0\2\3"),
        (b"SQLite format 3\0\x10\0\2\2", b"SQLite format 3\0\x10\0\7\2"),
    ],
)
def test_broken_bytes_in_the_structure_are_damage(path, old, new):
    """Texts there that are not UTF-8, and versions of the file that there are not, are told as damage with a remedy."""
    change(path, old, new)
    for opening in (Ledger.open, LedgerReader.open_readonly):
        with pytest.raises(LedgerDamaged, match="shaded recover"):
            opening(path, FakeClock())


@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("ledger.sqlite3")])
def test_what_is_no_file_beside_the_ledger_is_named(path, ending, make):
    """A folder in the place of SQLite's log is no disk that reported an error, and a pipe is not waited for."""
    beside = path.with_name(path.name + ending)
    make(beside)
    for opening in (Ledger.open, LedgerReader.open_readonly):
        with pytest.raises(StateUnusable, match="Move it away") as caught:
            opening(path, FakeClock())
        assert caught.value.path == beside
    with pytest.raises(StateUnusable):
        peek(path, "SELECT 1")


def test_a_file_format_of_the_future_is_damage(path):
    """What SQLite calls an unsupported file format is no mistake of this program."""
    data = bytearray(path.read_bytes())
    data[44:48] = (77).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(LedgerDamaged):
        Ledger.open(path, FakeClock())


def test_a_copy_with_a_hash_that_is_no_text_hides_no_others(path):
    """A text that is not UTF-8 is read as far as it is one, wherever the ledger is asked."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE copies SET sidecar_sha256 = CAST(x'73fe' AS TEXT)")
    with Ledger.open(path, FakeClock()) as ledger:
        assert [copy.sidecar_sha256 for copy in ledger.copies.of(ROOT, Path("fox.png"))] == ["s�"]
    assert peek(path, "SELECT sidecar_sha256 FROM copies") == [("s�",)]


@pytest.mark.parametrize("column", ["priority", "queued_at", "interruptions"])
def test_a_missing_number_stops_no_claim(path, column):
    """A waiting picture without one is claimed all the same, and put back after a crash."""
    without_constraints(path, f"UPDATE jobs SET {column} = NULL")
    with Ledger.open(path, FakeClock()) as ledger:
        assert [queued.rank for queued in ledger.queue()] == [0.0]
        assert len(ledger.claim()) == 1
        assert len(ledger.recover()) == 1


@pytest.mark.parametrize("table", ["jobs", "placements", "copies", "events"])
@pytest.mark.parametrize("number", [2**63 - 1, 2**62 + 1])
def test_a_ledger_that_counts_to_the_end_is_damaged(path, table, number):
    """SQLite would say that the disk is full, for ever, and no disk would be."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if number == 2**63 - 1:
            connection.execute(f"UPDATE {table} SET id = ?", (number,))
        else:
            connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (number, table))
    with pytest.raises(LedgerDamaged, match="it counts to"):
        Ledger.open(path, FakeClock())


def test_a_picture_is_not_moved_to_its_own_job_for_ever(path):
    """Where a row has another profile than its index says, the ledger is damaged."""
    change(path, f"{DIGEST}{{}}".encode(), f"{DIGEST[::-1]}{{}}".encode())
    with Ledger.open(path, FakeClock()) as ledger:
        (claim,) = ledger.claim()
        assert claim.job.profile_digest != DIGEST
        with pytest.raises(LedgerDamaged):
            ledger.follow_profiles(claim, lambda _root: (DIGEST, "{}"))


def test_a_copy_that_is_not_there_once_it_was_written_is_damage(path):
    """Where an index is in disorder, a row that was written is not found; whoever is about to publish learns of it."""
    with Ledger.open(path, FakeClock()) as ledger:
        ledger._connection.execute(
            "CREATE TRIGGER lost AFTER INSERT ON copies BEGIN DELETE FROM copies WHERE id = NEW.id; END"
        )
        with pytest.raises(LedgerDamaged):
            ledger.copies.intend(ROOT, Path("owl.png"), Copy(PUBLISH / "owl.png", "oo", "ss", 5))


def test_a_number_that_is_in_use_is_no_damage(path):
    """A ledger of ordinary size opens."""
    with Ledger.open(path, FakeClock()) as ledger:
        job_id = ledger.claim()[0].job.id
        assert ledger.rendered(job_id, STAGING / "1.png", STAGING / "1.json", "oo", 5, {})
