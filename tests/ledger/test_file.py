from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import stat as mode
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from shaded.clock import FakeClock
from shaded.errors import LedgerAway, LedgerDamaged, StateUnusable, Transient
from shaded.ledger import Ledger, LedgerReader, schema
from shaded.ledger.connection import explain, open_writable
from shaded.settings import Profile
from tests.ledger.conftest import PUBLISH, ROOT, STAGING, STAT


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.sqlite3"


def fill(path: Path) -> None:
    """A ledger with one published picture."""
    with Ledger.open(path, FakeClock()) as ledger:
        admission = ledger.admit(ROOT, Path("fox.png"), STAT, "aa", "p", "{}")
        ledger.claim()
        ledger.rendered(admission.job.id, STAGING / "1.png", STAGING / "1.json", "oo", 5, {})
        ledger.published(admission.placement.id, PUBLISH / "fox.png", "oo")


def test_what_was_written_is_there_after_reopening(path):
    """The ledger is a file, and a second opening changes nothing."""
    fill(path)
    with Ledger.open(path, FakeClock()) as ledger:
        assert ledger.counts()["published"] == 1
        assert ledger.admit(ROOT, Path("fox.png"), STAT, "aa", "p", "{}").kind == "known"


def test_only_the_owner_can_read_it(path):
    """The file and its companions are private, whatever the umask and even if they were not before."""
    before = os.umask(0)
    try:
        with Ledger.open(path, FakeClock()) as ledger:
            ledger.meta_set("a", "b")
            kinds = {found.name: mode.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert len(kinds) == 3
    assert set(kinds.values()) == {0o600}
    assert mode.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    Ledger.open(path, FakeClock()).close()
    assert mode.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_is_durable_and_holds_its_references(path):
    """Write-ahead log, a sync at every commit, and foreign keys."""
    with Ledger.open(path, FakeClock()) as ledger:
        ask = ledger._connection.execute
        assert ask("PRAGMA journal_mode").fetchone() == ("wal",)
        assert ask("PRAGMA synchronous").fetchone() == (2,)
        assert ask("PRAGMA foreign_keys").fetchone() == (1,)
        assert ask("PRAGMA user_version").fetchone() == (schema.NEWEST,)


def test_reading_needs_a_ledger(path):
    """Without one there is nothing to read, and none is made."""
    assert LedgerReader.open_readonly(path, FakeClock()) is None
    assert not path.exists()


def test_a_file_without_tables_is_no_ledger_yet(path):
    """A daemon that was killed while it made the file leaves an empty one."""
    path.parent.mkdir()
    path.touch()
    assert LedgerReader.open_readonly(path, FakeClock()) is None


def test_reading_works_without_a_daemon(path):
    """Everything that ``status``, ``queue`` and ``explain`` ask is answered from the file alone."""
    fill(path)
    with LedgerReader.open_readonly(path, FakeClock()) as reader:
        assert reader.counts()["published"] == 1
        assert reader.queue() == []
        assert reader.find(ROOT / "fox.png")[0].placement.published == PUBLISH / "fox.png"
        assert len(reader.recent()) == 1
        with pytest.raises(sqlite3.OperationalError):
            reader._connection.execute("DELETE FROM placements")


def test_reading_beside_a_writer_sees_what_is_committed(path):
    """A second connection neither blocks the daemon nor sees half a transaction."""
    with Ledger.open(path, FakeClock()) as ledger:
        ledger.admit(ROOT, Path("a.png"), STAT, "aa", "p", "{}")
        with LedgerReader.open_readonly(path, FakeClock()) as reader:
            assert reader.counts()["settled"] == 1
            ledger._connection.execute("BEGIN IMMEDIATE")
            ledger._connection.execute("UPDATE jobs SET state = 'failed'")
            assert reader.counts()["settled"] == 1
            ledger._connection.execute("COMMIT")
            assert reader.counts()["failed"] == 1
            ledger.admit(ROOT, Path("b.png"), STAT, "bb", "p", "{}")
            assert reader.counts()["settled"] == 1


def test_a_path_with_odd_characters_can_be_read(tmp_path):
    """Question marks, per cents and spaces are part of the name, not of the address."""
    path = tmp_path / "a ?%#&=ö" / "ledger.sqlite3"
    fill(path)
    with LedgerReader.open_readonly(path, FakeClock()) as reader:
        assert reader.counts()["published"] == 1


def test_a_newer_ledger_is_left_alone(path):
    """A version that knows less refuses to write or misread it, and says what to do."""
    fill(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {schema.NEWEST + 1}")
    connection.close()
    for opening in (Ledger.open, LedgerReader.open_readonly):
        with pytest.raises(StateUnusable, match="newer version of shaded"):
            opening(path, FakeClock())


def test_a_damaged_ledger_says_so(path):
    """A file that is no database is an error with a remedy, for writing and reading."""
    path.parent.mkdir()
    path.write_bytes(b"this is not a database at all, not even nearly" * 100)
    for opening in (Ledger.open, LedgerReader.open_readonly):
        with pytest.raises(LedgerDamaged, match=r"damaged.*shaded recover") as caught:
            opening(path, FakeClock())
        assert caught.value.exit_code == 65


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """A file where the state folder should be is an error that names the ledger."""
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(Transient, match="cannot be opened"):
        Ledger.open(tmp_path / "state" / "ledger.sqlite3", FakeClock())


def test_a_full_disk_is_transient_and_leaves_the_ledger_whole(path):
    """The method raises, nothing of it stays, and it works again when there is space."""
    with Ledger.open(path, FakeClock()) as ledger:
        ledger.admit(ROOT, Path("a.png"), STAT, "aa", "p", "{}")
        (pages,) = ledger._connection.execute("PRAGMA page_count").fetchone()
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Transient, match="the disk is full"):
            ledger.meta_set("big", "x" * 1_000_000)
        assert ledger.meta_get("big") is None
        ledger._connection.execute("PRAGMA max_page_count = 1000000")
        ledger.meta_set("big", "x" * 1_000_000)
        assert ledger.counts()["settled"] == 1


def test_a_busy_ledger_is_transient():
    """Conditions that pass are told apart from damage."""
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    assert isinstance(explain(busy, "x"), Transient)
    other = sqlite3.OperationalError("no such table: jobs")
    other.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert not isinstance(explain(other, "x"), Transient)


PASSING = [
    "FULL", "BUSY", "LOCKED", "IOERR", "READONLY", "CANTOPEN", "NOMEM", "PROTOCOL", "PERM", "INTERRUPT", "AUTH",
    "ABORT", "NOLFS",
]  # fmt: skip
FINAL = ["ERROR", "INTERNAL", "CONSTRAINT", "MISMATCH", "MISUSE", "RANGE", "TOOBIG", "CORRUPT", "NOTADB"]


@pytest.mark.parametrize("name", [*PASSING, *FINAL])
def test_every_error_of_sqlite_passes_or_does_not(name):
    """What may pass is waited for, whatever its extended code; damage and this program's mistakes are not."""
    error = sqlite3.OperationalError("as told")
    error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}") | 7 << 8
    told = explain(error, "x")
    assert isinstance(told, Transient) == (name in PASSING)
    assert isinstance(told, LedgerDamaged) == (name in ("CORRUPT", "NOTADB"))


