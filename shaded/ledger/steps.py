"""The steps that the ledger's transactions are made of; each runs inside one that is open."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final

from shaded.filestat import FileStat
from shaded.ledger.reader import BOTH, LedgerReader, stat_columns
from shaded.ledger.records import (
    UNREAD,
    AdmissionKind,
    Job,
    Placement,
    State,
    both_from,
    path_from_blob,
    path_to_blob,
    stored_profile,
    times,
    words,
)

#: How many events are kept.
MOST_EVENTS: Final = 20_000
_FRESH = (
    "UPDATE jobs SET state = 'settled', queued_at = :now, not_before = 0, attempts = 0, interruptions = 0, "
    "deaths = 0, deferrals = 0, lease_until = NULL, picture = NULL, sidecar = NULL, output_sha256 = NULL, "
    "output_bytes = NULL, summary = '{}', reason = '', remedy = '', changed_at = :now "
)
_UNPUBLISH = (
    "UPDATE placements SET published = NULL, published_sha256 = NULL, published_at = NULL, "
    "refusal = '', refusal_remedy = ''"
)


def admission_kind(state: State, *, fresh: bool, published: bool) -> AdmissionKind:
    """What an arrival means, from its job's state and whether its place has the result already."""
    if state in ("rendered", "published"):
        return "known" if published else "publish_again"
    if state in ("refused", "failed"):
        return state
    return "new" if fresh else "waiting"


