"""The ledger: every job, its state, and what was published; each method is one durable transaction.

::

              admit             claim              rendered            published
    (arrival) ──────▶ settled ────────▶ running ────────────▶ rendered ────────▶ published
                        ▲  ▲             │ │ └───▶ refused       │                   │
                        │  └─────────────┘ └─────▶ failed        │                   │
                        │   release, recover,         │          │                   │
                        │   retry_later,              │ retry    │ requeue           │ requeue
                        │   expire_leases             │          │                   │
                        └─────────────────────────────┴──────────┴───────────────────┘

A job is one content with one profile; its placements are the paths where that content lies. A waiting job
always has a placement to be read from: one that lost its last placement is forgotten. One process writes (the
daemon, which holds the single-instance lock), so a lease is counted on its monotonic clock, and every lease
found at the start is stale.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from shaded.clock import Clock
from shaded.errors import LedgerAway, Transient
from shaded.filestat import FileStat
from shaded.ledger.connection import ERRORS, explain, identity, open_writable, write_again, writing
from shaded.ledger.places import LedgerPlaces
from shaded.ledger.profiles import LedgerProfiles
from shaded.ledger.reader import RANK, WAITING, hex_paths
from shaded.ledger.records import Admission, Claim, State, path_to_blob
from shaded.ledger.steps import admission_kind, source_path
from shaded.settings import Scheduling

#: A job that was under way when the program ended waits no longer than this many doublings of the first pause.
MOST_DOUBLINGS = 4
#: So many empty pages (4096 bytes each) may stay in the file, for what is written next.
MOST_EMPTY_PAGES = 1024
_ADMITTED = {
    "new": "It settled and waits to be shaded.",
    "waiting": "It settled; the same picture waits to be shaded already.",
    "publish_again": "It settled; the same picture was shaded already and is published here too.",
    "refused": "It settled; the same picture was refused before.",
    "failed": "It settled; the same picture failed before.",
}


class Ledger(LedgerPlaces, LedgerProfiles):
    """The ledger, for the one process that writes it. Usable from one thread."""

    _counted: tuple[int, dict[State, int]] | None = None
    _identity: tuple[int, int] | None = None

    @classmethod
    def open(cls, path: Path | str, clock: Clock, scheduling: Scheduling | None = None) -> Ledger:
        """Open or create the file, or ``":memory:"`` for tests, and bring it to the newest version."""
        return cls(open_writable(path), path, clock, scheduling or Scheduling())

    def counts(self) -> dict[State, int]:
        """How many jobs are in each state; counted anew only after something was written, since it is asked often."""
        changes = self._connection.total_changes
        if self._counted is None or self._counted[0] != changes:
            self._counted = (changes, super().counts())
        return dict(self._counted[1])

    def reconfigure(self, scheduling: Scheduling) -> None:
        """Other leases, attempts and ageing from now on."""
        self._scheduling = scheduling

    def insist_on_its_file(self) -> None:
        """See that the open file is still the one under its name; one that was removed is written again.

        Raises:
            LedgerAway: Another file stands there, or its disk is away; see :meth:`reconnect_after`.
        """
        if self._path == ":memory:":
            return
        there = identity(self._path)
        if there is None:
            folder = identity(Path(self._path).parent)
            if folder is None or folder[0] != (self._identity or folder)[0]:
                raise LedgerAway("the disk of the ledger is away", path=self._path, remedy="Mount it again")
            self._connection = write_again(self._connection, Path(self._path))
            self._identity, self._counted = identity(self._path), None
        elif there != (self._identity or there):
            raise LedgerAway("the ledger's file was replaced while the daemon ran", path=self._path)
        else:
            self._identity = there

    def reconnect_after(self, error: Transient) -> None:
        """Open the file anew where the connection may be what failed, if the file is there: a new one knows nothing."""
        if isinstance(error, LedgerAway) and self._path != ":memory:":
            with suppress(Transient, OSError):
                if Path(self._path).stat().st_size:
                    fresh = open_writable(self._path)
                    self._connection.close()
                    self._connection, self._counted, self._identity = fresh, None, identity(self._path)

    def compact(self) -> None:
        """Once in a while, when there is time: refresh the planner's statistics, give back empty pages, empty the log.

        No job is ever dropped: content that was dealt with is known for ever, so that nothing is shaded twice. What
        could grow without bound beside them, the story of events, is cut as it is written.

        Raises:
            Transient: The file cannot be written now.
        """
        ask = self._connection.execute
        try:
            ask("PRAGMA optimize")
            (pages,), (empty,) = ask("PRAGMA page_count").fetchone(), ask("PRAGMA freelist_count").fetchone()
            if empty > max(MOST_EMPTY_PAGES, pages // 4):
                ask("VACUUM")
            ask("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except ERRORS as error:
            raise explain(error, self._path) from error

    # --- Arrivals ---

    def admit(
        self,
        root: Path,
        relative: Path,
        stat: FileStat,
        sha256: str,
        profile_digest: str,
        profile_json: str,
        priority: int = 0,
        pixels: int = 0,
    ) -> Admission:
        """Take up a settled file whose bytes hash to ``sha256``; the same one again changes nothing."""
        with writing(self._connection, self._path):
            job_id, made = self._job_for(sha256, profile_digest, profile_json, "settled", priority, pixels)
            job, placement = self._place(root, relative, stat, job_id)
            kind = admission_kind(job.state, fresh=made, published=placement.published is not None)
            if kind in _ADMITTED:
                self._tell(job_id, _ADMITTED[kind], root / relative)
            return Admission(job, placement, kind)

    def changed(self, job_id: str, placement_id: int) -> bool:
        """Forget a place whose file is gone or no longer what settled.

        The job goes on from another place, if it has one; the attempt is not counted. The path is admitted
        anew when it settles again.
        """
        with writing(self._connection, self._path):
            gone = self._one(
                "SELECT root, relative FROM placements WHERE id = :id AND job_id = :job",
                id=placement_id,
                job=job_id,
            )
            if gone is None:
                return False
            self._tell(
                job_id,
                "It changed or vanished before it was shaded; it is looked at again.",
                source_path(gone),
            )
            self._do("DELETE FROM placements WHERE id = :id", id=placement_id)
            self._put_back(job_id, counted=False)
            return True

    # --- Leases ---

    def claim(self, limit: int = 1, blocked: Collection[Path] = (), machine: str = "", only: str = "") -> list[Claim]:
        """Lease the jobs that are to run next, the first first, each with the place to read it from.

        Args:
            limit: How many at most.
            blocked: Outboxes whose pictures cannot be worked on now.
            machine: The state of the machine, for :meth:`recover` to compare.
            only: A job's id: that one or none.
        """
        with writing(self._connection, self._path):
            claimed = self._rows(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, not_before = 0, "  # noqa: S608
                "lease_until = :lease, claimed_on = :machine, changed_at = :now WHERE id IN (SELECT id FROM jobs "
                f"WHERE {WAITING} AND :only IN ('', CAST(id AS TEXT)) ORDER BY {RANK} DESC, id LIMIT :limit) "
                f"RETURNING id, attempts, {RANK} AS rank",
                lease=self._lease(),
                machine=machine,
                blocked=hex_paths(blocked),
                limit=limit,
                only=only,
            )
            for row in claimed:
                self._tell(row["id"], f"Shading began (attempt {row['attempts']}).")
            order = {str(row["id"]): (-row["rank"], row["id"]) for row in claimed}
            return sorted((c for c in self.running() if c.job.id in order), key=lambda claim: order[claim.job.id])

    def renew(self, job_id: str) -> bool:
        """Prolong a lease; ``False`` says that it was lost."""
        with writing(self._connection, self._path):
            return self._do(
                "UPDATE jobs SET lease_until = :lease WHERE id = :job AND state = 'running'",
                lease=self._lease(),
                job=job_id,
            )

    def release(self, job_id: str) -> bool:
        """Give a job back unfinished, without counting the attempt."""
        with writing(self._connection, self._path):
            back = self._put_back(job_id, counted=False)
            if back:
                self._tell(job_id, "It was put back to be shaded later.")
            return back

    def expire_leases(self) -> list[str]:
        """Put back the jobs whose worker has not been heard of for the lease's length; returns their ids."""
        with writing(self._connection, self._path):
            rows = self._rows(
                "SELECT id FROM jobs WHERE state = 'running' AND lease_until <= :monotonic",
                monotonic=self._clock.monotonic(),
            )
            for row in rows:
                self._put_off(row["id"], "the worker was not heard of in time", "", 0.0, counted=True)
            return [str(row["id"]) for row in rows]

    def recover(self, machine: str = "") -> list[str]:
        """At the start: put back every running job, since whoever ran it is gone; returns their ids.

        The attempt is not counted: the program may have been stopped for any reason. But each time costs one point of
        priority, and from the second on it waits, longer each time: one that brings the program down stops no others.

        Args:
            machine: The state of the machine now. Where it is another one than at the claim, the machine ran out of
                memory or went down meanwhile, which counts like a death of the worker.
        """
        with writing(self._connection, self._path):
            rows = self._rows("SELECT id, claimed_on, interruptions + 0 AS before FROM jobs WHERE state = 'running'")
            for row in rows:
                self._do("UPDATE jobs SET interruptions = interruptions + 1 WHERE id = :job", job=row["id"])
                down = bool(machine and row["claimed_on"]) and machine != row["claimed_on"]
                if down and self._count_death(row["id"], "the machine ran out of memory or went down"):
                    continue
                self._tell(row["id"], "The program ended while it was shaded; it is done again.")
                before = row["before"] or 0
                wait = self._scheduling.retry_seconds * 2 ** min(before - 1, MOST_DOUBLINGS)
                self._put_back(row["id"], counted=False, seconds=wait if before else 0.0)
            return [str(row["id"]) for row in rows]

    # --- Outcomes ---

    def rendered(
        self, job_id: str, picture: Path, sidecar: Path, sha256: str, size: int, summary: Mapping[str, Any]
    ) -> bool:
        """A finished result stands in staging; ``False``: no place waits for it, so remove those files."""
        with writing(self._connection, self._path):
            taken = self._do(
                "UPDATE jobs SET state = 'rendered', lease_until = NULL, picture = :picture, "
                "sidecar = :sidecar, output_sha256 = :sha256, output_bytes = :size, summary = :summary, "
                "reason = '', remedy = '', changed_at = :now WHERE id = :job "
                "AND (state IN ('settled', 'running', 'refused', 'failed') "
                "OR (state = 'rendered' AND picture = :picture AND output_sha256 = :sha256))",
                job=job_id,
                picture=path_to_blob(picture),
                sidecar=path_to_blob(sidecar),
                sha256=sha256,
                size=size,
                summary=json.dumps(dict(summary)),
            )
            if taken:
                self._do(
                    "INSERT INTO outputs (sha256) VALUES (:sha256) ON CONFLICT DO UPDATE SET found = 0", sha256=sha256
                )
                self._tidy(job_id)
            job = self.job(job_id)
            if not taken or job is None or job.state != "rendered":
                return False
            self._tell(job_id, "It was shaded; the result waits to be published.")
            return True

    def refused(self, job_id: str, reason: str, remedy: str = "") -> bool:
        """A decision: this content is not shaded with this profile."""
        with writing(self._connection, self._path):
            return self._end(job_id, "refused", reason, remedy)

    def failed(self, job_id: str, reason: str, remedy: str = "") -> bool:
        """It cannot be done, until someone says ``retry``."""
        with writing(self._connection, self._path):
            return self._end(job_id, "failed", reason, remedy)

    def died(self, job_id: str, detail: str, *, counts: bool = True) -> State | None:
        """The worker died with a running job: it is done once more at once, and at the last allowed death it failed.

        Args:
            job_id: A running job.
            detail: How the worker died, one clause.
            counts: Whether the picture may be to blame.

        Returns:
            The job's state now; ``None`` where there is no such job any more.
        """
        with writing(self._connection, self._path):
            if not (counts and self._count_death(job_id, f"the worker died while shading it: {detail}")):
                self._put_off(job_id, detail, "", 0.0, counted=False)
            row = self._one("SELECT state FROM jobs WHERE id = :job", job=job_id)
            return None if row is None else row["state"]

    def retry_later(
        self, job_id: str, reason: str, seconds: float, remedy: str = "", *, counts: bool = True
    ) -> State | None:
        """Put a job off; after the last allowed attempt it has failed.

        Args:
            job_id: A running or waiting job.
            reason: Why, one clause.
            seconds: How long to wait.
            remedy: What a person can do about it.
            counts: Whether the attempt was the picture's fault; a full disk is not.

        Returns:
            The job's state now; ``None`` where there is no such job any more.
        """
        with writing(self._connection, self._path):
            if not counts:
                self._do("UPDATE jobs SET deferrals = deferrals + 1 WHERE id = :job", job=job_id)
            self._put_off(job_id, reason, remedy, seconds, counted=counts)
            row = self._one("SELECT state FROM jobs WHERE id = :job", job=job_id)
            return None if row is None else row["state"]

    def requeue(self, job_id: str) -> bool:
        """A finished result whose file is gone or altered is shaded again."""
        with writing(self._connection, self._path):
            back = self._afresh(job_id, "rendered", "published")
            if back:
                self._tell(job_id, "The finished result was gone; it is shaded again.")
            return back

    # --- What a person asks for ---

    def retry(self, path: Path | None = None) -> int:
        """Try again: all failed jobs, or whatever became of one source path.

        With a path, a refused job counts too, one that is put off no longer waits, and a published one is
        published again, in case its copy was removed.
        """
        with writing(self._connection, self._path):
            if path is None:
                failed = self._rows("SELECT id FROM jobs WHERE state = 'failed'")
                return sum(self._retry(str(row["id"]), "failed") for row in failed)
            count = 0
            for record in self.find(path):
                if record.job.state in ("published", "rendered"):
                    count += self._unpublish(record.placement.id)
                else:
                    count += self._retry(record.job.id, "refused", "failed", "settled")
            return count

    def _retry(self, job_id: str, *states: State) -> bool:
        self._tell(job_id, "Someone asked for another try.")
        return self._afresh(job_id, *states)

    def bump(self, path: Path) -> bool:
        """Let a waiting path run before everything else that waits now; ``False`` where it does not wait."""
        with writing(self._connection, self._path):
            waiting = [record.job.id for record in self.find(path) if record.job.state == "settled"]
            for job_id in waiting:
                self._do(
                    "UPDATE jobs SET not_before = 0, priority = interruptions + 2 + "  # noqa: S608 - constants
                    f"(SELECT CAST(MAX({RANK}) AS INTEGER) FROM jobs WHERE state = 'settled') "
                    "WHERE id = :job",
                    job=job_id,
                )
                self._tell(job_id, "It was moved to the front of the queue.")
            return bool(waiting)

    def meta_set(self, key: str, value: str | None) -> None:
        """Store a value for ``meta_get``; ``None`` removes it."""
        with writing(self._connection, self._path):
            self._do("DELETE FROM meta WHERE key = :key", key=key)
            if value is not None:
                self._do("INSERT INTO meta (key, value) VALUES (:key, :value)", key=key, value=value)

    def _lease(self) -> float:
        """When a lease that is given now runs out (monotonic seconds)."""
        return self._clock.monotonic() + self._scheduling.lease_seconds
