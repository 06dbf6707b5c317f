"""Who may read what is published: as for any file that is saved there, by the umask and the folder."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
from contextlib import contextmanager
from pathlib import Path

import pytest

from shaded.publishing.atomic import publish_pair
from shaded.publishing.ownership import Unrecorded
from shaded.publishing.sidecar import sidecar_path
from shaded.scheduling.published import write_anchor
from tests.publishing.names import Names
from tests.publishing.sidecars import a_sidecar

pytestmark = pytest.mark.real_disk

#: The extended attributes that hold a folder's default ACL and a file's own (acl(5); linux/posix_acl_xattr.h).
DEFAULT, OWN = "system.posix_acl_default", "system.posix_acl_access"
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
SOMEBODY = 12345


@contextmanager
def umask(value):
    """Files are made under this umask."""
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=["same disk", "another disk"])
def publish(request, tmp_path):
    """A publish folder on the disk of the staging folder, and one on another."""
    if request.param == "same disk":
        folder = tmp_path / "publish"
        folder.mkdir()
        yield folder
        return
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk here")
    folder = other / f"shaded-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def staged(tmp_path):
    """A maker of pairs in a private staging folder, themselves private."""
    folder = tmp_path / "staging"
    folder.mkdir(mode=0o700)

    def make(pixels=b"pixels"):
        picture = folder / "render.png"
        picture.write_bytes(pixels)
        sidecar_path(picture).write_text(a_sidecar(pixels, "fox.png").to_json(), "utf-8")
        for path in (picture, sidecar_path(picture)):
            path.chmod(0o600)
        return picture, sidecar_path(picture)

    return make


@pytest.mark.parametrize(("mask", "file", "folder"), [
    (0o022, 0o644, 0o755), (0o002, 0o664, 0o775), (0o077, 0o600, 0o700), (0o027, 0o640, 0o750), (0o000, 0o666, 0o777),
])  # fmt: skip
def test_what_is_published_follows_the_umask(publish, staged, mask, file, folder):
    """Picture, sidecar and the folders above them, whatever the staged files' own permissions are."""
    with umask(mask):
        target = publish_pair(*staged(), publish, "animals/fox.png", Unrecorded())
    assert _mode(target) == _mode(sidecar_path(target)) == file
    assert _mode(target.parent) == folder


def test_a_newer_copy_follows_the_umask_too(publish, staged):
    """What takes the place of an earlier copy has the permissions of a new file."""
    names = Names()
    with umask(0o022):
        publish_pair(*staged(b"one"), publish, "fox.png", names.of())
    with umask(0o007):
        target = publish_pair(*staged(b"two"), publish, "fox.png", names.of())
    assert target.read_bytes() == b"two"
    assert _mode(target) == _mode(sidecar_path(target)) == 0o660


def test_a_setgid_folder_passes_its_group_on(publish, staged):
    """Picture, sidecar and folders have the group of the publish folder, and new folders pass it on again."""
    groups = [group for group in (SOMEBODY, *os.getgroups()) if group != os.getegid()]
    for group in groups:
        try:
            os.chown(publish, -1, group)
            break
        except PermissionError:
            continue
    else:
        pytest.skip("this user has one group only")
    publish.chmod(0o2775)
    with umask(0o002):
        target = publish_pair(*staged(), publish, "animals/fox.png", Unrecorded())
    assert {path.stat().st_gid for path in (target, sidecar_path(target), target.parent)} == {group}
    assert target.parent.stat().st_mode & stat.S_ISGID


def _acl(*entries):
    nobody = 0xFFFFFFFF
    packed = (struct.pack("<HHI", tag, rights, who or nobody) for tag, rights, who in entries)
    return struct.pack("<I", 2) + b"".join(packed)


def _entries(path):
    data = os.getxattr(path, OWN)
    return {(tag, who): rights for tag, rights, who in struct.iter_unpack("<HHI", data[4:])}


def test_a_folder_s_default_acl_is_inherited(publish, staged):
    """A person who may read everything that is put into the folder may read picture and sidecar, umask or not."""
    default = _acl((USER_OBJ, 7, 0), (USER, 5, SOMEBODY), (GROUP_OBJ, 5, 0), (MASK, 7, 0), (OTHER, 0, 0))
    try:
        os.setxattr(publish, DEFAULT, default)
    except (OSError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.EPERM):
            raise
        pytest.skip(f"there are no ACLs here ({error})")
    with umask(0o077):
        target = publish_pair(*staged(), publish, "animals/fox.png", Unrecorded())
    for path in (target, sidecar_path(target)):
        assert _entries(path)[USER, SOMEBODY] == 5
        assert _mode(path) == 0o660  # the middle is the ACL's mask
    assert os.getxattr(target.parent, DEFAULT) == os.getxattr(publish, DEFAULT)


def test_an_anchor_follows_the_umask(publish):
    """What `verify --anchor-out` writes does, too."""
    import numpy as np

    with umask(0o027):
        write_anchor(np.zeros((4, 4, 3), np.uint8), publish / "fox.png.anchor.png", "0" * 64)
    assert _mode(publish / "fox.png.anchor.png") == 0o640
