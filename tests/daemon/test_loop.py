from __future__ import annotations

import shutil
from pathlib import Path

from shaded.daemon.remembering import root_memory
from shaded.errors import Transient
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.scheduling.messages import Failure
from shaded.settings import Folder
from tests.daemon.rig import FakeExecutor, png


def test_a_saved_picture_is_published(rig):
    """A picture saved into the outbox appears in the publish folder, with its sidecar, under the same name."""
    rig.put("sub/fox.png")
    rig.settle()
    assert rig.published() == ["sub/fox.png"]
    assert read_sidecar(sidecar_path(rig.publish / "sub/fox.png")).source.name == "fox.png"
    assert rig.audience.heard == [("fox.png", "published", "")]
    assert rig.ledger.counts()["published"] == 1


def test_staging_is_empty_afterwards(rig):
    """Nothing is left in the staging folder when a picture is published."""
    rig.put("fox.png")
    rig.settle()
    assert list(rig.settings.staging_dir.iterdir()) == []


def test_files_present_at_the_start_are_taken(make_rig, tmp_path):
    """What lies in the outbox before the daemon starts is published without any event."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fox.png").write_bytes(png())
    rig = make_rig()
    rig.settle()
    assert rig.published() == ["fox.png"]


def test_a_picture_still_being_written_waits(rig):
    """A file that keeps growing is not touched; it is taken once it has rested."""
    data = png(size=64)
    for length in range(10, len(data), len(data) // 8):
        rig.put("fox.png", data[:length])
        rig.settle(2)
        assert rig.executor.submitted == []
    rig.put("fox.png", data)
    rig.settle()
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 1


def test_a_restart_publishes_nothing_twice(rig):
    """After a restart a published picture is neither shaded nor published again."""
    rig.put("fox.png")
    rig.settle()
    before = (rig.publish / "fox.png").stat().st_ctime_ns
    rig.restart()
    rig.settle()
    assert (rig.publish / "fox.png").stat().st_ctime_ns == before
    assert len(rig.executor.submitted) == 1


def test_a_crash_in_the_middle_is_made_good(make_rig):
    """A daemon that ends while a picture is shaded does it again after the restart, once."""
    rig = make_rig()
    rig.executor.automatic = False
    rig.put("fox.png")
    rig.settle()
    assert rig.ledger.counts()["running"] == 1
    rig.executor = FakeExecutor()
    rig.restart()
    rig.settle()
    assert rig.published() == ["fox.png"]


def test_a_crash_before_publishing_is_made_good(rig, monkeypatch):
    """A result that was rendered and not yet published is published after the restart without shading again."""
    monkeypatch.setattr(rig.daemon.delivery, "work", lambda: None)
    rig.put("fox.png")
    rig.settle()
    assert rig.ledger.counts()["rendered"] == 1
    assert rig.published() == []
    rig.restart()
    rig.settle(2)
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 1


def test_a_rendered_file_that_was_lost_is_rendered_again(rig, monkeypatch):
    """A result whose staged file is gone or torn is shaded again, never published torn."""
    monkeypatch.setattr(rig.daemon.delivery, "work", lambda: None)
    rig.put("fox.png")
    rig.settle()
    (staged,) = [path for path in rig.ledger.staged_files() if path.suffix == ".png"]
    staged.write_bytes(staged.read_bytes()[:20])
    rig.restart()
    rig.settle()
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 2


def test_leftovers_in_staging_are_removed_at_the_start(rig, tmp_path):
    """What a crash left of a job or a copy is removed; numbers, other names, files and links in staging stay."""
    staging = rig.settings.staging_dir
    theirs = ("77", "publish-5", "holiday", "shaded-job-5 of mine", "shaded-job-")
    for name in ("shaded-job-77", "shaded-copy-5", *theirs):
        (staging / name).mkdir()
        (staging / name / "torn.png").write_bytes(b"x")
    (staging / "shaded-job-8").write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (staging / "shaded-job-9").symlink_to(tmp_path / "elsewhere")
    rig.restart()
    assert {path.name for path in staging.iterdir()} == {*theirs, "shaded-job-8", "shaded-job-9"}
    assert (tmp_path / "elsewhere").exists()


def test_a_renamed_copy_is_published_without_shading(rig):
    """The same content under another name is published from the finished result; its sidecar has the new name."""
    first = rig.put("fox.png")
    rig.settle()
    rig.put("wolf.png", first.read_bytes())
    rig.settle()
    assert rig.published() == ["fox.png", "wolf.png"]
    assert len(rig.executor.submitted) == 1
    stated = read_sidecar(sidecar_path(rig.publish / "wolf.png"))
    assert (stated.source.name, stated.published.name) == ("wolf.png", "wolf.png")


def test_copies_that_arrive_together_are_shaded_once(rig):
    """Two files with the same content are one job and two published files."""
    rig.put("fox.png")
    rig.put("wolf.png")
    rig.settle()
    assert rig.published() == ["fox.png", "wolf.png"]
    assert len(rig.executor.submitted) == 1


def test_an_altered_published_copy_is_not_reused(rig):
    """When the published file was altered, a copy of the source is shaded again instead of spreading the alteration."""
    first = rig.put("fox.png")
    rig.settle()
    (rig.publish / "fox.png").write_bytes(b"altered")
    rig.put("wolf.png", first.read_bytes())
    rig.settle(20)
    assert (rig.publish / "fox.png").read_bytes() == b"altered"
    assert read_sidecar(sidecar_path(rig.publish / "wolf.png"))
    assert len(rig.executor.submitted) == 2


def test_a_changed_picture_is_shaded_again(rig):
    """Saving another picture under the same name replaces its published copy."""
    rig.put("fox.png", png(1))
    rig.settle()
    before = (rig.publish / "fox.png").read_bytes()
    rig.put("fox.png", png(2, size=9))
    rig.settle()
    assert rig.published() == ["fox.png"]
    assert (rig.publish / "fox.png").read_bytes() != before
    assert len(rig.executor.submitted) == 2


def test_somebody_elses_file_is_never_overwritten(rig):
    """A file that stands in the publish folder and is not ours stays; the copy gets another name."""
    (rig.publish / "fox.png").write_bytes(b"precious")
    rig.put("fox.png")
    rig.settle()
    assert (rig.publish / "fox.png").read_bytes() == b"precious"
    assert (rig.publish / "fox (shaded).png").exists()


def test_two_outboxes_may_share_a_publish_folder(make_rig, tmp_path):
    """Pictures of one name from two outboxes get two names, and neither replaces the other, ever."""
    publish = tmp_path / "pub"
    rig = make_rig(
        folders=(
            Folder(outbox=tmp_path / "out", publish=publish),
            Folder(outbox=tmp_path / "b", publish=publish),
        )
    )
    rig.put("fox.png", png(1))
    rig.settle()
    other = tmp_path / "b" / "fox.png"
    other.write_bytes(png(2))
    rig.observers[1].see(other)
    rig.settle()
    assert rig.published() == ["fox (shaded).png", "fox.png"]
    first = (publish / "fox.png").read_bytes()
    other.write_bytes(png(3, size=9))
    rig.observers[1].see(other)
    rig.settle()
    assert (publish / "fox.png").read_bytes() == first


def test_own_output_is_passed_over(rig):
    """A shaded copy that lands in the outbox is not shaded again, recognised by its bytes alone."""
    rig.put("fox.png")
    rig.settle()
    shutil.copy(rig.publish / "fox.png", rig.outbox / "again.png")
    rig.observers[0].see(rig.outbox / "again.png")
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 1
    assert "not shaded again" in rig.daemon.why_not(rig.outbox / "again.png")


def test_another_installations_output_is_known_by_its_sidecar(rig):
    """A shaded copy with its sidecar is recognised although this ledger never saw it."""
    rig.put("fox.png")
    rig.settle()
    for name in ("fox.png", "fox.png.shaded.json"):
        shutil.copy(rig.publish / name, rig.base / name)
    shutil.rmtree(rig.publish)
    shutil.rmtree(rig.outbox)
    rig.ledger.close()
    for file in rig.settings.state_dir.glob("ledger*"):
        file.unlink()
    rig.ledger = None
    rig.executor.submitted.clear()
    rig.outbox.mkdir()
    for name in ("fox.png", "fox.png.shaded.json"):
        shutil.copy(rig.base / name, rig.outbox / name)
    rig.restart()
    rig.settle()
    assert rig.executor.submitted == []
    assert rig.published() == []


def test_a_file_that_is_no_picture_is_refused(rig):
    """Text with a picture's name is refused with a reason, and other pictures go on."""
    rig.put("fake.png", b"this is text")
    rig.put("fox.png")
    rig.settle()
    assert rig.published() == ["fox.png"]
    outcomes = {name: (outcome, reason) for name, outcome, reason in rig.audience.heard}
    assert outcomes["fake.png"][0] == "refused"
    assert outcomes["fake.png"][1]


