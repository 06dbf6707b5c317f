from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path, PurePath

import pytest

from shaded.outbox import roots
from shaded.outbox.ignore import IgnoreRules
from shaded.outbox.mounts import Mount
from shaded.outbox.roots import MARKER, Root, ShortMemory, Sight, judge, see, write_marker

DISK = Mount(PurePath("/"), "ext4", "/dev/sda1")
SHARE = Mount(PurePath("/mnt/art"), "cifs", "//nas/art")
OTHER_SHARE = Mount(PurePath("/mnt/art"), "ext4", "/dev/sda1")
DEEP = Mount(PurePath("/mnt/art/out"), "ext4", "/dev/sdb1")

EMPTY, FULL, MARKED = Sight((1, 2), empty=True), Sight((1, 2)), Sight((1, 2), marked=True)


PLAIN_EMPTY, PLAIN_FULL = Sight((1, 2), marked=None, empty=True), Sight((1, 2), marked=None)


@pytest.mark.parametrize(
    ("sight", "mount", "remembered", "there", "mark"),
    [
        pytest.param(EMPTY, DISK, None, True, True, id="first use of an empty folder"),
        pytest.param(FULL, DISK, None, True, True, id="first use of a full folder"),
        pytest.param(MARKED, SHARE, None, True, False, id="marked by an earlier installation"),
        pytest.param(MARKED, DISK, SHARE, True, False, id="a marker is enough"),
        pytest.param(EMPTY, DISK, SHARE, False, False, id="unmounted"),
        pytest.param(FULL, DISK, SHARE, True, False, id="unmounted, and somebody saves into the mount point"),
        pytest.param(EMPTY, SHARE, SHARE, True, True, id="made anew on the same share"),
        pytest.param(EMPTY, DISK, DISK, True, True, id="made anew on the system's disk"),
        pytest.param(FULL, DISK, DISK, True, True, id="made anew, and full"),
        pytest.param(EMPTY, DEEP, SHARE, True, True, id="an empty disk was mounted upon it"),
        pytest.param(EMPTY, OTHER_SHARE, SHARE, False, False, id="a container whose host has unmounted the share"),
        pytest.param(FULL, OTHER_SHARE, SHARE, True, True, id="another disk at the same point"),
        pytest.param(EMPTY, None, "", False, False, id="empty, and mounts are not known"),
        pytest.param(FULL, None, "", True, True, id="full, and mounts are not known"),
        pytest.param(EMPTY, None, SHARE, False, False, id="empty, and the mount is not known now"),
        pytest.param(PLAIN_EMPTY, DISK, None, True, False, id="a folder without markers, used first"),
        pytest.param(PLAIN_EMPTY, DISK, DISK, True, False, id="without markers, empty as before"),
        pytest.param(PLAIN_EMPTY, DISK, SHARE, False, False, id="without markers, unmounted"),
        pytest.param(PLAIN_FULL, OTHER_SHARE, SHARE, True, False, id="without markers, another disk at the same point"),
        pytest.param(Sight(trouble="gone"), None, None, False, False, id="cannot be opened"),
        pytest.param(Sight(trouble="gone"), DISK, DISK, False, False, id="cannot be opened any more"),
    ],
)
def test_missing_is_told_from_empty(sight, mount, remembered, there, mark):
    """The rule, case by case: whether the folder is the outbox, and whether it is marked."""
    text = remembered.to_text() if isinstance(remembered, Mount) else remembered
    verdict = judge(sight, mount, text)
    assert (verdict.there, verdict.mark) == (there, mark)
    assert bool(verdict.why) == (not there or (mount == DISK and remembered == SHARE and sight is FULL))


def test_a_missing_outbox_says_which_disk_to_mount():
    """The sentence names the share, where it belongs, and what to do when the folder is right after all."""
    why = judge(EMPTY, DISK, SHARE.to_text()).why
    assert "//nas/art (cifs) at /mnt/art is not mounted" in why
    assert MARKER in why
    assert "put a picture into the folder" in why


class World:
    """A folder, what it is mounted on, and a root over it."""

    def __init__(self, base: Path) -> None:
        self.path = base / "outbox"
        self.path.mkdir()
        self.mounts = [DISK]
        self.asked = 0
        self.memory = ShortMemory()
        self.root = self.fresh()

    def fresh(self) -> Root:
        """As after a restart."""
        return Root(self.path, self.memory, self.table)

    def table(self):
        self.asked += 1
        return self.mounts

    def names(self) -> list[str]:
        return sorted(found.name for found in self.path.iterdir())

    def there(self) -> bool:
        return self.root.look()[0].there


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_the_first_look_marks_the_folder_and_remembers_its_mount(world):
    """The marker explains itself to whoever opens it, and nothing else in the folder is touched."""
    (world.path / "a.png").write_bytes(b"picture")
    assert world.root.look() == (roots.Verdict(there=True, mark=True), True)
    assert world.names() == [MARKER, "a.png"]
    assert "never shaded" in (world.path / MARKER).read_text()
    assert world.memory.recall() == DISK.to_text()


def test_a_folder_that_others_see_is_never_marked(world):
    """A publish folder is known by its mount alone; the sentence about a missing one names no marker."""
    plain = Root(world.path, world.memory, world.table, marks=False)
    assert plain.look()[0].there
    assert world.names() == []
    world.memory.remember(Mount(PurePath(world.path), "cifs", "//nas/art").to_text())
    verdict, _ = Root(world.path, world.memory, world.table, marks=False).look()
    assert not verdict.there
    assert "//nas/art" in verdict.why
    assert MARKER not in verdict.why
    assert world.names() == []


