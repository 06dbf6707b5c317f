from __future__ import annotations

from pathlib import Path

import pytest

from shaded.ledger.steps import MOST_EVENTS
from tests.ledger.conftest import PUBLISH, ROOT, STAGING, STAT


def told(desk, name: str = "fox.png") -> str:
    (record,) = desk.ledger.find(ROOT / name)
    return " ".join(what for _, what in record.events)


def test_a_rendered_result_waits_to_be_published(desk):
    """Its files, hash and summary are kept, and it is pending for every place."""
    desk.admit()
    desk.admit("copy.png")
    job_id = desk.claim()
    assert desk.render(job_id)
    job = desk.ledger.job(job_id)
    assert job.state == "rendered"
    assert job.picture == STAGING / f"{job_id}.png"
    assert (job.output_sha256, job.output_bytes, job.summary) == ("oo", 5, {"pull": 0.3})
    assert [str(place.relative) for _, place in desk.ledger.pending_publications()] == ["fox.png", "copy.png"]
    assert desk.ledger.staged_files() == {job.picture, job.sidecar}


def test_reporting_the_same_result_twice_is_harmless(desk):
    """The second report is accepted and changes nothing."""
    desk.admit()
    job_id = desk.claim()
    assert desk.render(job_id)
    assert desk.render(job_id)
    assert desk.state(job_id) == "rendered"


def test_another_result_for_a_finished_job_is_not_wanted(desk):
    """What was rendered first stays; the caller is told to remove the second."""
    job_id = desk.finish()
    assert not desk.render(job_id, "other")
    assert desk.ledger.job(job_id).output_sha256 == "oo"
    assert not desk.ledger.rendered("4711", STAGING / "x", STAGING / "y", "zz", 1, {})


def test_a_result_that_comes_after_the_lease_expired_is_still_a_result(desk):
    """Late work is not thrown away, and the job is not shaded again."""
    desk.admit()
    job_id = desk.claim()
    desk.ledger.recover()
    assert desk.render(job_id)
    assert desk.ledger.claim() == []


def test_a_result_that_nobody_waits_for_is_not_kept(desk):
    """When the picture changed meanwhile, the old content's result has no place to go."""
    desk.admit("fox.png", "aa")
    job_id = desk.claim()
    desk.admit("fox.png", "bb")
    assert not desk.render(job_id)
    assert desk.ledger.job(job_id) is None
    assert desk.ledger.pending_publications() == []
    assert desk.claim() != job_id


def test_a_result_that_every_place_has_already_is_not_kept(desk):
    """Shaded anew for a place that vanished meanwhile, it has nowhere to go; the job stays published."""
    job_id = desk.finish("fox.png")
    copy = desk.admit("copy.png")
    desk.ledger.requeue(job_id)
    desk.claim()
    desk.ledger.admit(ROOT, copy.placement.relative, STAT, "bb", "p", "{}")
    assert not desk.render(job_id, "second")
    assert desk.state(job_id) == "published"
    assert desk.ledger.staged_files() == set()
    assert desk.ledger.is_own_output("second")


def test_a_rendered_job_whose_last_waiting_place_changed_is_published(desk):
    """What remains are places that have a result."""
    job_id = desk.finish("fox.png")
    desk.admit("copy.png")
    desk.ledger.requeue(job_id)
    desk.claim()
    assert desk.render(job_id, "second")
    desk.admit("copy.png", "bb")
    assert desk.state(job_id) == "published"
    assert desk.ledger.staged_files() == set()


def test_publishing_completes_the_job_at_its_first_place(desk):
    """The job is published with one place; the other is still pending."""
    desk.admit()
    desk.admit("copy.png")
    job_id = desk.claim()
    desk.render(job_id)
    (_, first), (_, second) = desk.ledger.pending_publications()
    assert desk.ledger.published(first.id, PUBLISH / "fox.png", "oo")
    assert desk.state(job_id) == "published"
    assert [place.id for _, place in desk.ledger.pending_publications()] == [second.id]
    assert desk.ledger.staged_files() == set()


