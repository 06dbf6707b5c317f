"""The profile that a job was taken up with."""

from __future__ import annotations

from collections.abc import Sequence

from shaded.errors import Unreadable
from shaded.ledger import Job, stored_profile
from shaded.scheduling.executor import Candidate
from shaded.settings import Profile


def profile_of(job: Job) -> Profile:
    """A job's profile.

    Raises:
        Unreadable: This version cannot read it: an older or newer one wrote it, or somebody changed it.
    """
    profile = stored_profile(job.profile)
    if profile is None:
        raise Unreadable(
            "the profile that it was taken up with cannot be read",
            remedy="Save the picture again, or run `shaded retry`: it is taken up with the present profile",
        )
    return profile


def candidates(waiting: Sequence[Job]) -> list[Candidate]:
    """What the executor chooses from; jobs whose profile cannot be read are left out."""
    profiles = [(job, stored_profile(job.profile)) for job in waiting]
    return [Candidate(job.id, job.pixels, profile.quality) for job, profile in profiles if profile is not None]
