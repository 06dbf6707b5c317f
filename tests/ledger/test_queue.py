from __future__ import annotations

from pathlib import Path

import pytest

from tests.ledger.conftest import ROOT, SCHEDULING


def claimed_names(desk, limit: int = 1) -> list[str]:
    return [str(claim.placement.relative) for claim in desk.ledger.claim(limit)]


def queued_names(desk) -> list[str]:
    return [str(entry.placement.relative) for entry in desk.ledger.queue()]


def test_a_claim_leases_the_job_and_counts_the_attempt(desk):
    """A claimed job is running and is not given out twice."""
    admission = desk.admit()
    (claim,) = desk.ledger.claim(5)
    assert claim.job.id == admission.job.id
    assert claim.job.state == "running"
    assert claim.job.attempts == 1
    assert claim.placement == admission.placement
    assert desk.ledger.claim(5) == []
    assert [running.job.id for running in desk.ledger.running()] == [claim.job.id]


def test_first_come_first_served(desk):
    """Equal priorities run in the order of arrival, one by one or several at once."""
    for number in range(4):
        desk.admit(f"{number}.png", f"c{number}")
        desk.clock.advance(1)
    assert claimed_names(desk) == ["0.png"]
    assert claimed_names(desk, 3) == ["1.png", "2.png", "3.png"]


def test_a_higher_priority_runs_first(desk):
    """Priority wins over the order of arrival."""
    desk.admit("low.png", "c1")
    desk.clock.advance(10)
    desk.admit("high.png", "c2", priority=1)
    assert queued_names(desk) == ["high.png", "low.png"]
    assert claimed_names(desk, 2) == ["high.png", "low.png"]


def test_waiting_raises_the_rank(desk):
    """One ageing period is worth one point, so that nothing waits for ever behind a stream of urgent work."""
    desk.admit("old.png", "c1")
    desk.clock.advance(SCHEDULING.ageing_seconds * 2.5)
    desk.admit("urgent.png", "c2", priority=2)
    assert claimed_names(desk, 2) == ["old.png", "urgent.png"]


def test_a_stream_of_urgent_work_does_not_starve_the_others(desk):
    """With a new urgent job at every claim, an ordinary one still runs after priority ageing periods."""
    desk.admit("patient.png", "c0")
    for number in range(100):
        desk.admit(f"urgent{number}.png", f"u{number}", priority=3)
        desk.clock.advance(SCHEDULING.ageing_seconds / 10)
        if claimed_names(desk) == ["patient.png"]:
            break
    assert number * SCHEDULING.ageing_seconds / 10 <= 3.2 * SCHEDULING.ageing_seconds


def test_the_queue_is_shown_in_the_order_of_claims(desk):
    """What ``queue`` lists is what ``claim`` takes, with ranks and reasons."""
    for number, priority in enumerate([0, 3, 1, 2, 0]):
        desk.admit(f"{number}.png", f"c{number}", priority=priority)
        desk.clock.advance(100)
    shown = queued_names(desk)
    entries = desk.ledger.queue()
    assert [entry.position for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.rank for entry in entries] == sorted((entry.rank for entry in entries), reverse=True)
    assert "its priority is 3" in entries[0].why
    assert claimed_names(desk, 5) == shown


def test_a_job_that_is_put_off_waits_its_time_and_is_listed_last(desk):
    """It is not claimed before its date, shows why, and the caller can sleep until then."""
    desk.admit("later.png", "c1", priority=9)
    desk.ledger.retry_later(desk.claim(), "the disk is full", 60)
    assert desk.ledger.next_ready_in() == 60
    desk.admit("now.png", "c2")
    assert desk.ledger.next_ready_in() == 0
    assert queued_names(desk) == ["now.png", "later.png"]
    assert [entry.ready for entry in desk.ledger.queue()] == [True, False]
    assert "in 60 s: the disk is full" in desk.ledger.queue()[1].why
    assert claimed_names(desk, 5) == ["now.png"]
    desk.clock.advance(59.9)
    assert desk.ledger.claim() == []
    desk.clock.advance(0.2)
    assert claimed_names(desk) == ["later.png"]
    assert desk.ledger.next_ready_in() is None


def test_a_clock_set_back_does_not_prolong_a_wait(desk):
    """A date in the future of the clock that set it is over once the clock was set back."""
    desk.admit()
    desk.ledger.retry_later(desk.claim(), "busy", 60)
    desk.clock.set_date(desk.clock.time() - 1_000_000)
    assert desk.ledger.next_ready_in() == 0
    assert claimed_names(desk) == ["fox.png"]


def test_a_clock_set_back_keeps_the_order_sensible(desk):
    """Jobs from the future count as just arrived: first come, first served."""
    desk.admit("first.png", "c1")
    desk.clock.set_date(desk.clock.time() - 1_000_000)
    desk.admit("second.png", "c2")
    assert claimed_names(desk, 2) == ["first.png", "second.png"]


def test_bumping_moves_a_waiting_path_to_the_front(desk):
    """It runs next, whatever waits now, however long it has waited."""
    desk.admit("old.png", "c1", priority=7)
    desk.clock.advance(SCHEDULING.ageing_seconds * 20)
    for name in ("a.png", "b.png"):
        desk.admit(name, name)
    assert desk.ledger.bump(ROOT / "b.png")
    assert claimed_names(desk, 3) == ["b.png", "old.png", "a.png"]


def test_bumping_outweighs_interruptions(desk):
    """A job that the program's end put far back still comes first when it is asked for."""
    desk.admit("unlucky.png", "c1")
    for _ in range(5):
        desk.claim()
        desk.ledger.recover()
        desk.clock.advance(3600)
    desk.admit("other.png", "c2")
    assert desk.ledger.bump(ROOT / "unlucky.png")
    assert claimed_names(desk) == ["unlucky.png"]


