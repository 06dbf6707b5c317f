"""When the settings change: places that wait follow their outbox's profile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shaded.errors import LedgerDamaged
from shaded.ledger.connection import RECOVER, writing
from shaded.ledger.records import PLACEMENT_COLUMNS, Claim, Placement, placement_from
from shaded.ledger.steps import LedgerSteps

#: The digest and the JSON of the profile that holds for an outbox now; ``None`` where it is not watched.
PresentProfile = Callable[[Path], tuple[str, str] | None]


class LedgerProfiles(LedgerSteps):
    """The ledger's part in a change of the settings."""

    def places(self, job_id: str) -> list[Placement]:
        """Where a job's content lies."""
        rows = self._rows(
            f"SELECT {PLACEMENT_COLUMNS} FROM placements WHERE job_id = :job_id ORDER BY id",  # noqa: S608 - constants
            job_id=job_id,
        )
        return [placement_from(tuple(row)) for row in rows]

    def follow_profiles(self, claim: Claim, present: PresentProfile) -> list[Placement]:
        """Move the places of a claimed job whose outbox has another profile now to the job of that profile.

        Where the place that was claimed is among them, the job waits again for its other places, or is forgotten
        without any; the attempt is not counted.

        Args:
            claim: What was claimed just now.
            present: Says which profile holds for an outbox.

        Returns:
            The places that were moved.

        Raises:
            LedgerDamaged: The job has two profiles.
        """
        job = claim.job
        stale = [
            (place, profile)
            for place in self.places(job.id)
            if (profile := present(place.root)) is not None and profile[0] != job.profile_digest
        ]
        if not stale:
            return []
        with writing(self._connection, self._path):
            for place, (digest, text) in stale:
                other, made = self._job_for(job.sha256, digest, text, "settled", job.priority, job.pixels)
                if other == job.id:  # an index has another digest than the row: it would be moved for ever
                    raise LedgerDamaged("the ledger is damaged", path=self._path, remedy=RECOVER)
                if made:
                    self._do("UPDATE jobs SET queued_at = :at WHERE id = :job", job=other, at=job.queued_at)
                self._move(place, other)
                self._tell(other, "The settings changed; the present profile holds for it.", place.path)
            if any(place.id == claim.placement.id for place, _ in stale):
                self._put_back(job.id, counted=False)
        return [place for place, _ in stale]
