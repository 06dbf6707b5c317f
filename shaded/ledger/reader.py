"""Asking the ledger: everything that changes nothing, beside a running daemon or without one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from shaded.clock import Clock
from shaded.configuration.places import known_as
from shaded.filestat import FileStat
from shaded.ledger.connection import ERRORS, explain, fetch, open_readable, reading
from shaded.ledger.copies import Copies
from shaded.ledger.records import (
    JOB_COLUMNS,
    OTHER,
    PLACEMENT_COLUMNS,
    STATES,
    Claim,
    Job,
    Placement,
    Queued,
    Record,
    State,
    both_from,
    job_from,
    path_from_blob,
    path_to_blob,
    placement_from,
    real,
    signed,
    words,
)
from shaded.settings import Scheduling

#: A job's rank: its priority, plus one point for each ageing period waited, less one for each interruption.
RANK = "COALESCE(priority - interruptions + MAX(0.0, :now - queued_at) / :ageing, 0.0)"
#: A wait that began in the future was measured by a clock that was set back since; it is over.
#: So is one whose end is no number.
READY = "(not_before <= :now OR changed_at > :now OR typeof(not_before) = 'text')"
#: Some place of the job is in an outbox that can be worked on now; ``:blocked`` is what :func:`hex_paths` gives.
OPEN = (
    "(:blocked = '[]' OR EXISTS (SELECT 1 FROM placements AS o WHERE o.job_id = jobs.id "
    "AND hex(o.root) NOT IN (SELECT value FROM json_each(:blocked))))"
)
#: The job may be claimed now.
WAITING = f"state = 'settled' AND {READY} AND {OPEN}"
#: The place to read a job's content from: the one seen last.
SOURCE = (
    "placements.id = (SELECT p.id FROM placements AS p WHERE p.job_id = jobs.id "
    "ORDER BY p.seen_at DESC, p.id DESC LIMIT 1)"
)
#: Every placement with its job; a WHERE clause follows.
BOTH = (
    f"SELECT {JOB_COLUMNS}, {PLACEMENT_COLUMNS} "  # noqa: S608 - constants
    "FROM jobs JOIN placements ON placements.job_id = jobs.id"
)
#: The place lacks a finished result.
PENDING = "WHERE +state IN ('rendered', 'published') AND published IS NULL AND refusal = ''"
_STAT_KNOWN = (
    "SELECT 1 FROM placements JOIN jobs ON jobs.id = job_id "
    "WHERE root = :root AND relative = :relative AND size = :size AND mtime_ns = :mtime_ns "
    "AND inode = :inode AND (ctime_ns IS NULL OR ctime_ns = :ctime_ns) AND profile_digest = :profile_digest"
)
#: What is no picture; an index finds these.
_OTHERS = f"(sha256 GLOB '{OTHER}*')"
_LONGEST_STORY = 50


class LedgerReader:
    """The ledger's questions. Usable from one thread.

    Args:
        connection: In autocommit mode, at the newest version.
        path: The file, for messages.
        clock: Its date decides what is ready.
        scheduling: Lease, attempts and ageing.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | str, clock: Clock, scheduling: Scheduling) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock
        self._scheduling = scheduling

    @property
    def copies(self) -> Copies:
        """What was put under which published name."""
        return Copies(self._connection, self._path)

    @classmethod
    def open_readonly(cls, path: Path, clock: Clock, scheduling: Scheduling | None = None) -> LedgerReader | None:
        """Open for reading only; ``None`` where no daemon has made a ledger (of this version) yet."""
        connection = open_readable(path)
        return None if connection is None else LedgerReader(connection, path, clock, scheduling or Scheduling())

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Be closed at the end of a ``with`` block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the file."""
        self.close()

    def counts(self) -> dict[State, int]:
        """How many pictures are in each state; every state is there."""
        found = dict(tuple(row) for row in self._rows("SELECT state, COUNT(*) FROM jobs GROUP BY state"))
        ((others,),) = self._rows(f"SELECT COUNT(*) FROM jobs WHERE {_OTHERS}")  # noqa: S608 - a constant
        return {state: found.get(state, 0) - (others if state == "refused" else 0) for state in STATES}

    def queue(self, limit: int = 1000) -> list[Queued]:
        """What waits, in the order in which it will run: first what may run now, by rank; then by date."""
        rows = self._rows(
            f"SELECT {JOB_COLUMNS}, {PLACEMENT_COLUMNS}, {READY} AS ready, {RANK} AS rank "  # noqa: S608 - constants
            f"FROM jobs JOIN placements ON {SOURCE} WHERE state = 'settled' "
            "ORDER BY ready DESC, CASE WHEN ready THEN -rank ELSE not_before END, jobs.id LIMIT :limit",
            limit=limit,
        )
        queued = []
        for position, row in enumerate(rows, start=1):
            job, placement = both_from(row)
            ready = bool(row["ready"])
            queued.append(Queued(job, placement, position, ready, row["rank"], _why(job, ready, self._clock.time())))
        return queued

    def waiting(self, limit: int, blocked: Collection[Path] = ()) -> list[Job]:
        """What may be claimed now, the first first."""
        rows = self._rows(
            f"SELECT {JOB_COLUMNS} FROM jobs WHERE {WAITING} ORDER BY {RANK} DESC, id LIMIT :limit",  # noqa: S608 - constants
            blocked=hex_paths(blocked),
            limit=limit,
        )
        return [job_from(row) for row in rows]

    def running(self) -> list[Claim]:
        """What is leased now, the earliest begun first."""
        rows = self._rows(
            f"SELECT {JOB_COLUMNS}, {PLACEMENT_COLUMNS} FROM jobs JOIN placements ON {SOURCE} "  # noqa: S608
            "WHERE state = 'running' ORDER BY changed_at, jobs.id"
        )
        return [Claim(*both_from(row)) for row in rows]

    def find(self, path: Path) -> list[Record]:
        """What is known of an absolute path, as a source or as a published copy."""
        with reading(self._connection, self._path):
            rows = [
                row
                for parent in path.parents
                for row in self._rows(
                    f"{BOTH} WHERE root = :root AND relative = :relative",
                    root=path_to_blob(parent),
                    relative=path_to_blob(path.relative_to(parent)),
                )
            ]
            rows += self._rows(f"{BOTH} WHERE published = :path", path=path_to_blob(path))
            return [Record(job, place, self._story(job.id, place.path)) for job, place in map(both_from, rows)]

    def known_path(self, path: Path, folders: Iterable[Path]) -> Path:
        """The source path that the ledger knows for a file, however it is written: through links, or by its copy.

        Args:
            path: An absolute path.
            folders: The outboxes and publish folders of the settings, as they are written there.
        """
        for known in (path, known_as(path, folders), known_as(path, self.roots())):
            if self.find(known):
                return known
        return next((root / relative for root, relative in self.copies.owners(path)), path)

    def roots(self) -> list[Path]:
        """Every outbox that something was ever taken from, as it was written then."""
        rows = self._rows("SELECT DISTINCT root FROM placements")
        return [path_from_blob(row["root"]) for row in rows]

    def story(self, path: Path) -> tuple[tuple[float, str], ...]:
        """What happened at a source path, even if nothing lies there now: (seconds since 1970, sentence)."""
        return self._story("", path)

    def recent(self, limit: int = 10) -> list[Record]:
        """What was published last, the newest first."""
        rows = self._rows(
            f"{BOTH} WHERE published_at IS NOT NULL ORDER BY published_at DESC, placements.id DESC LIMIT :limit",
            limit=limit,
        )
        return [Record(*both_from(row)) for row in rows]

    def recent_errors(self, limit: int = 10) -> list[Record]:
        """What was refused, failed or put off last, pictures and single places of them, the newest first."""
        rows = self._rows(
            f"SELECT {JOB_COLUMNS}, {PLACEMENT_COLUMNS} FROM jobs JOIN placements ON {SOURCE} "  # noqa: S608
            "WHERE (state IN ('refused', 'failed') OR (state = 'settled' AND reason != '')) "
            f"AND NOT {_OTHERS} "
            "ORDER BY changed_at DESC, jobs.id DESC LIMIT :limit",
            limit=limit,
        )
        rows += self._rows(f"{BOTH} WHERE refusal != '' ORDER BY changed_at DESC LIMIT :limit", limit=limit)
        records = [Record(*both_from(row)) for row in rows]
        return sorted(records, key=lambda record: record.job.changed_at, reverse=True)[:limit]

    def stat_known(self, root: Path, relative: Path, stat: FileStat, profile_digest: str) -> bool:
        """Whether the path was admitted with this profile as it looks now, and need not be read again."""
        asked = {"root": path_to_blob(root), "relative": path_to_blob(relative), "profile_digest": profile_digest}
        try:  # a scan asks this for every file, so it is one statement without a transaction around it
            found = self._connection.execute(_STAT_KNOWN, asked | stat_columns(stat)).fetchone()
        except ERRORS as error:
            raise explain(error, self._path) from error
        return found is not None

    def is_own_output(self, sha256: str) -> bool:
        """Whether these bytes were ever rendered or published by this installation."""
        return bool(self._rows("SELECT 1 FROM outputs WHERE sha256 = :sha256", sha256=sha256))

    def rendered_here(self, sha256: str) -> bool:
        """Whether these bytes were rendered under this ledger, which then knows every name that it gave them."""
        return bool(self._rows("SELECT 1 FROM outputs WHERE sha256 = :sha256 AND found = 0", sha256=sha256))

    def published_copies(self, job_id: str) -> list[Placement]:
        """Where a job's result was published, the newest first; the files may have changed since."""
        rows = self._rows(
            f"SELECT {PLACEMENT_COLUMNS} FROM placements "  # noqa: S608 - constants
            "WHERE job_id = :job_id AND published IS NOT NULL ORDER BY published_at DESC, id DESC",
            job_id=job_id,
        )
        return [placement_from(tuple(row)) for row in rows]

    def published_as(self, sha256: str) -> list[Placement]:
        """The places whose published copy has these bytes, as far as the ledger knows."""
        rows = self._rows(
            f"SELECT {PLACEMENT_COLUMNS} FROM placements WHERE published_sha256 = :sha256",  # noqa: S608 - constants
            sha256=sha256,
        )
        return [placement_from(tuple(row)) for row in rows]

    def pending_publications(self) -> list[tuple[Job, Placement]]:
        """Places that lack the finished result of their job, the longest waiting first."""
        return [found for number in self.pending_places() if (found := self.pending_place(number)) is not None]

    def pending_places(self) -> list[int]:
        """The ids of the places that lack the finished result of their job, the longest waiting first."""
        rows = self._rows(  # the plus keeps the planner from walking through everything that was ever published
            "SELECT placements.id FROM jobs JOIN placements ON placements.job_id = jobs.id "  # noqa: S608 - constants
            f"{PENDING} ORDER BY changed_at, placements.id"
        )
        return [int(row[0]) for row in rows]

    def pending_place(self, placement_id: int) -> tuple[Job, Placement] | None:
        """One such place with its job; ``None`` where it lacks nothing any more."""
        rows = self._rows(f"{BOTH} {PENDING} AND placements.id = :id", id=placement_id)
        return both_from(rows[0]) if rows else None

    def lacks_copies(self, job_id: str) -> bool:
        """Whether some place of a job has no published copy yet."""
        query = "SELECT 1 FROM placements WHERE job_id = :job_id AND published IS NULL AND refusal = '' LIMIT 1"
        return bool(self._rows(query, job_id=job_id))

    def staged_files(self) -> set[Path]:
        """The files in staging that are still needed; anything else there is left over from a crash."""
        rows = self._rows("SELECT picture, sidecar FROM jobs WHERE state = 'rendered'")
        return {path_from_blob(blob) for row in rows for blob in row if blob is not None}

    def next_ready_in(self, blocked: Collection[Path] = ()) -> float | None:
        """Seconds until a waiting job may run: 0 where one may now, ``None`` where none waits; without ``blocked``."""
        open_to = hex_paths(blocked)
        # Asked in every round: of a long queue mostly the first one answers.
        if self._rows(f"SELECT 1 FROM jobs WHERE {WAITING} LIMIT 1", blocked=open_to):  # noqa: S608 - constants
            return 0.0
        (row,) = self._rows(
            f"SELECT MIN(not_before - :now) FROM jobs WHERE state = 'settled' AND {OPEN}",  # noqa: S608 - constants
            blocked=open_to,
        )
        return None if row[0] is None else max(0.0, float(row[0]))

    def job(self, job_id: str) -> Job | None:
        """One job by its id."""
        rows = self._rows(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = :job_id", job_id=job_id)  # noqa: S608 - constants
        return job_from(rows[0]) if rows else None

    def meta_get(self, key: str) -> str | None:
        """A value stored with ``meta_set``."""
        rows = self._rows("SELECT value FROM meta WHERE key = :key", key=key)
        return str(rows[0][0]) if rows else None

    def _story(self, job_id: str, path: Path) -> tuple[tuple[float, str], ...]:
        rows = self._rows(
            "SELECT at, what FROM events WHERE (job_id = :job_id AND path IS NULL) OR path = :path "
            "ORDER BY id DESC LIMIT :limit",
            job_id=job_id,
            path=path_to_blob(path),
            limit=_LONGEST_STORY,
        )
        return tuple((real(row["at"]), words(row["what"])) for row in reversed(rows))

    def _rows(self, query: str, **parameters: Any) -> list[sqlite3.Row]:
        with reading(self._connection, self._path) as connection:
            cursor = connection.cursor()
            cursor.row_factory = sqlite3.Row
            return fetch(cursor, query, self._parameters(parameters))

    def _parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given ones and the usual ones; text is made sound, since a file name in it may not be."""
        usual = {"now": self._clock.time(), "ageing": self._scheduling.ageing_seconds}
        return usual | {key: _sound(value) if isinstance(value, str) else value for key, value in given.items()}


def hex_paths(paths: Collection[Path]) -> str:
    """Paths as a JSON list of hexadecimal digits, since JSON cannot hold the bytes of a file name."""
    return json.dumps([path_to_blob(path).hex().upper() for path in paths])


def _sound(text: str) -> str:
    """Text without lone surrogates, which stand for bytes of a file name that are no text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def stat_columns(stat: FileStat) -> dict[str, int]:
    """The columns that tell one state of a file from another; a mount may change the device."""
    return {
        "size": stat.size,
        "mtime_ns": signed(stat.mtime_ns),
        "inode": signed(stat.inode),
        "ctime_ns": signed(stat.ctime_ns),
    }


def _why(job: Job, ready: bool, now: float) -> str:
    """Why a job stands where it stands, as a sentence without a final stop."""
    waited = f"it has waited for {max(0.0, now - job.queued_at):.0f} s"
    if not ready:
        return f"it is tried again in {job.not_before - now:.0f} s: {job.reason or 'it was put off'}"
    reasons = [waited]
    if job.priority:
        reasons.append(f"its priority is {job.priority}")
    if job.interruptions:
        reasons.append(f"the program ended {job.interruptions} times while it was shaded")
    if job.attempts:
        reasons.append(f"it was tried {job.attempts} times")
    return ", ".join(reasons)