def test_a_link_in_the_outbox_is_not_followed(rig, tmp_path):
    """A symbolic link to a picture elsewhere is not published."""
    (tmp_path / "elsewhere.png").write_bytes(png())
    (rig.outbox / "link.png").symlink_to(tmp_path / "elsewhere.png")
    rig.observers[0].see(rig.outbox / "link.png")
    rig.settle()
    assert rig.published() == []
    assert rig.executor.submitted == []


def test_one_bad_picture_does_not_stop_the_others(rig):
    """Refusals, broken data and bugs of single pictures are booked, each with its reason."""
    for shade, name in enumerate(("refuse.png", "unreadable.png", "bug.png", "fox.png")):
        rig.put(name, png(shade))
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    outcomes = {name: outcome for name, outcome, _ in rig.audience.heard}
    assert outcomes == {
        "refuse.png": "refused",
        "unreadable.png": "failed",
        "bug.png": "failed",
        "fox.png": "published",
    }


def test_a_picture_that_kills_the_worker_twice_is_set_aside(rig):
    """The second death while shading one picture is its last attempt; the others are published."""
    rig.executor.deadly = "evil"
    rig.put("evil.png", png(1))
    rig.put("fox.png", png(2))
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert [task.name for task in rig.executor.submitted].count("evil.png") == 2
    (record,) = rig.ledger.find(rig.outbox / "evil.png")
    assert record.job.state == "failed"
    assert "killed by a test" in record.job.reason