class LedgerSteps(LedgerReader):
    """Private building blocks of :class:`~shaded.ledger.ledger.Ledger`."""

    def _job_for(
        self, sha256: str, profile_digest: str, profile: str, state: State, priority: int, pixels: int = 0
    ) -> tuple[str, bool]:
        """The id of the job with this identity, and whether it had to be made."""
        made = self._do(
            "INSERT INTO jobs (sha256, profile_digest, profile, state, priority, queued_at, changed_at, pixels) "
            "VALUES (:sha256, :digest, :profile, :state, :priority, :now, :now, :pixels) "
            "ON CONFLICT (sha256, profile_digest) DO NOTHING",
            sha256=sha256,
            digest=profile_digest,
            profile=profile,
            state=state,
            priority=priority,
            pixels=pixels,
        )
        (row,) = self._rows(
            "SELECT id FROM jobs WHERE sha256 = :sha256 AND profile_digest = :digest",
            sha256=sha256,
            digest=profile_digest,
        )
        job_id = str(row["id"])
        self._do(
            "UPDATE jobs SET priority = :priority WHERE id = :job AND priority < :priority",
            job=job_id,
            priority=priority,
        )
        return job_id, made

    def _place(self, root: Path, relative: Path, stat: FileStat, job_id: str) -> tuple[Job, Placement]:
        """Let a path belong to a job; what it was published as stays only where the job stays the same."""
        where = {"root": path_to_blob(root), "relative": path_to_blob(relative)}
        before = self._one("SELECT id, job_id FROM placements WHERE root = :root AND relative = :relative", **where)
        self._do(
            "INSERT INTO placements (job_id, root, relative, size, mtime_ns, inode, ctime_ns, seen_at) "
            "VALUES (:job, :root, :relative, :size, :mtime_ns, :inode, :ctime_ns, :now) "
            "ON CONFLICT (root, relative) DO UPDATE SET job_id = :job, size = :size, mtime_ns = :mtime_ns, "
            "inode = :inode, ctime_ns = :ctime_ns, seen_at = :now, refusal = '', refusal_remedy = ''",
            job=job_id,
            **where,
            **stat_columns(stat),
        )
        if before is not None and str(before["job_id"]) != job_id:
            self._do(f"{_UNPUBLISH} WHERE id = :id", id=before["id"])
            self._tidy(str(before["job_id"]))
        (row,) = self._rows(f"{BOTH} WHERE root = :root AND relative = :relative", **where)
        return both_from(row)

    def _move(self, place: Placement, job_id: str) -> None:
        """Let a place wait for another job's result."""
        self._do(
            f"{_UNPUBLISH}, job_id = :job, refusal = '', refusal_remedy = '' WHERE id = :id", id=place.id, job=job_id
        )

    def _unpublish(self, placement_id: int) -> bool:
        """Let a place want its copy again, whether it had one or was refused one."""
        return self._do(f"{_UNPUBLISH} WHERE id = :id AND (published IS NOT NULL OR refusal != '')", id=placement_id)

    def _put_back(
        self, job_id: str, *, counted: bool, reason: str = "", remedy: str = "", seconds: float = 0.0
    ) -> bool:
        """Let a running job wait again, or forget it where no place wants it any more."""
        back = self._do(
            "UPDATE jobs SET state = 'settled', lease_until = NULL, attempts = MAX(0, attempts - :less), "
            "not_before = :until, reason = :reason, remedy = :remedy, changed_at = :now "
            "WHERE id = :job AND state = 'running'",
            job=job_id,
            less=0 if counted else 1,
            until=self._clock.time() + seconds if seconds > 0 else 0.0,
            reason=reason,
            remedy=remedy,
        )
        self._tidy(job_id)
        return back

    def _put_off(self, job_id: str, reason: str, remedy: str, seconds: float, *, counted: bool) -> None:
        """Let a running job wait for a while; after the last allowed attempt it has failed."""
        row = self._one("SELECT attempts FROM jobs WHERE id = :job AND state = 'running'", job=job_id)
        if row is None:
            return
        if counted and row["attempts"] >= self._scheduling.max_attempts:
            self._end(job_id, "failed", f"{reason} (attempt {row['attempts']}, the last)", remedy)
        elif self._put_back(job_id, counted=counted, reason=reason, remedy=remedy, seconds=seconds):
            self._tell(job_id, f"It was put off for {seconds:.0f} s: {reason}.")

    def _count_death(self, job_id: str, what: str) -> bool:
        """Count one death with a running job; whether it was the last allowed one, after which the job has failed."""
        self._do("UPDATE jobs SET deaths = deaths + 1 WHERE id = :job AND state = 'running'", job=job_id)
        row = self._one("SELECT deaths FROM jobs WHERE id = :job AND state = 'running'", job=job_id)
        if row is None or row["deaths"] < self._scheduling.max_deaths:
            return False
        remedy = "The others go on without it. Try it again with `shaded retry`, or report the picture"
        return self._end(job_id, "failed", f"{what} ({times(row['deaths'])} with this picture)", remedy)

    def _end(self, job_id: str, state: State, reason: str, remedy: str) -> bool:
        ended = self._do(
            "UPDATE jobs SET state = :state, lease_until = NULL, reason = :reason, remedy = :remedy, "
            "changed_at = :now WHERE id = :job AND state IN ('settled', 'running', 'rendered')",
            job=job_id,
            state=state,
            reason=reason,
            remedy=remedy,
        )
        if ended:
            self._tell(job_id, f"It was refused: {reason}." if state == "refused" else f"It failed: {reason}.")
        return ended

    def _afresh(self, job_id: str, *states: State) -> bool:
        """Let a job in one of ``states`` begin anew.

        One set aside unread, or whose profile nobody can read, is forgotten, and so read at the next scan.
        """
        row = self._one("SELECT sha256, state, profile FROM jobs WHERE id = :job", job=job_id)
        if row is None or row["state"] not in states:
            return False
        if words(row["sha256"]).startswith(UNREAD) or stored_profile(words(row["profile"])) is None:
            self._do("DELETE FROM placements WHERE job_id = :job", job=job_id)
            return self._do("DELETE FROM jobs WHERE id = :job", job=job_id)
        self._do(f"{_FRESH} WHERE id = :job", job=job_id)
        self._tidy(job_id)
        return True

    def _tidy(self, job_id: str) -> None:
        """Forget a job that lies nowhere any more, unless it is under way or an outcome worth remembering.

        A result that every place has already is published, not waiting to be.
        """
        self._do(
            "DELETE FROM jobs WHERE id = :job AND (state IN ('settled', 'rendered') OR sha256 LIKE :unread) "
            "AND NOT EXISTS (SELECT 1 FROM placements WHERE job_id = jobs.id)",
            job=job_id,
            unread=f"{UNREAD}%",
        )
        self._do(
            "UPDATE jobs SET state = 'published' WHERE id = :job AND state = 'rendered' "
            "AND EXISTS (SELECT 1 FROM placements WHERE job_id = jobs.id AND published IS NOT NULL) "
            "AND NOT EXISTS (SELECT 1 FROM placements WHERE job_id = jobs.id AND published IS NULL AND refusal = '')",
            job=job_id,
        )

    def _tell(self, job_id: str, what: str, path: Path | None = None) -> None:
        """Note what happened: to the job, or to one path of it."""
        self._do(
            "INSERT INTO events (job_id, path, at, what) VALUES (:job, :path, :now, :what)",
            job=job_id,
            path=None if path is None else path_to_blob(path),
            what=what,
        )
        self._do("DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - :most", most=MOST_EVENTS)

    def _do(self, statement: str, **parameters: Any) -> bool:
        """Run one statement; whether it changed a row."""
        cursor = self._connection.execute(statement, self._parameters(parameters))
        return cursor.rowcount > 0

    def _one(self, query: str, **parameters: Any) -> sqlite3.Row | None:
        return next(iter(self._rows(query, **parameters)), None)


def source_path(row: sqlite3.Row) -> Path:
    """The whole path from a placement's ``root`` and ``relative`` columns."""
    return path_from_blob(row["root"]) / path_from_blob(row["relative"])