def test_publishing_twice_is_accepted_only_for_the_same_path(desk):
    """After a crash the same report may come again; another path is a mistake."""
    desk.finish()
    (record,) = desk.ledger.find(ROOT / "fox.png")
    assert desk.ledger.published(record.placement.id, PUBLISH / "fox.png", "oo")
    assert not desk.ledger.published(record.placement.id, PUBLISH / "other.png", "oo")
    assert desk.ledger.find(ROOT / "fox.png")[0].placement.published == PUBLISH / "fox.png"


def test_only_the_jobs_own_result_can_be_published(desk):
    """A hash that is not this job's is refused, as is a job that has no result."""
    admission = desk.admit()
    assert not desk.ledger.published(admission.placement.id, PUBLISH / "fox.png", "oo")
    desk.render(desk.claim())
    assert not desk.ledger.published(admission.placement.id, PUBLISH / "fox.png", "foreign")
    assert desk.ledger.published(admission.placement.id, PUBLISH / "fox.png", "oo")


def test_a_copy_of_an_earlier_result_may_be_published_after_shading_anew(desk):
    """Two shadings may differ in their bytes; a copy of either is this job's result."""
    job_id = desk.finish(output="first")
    desk.ledger.requeue(job_id)
    assert desk.claim() == job_id
    desk.render(job_id, "second")
    copy = desk.admit("copy.png")
    assert desk.ledger.published(copy.placement.id, PUBLISH / "copy.png", "first")


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_a_decision_ends_the_job(desk, outcome):
    """It keeps its reason, is listed among the errors and is not claimed again."""
    desk.admit()
    job_id = desk.claim()
    assert getattr(desk.ledger, outcome)(job_id, "no", "Do that")
    assert desk.state(job_id) == outcome
    assert desk.ledger.recent_errors()[0].job.reason == "no"
    assert desk.ledger.claim() == []
    assert not desk.ledger.failed(job_id, "again")


def test_a_published_job_cannot_fail(desk):
    """A late failure does not undo what is published."""
    job_id = desk.finish()
    assert not desk.ledger.failed(job_id, "late")
    assert not desk.ledger.refused(job_id, "late")
    assert desk.ledger.retry_later(job_id, "late", 1) == "published"


def test_a_changed_source_is_forgotten_and_admitted_anew(desk):
    """Its only place gone, the job is gone too; the path is looked at again."""
    admission = desk.admit()
    job_id = desk.claim()
    assert desk.ledger.changed(job_id, admission.placement.id)
    assert desk.ledger.job(job_id) is None
    assert not desk.ledger.stat_known(ROOT, Path("fox.png"), STAT, "p")
    assert desk.admit("fox.png", "bb").kind == "new"


def test_a_changed_source_with_a_copy_is_shaded_from_the_copy(desk):
    """The job goes on from another place, without counting the attempt."""
    desk.admit("fox.png")
    desk.clock.advance(1)
    desk.admit("renamed.png")
    (claim,) = desk.ledger.claim()
    assert desk.ledger.changed(claim.job.id, claim.placement.id)
    (again,) = desk.ledger.claim()
    assert again.job.id == claim.job.id
    assert again.job.attempts == 1
    assert again.placement.relative == Path("fox.png")


def test_a_change_of_a_place_that_moved_on_is_ignored(desk):
    """A late report about a placement that belongs to another job now does nothing."""
    admission = desk.admit("fox.png", "aa")
    job_id = desk.claim()
    desk.admit("fox.png", "bb")
    assert not desk.ledger.changed(job_id, admission.placement.id)
    assert desk.ledger.counts()["settled"] == 1


