"""How programs save, replayed step by step: each save is one job, of the final content, whatever lay there between."""

from __future__ import annotations

import os
import time

import pytest
from PIL import Image

from shaded.outbox.screening import screen
from tests.outbox.saving import WATCHING, Desk, png, sha256
from tests.publishing.samples import saved, textured

OLD, FINAL = png(1), png(2, size=40)
QUARTERS = [FINAL[at : at + len(FINAL) // 4 + 1] for at in range(0, len(FINAL), len(FINAL) // 4 + 1)]
PATTERNS = {}


def pattern(script):
    """A script yields the seconds that pass between its steps; it begins with the old ``fox.png`` already shaded."""
    PATTERNS[script.__name__] = script
    return script


@pattern
def gedit_and_other_glib_programs(desk):
    desk.write(".goutputstream-X1Y2Z3", FINAL)
    yield 0.1
    desk.rename(".goutputstream-X1Y2Z3", "fox.png")


@pattern
def paint_net(desk):
    desk.write("fox.png.pdnSave", QUARTERS[0])
    yield 4.0
    desk.write("fox.png.pdnSave", FINAL)
    yield 0.1
    desk.delete("fox.png")
    desk.rename("fox.png.pdnSave", "fox.png")


@pattern
def photoshop(desk):
    desk.write("~psA1B2.tmp", FINAL[:50])
    yield 5.0
    desk.write("~psA1B2.tmp", FINAL)
    desk.rename("~psA1B2.tmp", "fox.png")


@pattern
def macos_safe_save(desk):
    desk.write("fox.png.sb-1a2b3c4d-XyZ123", FINAL)
    yield 4.0
    desk.rename("fox.png", "fox.png.sb-5e6f7a8b-XyZ123")
    desk.rename("fox.png.sb-1a2b3c4d-XyZ123", "fox.png")
    yield 0.5
    desk.delete("fox.png.sb-5e6f7a8b-XyZ123")


@pattern
def krita(desk):
    desk.write(".krita-4711-document_0-autosave.kra", QUARTERS[0])
    yield 10.0
    desk.write("fox.png~", OLD)
    for quarter in range(4):
        desk.write("fox.png", QUARTERS[quarter], append=quarter > 0)
        yield 1.0
    desk.delete(".krita-4711-document_0-autosave.kra")


@pattern
def opentoonz(desk):
    desk.write("fox_ottmp1.png", FINAL[:60])
    yield 5.0
    desk.write("fox_ottmp1.png", FINAL)
    yield 5.0
    desk.rename("fox_ottmp1.png", "fox.png")


@pattern
def clip_studio_saves_in_place_on_a_timer(desk):
    for version in range(3, 8):
        desk.write("fox.png", png(version))
        yield 2.5
    desk.write("fox.png", FINAL)


@pattern
def a_scanner_opens_and_closes_many_times(desk):
    for quarter in range(4):
        desk.write("fox.png", QUARTERS[quarter], append=quarter > 0)
        yield 2.9
    desk.patch("fox.png", 0, FINAL[:8])


@pattern
def a_nas_makes_thumbnails_beside(desk):
    desk.write("fox.png", FINAL)
    yield 0.5
    desk.folder("@eaDir")
    desk.folder("@eaDir/fox.png")
    desk.write("@eaDir/fox.png/SYNOPHOTO_THUMB_M.png", png(9))
    yield 2.0
    desk.write("@eaDir/fox.png/SYNOPHOTO_THUMB_S.png", png(10))


@pattern
def gimp_writes_in_place(desk):
    desk.write("fox.png", b"")
    for quarter in QUARTERS:
        yield 2.0
        desk.write("fox.png", quarter, append=True)


@pattern
def procreate_moves_in_at_once(desk):
    desk.write("../moved.png", FINAL)
    yield 20.0
    desk.rename("../moved.png", "fox.png")


@pattern
def a_browser_keeps_the_name_with_an_empty_file(desk):
    desk.write("fox.png", b"")
    desk.write("fox.png.part", QUARTERS[0])
    yield 20.0
    desk.write("fox.png.part", FINAL)
    yield 5.0
    desk.rename("fox.png.part", "fox.png")


@pattern
def chromium_downloads(desk):
    desk.write("Unconfirmed 4711.crdownload", FINAL[:99])
    yield 5.0
    desk.write("Unconfirmed 4711.crdownload", FINAL)
    yield 0.1
    desk.rename("Unconfirmed 4711.crdownload", "fox.png")


@pattern
def rsync_with_the_old_date(desk):
    desk.write(".fox.png.Ab12Cd", FINAL)
    yield 4.0
    os.utime(desk.root / ".fox.png.Ab12Cd", ns=(10**18, 10**18))
    desk.rename(".fox.png.Ab12Cd", "fox.png")


@pattern
def cp_sets_the_date_last(desk):
    for quarter in range(4):
        desk.write("fox.png", QUARTERS[quarter], append=quarter > 0)
        yield 1.0
    os.utime(desk.root / "fox.png", ns=(10**18, 10**18))
    desk.hear(desk.root / "fox.png")


@pattern
def syncthing(desk):
    desk.write(".syncthing.fox.png.tmp", FINAL[:99])
    yield 30.0
    desk.write(".syncthing.fox.png.tmp", FINAL)
    desk.rename(".syncthing.fox.png.tmp", "fox.png")


@pattern
def a_backup_is_kept_by_renaming(desk):
    desk.rename("fox.png", "fox.png~")
    yield 1.0
    desk.write("fox.png", QUARTERS[0])
    yield 1.0
    desk.write("fox.png", FINAL)


@pattern
def deleted_first_and_renamed_into_place_later(desk):
    desk.write("affinity.tmp", FINAL)
    desk.delete("fox.png")
    yield 10.0
    desk.rename("affinity.tmp", "fox.png")


@pattern
def a_preallocating_copy(desk):
    desk.preallocate("fox.png", len(FINAL))
    at = 0
    for quarter in QUARTERS:
        yield 2.0
        desk.patch("fox.png", at, quarter)
        at += len(quarter)


@pattern
def an_exporter_that_begins_with_an_empty_file(desk):
    desk.delete("fox.png")
    desk.write("fox.png", b"")
    yield 200.0
    desk.write("fox.png", FINAL)


@pattern
def a_slow_network_copy(desk):
    desk.write("fox.png", b"")
    for at in range(0, len(FINAL), 60):
        desk.write("fox.png", FINAL[at : at + 60], append=True)
        yield 2.5


@pattern
def linked_into_place(desk):
    desk.write("fox.tmp", FINAL)
    yield 4.0
    desk.delete("fox.png")
    (desk.root / "fox.png").hardlink_to(desk.root / "fox.tmp")
    desk.hear(desk.root / "fox.png")
    desk.delete("fox.tmp")


@pattern
def saved_again_right_away(desk):
    desk.write("fox.png", png(5))
    yield 0.2
    desk.write("fox.png", png(6))
    yield 0.2
    desk.write("fox.png", FINAL)


@pattern
def metadata_is_written_afterwards(desk):
    desk.write("fox.png", FINAL[:-12])
    yield 2.8
    desk.write("fox.png.exiftool.tmp", FINAL)
    desk.rename("fox.png.exiftool.tmp", "fox.png")


@pytest.mark.parametrize("events", ["native", "polling"])
@pytest.mark.parametrize("name", PATTERNS)
def test_a_save_is_one_job_of_the_final_content(tmp_path, name, events):
    """Nothing arrives before the program is done, then exactly one job has its last bytes; heard of or only polled."""
    desk = Desk(tmp_path, events=events)
    desk.write("fox.png", OLD)
    assert desk.live(20) == ["fox.png"]
    for pause in PATTERNS[name](desk):
        assert desk.live(pause) == []
    assert desk.live(WATCHING.poll_seconds + WATCHING.quiet_seconds + 1) == ["fox.png"]
    assert desk.live(WATCHING.rescan_seconds) == []
    assert desk.shaded == {sha256(OLD): 1, sha256(FINAL): 1}
    assert desk.states() == {"published": 2}
    assert (desk.root / "fox.png").read_bytes() == FINAL


@pytest.mark.parametrize("name", PATTERNS)
def test_a_save_that_nobody_heard_of_is_one_job_after_the_next_scan(tmp_path, name):
    """With every event lost the scan finds the same picture, once, and never a part of it."""
    desk = Desk(tmp_path)
    desk.write("fox.png", OLD)
    desk.live(20)
    desk.hear = lambda _path: None
    for pause in PATTERNS[name](desk):
        assert desk.live(pause) == []
    assert desk.live(WATCHING.rescan_seconds + WATCHING.quiet_seconds + 1) == ["fox.png"]
    assert desk.shaded == {sha256(OLD): 1, sha256(FINAL): 1}


@pytest.mark.parametrize("rest", [0.5, 1.0, 2.0, 2.9])
def test_a_writer_slower_than_the_quiet_period_is_never_taken_in_the_middle(tmp_path, rest):
    """However many steps it takes, as long as each pause is shorter than the quiet period; the last byte ends it."""
    desk = Desk(tmp_path)
    for at in range(len(FINAL)):
        desk.write("fox.png", FINAL[at : at + 1], append=True)
        assert desk.live(rest) == []
        if at > 100:
            break
    desk.write("fox.png", FINAL[102:], append=True)
    assert desk.live(4) == ["fox.png"]
    assert desk.shaded == {sha256(FINAL): 1}


def test_a_writer_that_pauses_for_longer_is_given_a_second_quiet_period(tmp_path):
    """Half a picture at rest is looked at once more later; when it is whole by then, nothing was ever refused."""
    desk = Desk(tmp_path)
    desk.write("fox.png", FINAL[:200])
    assert desk.live(20) == ["fox.png"]
    assert desk.states() == {}
    assert "looked at once more after 30 seconds" in desk.intake.why_not(desk.root / "fox.png")
    desk.write("fox.png", FINAL)
    assert desk.live(100) == ["fox.png"]
    assert desk.states() == {"published": 1}
    assert desk.shaded == {sha256(FINAL): 1}


def test_a_writer_that_pauses_for_minutes_is_refused_and_then_shaded_once(tmp_path):
    """Half a picture that stays half is told as damaged, not shaded; the whole one is a job of its own."""
    desk = Desk(tmp_path)
    desk.write("fox.png", FINAL[:200])
    assert desk.live(50) == ["fox.png"]
    assert desk.states() == {"refused": 1}
    desk.write("fox.png", FINAL)
    assert desk.live(10) == ["fox.png"]
    assert desk.shaded == {sha256(FINAL): 1}


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "JPEG"])
def test_a_copy_whose_space_was_reserved_is_shaded_when_it_is_written(tmp_path, form):
    """Zeros in the place of what a slow copy has not written yet are waited for, and no half picture is shaded."""
    whole = saved(textured(), form, lossless=True) if form == "WEBP" else saved(textured(), form)
    half = len(whole) // 2
    desk = Desk(tmp_path)
    desk.write("fox.img", whole[:half] + bytes(len(whole) - half))
    assert desk.live(25) == ["fox.img"]
    assert desk.states() == {}
    desk.patch("fox.img", half, whole[half:])
    desk.live(60)
    assert desk.shaded == {sha256(whole): 1}


def test_a_flat_picture_that_was_just_saved_waits_a_little_longer(tmp_path):
    """Where zeros may be a flat area or the end of a copy, the second quiet period decides; then it is shaded."""
    flat = saved(Image.new("RGB", (1600, 1200), "gray"), "JPEG", quality=60, optimize=True)
    assert screen(flat, None, 2_000_000).doubtful
    desk = Desk(tmp_path)
    desk.write("fox.jpg", flat)
    desk.live(20)
    assert desk.shaded == {}
    desk.live(20)
    assert desk.shaded == {sha256(flat): 1}


def test_an_old_file_is_not_waited_for(tmp_path):
    """What was last changed long ago is no copy under way: a damaged one is refused at once."""
    desk = Desk(tmp_path)
    desk.clock.set_date(time.time() + 3600)
    (desk.root / "fox.png").write_bytes(FINAL[:200])
    desk.hear(desk.root / "fox.png")
    desk.live(5)
    assert desk.states() == {"refused": 1}
