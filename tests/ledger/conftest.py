from __future__ import annotations

from pathlib import Path

import pytest

from shaded.clock import FakeClock
from shaded.filestat import FileStat
from shaded.ledger import Admission, Ledger
from shaded.settings import Scheduling

ROOT = Path("/outbox")
STAGING = Path("/staging")
PUBLISH = Path("/publish")
STAT = FileStat(size=100, mtime_ns=1, inode=7, device=1)
SCHEDULING = Scheduling(max_attempts=3, lease_seconds=900, ageing_seconds=600)


class Desk:
    """A ledger in memory with a fake clock, and the daemon's usual moves in one call each."""

    def __init__(self, ledger: Ledger, clock: FakeClock) -> None:
        self.ledger = ledger
        self.clock = clock

    def admit(
        self,
        name: str = "fox.png",
        content: str = "aa",
        profile: str = "p",
        stat: FileStat = STAT,
        priority: int = 0,
    ) -> Admission:
        return self.ledger.admit(ROOT, Path(name), stat, content, profile, "{}", priority)

    def claim(self) -> str:
        (claim,) = self.ledger.claim()
        return claim.job.id

    def render(self, job_id: str, output: str = "oo") -> bool:
        picture = STAGING / f"{job_id}.png"
        return self.ledger.rendered(job_id, picture, picture.with_suffix(".json"), output, 5, {"pull": 0.3})

    def publish_all(self) -> list[str]:
        done = []
        for job, placement in self.ledger.pending_publications():
            assert self.ledger.published(placement.id, PUBLISH / placement.relative, job.output_sha256)
            done.append(str(placement.relative))
        return done

    def finish(self, name: str = "fox.png", content: str = "aa", output: str = "oo") -> str:
        job_id = self.admit(name, content).job.id
        assert self.claim() == job_id
        assert self.render(job_id, output)
        assert self.publish_all() == [name]
        return job_id

    def state(self, job_id: str) -> str | None:
        job = self.ledger.job(job_id)
        return None if job is None else job.state


@pytest.fixture
def desk():
    clock = FakeClock()
    with Ledger.open(":memory:", clock, SCHEDULING) as ledger:
        yield Desk(ledger, clock)