@pytest.mark.parametrize("harm", ["DROP TABLE events", "PRAGMA user_version = -1", "PRAGMA user_version = 0"])
def test_a_database_without_a_ledgers_tables_is_damaged(path, harm):
    """Lost tables, or another program's database, are damage; nothing is added to that file."""
    fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(harm)
    before = path.read_bytes()
    with pytest.raises(LedgerDamaged, match="shaded recover"):
        Ledger.open(path, FakeClock())
    assert path.read_bytes() == before


def test_damage_that_shows_while_it_runs_is_told_as_such(path):
    """A page that is overwritten under an open ledger is damage, not a passing error and no mistake."""
    fill(path)
    with Ledger.open(path, FakeClock()) as ledger:
        ledger.compact()
        with path.open("r+b") as stream:
            stream.seek(4096)
            stream.write(b"\xff" * 4096 * 20)
        with pytest.raises(LedgerDamaged):
            ledger.admit(ROOT, Path("b.png"), STAT, "bb", "p", "{}")


def test_a_connection_that_lost_its_file_is_made_anew(path):
    """After an error of the disk the file is opened again, and only one that is there and no new one."""
    fill(path)
    with Ledger.open(path, FakeClock()) as ledger:
        first = ledger._connection
        ledger.reconnect_after(Transient("the disk is full"))
        assert ledger._connection is first
        aside = path.rename(path.with_name("aside"))
        ledger.reconnect_after(LedgerAway("the disk reported an error"))
        assert not path.exists()
        aside.rename(path)
        ledger.reconnect_after(LedgerAway("the disk reported an error"))
        assert ledger._connection is not first
        assert ledger.counts()["published"] == 1


def test_an_error_inside_a_method_leaves_nothing_behind(path, monkeypatch):
    """A transaction that is broken off by any exception is undone."""
    with Ledger.open(path, FakeClock()) as ledger:

        def fail(*_arguments):
            raise OSError(errno.EIO, "now")

        monkeypatch.setattr(ledger, "_tell", fail)
        with pytest.raises(OSError, match="now"):
            ledger.admit(ROOT, Path("a.png"), STAT, "aa", "p", "{}")
        monkeypatch.undo()
        assert ledger.counts()["settled"] == 0
        ledger.admit(ROOT, Path("a.png"), STAT, "aa", "p", "{}")


