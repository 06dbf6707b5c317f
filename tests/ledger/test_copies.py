"""What was put under which name: recorded before it appears, kept when jobs and places go, settled when it is there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from shaded.clock import FakeClock
from shaded.filestat import FileStat
from shaded.ledger import Ledger
from shaded.ledger.schema import MIGRATIONS, migrate
from shaded.publishing.ownership import Copy
from tests.ledger.conftest import PUBLISH, ROOT, STAT

FOX, OWL = Path("fox.png"), Path("owl.png")


def a_copy(name="fox.png", sha256="oo", sidecar="ss"):
    return Copy(PUBLISH / name, sha256, sidecar, 5)


def test_an_intent_is_there_before_the_copy_is(desk):
    """What is about to be put is recorded with a token, the same one when it is tried again."""
    token = desk.ledger.copies.intend(ROOT, FOX, a_copy())
    assert desk.ledger.copies.intend(ROOT, FOX, a_copy()) == token
    assert desk.ledger.copies.of(ROOT, FOX) == [Copy(PUBLISH / "fox.png", "oo", "ss", 5, token)]
    assert desk.ledger.copies.under_way() == desk.ledger.copies.of(ROOT, FOX)
    assert desk.ledger.copies.intend(ROOT, OWL, a_copy("owl.png")) != token


def test_publishing_settles_the_copy(desk):
    """Once it is in place it has no token, and what the source put before is not its own any more."""
    desk.ledger.copies.intend(ROOT, FOX, a_copy("fox (shaded).png", "earlier"))
    desk.ledger.copies.intend(ROOT, FOX, a_copy(sidecar="torn"))
    desk.ledger.copies.intend(ROOT, FOX, a_copy())
    desk.finish("fox.png")
    assert desk.ledger.copies.of(ROOT, FOX) == [a_copy()]
    assert desk.ledger.copies.under_way() == []


def test_a_name_is_its_sources(desk):
    """Another source's name is taken, also when its job and its place are gone from the ledger; one's own is not."""
    job = desk.admit("fox.png").job
    desk.ledger.copies.intend(ROOT, FOX, a_copy())
    claim = desk.claim()
    assert desk.ledger.changed(claim, desk.ledger.find(ROOT / FOX)[0].placement.id)
    assert desk.state(job.id) is None
    assert desk.ledger.copies.named_by_another(PUBLISH / "fox.png", ROOT, OWL)
    assert not desk.ledger.copies.named_by_another(PUBLISH / "fox.png", ROOT, FOX)
    assert not desk.ledger.copies.named_by_another(PUBLISH / "owl.png", ROOT, OWL)


def test_a_name_that_is_no_text_is_kept_exactly(desk):
    """Names are bytes: one that is not UTF-8 comes back as it was."""
    odd = Path("f\udcffx.png")
    desk.ledger.copies.intend(ROOT, odd, Copy(PUBLISH / odd, "oo", "ss"))
    assert desk.ledger.copies.of(ROOT, odd)[0].path == PUBLISH / odd
    assert desk.ledger.copies.named_by_another(PUBLISH / odd, ROOT, FOX)


def test_a_refused_place_waits_no_more_and_its_job_goes_on(desk):
    """One place is refused; the job is published at the others, and the refusal is told with the last errors."""
    job_id = desk.admit("fox.png").job.id
    desk.admit("owl.png")
    desk.claim()
    desk.render(job_id)
    (_, fox), (_, owl) = desk.ledger.pending_publications()
    assert desk.ledger.place_refused(fox.id, "a link stands there", "Move it away")
    assert not desk.ledger.place_refused(fox.id, "again")
    assert desk.state(job_id) == "rendered"
    assert desk.ledger.pending_places() == [owl.id]
    assert desk.ledger.published(owl.id, PUBLISH / "owl.png", "oo")
    assert desk.state(job_id) == "published"
    assert not desk.ledger.lacks_copies(job_id)
    (record,) = desk.ledger.recent_errors()
    assert (record.placement.relative, record.placement.refusal) == (FOX, "a link stands there")
    assert desk.ledger.staged_files() == set()


def test_a_job_whose_only_place_is_refused_keeps_its_result(desk):
    """What was rendered stays in staging, so that another try needs no second rendering."""
    job_id = desk.admit("fox.png").job.id
    desk.claim()
    desk.render(job_id)
    ((_, place),) = desk.ledger.pending_publications()
    desk.ledger.place_refused(place.id, "a link stands there")
    assert desk.state(job_id) == "rendered"
    assert len(desk.ledger.staged_files()) == 2
    assert desk.ledger.retry(ROOT / FOX) == 1
    assert desk.ledger.pending_places() == [place.id]


@pytest.mark.parametrize("how", ["saved again", "another content"])
def test_a_refusal_ends_when_the_file_is_admitted_anew(desk, how):
    """A place that was refused is tried again once its file was saved again."""
    job_id = desk.admit("fox.png").job.id
    desk.claim()
    desk.render(job_id)
    ((_, place),) = desk.ledger.pending_publications()
    desk.ledger.place_refused(place.id, "a link stands there")
    desk.admit("fox.png", "aa" if how == "saved again" else "bb", stat=FileStat(100, 2, 7))
    assert desk.ledger.find(ROOT / FOX)[0].placement.refusal == ""
    assert len(desk.ledger.pending_places()) == (how == "saved again")


def test_an_adopted_pair_is_a_published_job(desk):
    """A pair that was found counts as published, its bytes as an output, and its name as its source's."""
    admission = desk.ledger.adopt(ROOT, FOX, STAT, "aa", "p", "{}", a_copy(), 5, {"pull": 0.3})
    assert admission.kind == "known"
    assert admission.job.state == "published"
    assert admission.placement.published == PUBLISH / "fox.png"
    assert desk.ledger.is_own_output("oo")
    assert desk.ledger.copies.of(ROOT, FOX) == [a_copy()]
    assert desk.ledger.stat_known(ROOT, FOX, STAT, "p")
    assert desk.admit("fox.png").kind == "known"


