"""Hostile folders: nothing outside the roots is read or written, whatever lies in them or is swapped when."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from contextlib import suppress

import pytest

from shaded.errors import PictureError
from shaded.outbox import screening
from shaded.outbox.screening import read_bytes, read_settled
from shaded.publishing import atomic
from shaded.publishing.sidecar import sidecar_path
from tests.daemon.rig import png
from tests.publishing.names import Names
from tests.publishing.sidecars import a_sidecar

LONG_AGO = 1_000_000_000


@pytest.fixture
def elsewhere(tmp_path):
    """A folder outside the roots with a picture in it; at the end nothing there was opened, changed or added."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    secret, probe = folder / "secret.png", folder / "probe"
    secret.write_bytes(png(777))
    probe.write_bytes(b"x")
    for path in (secret, probe):
        os.utime(path, (LONG_AGO, LONG_AGO + 1))
    probe.read_bytes()
    telling = probe.stat().st_atime != LONG_AGO  # some file systems do not note when a file was read
    probe.unlink()
    before = secret.stat()
    yield folder
    assert [path.name for path in folder.iterdir()] == ["secret.png"]
    after = secret.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    if telling:
        assert after.st_atime == LONG_AGO


def see_all(rig):
    """Let the observer tell of everything in the outbox."""
    for path in rig.outbox.rglob("*"):
        rig.observers[0].see(path)


def test_nothing_but_pictures_is_taken(rig, elsewhere):
    """Links to files and folders, pipes, sockets and loops in an outbox are passed over; a picture beside is done."""
    (rig.outbox / "link.png").symlink_to(elsewhere / "secret.png")
    (rig.outbox / "dangling.png").symlink_to(elsewhere / "nothing.png")
    (rig.outbox / "folder").symlink_to(elsewhere)
    (rig.outbox / "loop").symlink_to(rig.outbox)
    os.mkfifo(rig.outbox / "pipe.png")
    (rig.outbox / "folder.png").mkdir()
    listening = socket.socket(socket.AF_UNIX)
    with listening:
        listening.bind(str(rig.outbox / "socket.png"))
        rig.put("fox.png")
        see_all(rig)
        rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 1


def test_devices_are_not_taken(rig):
    """A device with a picture's name is passed over."""
    try:
        os.mknod(rig.outbox / "zero.png", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except (OSError, AttributeError):
        pytest.skip("devices cannot be made here")
    rig.put("fox.png")
    see_all(rig)
    rig.settle()
    assert rig.published() == ["fox.png"]


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "huge"])
def test_what_has_a_sidecars_name_in_an_outbox_is_opened_with_care(rig, elsewhere, kind):
    """A pipe, a link, a folder or a huge file under a sidecar's name beside a picture neither blocks nor leads out."""
    beside = sidecar_path(rig.outbox / "fox.png")
    if kind == "pipe":
        os.mkfifo(beside)
    elif kind == "link":
        beside.symlink_to(elsewhere / "secret.png")
    elif kind == "folder":
        beside.mkdir()
    else:
        with beside.open("wb") as stream:
            stream.truncate(1 << 40)
    rig.put("fox.png")
    rig.settle()
    assert rig.published() == ["fox.png"]


def test_a_hard_link_is_an_ordinary_file(rig, tmp_path):
    """A hard link is published like any file, and the file's other name keeps its content: it is only read."""
    original = tmp_path / "original.png"
    original.write_bytes(png(5))
    before = original.stat()
    os.link(original, rig.outbox / "fox.png")
    see_all(rig)
    rig.settle()
    assert rig.published() == ["fox.png"]
    after = original.stat()
    assert original.read_bytes() == png(5)
    assert (after.st_mtime_ns, after.st_mode, after.st_ino) == (before.st_mtime_ns, before.st_mode, before.st_ino)


def test_a_hard_link_to_a_published_file_keeps_its_content(rig, tmp_path):
    """A newer version takes the published name over; another name for the old file still has the old bytes."""
    rig.put("fox.png", png(1))
    rig.settle()
    os.link(rig.publish / "fox.png", tmp_path / "kept.png")
    rig.put("fox.png", png(2, size=9))
    rig.settle()
    assert (tmp_path / "kept.png").read_bytes() == png(1) + b"shaded"
    assert (rig.publish / "fox.png").read_bytes() == png(2, size=9) + b"shaded"


