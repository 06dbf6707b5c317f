"""What becomes of one place: a file set aside, a finished result published, refused there, or found in place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shaded.filestat import FileStat
from shaded.ledger.connection import writing
from shaded.ledger.reader import BOTH, stat_columns
from shaded.ledger.records import (
    OTHER,
    PLACEMENT_COLUMNS,
    UNREAD,
    Admission,
    Placement,
    both_from,
    path_from_blob,
    path_to_blob,
    placement_from,
)
from shaded.ledger.steps import LedgerSteps, source_path
from shaded.publishing.ownership import Copy


class LedgerPlaces(LedgerSteps):
    """The transactions of :class:`~shaded.ledger.ledger.Ledger` that are about one place, and not about its job."""

    def set_aside(
        self,
        root: Path,
        relative: Path,
        stat: FileStat,
        profile_digest: str,
        reason: str,
        remedy: str = "",
        *,
        is_picture: bool = True,
    ) -> Admission:
        """Refuse a file without reading it, until its stat changes or ``retry`` is asked for.

        One that is no picture counts nowhere.
        """
        parts = (path_to_blob(root), path_to_blob(relative), repr(stat_columns(stat)).encode())
        identity = (UNREAD if is_picture else OTHER) + hashlib.sha256(b"\0".join(parts)).hexdigest()
        with writing(self._connection, self._path):
            job_id, _ = self._job_for(identity, profile_digest, "{}", "refused", 0)
            self._do(
                "UPDATE jobs SET reason = :reason, remedy = :remedy, changed_at = :now WHERE id = :job",
                job=job_id,
                reason=reason,
                remedy=remedy,
            )
            job, placement = self._place(root, relative, stat, job_id)
            became = "set aside" if is_picture else "left alone"
            self._tell(job_id, f"It was {became}: {reason}.", root / relative)
            return Admission(job, placement, "refused")

    def published(self, placement_id: int, path: Path, sha256: str) -> bool:
        """The job's result stands complete at ``path``; ``False``: this is not the placement's result."""
        with writing(self._connection, self._path):
            row = self._one(
                "SELECT job_id, root, relative, published FROM placements JOIN jobs ON jobs.id = job_id "
                "WHERE placements.id = :id AND state IN ('rendered', 'published') "
                "AND (output_sha256 = :sha256 OR EXISTS "
                "(SELECT 1 FROM placements AS p WHERE p.job_id = jobs.id AND p.published_sha256 = :sha256))",
                id=placement_id,
                sha256=sha256,
            )
            if row is None or row["published"] is not None:
                return row is not None and bytes(row["published"]) == path_to_blob(path)
            self._do(
                "UPDATE placements SET published = :path, published_sha256 = :sha256, published_at = :now "
                "WHERE id = :id",
                id=placement_id,
                path=path_to_blob(path),
                sha256=sha256,
            )
            self.copies.settle(path_from_blob(row["root"]), path_from_blob(row["relative"]), path, sha256)
            self._do("UPDATE jobs SET state = 'published', changed_at = :now WHERE id = :job", job=row["job_id"])
            self._tell(row["job_id"], "It was published.", source_path(row))
            return True

    def place_refused(self, placement_id: int, reason: str, remedy: str = "") -> bool:
        """A decision about one place: it does not get its copy. The job's other places go on."""
        with writing(self._connection, self._path):
            refused = self._do(
                "UPDATE placements SET refusal = :reason, refusal_remedy = :remedy "
                "WHERE id = :id AND published IS NULL AND refusal = ''",
                id=placement_id,
                reason=reason,
                remedy=remedy,
            )
            row = self._one("SELECT job_id, root, relative FROM placements WHERE id = :id", id=placement_id)
            if refused and row is not None:
                self._tell(row["job_id"], f"It cannot be published here: {reason}.", source_path(row))
                self._tidy(row["job_id"])
            return refused

    def adopt(
        self,
        root: Path,
        relative: Path,
        stat: FileStat,
        sha256: str,
        profile_digest: str,
        profile_json: str,
        copy: Copy,
        size: int,
        summary: Mapping[str, Any],
    ) -> Admission | None:
        """Take a pair of ``size`` bytes that was found published for this place's result.

        That is for a ledger that lost its memory: nothing is rendered again whose result stands there.

        Returns:
            ``None``, with nothing changed, where the content is being shaded or has another result.
        """
        with writing(self._connection, self._path):
            job_id, made = self._job_for(sha256, profile_digest, profile_json, "published", 0)
            before = self.job(job_id)
            waits = before is not None and before.state in ("settled", "refused", "failed")
            if before is None or before.state == "running":
                return None
            if not made and not waits and before.output_sha256 != copy.sha256:
                return None
            if made or waits:
                self._do(
                    "UPDATE jobs SET state = 'published', output_sha256 = :sha256, output_bytes = :size, "
                    "summary = :summary, reason = '', remedy = '', not_before = 0 WHERE id = :job",
                    job=job_id,
                    size=size,
                    sha256=copy.sha256,
                    summary=json.dumps(dict(summary)),
                )
            self._find_output(copy.sha256)
            _, placement = self._place(root, relative, stat, job_id)
            self._do(
                "UPDATE placements SET published = :path, published_sha256 = :sha256, published_at = :now "
                "WHERE id = :id",
                id=placement.id,
                path=path_to_blob(copy.path),
                sha256=copy.sha256,
            )
            self.copies.adopt(root, relative, copy)
            self._tidy(job_id)
            self._tell(job_id, "Its shaded copy was found in the publish folder.", root / relative)
            (row,) = self._rows(f"{BOTH} WHERE placements.id = :id", id=placement.id)
            return Admission(*both_from(row), kind="known")

    def remember_output(self, sha256: str) -> None:
        """Never shade these bytes: they are an output that was found published."""
        with writing(self._connection, self._path):
            self._find_output(sha256)

    def _find_output(self, sha256: str) -> None:
        self._do("INSERT OR IGNORE INTO outputs (sha256, found) VALUES (:sha256, 1)", sha256=sha256)

    def contested(self) -> list[Placement]:
        """Places that claim one published name together, as older versions let happen; by name, the latest first."""
        rows = self._rows(
            f"SELECT {PLACEMENT_COLUMNS} FROM placements WHERE published IN "  # noqa: S608 - constants
            "(SELECT path FROM (SELECT DISTINCT path, root, relative FROM copies) GROUP BY path HAVING COUNT(*) > 1) "
            "ORDER BY published, published_at DESC"
        )
        return [placement_from(tuple(row)) for row in rows]

    def disown(self, placement_id: int) -> None:
        """Let a place whose copy turned out to be another's own nothing, and want its copy again."""
        with writing(self._connection, self._path):
            row = self._one("SELECT root, relative, published FROM placements WHERE id = :id", id=placement_id)
            if row is not None:
                self._do("DELETE FROM copies WHERE root = :root AND relative = :relative AND path = :published", **row)
                self._unpublish(placement_id)