def test_bumping_ends_a_wait(desk):
    """A job that is put off runs at once when it is asked for."""
    desk.admit()
    desk.ledger.retry_later(desk.claim(), "busy", 600)
    assert desk.ledger.bump(ROOT / "fox.png")
    assert claimed_names(desk) == ["fox.png"]


def test_bumping_what_does_not_wait_does_nothing(desk):
    """A running, finished or unknown path is not moved."""
    desk.admit()
    desk.claim()
    assert not desk.ledger.bump(ROOT / "fox.png")
    assert not desk.ledger.bump(ROOT / "unknown.png")


def test_a_lease_that_is_renewed_does_not_expire(desk):
    """Expiry counts from the last renewal."""
    desk.admit()
    job_id = desk.claim()
    desk.clock.advance(SCHEDULING.lease_seconds - 1)
    assert desk.ledger.renew(job_id)
    desk.clock.advance(SCHEDULING.lease_seconds - 1)
    assert desk.ledger.expire_leases() == []
    assert desk.state(job_id) == "running"


def test_a_lease_that_expires_puts_the_job_back_with_its_attempt_counted(desk):
    """Another claim may take it, and the old holder has lost it."""
    desk.admit()
    job_id = desk.claim()
    desk.clock.advance(SCHEDULING.lease_seconds)
    assert desk.ledger.expire_leases() == [job_id]
    assert not desk.ledger.renew(job_id)
    (claim,) = desk.ledger.claim()
    assert claim.job.attempts == 2


def test_leases_that_keep_expiring_end_in_failure(desk):
    """A picture that the worker never comes back from is set aside after the last attempt."""
    job_id = desk.admit().job.id
    for _ in range(SCHEDULING.max_attempts):
        assert desk.claim() == job_id
        desk.clock.advance(SCHEDULING.lease_seconds)
        desk.ledger.expire_leases()
    assert desk.state(job_id) == "failed"
    assert "not heard of" in desk.ledger.job(job_id).reason


def test_a_jump_of_the_date_expires_no_lease(desk):
    """Leases are counted in time that passed, not in dates: after suspend the worker is still at work."""
    desk.admit()
    desk.claim()
    desk.clock.set_date(desk.clock.time() + 1_000_000)
    assert desk.ledger.expire_leases() == []


def test_released_work_does_not_count_as_an_attempt(desk):
    """Draining gives the job back as if it had not begun."""
    desk.admit()
    job_id = desk.claim()
    assert desk.ledger.release(job_id)
    assert desk.ledger.job(job_id).attempts == 0
    assert not desk.ledger.release(job_id)
    assert desk.claim() == job_id


def test_recovery_puts_back_what_was_running(desk):
    """At the start no lease has a living owner; the attempt is not counted, the interruption is."""
    desk.admit()
    job_id = desk.claim()
    assert desk.ledger.recover() == [job_id]
    job = desk.ledger.job(job_id)
    assert (job.state, job.attempts, job.interruptions) == ("settled", 0, 1)
    assert desk.ledger.recover() == []


def test_a_job_that_was_interrupted_goes_behind_the_others(desk):
    """A picture that brings the program down keeps no other one from running, and has its turn."""
    desk.admit("deadly.png", "c1")
    desk.admit("good.png", "c2")
    assert claimed_names(desk) == ["deadly.png"]
    desk.ledger.recover()
    assert claimed_names(desk, 2) == ["good.png", "deadly.png"]


def test_retrying_later_counts_attempts_until_the_last(desk):
    """After the last allowed attempt the job has failed, with the reason and the remedy."""
    job_id = desk.admit().job.id
    for attempt in range(1, SCHEDULING.max_attempts + 1):
        assert desk.claim() == job_id
        state = desk.ledger.retry_later(job_id, "the worker died", 10, "Report it")
        assert state == ("failed" if attempt == SCHEDULING.max_attempts else "settled")
        desk.clock.advance(11)
    job = desk.ledger.job(job_id)
    assert job.reason == "the worker died (attempt 3, the last)"
    assert job.remedy == "Report it"
    assert desk.ledger.claim() == []


def test_what_is_not_the_pictures_fault_is_retried_for_ever(desk):
    """A full disk uses up no attempts."""
    job_id = desk.admit().job.id
    for _ in range(20):
        assert desk.claim() == job_id
        assert desk.ledger.retry_later(job_id, "the disk is full", 10, counts=False) == "settled"
        desk.clock.advance(11)
    assert desk.ledger.job(job_id).attempts == 0


def test_putting_off_an_unknown_job_says_so(desk):
    """There is no state to report."""
    assert desk.ledger.retry_later("4711", "busy", 10) is None


def test_the_place_seen_last_is_the_one_to_read(desk):
    """After a rename the old path is gone; the newer one is tried first."""
    desk.admit("old.png")
    desk.clock.advance(1)
    desk.admit("new.png")
    assert claimed_names(desk) == ["new.png"]


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_a_claim_takes_at_most_the_limit(desk, limit):
    """No more jobs are leased than asked for."""
    for number in range(5):
        desk.admit(f"{number}.png", f"c{number}")
    assert len(desk.ledger.claim(limit)) == min(limit, 5)


def test_every_path_of_a_claim_is_whole(desk):
    """Root and relative path come back as they were given."""
    desk.admit("sub/deep/fox.png")
    (claim,) = desk.ledger.claim()
    assert claim.placement.root == ROOT
    assert claim.placement.relative == Path("sub/deep/fox.png")