def test_passing_trouble_is_tried_again_later(make_rig):
    """A full disk puts a picture off with a growing pause and never uses its attempts up."""
    rig = make_rig(retry_seconds=60, max_attempts=2)
    rig.put("busy.png")
    rig.settle(300)
    assert 2 < len(rig.executor.submitted) < 8
    (record,) = rig.ledger.find(rig.outbox / "busy.png")
    assert (record.job.state, record.job.reason) == ("settled", "the disk is full")


def test_memory_running_out_uses_attempts_up(make_rig):
    """A picture that does not fit into memory fails after the allowed attempts."""
    rig = make_rig(retry_seconds=1, max_attempts=2)
    rig.put("memory.png")
    rig.settle(60)
    assert len(rig.executor.submitted) == 2
    assert rig.audience.heard == [("memory.png", "failed", "there is not enough memory")]


def test_memory_that_ran_out_is_tried_in_another_way_at_once(make_rig):
    """Where the executor knows another way nothing is waited for, and `run --once` does not end before it."""
    rig = make_rig(retry_seconds=1000)
    rig.executor.automatic = False
    rig.put("large.png")
    rig.settle()
    (task,) = rig.executor.submitted
    rig.executor.held = []
    rig.executor.said = [
        Failure(
            job_id=task.job_id, outcome="transient", what="there is not enough memory",
            blames_picture=False, out_of_memory=True,
        )
    ]  # fmt: skip
    rig.daemon.step()
    rig.daemon.step()
    assert [each.name for each in rig.executor.submitted] == ["large.png"] * 2


def test_a_source_that_changes_while_it_is_shaded_is_done_again(make_rig):
    """A picture saved over while it waits for the worker is shaded in its new form only."""
    rig = make_rig()
    rig.executor.automatic = False
    rig.put("fox.png", png(1))
    rig.settle()
    new = png(2, size=9)
    rig.put("fox.png", new)
    rig.executor.automatic = True
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert (rig.publish / "fox.png").read_bytes() == new + b"shaded"


