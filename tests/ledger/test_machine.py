"""The ledger under every order of events that hypothesis thinks of, held to a plain model."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, data, floats, integers, sampled_from

from shaded.clock import FakeClock
from shaded.filestat import FileStat
from shaded.ledger import Ledger
from tests.ledger.conftest import PUBLISH, ROOT, SCHEDULING, STAGING

NAMES = sampled_from(["a.png", "b.png", "c.png", "d.png"])
CONTENTS = sampled_from(["red", "green", "blue"])


class LedgerMachine(RuleBasedStateMachine):
    """No job is lost, none is claimed twice, nothing is published twice, attempts have an end."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.ledger = Ledger.open(":memory:", self.clock, SCHEDULING)
        #: What lies at each path, as the ledger should know it.
        self.lies: dict[str, str] = {}
        #: Paths published since their content last changed there.
        self.done: dict[str, str] = {}
        #: Claims that their holder has not given back, with the place to read.
        self.held: dict[str, int] = {}
        self.serial = 0

    def teardown(self) -> None:
        self.ledger.close()

    @rule(name=NAMES, content=CONTENTS, priority=integers(0, 3))
    def admit(self, name, content, priority):
        self.serial += 1
        stat = FileStat(1, self.serial, self.serial)
        admission = self.ledger.admit(ROOT, Path(name), stat, content, "p", "{}", priority)
        moved = self.lies.get(name) != content
        if moved:
            self.done.pop(name, None)
        self.lies[name] = content
        assert admission.job.sha256 == content
        finished = admission.job.state in ("rendered", "published")
        assert (admission.kind == "known") == (name in self.done and finished)
        assert self.ledger.stat_known(ROOT, Path(name), stat, "p")

    @rule(limit=integers(1, 3))
    def claim(self, limit):
        expected = [entry.job.id for entry in self.ledger.queue() if entry.ready][:limit]
        claims = self.ledger.claim(limit)
        assert [claim.job.id for claim in claims] == expected
        for claim in claims:
            assert claim.job.id not in self.held, "claimed twice"
            assert self.lies[str(claim.placement.relative)] == claim.job.sha256
            self.held[claim.job.id] = claim.placement.id

    @precondition(lambda self: self.held)
    @rule(choice=data())
    def render(self, choice):
        job_id = choice.draw(sampled_from(sorted(self.held)))
        job = self.ledger.job(job_id)
        del self.held[job_id]
        waiting = {content for name, content in self.lies.items() if name not in self.done}
        wanted = job is not None and job.sha256 in waiting
        took = self.ledger.rendered(job_id, STAGING / job_id, STAGING / f"{job_id}.json", f"out {job_id}", 1, {})
        assert took == wanted
        assert self.ledger.is_own_output(f"out {job_id}") or not took

    @precondition(lambda self: self.held)
    @rule(choice=data(), outcome=sampled_from(["refused", "failed", "release", "changed", "later", "space"]))
    def give_back(self, choice, outcome):
        job_id = choice.draw(sampled_from(sorted(self.held)))
        placement_id = self.held.pop(job_id)
        if outcome == "changed":
            places = {record.placement.id: name for name in self.lies for record in self.ledger.find(ROOT / name)}
            if self.ledger.changed(job_id, placement_id):
                self.lies.pop(places[placement_id])
                self.done.pop(places[placement_id], None)
            else:
                self.ledger.release(job_id)
        elif outcome in ("later", "space"):
            self.ledger.retry_later(job_id, outcome, 30, counts=outcome == "later")
        elif outcome == "release":
            self.ledger.release(job_id)
        else:
            getattr(self.ledger, outcome)(job_id, "because")

    @rule(only_first=booleans())
    def publish(self, only_first):
        pending = self.ledger.pending_publications()
        for job, placement in pending[: 1 if only_first else None]:
            name = str(placement.relative)
            assert name not in self.done, "published twice"
            assert self.lies[name] == job.sha256
            assert self.ledger.published(placement.id, PUBLISH / name, job.output_sha256)
            self.done[name] = job.sha256

    @rule(seconds=floats(0, 2000))
    def wait(self, seconds):
        self.clock.advance(seconds)
        for job_id in self.ledger.expire_leases():
            self.held.pop(job_id)

    @rule(date=floats(1, 4e9))
    def set_date(self, date):
        self.clock.set_date(date)

    @rule()
    def crash(self):
        assert set(self.ledger.recover()) <= set(self.held)
        self.held.clear()

    @rule(name=NAMES)
    def requeue(self, name):
        for record in self.ledger.find(ROOT / name):
            finished = record.job.state in ("rendered", "published")
            assert self.ledger.requeue(record.job.id) == finished

    @rule()
    def retry_all(self):
        failed = self.ledger.counts()["failed"]
        assert self.ledger.retry() == failed

    @rule(name=NAMES)
    def bump(self, name):
        if self.ledger.bump(ROOT / name):
            assert self.ledger.queue()[0].job.sha256 == self.lies[name]

    @invariant()
    def every_path_has_its_job(self):
        for name, content in self.lies.items():
            (record,) = self.ledger.find(ROOT / name)
            assert record.job.sha256 == content
            assert (record.placement.published is not None) == (name in self.done)

    @invariant()
    def running_is_what_is_held(self):
        running = {claim.job.id for claim in self.ledger.running()}
        assert running <= set(self.held)
        assert self.ledger.counts()["running"] <= len(self.held)

    @invariant()
    def rendered_results_wait_for_a_place(self):
        waiting = {job.id for job, _ in self.ledger.pending_publications() if job.state == "rendered"}
        assert len(waiting) == self.ledger.counts()["rendered"]
        assert len(self.ledger.staged_files()) == 2 * len(waiting)

    @invariant()
    def waiting_jobs_can_be_read(self):
        assert len(self.ledger.queue()) == self.ledger.counts()["settled"]

    @invariant()
    def attempts_are_bounded(self):
        rows = self.ledger._rows("SELECT MAX(attempts), MIN(attempts) FROM jobs")
        most, least = rows[0]
        assert most is None or (least >= 0 and most <= SCHEDULING.max_attempts)

    @invariant()
    def the_file_is_sound(self):
        assert self.ledger._rows("PRAGMA foreign_key_check") == []
        unfinished = self.ledger._rows("SELECT 1 FROM jobs WHERE state != 'running' AND lease_until IS NOT NULL")
        assert unfinished == []


LedgerMachine.TestCase.__doc__ = LedgerMachine.__doc__
LedgerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase


def test_everything_is_done_in_the_end():
    """Whatever was interrupted, once the trouble ends each picture is published at each of its places."""
    clock = FakeClock()
    ledger = Ledger.open(":memory:", clock, SCHEDULING)
    for number in range(30):
        ledger.admit(ROOT, Path(f"{number}.png"), FileStat(1, 1, number), f"c{number // 2}", "p", "{}")
    for turn in range(40):
        for claim in ledger.claim(2):
            trouble = turn % 4
            if trouble == 0:
                ledger.release(claim.job.id)
            elif trouble == 1:
                ledger.retry_later(claim.job.id, "the disk is full", 5, counts=False)
        ledger.recover()
        clock.advance(10)
    clock.advance(3600)
    while claims := ledger.claim():
        job = claims[0].job
        ledger.rendered(job.id, STAGING / job.id, STAGING / f"{job.id}.json", f"out {job.id}", 1, {})
    for job, placement in ledger.pending_publications():
        ledger.published(placement.id, PUBLISH / placement.relative, job.output_sha256)
    assert ledger.counts()["published"] == 15
    assert len(ledger.recent(100)) == 30
    ledger.close()