@pytest.mark.parametrize("read", [read_bytes, lambda *place: read_settled(*place, "0" * 64)])
def test_a_folder_swapped_between_check_and_open_leads_nowhere(tmp_path, elsewhere, monkeypatch, read):
    """Whenever on the way a folder becomes a link, the file behind it is not opened."""
    outbox = tmp_path / "out"
    (outbox / "sub" / "deeper").mkdir(parents=True)
    (outbox / "sub" / "deeper" / "secret.png").write_bytes(png(1))
    real = os.open

    def swapping(path, flags, *more, **named):
        if path == "deeper":
            shutil.rmtree(outbox / "sub" / "deeper")
            (outbox / "sub" / "deeper").symlink_to(elsewhere)
        return real(path, flags, *more, **named)

    monkeypatch.setattr(screening.os, "open", swapping)
    with pytest.raises(PictureError, match="symbolic link"):
        read(outbox / "sub" / "deeper" / "secret.png", outbox, 1000)


def test_a_folder_swapped_after_its_picture_settled_leads_nowhere(make_rig, elsewhere):
    """A folder that becomes a link while its picture waits is not followed by the worker, and does no harm later."""
    rig = make_rig()
    rig.executor.automatic = False
    rig.put("first.png", png(1))
    rig.put("sub/secret.png", png(777))
    rig.settle()
    shutil.rmtree(rig.outbox / "sub")
    (rig.outbox / "sub").symlink_to(elsewhere)
    from tests.reliability.engine import RetouchingEngine

    engine = RetouchingEngine()
    rig.executor.work = lambda: _work(rig.executor, engine)
    rig.executor.automatic = True
    rig.settle(20)
    assert rig.published() == ["first.png"]
    rig.put("other place.png", png(777))
    rig.settle(20)
    assert rig.published() == ["first.png", "other place.png"]


def _work(executor, engine):
    from shaded.scheduling.worker import failure_of

    for task in executor.held:
        try:
            executor.said.append(engine.shade(task, executor.said.append))
        except PictureError as error:
            executor.said.append(failure_of(task.job_id, error))
    executor.held = []


def test_a_publish_folder_swapped_on_the_way_leads_nowhere(rig, elsewhere, monkeypatch):
    """A sub-folder that becomes a link between being made and being opened is not entered."""
    real = os.mkdir

    def swapping(path, *more, **named):
        if path == "sub" and "dir_fd" in named:
            (rig.publish / "sub").symlink_to(elsewhere)
        return real(path, *more, **named)

    monkeypatch.setattr(atomic.os, "mkdir", swapping)
    rig.put("sub/fox.png")
    rig.settle()
    assert rig.published() == []
    (record,) = rig.ledger.find(rig.outbox / "sub" / "fox.png")
    assert "symbolic link" in record.placement.refusal


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "linked folder"])
def test_what_took_a_published_files_place_is_not_read_again(rig, elsewhere, kind):
    """To publish a copy of a picture, only a regular file inside the publish folder is used again."""
    rig.put("sub/fox.png", png(1))
    rig.settle()
    target = rig.publish / "sub" / "fox.png"
    if kind == "linked folder":
        shutil.rmtree(rig.publish / "sub")
        (rig.publish / "sub").symlink_to(elsewhere)
    else:
        target.unlink()
        if kind == "pipe":
            os.mkfifo(target)
        elif kind == "link":
            target.symlink_to(elsewhere / "secret.png")
        else:
            target.mkdir()
    rig.put("wolf.png", png(1))
    rig.settle(20)
    assert (rig.publish / "wolf.png").read_bytes() == png(1) + b"shaded"
    assert len(rig.executor.submitted) == 2


def test_staged_files_of_somebody_else_stay(rig):
    """A staging folder that holds other things too loses none of them."""
    theirs = rig.settings.staging_dir / "1" / "keep.txt"
    with suppress(FileExistsError):
        (rig.settings.staging_dir / "My 1st folder").mkdir()
    (rig.settings.staging_dir / "letter.txt").write_text("dear")
    (rig.settings.staging_dir / "1").symlink_to(rig.base)
    rig.restart()
    assert (rig.settings.staging_dir / "letter.txt").exists()
    assert (rig.settings.staging_dir / "My 1st folder").exists()
    assert rig.outbox.exists()
    assert not theirs.exists()