@pytest.mark.parametrize("stage", ["rendered", "published"])
def test_a_finished_result_whose_file_is_gone_is_shaded_again(desk, stage):
    """The job waits again, with all its attempts and without the lost file."""
    desk.admit()
    job_id = desk.claim()
    desk.render(job_id)
    if stage == "published":
        desk.publish_all()
    assert desk.ledger.requeue(job_id)
    job = desk.ledger.job(job_id)
    assert (job.state, job.attempts, job.picture, job.output_sha256) == ("settled", 0, None, None)
    assert not desk.ledger.requeue(job_id)
    assert desk.claim() == job_id


def test_retrying_all_takes_the_failed_ones_only(desk):
    """Refusals are decisions; failures get all their attempts again."""
    desk.admit("a.png", "c1")
    failed = desk.claim()
    desk.ledger.failed(failed, "broken")
    desk.admit("b.png", "c2")
    refused = desk.claim()
    desk.ledger.refused(refused, "animated")
    assert desk.ledger.retry() == 1
    job = desk.ledger.job(failed)
    assert (job.state, job.attempts, job.reason) == ("settled", 0, "")
    assert desk.state(refused) == "refused"


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_retrying_one_path_takes_refusals_too(desk, outcome):
    """Who names a picture means it."""
    desk.admit()
    getattr(desk.ledger, outcome)(desk.claim(), "no")
    assert desk.ledger.retry(ROOT / "fox.png") == 1
    desk.claim()


def test_retrying_a_path_that_is_put_off_ends_its_wait(desk):
    """It may run at once."""
    desk.admit()
    desk.ledger.retry_later(desk.claim(), "busy", 600)
    assert desk.ledger.retry(ROOT / "fox.png") == 1
    desk.claim()


def test_retrying_a_published_path_publishes_it_again(desk):
    """In case its copy was removed; it is not shaded again."""
    desk.finish()
    assert desk.ledger.retry(ROOT / "fox.png") == 1
    assert desk.ledger.claim() == []
    assert desk.publish_all() == ["fox.png"]


def test_retrying_a_file_that_was_set_aside_lets_it_be_read(desk):
    """It is forgotten, so that the next scan finds it new."""
    desk.ledger.set_aside(ROOT, Path("huge.tif"), STAT, "p", "it is too big")
    assert desk.ledger.retry(ROOT / "huge.tif") == 1
    assert not desk.ledger.stat_known(ROOT, Path("huge.tif"), STAT, "p")
    assert desk.ledger.find(ROOT / "huge.tif") == []


def test_retrying_what_runs_or_is_unknown_does_nothing(desk):
    """Nothing is disturbed."""
    desk.admit()
    job_id = desk.claim()
    assert desk.ledger.retry(ROOT / "fox.png") == 0
    assert desk.ledger.retry(ROOT / "unknown.png") == 0
    assert desk.state(job_id) == "running"


def test_the_story_of_a_picture_is_told_in_order(desk):
    """What happened can be read as sentences, the oldest first."""
    desk.admit()
    desk.ledger.retry_later(desk.claim(), "the disk is full", 60)
    desk.clock.advance(61)
    desk.render(desk.claim())
    desk.publish_all()
    (record,) = desk.ledger.find(ROOT / "fox.png")
    assert [what for _, what in record.events] == [
        "It settled and waits to be shaded.",
        "Shading began (attempt 1).",
        "It was put off for 60 s: the disk is full.",
        "Shading began (attempt 2).",
        "It was shaded; the result waits to be published.",
        "It was published.",
    ]
    assert [at for at, _ in record.events] == sorted(at for at, _ in record.events)


def test_a_copys_story_is_its_own(desk):
    """What happened at one path is not told of another, the shading is told of both."""
    desk.finish("fox.png")
    desk.admit("copy.png")
    assert "published here too" in told(desk, "copy.png")
    assert "Shading began" in told(desk, "copy.png")
    assert "published here too" not in told(desk, "fox.png")


def test_the_story_of_a_path_outlives_its_job(desk):
    """Why a changed file is not in the ledger can still be told."""
    admission = desk.admit()
    desk.ledger.changed(desk.claim(), admission.placement.id)
    assert desk.ledger.find(ROOT / "fox.png") == []
    assert "looked at again" in desk.ledger.story(ROOT / "fox.png")[-1][1]


