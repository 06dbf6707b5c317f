"""Opening the ledger's file, and transactions whose errors a person understands."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shaded.errors import LedgerAway, LedgerDamaged, ShadedError, StateUnusable, Transient, Unavailable
from shaded.ledger import schema
from shaded.ledger.records import words

_BUSY_SECONDS = 10.0

#: SQLite's primary result codes (the low byte of the extended ones) and what to say of them; each of these may pass.
_PASSING = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; it is tried again by itself"),
    sqlite3.SQLITE_BUSY: ("the ledger is busy", "It is tried again by itself"),
    sqlite3.SQLITE_LOCKED: ("the ledger is busy", "It is tried again by itself"),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", "Close other programs; it is tried again by itself"),
    sqlite3.SQLITE_PERM: ("permission for the ledger is denied", "Give your user access to its folder"),
    sqlite3.SQLITE_AUTH: ("permission for the ledger is denied", "Give your user access to its folder"),
}
#: The same, where the open connection may be what is broken: the file was replaced, or its disk was away for a while.
_AWAY = {
    sqlite3.SQLITE_IOERR: ("the disk reported an error", "Check the disk; it is tried again by itself"),
    sqlite3.SQLITE_READONLY: (
        "the ledger cannot be written",
        "Make its folder writable; it is tried again by itself",
    ),
    sqlite3.SQLITE_CANTOPEN: ("the ledger cannot be opened", "Give your user access to its folder"),
    sqlite3.SQLITE_PROTOCOL: ("the ledger cannot be locked", "It is tried again by itself"),
}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
#: Mistakes of this program, which trying again would only repeat; 0: Python's own, which have no code.
_MISTAKES = {
    0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_INTERNAL, sqlite3.SQLITE_NOTFOUND, sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_RANGE,
}  # fmt: skip
#: Rows are numbered from one on; nobody has so many.
_HIGHEST = 2**62
#: The beginning of an SQLite file, and where it has the versions for writing and reading (sqlite.org/fileformat.html).
_MAGIC, _VERSIONS = b"SQLite format 3\0", slice(18, 20)
_MEND = "If that happens again, stop the daemon and run `shaded recover`"
RECOVER = "Run `shaded recover`: it keeps the damaged file and makes a new ledger from your folders"


#: What a broken file brings: SQLite's errors, and texts in its structure that are not UTF-8, which Python finds first.
ERRORS = (sqlite3.Error, UnicodeDecodeError)


def explain(error: sqlite3.Error | UnicodeDecodeError, path: Path | str) -> ShadedError:
    """Translate an error of SQLite into the project's own: damage, a mistake, or else something that may pass."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGE or _is_undecodable(error) or str(error) == "unsupported file format":
        return LedgerDamaged("the ledger is damaged", path=path, remedy=RECOVER)
    if code in _MISTAKES:
        return ShadedError(f"the ledger failed: {error}", path=path, remedy=_MEND)
    if code in _AWAY:
        what, remedy = _AWAY[code]
        return LedgerAway(what, path=path, remedy=remedy)
    what, remedy = _PASSING.get(code, (f"the ledger cannot be used now ({error})", "It is tried again by itself"))
    return Transient(what, path=path, remedy=remedy)


def _is_undecodable(error: Exception) -> bool:
    """Whether a text is not UTF-8. Python finds that, so that the error has no code of SQLite's."""
    return isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode to UTF-8")


def fetch(cursor: sqlite3.Cursor, query: str, values: Mapping[str, Any]) -> list[Any]:
    """All rows, with texts that are not UTF-8 read as far as they are: one of them does not hide the others."""
    try:
        return cursor.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        if not _is_undecodable(error):
            raise
    cursor.connection.text_factory = words  # slower, so only from here on
    return cursor.execute(query, values).fetchall()