def test_every_version_leads_to_the_newest(path):
    """A ledger at any earlier version is brought up step by step, and all end alike."""
    shapes = set()
    for start in range(schema.NEWEST + 1):
        place = path.parent / f"{start}.sqlite3"
        place.parent.mkdir(exist_ok=True)
        connection = sqlite3.connect(place, isolation_level=None)
        assert schema.migrate(connection, schema.MIGRATIONS[:start]) == start
        assert schema.version(connection) == start
        connection.close()
        opened = open_writable(place)
        assert schema.version(opened) == schema.NEWEST
        shapes.add(tuple(opened.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()))
        opened.close()
    assert len(shapes) == 1


def test_a_step_is_applied_whole_or_not_at_all():
    """A step that fails in its middle leaves the version and the tables before it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    steps = (("CREATE TABLE a (x)",), ("CREATE TABLE b (x)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, steps)
    assert schema.version(connection) == 1
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    assert schema.migrate(connection, (steps[0], ("CREATE TABLE b (x)",))) == 1
    assert schema.version(connection) == 2
    connection.close()


def test_a_released_step_stays_as_it_was():
    """Steps are only added: a change to the first one would leave older ledgers behind."""
    import hashlib

    text = "\n".join(" ".join(statement.split()) for statement in schema.MIGRATIONS[0])
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "442981fda0be8d6d607627db7ec6c4057ae37456fe6c4a482b6a3d330ed27552"
    )


def test_a_copy_of_the_closed_file_is_complete(path, tmp_path):
    """After closing, nothing is left in companions: the one file is the ledger."""
    fill(path)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    shutil.copy(path, tmp_path / "copy.sqlite3")
    with LedgerReader.open_readonly(tmp_path / "copy.sqlite3", FakeClock()) as reader:
        assert reader.counts()["published"] == 1


@pytest.mark.real_process
def test_the_rooms_are_light():
    """Watching and remembering import no torch, no numpy and no picture library."""
    code = (
        "import sys, shaded.ledger, shaded.outbox.arrivals, shaded.outbox.observer;"
        "import watchdog.observers;"
        "print([name for name in ('torch', 'numpy', 'PIL', 'scipy', 'hypothesis') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_compaction_keeps_every_job_and_gives_pages_back(path):
    """After many rows were deleted the file shrinks, the write-ahead log is empty, and finished work is still known."""
    with Ledger.open(path, FakeClock()) as ledger:
        fill(path)
        ask = ledger._connection.execute
        ask("BEGIN")
        for number in range(20_000):
            ask("INSERT INTO events (job_id, at, what) VALUES (?, 0, ?)", (number, "x" * 400))
        ask("DELETE FROM events")
        ask("COMMIT")
        before = path.stat().st_size
        ledger.compact()
        assert path.stat().st_size < before / 10
        assert path.with_name(path.name + "-wal").stat().st_size == 0
        assert ledger.admit(ROOT, Path("fox.png"), STAT, "aa", "p", "{}").kind == "known"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_pictures_stay_quick(path):
    """With 100,000 finished pictures the file is under 200 MB and each question takes under 0.1 s of a core."""
    digest, text = Profile().digest(), Profile().model_dump_json()
    with Ledger.open(path, FakeClock()) as ledger:
        ask = ledger._connection.execute
        ask("BEGIN")
        for number in range(1, 100_001):
            name, output = f"a folder/picture {number:06}.png".encode(), f"f{number:063x}"
            ask(
                "INSERT INTO jobs (id, sha256, profile_digest, profile, state, queued_at, output_sha256, summary, "
                "changed_at) VALUES (?, ?, ?, ?, 'published', 1, ?, ?, 1)",
                (number, f"{number:064x}", digest, text, output, json.dumps({"concept": "x" * 150})),
            )
            ask(
                "INSERT INTO placements (job_id, root, relative, size, mtime_ns, inode, seen_at, published, "
                "published_sha256, published_at) VALUES (?, ?, ?, 1, 1, ?, 1, ?, ?, 1)",
                (number, b"/home/artist/outbox", name, number, b"/home/artist/published/" + name, output),
            )
            ask("INSERT INTO outputs (sha256) VALUES (?)", (output,))
            ask(
                "INSERT INTO copies (root, relative, path, sha256, sidecar_sha256, size) VALUES (?, ?, ?, ?, ?, 1)",
                (b"/home/artist/outbox", name, b"/home/artist/published/" + name, output, f"e{number:063x}"),
            )
        ask("COMMIT")
        took = {}

        def timed(name, call):
            begun = time.process_time()
            answer = call()
            took[name] = time.process_time() - begun
            return answer

        timed("compact", ledger.compact)
        timed("counts", ledger.counts)
        timed("pending", ledger.pending_publications)
        timed("known", lambda: ledger.stat_known(Path("/home/artist/outbox"), Path("x"), STAT, digest))
        timed("admit", lambda: ledger.admit(ROOT, Path("fox.png"), STAT, "aa", digest, "{}"))
        (claim,) = timed("claim", ledger.claim)
        job_id = claim.job.id
        timed("rendered", lambda: ledger.rendered(job_id, STAGING / "1", STAGING / "2", "oo", 5, {}))
        timed("published", lambda: ledger.published(claim.placement.id, PUBLISH / "fox.png", "oo"))
        timed("recent_errors", ledger.recent_errors)
        size = path.stat().st_size
        print(f"{size / 1e6:.0f} MB", {name: f"{seconds * 1000:.1f} ms" for name, seconds in took.items()})  # noqa: T201
        assert size < 200_000_000
        assert max(seconds for name, seconds in took.items() if name != "compact") < 0.1


@pytest.mark.parametrize("harm", ["DROP TABLE copies", "ALTER TABLE jobs DROP COLUMN deaths", "DROP TABLE outputs"])
def test_a_ledger_that_lacks_something_is_damaged(tmp_path, harm):
    """A missing table or column is found when the file is opened, and the remedy is named."""
    path = tmp_path / "ledger.sqlite3"
    Ledger.open(path, FakeClock()).close()
    connection = sqlite3.connect(path)
    connection.execute(harm)
    connection.commit()
    connection.close()
    with pytest.raises(LedgerDamaged, match="shaded recover"):
        Ledger.open(path, FakeClock())


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_no_ledger(tmp_path, kind):
    """A pipe or a folder in its place is said at once, to whoever writes and to whoever reads."""
    path = tmp_path / "ledger.sqlite3"
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    for opened in (lambda: Ledger.open(path, FakeClock()), lambda: LedgerReader.open_readonly(path, FakeClock())):
        with pytest.raises(LedgerDamaged, match="no file"):
            opened()


def test_a_ledger_that_is_removed_while_it_is_open_is_written_again(tmp_path):
    """Nothing that it knew is lost, and whoever reads the file finds it; another file in its place is told."""
    path = tmp_path / "ledger.sqlite3"
    with Ledger.open(path, FakeClock()) as ledger:
        ledger.insist_on_its_file()
        ledger.admit(ROOT, Path("fox.png"), STAT, "aa", "p", "{}")
        for each in tmp_path.glob("ledger.sqlite3*"):
            each.unlink()
        ledger.admit(ROOT, Path("owl.png"), STAT, "bb", "p", "{}")
        ledger.insist_on_its_file()
        ledger.insist_on_its_file()
        ledger.admit(ROOT, Path("wolf.png"), STAT, "cc", "p", "{}")
        with LedgerReader.open_readonly(path, FakeClock()) as reader:
            assert reader.counts()["settled"] == 3
        (tmp_path / "other").write_bytes(path.read_bytes())
        (tmp_path / "other").rename(path)
        with pytest.raises(LedgerAway, match="replaced"):
            ledger.insist_on_its_file()
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.endswith(".again")) == []


def test_a_ledger_whose_disk_is_away_is_not_written_into_the_mount_point(tmp_path):
    """Where the folder is on another disk than the ledger was, or gone, nothing is written there."""
    path = tmp_path / "state" / "ledger.sqlite3"
    with Ledger.open(path, FakeClock()) as ledger:
        ledger.insist_on_its_file()
        device, inode = ledger._identity
        ledger._identity = device + 1, inode
        for each in path.parent.iterdir():
            each.unlink()
        with pytest.raises(LedgerAway, match="away"):
            ledger.insist_on_its_file()
        assert list(path.parent.iterdir()) == []


def test_a_ledger_that_cannot_be_written_again_now_goes_on_serving(tmp_path, monkeypatch):
    """A failure on the way leaves the open connection as it is, and the next try succeeds."""
    path = tmp_path / "ledger.sqlite3"
    with Ledger.open(path, FakeClock()) as ledger:
        ledger.insist_on_its_file()
        ledger.admit(ROOT, Path("fox.png"), STAT, "aa", "p", "{}")
        for each in tmp_path.iterdir():
            each.unlink()

        def full(_self, _target):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", full)
            with pytest.raises(Transient, match="written again"):
                ledger.insist_on_its_file()
        assert ledger.counts()["settled"] == 1
        ledger.insist_on_its_file()
        assert ledger.counts()["settled"] == 1
    assert path.exists()