def test_nothing_is_adopted_for_a_job_that_runs_or_has_another_result(desk):
    """A ledger that knows better is not told otherwise."""
    desk.admit("fox.png")
    desk.claim()
    assert desk.ledger.adopt(ROOT, OWL, STAT, "aa", "p", "{}", a_copy("owl.png"), 5, {}) is None
    desk.render(desk.ledger.running()[0].job.id)
    assert desk.ledger.adopt(ROOT, OWL, STAT, "aa", "p", "{}", a_copy("owl.png", "other"), 5, {}) is None
    assert desk.ledger.find(ROOT / OWL) == []
    assert desk.ledger.copies.of(ROOT, OWL) == []


def test_a_job_that_waits_is_done_when_its_pair_is_found(desk):
    """A picture that a restored ledger believes to be waiting needs no second rendering."""
    job = desk.admit("fox.png").job
    assert desk.ledger.adopt(ROOT, FOX, STAT, "aa", "p", "{}", a_copy(), 5, {}).job.id == job.id
    assert desk.state(job.id) == "published"
    assert desk.ledger.claim() == []


def test_bytes_that_were_found_are_told_from_those_that_were_rendered(desk):
    """Both are outputs; only of the latter the ledger knows every name that it gave them."""
    desk.ledger.remember_output("found")
    desk.finish("fox.png", output="rendered")
    assert desk.ledger.is_own_output("found")
    assert desk.ledger.is_own_output("rendered")
    assert not desk.ledger.rendered_here("found")
    assert desk.ledger.rendered_here("rendered")
    desk.finish("owl.png", "bb", output="found")
    assert desk.ledger.rendered_here("found")


