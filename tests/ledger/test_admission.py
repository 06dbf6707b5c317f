from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from shaded.publishing.ownership import Copy
from tests.ledger.conftest import PUBLISH, ROOT, STAT


def test_a_new_picture_becomes_a_waiting_job(desk):
    """The first admission of a content makes a settled job with one placement."""
    admission = desk.admit()
    assert admission.kind == "new"
    assert admission.job.state == "settled"
    assert admission.placement.path == ROOT / "fox.png"
    assert admission.placement.published is None
    assert desk.ledger.counts() == {
        "settled": 1, "running": 0, "rendered": 0, "published": 0, "refused": 0, "failed": 0,
    }  # fmt: skip


def test_the_same_picture_again_changes_nothing(desk):
    """The same path with the same content is the same job and the same placement."""
    first = desk.admit()
    again = desk.admit()
    assert again.kind == "waiting"
    assert (again.job.id, again.placement.id) == (first.job.id, first.placement.id)


def test_a_copy_of_a_waiting_picture_is_another_place_of_the_same_job(desk):
    """Identical content under two names is shaded once and published twice."""
    first = desk.admit("fox.png")
    copy = desk.admit("copy.png")
    assert copy.kind == "waiting"
    assert copy.job.id == first.job.id
    desk.render(desk.claim())
    assert sorted(desk.publish_all()) == ["copy.png", "fox.png"]
    assert desk.ledger.claim() == []


def test_a_copy_of_a_finished_picture_is_published_again(desk):
    """A renamed or copied picture needs no second shading; the earlier copy can be found to copy from."""
    job_id = desk.finish("fox.png")
    copy = desk.admit("renamed.png")
    assert copy.kind == "publish_again"
    assert copy.job.id == job_id
    assert [place.published for place in desk.ledger.published_copies(job_id)] == [PUBLISH / "fox.png"]
    assert desk.publish_all() == ["renamed.png"]
    assert desk.admit("renamed.png").kind == "known"


def test_a_published_picture_is_known(desk):
    """Nothing is to be done for what is published at this very path."""
    desk.finish()
    assert desk.admit().kind == "known"
    assert desk.ledger.pending_publications() == []


def test_another_profile_is_another_job(desk):
    """The same picture is shaded once per profile."""
    job_id = desk.finish()
    other = desk.admit(profile="q")
    assert other.kind == "new"
    assert other.job.id != job_id


def test_a_changed_picture_is_a_new_job_at_the_same_place(desk):
    """The placement moves to the new content's job and is to be published anew."""
    desk.finish("fox.png", "aa")
    changed = desk.admit("fox.png", "bb")
    assert changed.kind == "new"
    assert changed.placement.published is None
    assert len(desk.ledger.find(ROOT / "fox.png")) == 1


def test_a_picture_changed_before_its_turn_leaves_no_job_behind(desk):
    """The old content lies nowhere any more, so nobody can or need shade it."""
    old = desk.admit("fox.png", "aa")
    desk.admit("fox.png", "bb")
    assert desk.ledger.job(old.job.id) is None
    assert desk.ledger.counts()["settled"] == 1


def test_a_picture_changed_back_is_published_from_its_finished_result(desk):
    """An earlier content that returns is recognised."""
    job_id = desk.finish("fox.png", "aa", "o1")
    desk.finish("fox.png", "bb", "o2")
    back = desk.admit("fox.png", "aa")
    assert back.kind == "publish_again"
    assert back.job.id == job_id
    assert desk.ledger.published_copies(job_id) == []


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_a_decided_content_is_not_tried_again(desk, outcome):
    """A copy of a refused or failed picture is so too, with the reason."""
    desk.admit()
    getattr(desk.ledger, outcome)(desk.claim(), "it is an animation", "Save one frame")
    copy = desk.admit("copy.png")
    assert copy.kind == outcome
    assert copy.job.reason == "it is an animation"
    assert copy.job.remedy == "Save one frame"
    assert desk.ledger.claim() == []


def test_the_higher_of_two_priorities_holds(desk):
    """A copy that is wanted sooner hastens the job; one that is not does not slow it."""
    desk.admit("fox.png", priority=2)
    assert desk.admit("copy.png", priority=5).job.priority == 5
    assert desk.admit("third.png", priority=1).job.priority == 5


def test_a_known_stat_saves_reading_the_file(desk):
    """Size, modification time, inode and profile have to agree; the device may differ after a mount."""
    desk.admit()
    ledger, name = desk.ledger, Path("fox.png")
    assert ledger.stat_known(ROOT, name, STAT, "p")
    assert ledger.stat_known(ROOT, name, replace(STAT, device=99), "p")
    assert not ledger.stat_known(ROOT, name, replace(STAT, size=1), "p")
    assert not ledger.stat_known(ROOT, name, replace(STAT, mtime_ns=2), "p")
    assert not ledger.stat_known(ROOT, name, replace(STAT, inode=8), "p")
    assert not ledger.stat_known(ROOT, name, STAT, "q")
    assert not ledger.stat_known(ROOT, Path("other.png"), STAT, "p")
    assert not ledger.stat_known(Path("/elsewhere"), name, STAT, "p")


def test_a_touched_file_is_known_again_after_one_reading(desk):
    """The same content with a new stat is known, and the new stat is remembered."""
    desk.finish()
    touched = replace(STAT, mtime_ns=99)
    assert desk.admit(stat=touched).kind == "known"
    assert desk.ledger.stat_known(ROOT, Path("fox.png"), touched, "p")