def test_the_marker_is_never_taken_for_a_picture():
    """It is ignored by a rule that names it."""
    assert MARKER in IgnoreRules().ignored(PurePath(MARKER))


def test_looking_again_costs_no_look_at_the_mounts(world):
    """As long as the same marked folder stands there the table of mounts is not read."""
    world.root.look()
    world.root.look()
    asked = world.asked
    for _ in range(5):
        assert world.there()
    assert world.asked == asked


def test_a_deleted_folder_is_missing_and_works_when_it_is_made_again(world):
    """On the same disk an empty folder without marker is the user's own doing; it is marked again."""
    world.root.look()
    shutil.rmtree(world.path)
    verdict, _ = world.root.look()
    assert not verdict.there
    assert "make it again" in verdict.why
    world.path.mkdir()
    assert world.there()
    assert (world.path / MARKER).exists()


def test_a_deleted_marker_is_written_again(world):
    """Tidying up is no reason to call a folder missing."""
    world.root.look()
    (world.path / MARKER).unlink()
    assert world.there()
    assert (world.path / MARKER).exists()


def test_an_unmounted_share_is_missing_also_after_a_restart(world):
    """What is remembered outlives the process; the empty mount point is neither taken nor marked."""
    share = Mount(PurePath(world.path), "cifs", "//nas/art")
    world.mounts = [DISK, share]
    assert world.there()
    (world.path / MARKER).unlink()
    world.mounts = [DISK]
    for root in (world.root, world.fresh()):
        world.root = root
        assert not world.there()
        assert world.names() == []
    world.mounts = [DISK, share]
    write_marker(world.path)
    assert world.there()


def test_saving_into_an_empty_mount_point_is_taken_and_said(world):
    """Pictures are not left lying; the warning stays until the share is back, and no marker is written there."""
    share = Mount(PurePath(world.path), "cifs", "//nas/art")
    world.mounts = [DISK, share]
    world.root.look()
    (world.path / MARKER).unlink()
    world.mounts = [DISK]
    (world.path / "a.png").write_bytes(b"picture")
    verdict, _ = world.root.look()
    assert verdict.there
    assert "not mounted" in verdict.why
    assert world.names() == ["a.png"]
    assert world.memory.recall() == share.to_text()


def test_hidden_files_do_not_make_a_mount_point_full(world):
    """Desktop leftovers and lost+found are nothing to shade."""
    (world.path / ".DS_Store").write_bytes(b"x")
    (world.path / "lost+found").mkdir()
    assert see(world.path).empty
    (world.path / "a.png").write_bytes(b"x")
    assert not see(world.path).empty


def test_another_folder_at_the_same_path_is_noticed(world, tmp_path):
    """The second value says that a fresh observer is needed."""
    world.root.look()
    assert world.root.look()[1] is False
    world.path.rename(tmp_path / "kept")
    world.path.mkdir()
    assert world.root.look()[1] is True


def test_a_read_only_folder_is_known_by_its_mount(world, monkeypatch):
    """Without a marker it works, status can say so, and an unmounted disk is still told from an empty one."""

    def refuse(_root):
        raise OSError(errno.EROFS, "Read-only file system")

    share = Mount(PurePath(world.path), "nfs4", "nas:/art")
    world.mounts = [DISK, share]
    monkeypatch.setattr(roots, "write_marker", refuse)
    assert world.there()
    assert world.there()
    assert world.root.unmarkable == "Read-only file system"
    world.mounts = [DISK]
    assert not world.there()
    world.mounts = [DISK, share]
    assert world.there()


def test_denied_permission_is_missing_with_what_to_do(world, monkeypatch):
    """The system's refusal becomes an advice, and nothing else changes."""
    real = os.open

    def refusing(path, flags, *more, **named):
        if os.fspath(path) == os.fspath(world.path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *more, **named)

    world.root.look()
    monkeypatch.setattr(roots.os, "open", refusing)
    verdict, _ = world.root.look()
    assert not verdict.there
    assert "chmod" in verdict.why
    monkeypatch.undo()
    assert world.there()


@pytest.mark.parametrize(("number", "said"), [(errno.ESTALE, "Stale file handle"), (errno.EIO, "Input/output error")])
def test_a_dead_share_is_missing(world, monkeypatch, number, said):
    """Whatever the system says of a share whose server is gone, the outbox is missing and the words are passed on."""

    def refusing(*_more, **_named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(roots.os, "open", refusing)
    verdict, _ = world.root.look()
    assert not verdict.there
    assert said in verdict.why


def test_a_file_at_the_outboxs_path_is_said(world):
    """A file that took the folder's place is not deleted, only told of."""
    world.path.rmdir()
    world.path.write_bytes(b"x")
    verdict, _ = world.root.look()
    assert not verdict.there
    assert "no folder" in verdict.why


def test_whatever_bears_the_markers_name_is_left_alone(world, tmp_path):
    """A link of that name counts as a marker and is not followed."""
    (world.path / MARKER).symlink_to(tmp_path / "victim")
    assert world.there()
    write_marker(world.path)
    assert not (tmp_path / "victim").exists()