def test_jobs_wait_while_their_outbox_is_missing(make_rig, tmp_path):
    """A picture whose disk went away before its turn keeps its place in the queue and is shaded once it is back."""
    rig = make_rig(retry_seconds=20)
    rig.executor.automatic = False
    rig.put("first.png", png(1))
    rig.put("fox.png", png(2))
    rig.settle()
    rig.outbox.rename(tmp_path / "away")
    rig.executor.automatic = True
    rig.settle(30)
    (record,) = rig.ledger.find(rig.outbox / "fox.png")
    assert record.job.state == "settled"
    assert "its outbox is missing" in rig.daemon.view.blocked[rig.outbox]
    assert rig.ledger.counts()["settled"] == 2
    (tmp_path / "away").rename(rig.outbox)
    rig.settle(60)
    assert rig.published() == ["first.png", "fox.png"]
    assert rig.ledger.counts()["published"] == 2


def test_an_outbox_that_was_in_use_is_not_made_again(make_rig, tmp_path):
    """At a start without its disk the folder is not made upon the empty mount point; it is waited for."""
    rig = make_rig()
    rig.put("fox.png")
    rig.settle()
    root_memory(rig.ledger, "outbox", rig.outbox).remember("")
    rig.outbox.rename(tmp_path / "away")
    rig.restart()
    rig.settle()
    assert not rig.outbox.exists()
    assert "missing" in rig.daemon.view.folders[0]["trouble"][0]
    (tmp_path / "away").rename(rig.outbox)
    rig.put("wolf.png", png(3))
    rig.settle(20)
    assert rig.published() == ["fox.png", "wolf.png"]


def test_a_source_that_vanishes_is_forgotten(make_rig):
    """A picture deleted before its turn leaves nothing behind."""
    rig = make_rig()
    rig.executor.automatic = False
    rig.put("first.png", png(1))
    path = rig.put("fox.png", png(2))
    rig.settle()
    path.unlink()
    rig.executor.automatic = True
    rig.settle()
    assert rig.published() == ["first.png"]
    assert rig.ledger.counts()["settled"] == 0


def test_a_missing_publish_folder_is_waited_for(make_rig):
    """While the publish folder is away a result waits, nothing more is begun, and both go on when it is back."""
    rig = make_rig(retry_seconds=30)
    rig.executor.automatic = False
    rig.put("fox.png")
    rig.settle()
    rig.publish.rmdir()
    rig.executor.work()
    rig.executor.automatic = True
    rig.put("wolf.png", png(2))
    rig.settle()
    assert rig.ledger.counts()["rendered"] == 1
    assert len(rig.executor.submitted) == 1
    assert "publish folder is missing" in str(rig.daemon.view.troubles)
    rig.publish.mkdir()
    rig.settle(60)
    assert rig.published() == ["fox.png", "wolf.png"]
    assert len(rig.executor.submitted) == 2
    assert rig.daemon.view.troubles == {}
    assert rig.daemon.view.problems() == []


def test_no_process_to_be_had_is_passing_trouble(make_rig):
    """When no worker can be started the picture waits and is shaded when one can."""
    rig = make_rig(retry_seconds=10)
    rig.executor.refuse_submit = OSError(11, "Resource temporarily unavailable")
    rig.put("fox.png")
    rig.settle()
    rig.executor.refuse_submit = None
    rig.settle(30)
    assert rig.published() == ["fox.png"]


def test_no_room_in_staging_is_passing_trouble(make_rig, monkeypatch):
    """When the staging folder cannot be made the picture waits, and the daemon goes on."""
    rig = make_rig(retry_seconds=10)
    failing = [OSError(28, "No space left on device")] * 2
    real = Path.mkdir

    def mkdir(path, *args, **options):
        if path.parent == rig.settings.staging_dir and failing:
            raise failing.pop()
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    rig.put("fox.png")
    rig.settle(40)
    assert failing == []
    assert rig.published() == ["fox.png"]


def test_a_bug_while_publishing_stops_nothing(make_rig, monkeypatch):
    """An unexpected error while one picture is published is told, tried again, and leaves the others alone."""
    rig = make_rig(retry_seconds=10)
    real, broken = rig.daemon.delivery._publish, [True]

    def publish(job, placement, *more):
        if placement.relative.name == "fox.png" and broken:
            raise ZeroDivisionError
        return real(job, placement, *more)

    monkeypatch.setattr(rig.daemon.delivery, "_publish", publish)
    rig.put("fox.png", png(1))
    rig.put("wolf.png", png(2))
    rig.settle()
    assert rig.published() == ["wolf.png"]
    assert "ZeroDivisionError" in str(rig.daemon.view.troubles)
    broken.clear()
    rig.settle(20)
    assert rig.published() == ["fox.png", "wolf.png"]