def peek(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask a ledger of whatever version, or what may be one, without changing it; nothing where there is no such table.

    Raises:
        LedgerDamaged: It is no database, or a broken one.
        StateUnusable: Something that is no file stands beside it.
        Transient: It cannot be read now.
    """
    if not path.is_file():
        return []
    insist_on_a_file(path)
    try:
        with closing(_connect_to_read(path)) as connection:
            return fetch(connection.cursor(), query, {})
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR:
            return []
        raise explain(error, path) from error
    except ERRORS as error:
        raise explain(error, path) from error


def insist_on_a_file(path: Path) -> None:
    """See that no folder or pipe stands there or beside it: opening a pipe would wait for ever.

    Raises:
        LedgerDamaged: Something else stands there; or SQLite would take the file for another version's, and say for
            ever that it may not be written.
        StateUnusable: Something else stands where SQLite keeps what belongs to the file.
    """
    if os.path.lexists(path) and not path.is_file():
        raise LedgerDamaged("the ledger is no file", path=path, remedy=RECOVER)
    for beside in (path.with_name(path.name + ending) for ending in ("-journal", "-wal", "-shm")):
        if os.path.lexists(beside) and (beside.is_symlink() or not beside.is_file()):  # SQLite follows no link there
            what = "something that is no file stands where the ledger's log belongs"
            raise StateUnusable(what, path=beside, remedy="Move it away")
    with suppress(OSError), path.open("rb") as file:
        start = file.read(_VERSIONS.stop)
        if start.startswith(_MAGIC) and not {*start[_VERSIONS]} <= {1, 2}:
            raise LedgerDamaged("the ledger is damaged", path=path, remedy=RECOVER)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    address = f"file:{quote(os.fsencode(path))}?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)


def open_writable(path: Path | str) -> sqlite3.Connection:
    """Open or create the ledger, readable by its owner only, at the newest version.

    Args:
        path: The file, or ``":memory:"``.

    Raises:
        Transient: The disk is full, the folder is not writable and the like.
        LedgerDamaged: The file is no ledger, or a broken one.
        StateUnusable: It was written by a newer version.
    """
    try:
        if path != ":memory:":
            folder = Path(path).parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            insist_on_a_file(Path(path))
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Transient(
            f"the ledger cannot be opened: {error.strerror}",
            path=path,
            remedy="Give your user access to its folder",
        ) from error
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    except ERRORS as error:
        raise explain(error, path) from error
    try:
        refuse_newer(connection, path)
        refuse_other(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        schema.migrate(connection)
        _insist_on_free_numbers(connection, path)
        if path != ":memory:":
            os.chmod(path, 0o600)  # noqa: PTH101 - only now it is known to be a ledger
    except ERRORS as error:
        connection.close()
        raise explain(error, path) from error
    except OSError as error:
        connection.close()
        raise Transient(f"the ledger cannot be made private: {error.strerror}", path=path) from error
    except ShadedError:
        connection.close()
        raise
    return connection


def identity(path: Path | str) -> tuple[int, int] | None:
    """Device and inode of the ledger's file; ``None`` where it is gone.

    Raises:
        LedgerAway: It cannot be asked for now.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - it may be a text
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerAway(f"the ledger cannot be reached: {error.strerror}", path=path) from error
    return status.st_dev, status.st_ino


def write_again(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Write a ledger whose file was removed under an open connection; the connection to the new file.

    Raises:
        Transient: It cannot be written now; until the new file is in place the open connection goes on serving.
    """
    fresh = path.with_name(path.name + ".again")
    try:
        fresh.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (os.fspath(fresh),))
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        fresh.rename(path)
        connection.close()  # before the new one is opened: closing removes the log by its name
    except ERRORS as error:
        raise explain(error, path) from error
    except OSError as error:
        what = f"the ledger cannot be written again: {error.strerror}"
        where = error.filename or path
        raise Transient(what, path=where, remedy="Move away what stands there; it is tried again by itself") from error
    return open_writable(path)


def open_readable(path: Path) -> sqlite3.Connection | None:
    """Open the ledger for reading beside a running daemon; ``None`` where there is none yet.

    Raises:
        Unavailable: Whether there is one cannot be seen now.
        StateUnusable: What stands there is none.
    """
    insist_on_a_file(path)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unavailable(
            f"the ledger cannot be looked at: {error.strerror or error}",
            path=path,
            remedy="Give your user access to it, or name another state folder with SHADED_STATE_DIR",
        ) from error
    try:
        connection = _connect_to_read(path)
    except ERRORS as error:
        raise explain(error, path) from error
    try:
        refuse_newer(connection, path)
        if schema.version(connection) == schema.NEWEST:
            refuse_other(connection, path)
            connection.execute("PRAGMA query_only = ON")
            return connection
    except ERRORS as error:
        connection.close()
        raise explain(error, path) from error
    except ShadedError:
        connection.close()
        raise
    connection.close()
    return None


def refuse_newer(connection: sqlite3.Connection, path: Path | str) -> None:
    """Raise :class:`StateUnusable` where the file was written by a version that knows more."""
    if schema.version(connection) > schema.NEWEST:
        raise StateUnusable(
            "the ledger was written by a newer version of shaded",
            path=path,
            remedy="Install that version again",
        )


def refuse_other(connection: sqlite3.Connection, path: Path | str) -> None:
    """Raise :class:`LedgerDamaged` where tables or columns are missing, or the database is another program's."""
    version, found = schema.version(connection), schema.columns(connection)
    if found and not found & _wanted(schema.NEWEST):
        raise StateUnusable("the database is another program's", path=path, remedy="Name another state folder")
    if version < 0 or (not version and found) or not found >= _wanted(version):
        raise LedgerDamaged("the ledger is damaged: its tables are not a ledger's", path=path, remedy=RECOVER)


def _insist_on_free_numbers(connection: sqlite3.Connection, path: Path | str) -> None:
    """Raise :class:`LedgerDamaged` where no row could be added: SQLite would say for ever that the disk is full."""
    tables = ("jobs", "placements", "copies", "events")
    highest = " UNION ALL ".join(f"SELECT MAX(id) AS n FROM {table}" for table in tables)  # noqa: S608 - constants
    query = f"SELECT MAX(n) FROM ({highest} UNION ALL SELECT seq FROM sqlite_sequence)"  # noqa: S608 - constants
    (number,) = connection.execute(query).fetchone()
    if isinstance(number, int) and number > _HIGHEST:
        raise LedgerDamaged(f"the ledger is damaged: it counts to {number}", path=path, remedy=RECOVER)


@cache
def _wanted(version: int) -> set[tuple[str, str]]:
    """The tables and columns of a ledger at a version."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.migrate(connection, schema.MIGRATIONS[:version])
        return schema.columns(connection)


@contextmanager
def reading(connection: sqlite3.Connection, path: Path | str) -> Iterator[sqlite3.Connection]:
    """One consistent view for several queries; a transaction that is open already serves as it is."""
    if connection.in_transaction:
        yield connection
        return
    try:
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")
    except ERRORS as error:
        raise explain(error, path) from error


@contextmanager
def writing(connection: sqlite3.Connection, path: Path | str) -> Iterator[sqlite3.Connection]:
    """All of it or nothing, durable when the block ends."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except ERRORS as error:
        raise explain(error, path) from error