def test_an_edited_copy_is_kept_beside_the_next_version(rig):
    """A published file that a person edited stays when its source is saved again; ours stands beside it, once."""
    rig.put("fox.png", png(1))
    rig.settle()
    (rig.publish / "fox.png").write_bytes(b"retouched by hand")
    rig.put("fox.png", png(2, size=9))
    rig.settle()
    assert (rig.publish / "fox.png").read_bytes() == b"retouched by hand"
    assert (rig.publish / "fox (shaded).png").read_bytes() == png(2, size=9) + b"shaded"
    rig.put("fox.png", png(3, size=10))
    rig.settle()
    assert (rig.publish / "fox (shaded).png").read_bytes() == png(3, size=10) + b"shaded"
    assert not (rig.publish / "fox (shaded 2).png").exists()


def test_an_edit_in_the_last_moment_is_kept(rig, monkeypatch):
    """A published file that is edited while the next version is being copied is not overwritten."""
    rig.put("fox.png", png(1))
    rig.settle()
    real = atomic._copy

    def copying(*place):
        (rig.publish / "fox.png").write_bytes(b"retouched by hand")
        return real(*place)

    monkeypatch.setattr(atomic, "_copy", copying)
    rig.put("fox.png", png(2, size=9))
    rig.settle()
    assert (rig.publish / "fox.png").read_bytes() == b"retouched by hand"
    assert (rig.publish / "fox (shaded).png").read_bytes() == png(2, size=9) + b"shaded"


def test_an_edit_between_the_two_renames_is_kept(rig, monkeypatch):
    """The same when the edit comes after the new sidecar and before the new picture."""
    rig.put("fox.png", png(1))
    rig.settle()
    real = os.rename

    def renaming(source, target, **folders):
        real(source, target, **folders)
        if target == "fox.png.shaded.json":
            (rig.publish / "fox.png").write_bytes(b"retouched by hand")

    monkeypatch.setattr(atomic.os, "rename", renaming)
    rig.put("fox.png", png(2, size=9))
    rig.settle()
    assert (rig.publish / "fox.png").read_bytes() == b"retouched by hand"
    assert (rig.publish / "fox (shaded).png").exists()


def test_a_result_is_used_again_after_a_restart(rig):
    """The same content under another name, after a restart, is published from the finished file without shading."""
    rig.put("fox.png", png(1))
    rig.settle()
    rig.restart()
    rig.put("deep/er/wolf.png", png(1))
    rig.settle()
    assert rig.published() == ["deep/er/wolf.png", "fox.png"]
    assert len(rig.executor.submitted) == 1


def test_a_source_saved_over_after_its_result_came_is_done_again(make_rig):
    """A picture that changes between the end of shading and publishing: its new form is published in the end."""
    rig = make_rig()
    rig.executor.automatic = False
    rig.put("fox.png", png(1))
    rig.settle()
    rig.executor.work()
    rig.put("fox.png", png(2, size=9))
    rig.settle(20)
    rig.executor.automatic = True
    rig.settle(20)
    assert (rig.publish / "fox.png").read_bytes() == png(2, size=9) + b"shaded"
    assert rig.published() == ["fox.png"]


def test_a_foreign_sidecar_alone_is_kept(rig):
    """Somebody's file under the sidecar's name alone makes ours take another name."""
    (rig.publish / "fox.png.shaded.json").write_text("my notes")
    rig.put("fox.png")
    rig.settle()
    assert (rig.publish / "fox.png.shaded.json").read_text() == "my notes"
    assert (rig.publish / "fox (shaded).png").exists()


def test_a_pair_that_stands_already_is_left_as_it_is(tmp_path):
    """The program ended after publishing and before noting so: the next one finds the very pair and writes nothing."""
    picture = tmp_path / "render.png"
    picture.write_bytes(b"pixels")
    beside = sidecar_path(picture)
    beside.write_text(a_sidecar().to_json(), "utf-8")
    publish = tmp_path / "pub"
    publish.mkdir()
    names = Names()
    target = atomic.publish_pair(picture, beside, publish, "fox.png", names.of())
    before = [path.stat() for path in (target, sidecar_path(target))]
    assert atomic.publish_pair(picture, beside, publish, "fox.png", names.of()) == target
    after = [path.stat() for path in (target, sidecar_path(target))]
    assert [(s.st_ino, s.st_ctime_ns) for s in before] == [(s.st_ino, s.st_ctime_ns) for s in after]