def test_a_claim_that_was_lost_goes_back_into_the_queue(make_rig):
    """A job that was leased and never begun is put back when its lease is over."""
    rig = make_rig(lease_seconds=30)
    rig.daemon.pause(60)
    rig.put("fox.png")
    rig.settle()
    rig.ledger.claim(1)
    rig.settle(60)
    assert rig.published() == ["fox.png"]


def test_a_folder_that_is_not_watched_any_more_is_left_alone(make_rig, tmp_path):
    """Jobs of an outbox that left the settings are neither shaded nor do they block the others."""
    both = (
        Folder(outbox=tmp_path / "out", publish=tmp_path / "pub"),
        Folder(outbox=tmp_path / "b", publish=tmp_path / "c"),
    )
    rig = make_rig(folders=both)
    rig.executor.automatic = False
    rig.put("fox.png", png(1))
    (tmp_path / "b" / "old.png").write_bytes(png(2))
    rig.observers[1].see(tmp_path / "b" / "old.png")
    rig.settle()
    rig.close()
    rig = make_rig()
    rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert [task.name for task in rig.executor.submitted] == ["fox.png"]
    assert rig.ledger.counts()["settled"] == 0


def test_nothing_due_means_a_long_sleep(rig):
    """An idle daemon sleeps until the next health check of its watchers, and no step asks for another at once."""
    rig.put("fox.png")
    rig.settle(20)
    for _ in range(50):
        sleep = rig.daemon.step()
        assert sleep > 0.5
        rig.clock.advance(sleep)


def test_a_burst_is_all_published_once(rig):
    """Two hundred pictures at once: each is published, none is shaded twice."""
    for number in range(200):
        rig.put(f"p{number:03}.png", png(number))
    for _ in range(400):
        rig.daemon.step()
        rig.clock.advance(0.5)
    assert len(rig.published()) == 200
    assert len(rig.executor.submitted) == 200


def test_the_executor_is_offered_each_picture_with_its_size_and_its_canvas_reaches_the_worker(make_rig):
    """What memory is reckoned from is the picture's own number of pixels, and a smaller canvas is passed on."""
    rig = make_rig()
    rig.executor.canvas_pixels = 65_536
    rig.put("fox.png", png(1, size=24))
    rig.settle()
    assert [candidate.pixels for candidate in rig.executor.offered if candidate.pixels] == [24 * 24]
    assert [task.canvas_pixels for task in rig.executor.submitted] == [65_536]


def test_books_of_files_that_are_gone_are_closed(make_rig):
    """Own copies and unreadable files that left the outbox are forgotten, the others stay known."""
    rig = make_rig()
    rig.put("fox.png")
    rig.settle()
    copy = (rig.publish / "fox.png").read_bytes()
    stays, goes = rig.put("stays.png", copy), rig.put("goes.png", copy)
    rig.settle()
    assert set(rig.daemon.intake._own) == {stays, goes}
    rig.daemon.intake._put_off[goes] = rig.daemon.intake._put_off[stays] = Transient("the file is busy")
    goes.unlink()
    rig.daemon.intake.tidy()
    assert set(rig.daemon.intake._own) == {stays}
    for _ in range(2):
        rig.daemon.intake.work(0.0)
    assert set(rig.daemon.intake.put_off) == {stays}


def test_very_many_files_that_cannot_be_read_cost_a_round_little(make_rig, monkeypatch):
    """Of 100,000 unreadable files a round looks at fifty and shows a hundred; those that are gone go in time."""
    from shaded.daemon import intake

    rig = make_rig()
    looks = []
    monkeypatch.setattr(intake.os.path, "lexists", lambda path: looks.append(path) or False)
    rig.daemon.intake._put_off = {rig.outbox / f"{n}.png": Transient("the file is busy") for n in range(100_000)}
    assert len(rig.daemon._look().troubles) == 100
    rig.daemon.intake.work(0.0)
    rig.daemon.intake.work(0.0)
    assert len(looks) == 50
    for _ in range(2010):
        rig.daemon.intake.work(0.0)
    assert rig.daemon.intake.put_off == {}
