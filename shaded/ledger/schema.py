"""The ledger's tables, as a list of steps from an empty file to the newest version.

Each step is applied in one transaction together with the number that records it (``PRAGMA user_version``), so
a file is always at some whole version. Steps are only ever added; a released one is never changed.
"""

from __future__ import annotations

import sqlite3

_FIRST = (
    # One row for each content and profile: the work.
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256 TEXT NOT NULL,
        profile_digest TEXT NOT NULL,
        profile TEXT NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('settled', 'running', 'rendered', 'published', 'refused', 'failed')),
        priority INTEGER NOT NULL DEFAULT 0,
        queued_at REAL NOT NULL,
        not_before REAL NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        interruptions INTEGER NOT NULL DEFAULT 0,
        lease_until REAL,
        picture BLOB,
        sidecar BLOB,
        output_sha256 TEXT,
        output_bytes INTEGER,
        summary TEXT NOT NULL DEFAULT '{}',
        reason TEXT NOT NULL DEFAULT '',
        remedy TEXT NOT NULL DEFAULT '',
        changed_at REAL NOT NULL,
        UNIQUE (sha256, profile_digest)
    )
    """,
    "CREATE INDEX jobs_by_state ON jobs (state, changed_at)",
    # One row for each path: where a content lies, and where its shaded copy went. Paths are bytes: a file
    # name need not be text. Inode numbers are stored as signed 64-bit integers.
    """
    CREATE TABLE placements (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE RESTRICT,
        root BLOB NOT NULL,
        relative BLOB NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        seen_at REAL NOT NULL,
        published BLOB,
        published_sha256 TEXT,
        published_at REAL,
        UNIQUE (root, relative),
        CHECK ((published IS NULL) = (published_sha256 IS NULL))
    )
    """,
    "CREATE INDEX placements_by_job ON placements (job_id)",
    "CREATE INDEX placements_by_published ON placements (published) WHERE published IS NOT NULL",
    # Every hash that was ever rendered here, kept when its job is long gone.
    "CREATE TABLE outputs (sha256 TEXT PRIMARY KEY) WITHOUT ROWID",
    # What happened, in sentences; the oldest are dropped. Rows outlive their jobs, so there is no foreign
    # key.
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id INTEGER NOT NULL,
        path BLOB,
        at REAL NOT NULL,
        what TEXT NOT NULL
    )
    """,
    "CREATE INDEX events_by_job ON events (job_id)",
    "CREATE INDEX events_by_path ON events (path) WHERE path IS NOT NULL",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

_FAILING_WELL = (
    # How often a worker, or the whole machine, went down with the picture; the machine that it was begun on.
    "ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN claimed_on TEXT NOT NULL DEFAULT ''",
    # How often it was put off for something that was not its fault, so that pauses can grow.
    "ALTER TABLE jobs ADD COLUMN deferrals INTEGER NOT NULL DEFAULT 0",
    # What lacks its copy is asked for after every picture; it is little beside everything ever published.
    "CREATE INDEX placements_unpublished ON placements (job_id) WHERE published IS NULL",
)

_MEMORY = (
    # How many pixels the picture has, from which its memory is reckoned; 0 where it was queued before this step.
    "ALTER TABLE jobs ADD COLUMN pixels INTEGER NOT NULL DEFAULT 0",
)

_COPIES = (
    # What was put, or is about to be put, under a published name for one source path. It is written before the files
    # are, and outlives jobs and placements, so that an earlier output is known by its name and its bytes. The token is
    # part of the names of the temporary files, and is empty once the copy is in place. A row that was made from an
    # older ledger does not know the sidecar's hash.
    """
    CREATE TABLE copies (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        root BLOB NOT NULL,
        relative BLOB NOT NULL,
        path BLOB NOT NULL,
        sha256 TEXT NOT NULL,
        sidecar_sha256 TEXT,
        size INTEGER,
        token TEXT NOT NULL DEFAULT '',
        UNIQUE (root, relative, path, sha256, sidecar_sha256)
    )
    """,
    "CREATE INDEX copies_by_path ON copies (path)",
    "CREATE INDEX copies_by_bytes ON copies (sha256)",
    "CREATE INDEX copies_under_way ON copies (token) WHERE token != ''",
    """
    INSERT INTO copies (root, relative, path, sha256)
        SELECT root, relative, published, published_sha256 FROM placements WHERE published IS NOT NULL
    """,
    # A place has its own end: why this place does not get its copy, although the picture is shaded.
    "ALTER TABLE placements ADD COLUMN refusal TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE placements ADD COLUMN refusal_remedy TEXT NOT NULL DEFAULT ''",
    # Null where the file was admitted before this step.
    "ALTER TABLE placements ADD COLUMN ctime_ns INTEGER",
    # Whether the bytes were found published, by a ledger that had lost its memory, and not rendered under this one.
    "ALTER TABLE outputs ADD COLUMN found INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX placements_unpublished",
    "CREATE INDEX placements_unpublished ON placements (job_id) WHERE published IS NULL AND refusal = ''",
    "CREATE INDEX placements_refused ON placements (job_id) WHERE refusal != ''",
)

#: Step ``n`` (counted from one) leads from version ``n - 1`` to version ``n``.
MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _FAILING_WELL, _MEMORY, _COPIES)
NEWEST = len(MIGRATIONS)


def version(connection: sqlite3.Connection) -> int:
    """The version that the file is at; 0 for an empty one."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Every table with each of its columns."""
    rows = connection.execute(  # as bytes: in a damaged file a name need not be text
        "SELECT CAST(m.name AS BLOB), CAST(c.name AS BLOB) FROM sqlite_master AS m, pragma_table_info(m.name) AS c "
        "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    )
    return {(table.decode("utf-8", "replace"), column.decode("utf-8", "replace")) for table, column in rows}


def migrate(connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> int:
    """Bring the file to the newest version; the connection must be in autocommit mode.

    Returns:
        How many steps were applied.
    """
    applied = 0
    for number, statements in enumerate(migrations, start=1):
        if number <= version(connection):
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if version(connection) < number:  # another process may have been faster
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number:d}")
                applied += 1
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return applied