def test_a_name_has_one_owner_however_its_folder_is_spelled(desk, tmp_path):
    """A publish folder that two settings reach by a link and by its real path has each name once."""
    (tmp_path / "pub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "pub")
    desk.ledger.copies.intend(ROOT, FOX, Copy(tmp_path / "pub" / "x.png", "oo", "ss"))
    assert desk.ledger.copies.named_by_another(tmp_path / "link" / "x.png", ROOT, OWL)
    assert not desk.ledger.copies.named_by_another(tmp_path / "link" / "y.png", ROOT, OWL)


def test_a_ledger_of_an_older_version_keeps_its_published_names(tmp_path):
    """Each published copy of a version-3 ledger belongs to its source after the step, without a sidecar's hash."""
    path = tmp_path / "ledger.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, MIGRATIONS[:3])
    connection.execute(
        "INSERT INTO jobs (sha256, profile_digest, profile, state, queued_at, changed_at) "
        "VALUES ('aa', 'p', '{}', 'published', 0, 0)"
    )
    for name, published in ((b"fox.png", b"/publish/fox.png"), (b"owl.png", None)):
        connection.execute(
            "INSERT INTO placements (job_id, root, relative, size, mtime_ns, inode, seen_at, published, "
            "published_sha256) VALUES (1, ?, ?, 100, 1, 7, 0, ?, ?)",
            (b"/outbox", name, published, "oo" if published else None),
        )
    connection.close()
    with Ledger.open(path, FakeClock()) as ledger:
        assert ledger.copies.of(ROOT, FOX) == [Copy(PUBLISH / "fox.png", "oo", None)]
        assert ledger.copies.of(ROOT, OWL) == []
        assert ledger.stat_known(ROOT, FOX, FileStat(100, 1, 7, ctime_ns=99), "p")


def test_a_time_beyond_the_calendar_of_64_bits_is_kept(desk):
    """Modification times after 2262, before 1970 and beyond 64 bits are entered and recognised."""
    for number, when in enumerate((2**63, 2**64 + 5, -(2**63), -1, 17_000_000_000 * 10**9)):
        stat = FileStat(100, when, 2**64 - 1, ctime_ns=when)
        desk.admit(f"{number}.png", f"c{number}", stat=stat)
        assert desk.ledger.stat_known(ROOT, Path(f"{number}.png"), stat, "p")
        assert not desk.ledger.stat_known(ROOT, Path(f"{number}.png"), FileStat(100, when + 1, 2**64 - 1), "p")


@pytest.mark.parametrize("token", ["../../x", "9" * 400, b"\xff", 7, "0123456789ABCDEF", "0" * 15 + "/"])
def test_a_token_that_is_none_names_no_file(desk, token):
    """Whatever stands in the column, no file is removed by it, and the next intent has a token of its own."""
    desk.ledger.copies.intend(ROOT, FOX, a_copy())
    desk.ledger._connection.execute("UPDATE copies SET token = ?", (token,))
    assert desk.ledger.copies.under_way() == []
    assert len(desk.ledger.copies.intend(ROOT, FOX, a_copy())) == 16
    assert len(desk.ledger.copies.under_way()) == 1


def test_two_names_of_one_file_have_one_owner(desk, tmp_path):
    """Where a disk takes two names for one, as those that ignore case do, the second source does not hold the file."""
    (tmp_path / "Fox.png").write_bytes(b"pixels")
    (tmp_path / "fox.png").hardlink_to(tmp_path / "Fox.png")
    desk.ledger.copies.intend(ROOT, Path("Fox.png"), Copy(tmp_path / "Fox.png", "oo", "ss"))
    assert desk.ledger.copies.held_by_another(Copy(tmp_path / "fox.png", "oo", "ss"), ROOT, FOX)
    assert not desk.ledger.copies.held_by_another(Copy(tmp_path / "fox.png", "oo", "ss"), ROOT, Path("Fox.png"))
    assert not desk.ledger.copies.held_by_another(Copy(tmp_path / "fox.png", "other", "ss"), ROOT, FOX)
