"""Opening the ledger's file, and transactions whose errors a person understands."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from shaded.errors import ShadedError, Transient
from shaded.ledger import schema

_BUSY_SECONDS = 10.0

#: SQLite's primary result codes for conditions that pass (the low byte of the extended codes).
_PASSING = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; it is tried again by itself"),
    sqlite3.SQLITE_BUSY: ("the ledger is busy", "It is tried again by itself"),
    sqlite3.SQLITE_LOCKED: ("the ledger is busy", "It is tried again by itself"),
    sqlite3.SQLITE_IOERR: ("the disk reported an error", "Check the disk; it is tried again by itself"),
    sqlite3.SQLITE_READONLY: (
        "the ledger cannot be written",
        "Make its folder writable; it is tried again by itself",
    ),
    sqlite3.SQLITE_CANTOPEN: ("the ledger cannot be opened", "Give your user access to its folder"),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", "Close other programs; it is tried again by itself"),
}


def explain(error: sqlite3.Error, path: Path | str) -> ShadedError:
    """Translate an error of SQLite into the project's own."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _PASSING:
        what, remedy = _PASSING[code]
        return Transient(what, path=path, remedy=remedy)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return ShadedError(
            "the ledger is damaged",
            path=path,
            remedy="Move it aside; a new one is made and every picture is looked at again",
        )
    return ShadedError(f"the ledger failed: {error}", path=path)


def open_writable(path: Path | str) -> sqlite3.Connection:
    """Open or create the ledger, readable by its owner only, at the newest version.

    Args:
        path: The file, or ``":memory:"``.

    Raises:
        Transient: The disk is full, the folder is not writable and the like.
        ShadedError: The file is damaged or was written by a newer version.
    """
    try:
        if path != ":memory:":
            folder = Path(path).parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.chmod(path, 0o600)  # noqa: PTH101 - beside os.open
    except OSError as error:
        raise Transient(
            f"the ledger cannot be opened: {error.strerror}",
            path=path,
            remedy="Give your user access to its folder",
        ) from error
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        refuse_newer(connection, path)
        schema.migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, path) from error
    except ShadedError:
        connection.close()
        raise
    return connection


def open_readable(path: Path) -> sqlite3.Connection | None:
    """Open the ledger for reading beside a running daemon; ``None`` where there is none yet."""
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path))}?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_SECONDS,
        )
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        refuse_newer(connection, path)
        if schema.version(connection) == schema.NEWEST:
            connection.execute("PRAGMA query_only = ON")
            return connection
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, path) from error
    except ShadedError:
        connection.close()
        raise
    connection.close()
    return None


def refuse_newer(connection: sqlite3.Connection, path: Path | str) -> None:
    """Raise :class:`ShadedError` where the file was written by a version that knows more."""
    if schema.version(connection) > schema.NEWEST:
        raise ShadedError(
            "the ledger was written by a newer version of shaded",
            path=path,
            remedy="Install that version again",
        )


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
    except sqlite3.Error as error:
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
    except sqlite3.Error as error:
        raise explain(error, path) from error