def test_the_largest_inode_numbers_are_kept(desk):
    """Inode numbers are unsigned 64-bit; SQLite's integers are signed."""
    for inode in (0, 2**63 - 1, 2**63, 2**64 - 1):
        stat = replace(STAT, inode=inode)
        assert desk.admit(stat=stat).placement.stat == replace(stat, device=0)
        assert desk.ledger.stat_known(ROOT, Path("fox.png"), stat, "p")


@pytest.mark.parametrize("name", [b"f\xff\xfex.png", b"n\nl.png", b"a'b\";--.png", "ö".encode(), "o\u0308".encode()])
def test_any_name_survives(desk, name):
    """Names are kept byte for byte: no UTF-8, newlines, quotes, and both spellings of an umlaut."""
    desk.admit("fox.png")
    relative = Path(os.fsdecode(name))
    admission = desk.ledger.admit(ROOT, relative, STAT, "bb", "p", "{}")
    assert os.fsencode(admission.placement.relative) == name
    assert desk.ledger.find(ROOT / relative)[0].placement.relative == relative
    assert desk.ledger.counts()["settled"] == 2


def test_a_reason_that_names_such_a_file_can_be_stored(desk):
    """A message may contain a name that is no text."""
    desk.admit()
    job_id = desk.claim()
    assert desk.ledger.failed(job_id, "cannot read " + os.fsdecode(b"f\xff.png"))
    assert "cannot read f" in desk.ledger.job(job_id).reason


def test_a_file_set_aside_is_refused_without_being_read(desk):
    """It has its reason, is not looked at again as it is, and is no job for anyone."""
    admission = desk.ledger.set_aside(ROOT, Path("huge.tif"), STAT, "p", "it is too big", "Make it smaller")
    assert admission.kind == "refused"
    assert admission.job.reason == "it is too big"
    assert desk.ledger.stat_known(ROOT, Path("huge.tif"), STAT, "p")
    assert desk.ledger.claim() == []
    (record,) = desk.ledger.recent_errors()
    assert record.placement.path == ROOT / "huge.tif"


def test_setting_aside_again_updates_the_reason(desk):
    """The last reason counts."""
    desk.ledger.set_aside(ROOT, Path("huge.tif"), STAT, "p", "it is too big")
    assert desk.ledger.set_aside(ROOT, Path("huge.tif"), STAT, "p", "it is a link").job.reason == "it is a link"
    assert desk.ledger.counts()["refused"] == 1


def test_a_file_set_aside_that_changes_is_admitted_like_any_other(desk):
    """With another stat it is looked at, and its content makes a job."""
    desk.ledger.set_aside(ROOT, Path("huge.tif"), STAT, "p", "it is too big")
    smaller = replace(STAT, size=5)
    assert not desk.ledger.stat_known(ROOT, Path("huge.tif"), smaller, "p")
    assert desk.admit("huge.tif", "aa", stat=smaller).kind == "new"
    assert desk.ledger.counts()["refused"] == 0


def test_own_output_is_recognised_by_its_hash(desk):
    """Rendered bytes are known for ever, also when the job is shaded anew or its place moved on."""
    assert not desk.ledger.is_own_output("oo")
    job_id = desk.finish(output="oo")
    assert desk.ledger.is_own_output("oo")
    desk.ledger.requeue(job_id)
    desk.admit("fox.png", "bb")
    assert desk.ledger.is_own_output("oo")


def test_what_is_no_picture_is_known_and_counts_nowhere(desk):
    """It is not read again, is no trouble and no picture, and can be asked about and taken up anew."""
    admission = desk.ledger.set_aside(ROOT, Path("fox.kra"), STAT, "p", "it is a Krita document", is_picture=False)
    desk.ledger.set_aside(ROOT, Path("huge.tif"), STAT, "p", "it is too big")
    assert admission.job.left_alone
    assert desk.ledger.stat_known(ROOT, Path("fox.kra"), STAT, "p")
    assert desk.ledger.counts()["refused"] == 1
    assert [record.placement.relative.name for record in desk.ledger.recent_errors()] == ["huge.tif"]
    (record,) = desk.ledger.find(ROOT / "fox.kra")
    assert record.events[-1][1] == "It was left alone: it is a Krita document."
    assert desk.ledger.retry(ROOT / "fox.kra") == 1
    assert not desk.ledger.stat_known(ROOT, Path("fox.kra"), STAT, "p")


def test_a_path_is_known_by_its_copy_and_through_links(tmp_path, desk):
    """The source as it was written when it was taken, whichever name leads to it now."""
    (tmp_path / "out").mkdir()
    (tmp_path / "pub").mkdir()
    (tmp_path / "link").symlink_to("out")
    (tmp_path / "publink").symlink_to("pub")
    source, copy = tmp_path / "link" / "fox.png", tmp_path / "pub" / "fox.png"
    admission = desk.ledger.admit(tmp_path / "link", Path("fox.png"), STAT, "aa", "p", "{}")
    desk.render(desk.claim())
    desk.ledger.copies.intend(tmp_path / "link", Path("fox.png"), Copy(copy, "oo", "ss"))
    assert desk.ledger.published(admission.placement.id, copy, "oo")
    folders = [tmp_path / "out", tmp_path / "pub"]
    for asked in (source, tmp_path / "out" / "fox.png", tmp_path / "publink" / "fox.png"):
        assert desk.ledger.find(desk.ledger.known_path(asked, folders))
        assert desk.ledger.find(desk.ledger.known_path(asked, []))
    assert desk.ledger.known_path(tmp_path / "out" / "owl.png", folders) == tmp_path / "out" / "owl.png"
    assert desk.ledger.roots() == [tmp_path / "link"]