def test_the_published_path_finds_the_record_too(desk):
    """Someone may ask about the copy instead of the original."""
    desk.finish()
    (record,) = desk.ledger.find(PUBLISH / "fox.png")
    assert record.placement.path == ROOT / "fox.png"


def test_the_number_of_events_is_bounded(desk, monkeypatch):
    """The oldest are dropped; the ledger does not grow for ever."""
    assert MOST_EVENTS > 1000
    monkeypatch.setattr("shaded.ledger.steps.MOST_EVENTS", 10)
    desk.admit()
    for _ in range(50):
        desk.ledger.release(desk.claim())
    rows = desk.ledger._rows("SELECT COUNT(*) FROM events")
    assert rows[0][0] == 10


def test_recent_lists_the_newest_publications_first(desk):
    """With a limit."""
    for number in range(5):
        desk.finish(f"{number}.png", f"c{number}", f"o{number}")
        desk.clock.advance(1)
    assert [str(record.placement.relative) for record in desk.ledger.recent(3)] == ["4.png", "3.png", "2.png"]


def test_recent_errors_include_what_was_put_off(desk):
    """The newest first; a success is no error."""
    desk.finish("good.png", "c0", "o0")
    desk.admit("off.png", "c1")
    desk.ledger.retry_later(desk.claim(), "busy", 60)
    desk.clock.advance(1)
    desk.admit("bad.png", "c2")
    desk.ledger.failed(desk.claim(), "broken")
    assert [str(record.placement.relative) for record in desk.ledger.recent_errors()] == [
        "bad.png",
        "off.png",
    ]


def test_values_can_be_stored_and_removed(desk):
    """Such as until when shading is paused."""
    assert desk.ledger.meta_get("pause") is None
    desk.ledger.meta_set("pause", "10")
    desk.ledger.meta_set("pause", "20")
    assert desk.ledger.meta_get("pause") == "20"
    desk.ledger.meta_set("pause", None)
    assert desk.ledger.meta_get("pause") is None


def test_the_last_allowed_death_is_the_end(desk):
    """A worker's deaths are counted in the ledger; those before its models were loaded are not."""
    job_id = desk.admit().job.id
    for counts, state, deaths in ((False, "settled", 0), (True, "settled", 1), (True, "failed", 2)):
        assert desk.claim() == job_id
        assert desk.ledger.died(job_id, "killed", counts=counts) == state
        assert desk.ledger.job(job_id).deaths == deaths
    assert desk.ledger.job(job_id).reason == "the worker died while shading it: killed (2 times with this picture)"
    assert desk.ledger.retry() == 1
    assert (desk.state(job_id), desk.ledger.job(job_id).deaths) == ("settled", 0)


def test_another_machine_state_after_a_crash_is_a_death(desk):
    """What was claimed on another state of the machine took it down; on the same one, the program only ended."""
    job_id = desk.admit().job.id
    for claimed, now, deaths in (("a", "a", 0), ("a", "b", 1), ("", "c", 1), ("c", "", 1)):
        desk.ledger.claim(machine=claimed)
        assert desk.ledger.recover(now) == [job_id]
        assert desk.ledger.job(job_id).deaths == deaths
        desk.clock.advance(4000)
    desk.ledger.claim(machine="d")
    desk.ledger.recover("e")
    assert desk.state(job_id) == "failed"


def test_blocked_outboxes_are_passed_over(desk):
    """A claim passes over pictures that lie only in outboxes that cannot be worked on, and so does the wait for one."""
    desk.admit("fox.png", "aa")
    assert desk.ledger.claim(blocked=[ROOT]) == []
    assert desk.ledger.next_ready_in([ROOT]) is None
    assert desk.ledger.next_ready_in([ROOT / "other"]) == 0
    assert len(desk.ledger.claim(blocked=[ROOT / "other"])) == 1
