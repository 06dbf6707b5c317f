from __future__ import annotations

import sys
from pathlib import Path, PurePath

import pytest

from shaded.outbox.mounts import Mount, is_shared, mount_of, parse_listing, parse_mountinfo, read_mounts, way_of

LAPTOP = """\
22 29 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:5 - proc proc rw
29 1 254:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw,errors=remount-ro
40 29 8:1 / /home rw,relatime shared:7 - btrfs /dev/sda1 rw,space_cache=v2,subvol=/home
51 40 0:50 / /home/ann/my\\040share rw,relatime shared:9 - cifs //nas/my\\040art rw,vers=3.1.1
52 40 0:51 / /home/ann/fuse rw,nosuid,nodev - fuse.sshfs ann@host:/art rw,user_id=1000
53 29 0:52 / /mnt/back\\134slash rw - nfs4 nas:/art rw
60 29 8:17 / /media/ann/USB rw,nosuid - fuseblk /dev/sdb1 rw,blksize=4096
"""


@pytest.mark.parametrize(
    ("path", "kind", "source"),
    [
        ("/etc", "ext4", "/dev/mapper/vg-root"),
        ("/home/ann/out", "btrfs", "/dev/sda1"),
        ("/homes/out", "ext4", "/dev/mapper/vg-root"),
        ("/home/ann/my share/out", "cifs", "//nas/my art"),
        ("/home/ann/my share", "cifs", "//nas/my art"),
        ("/home/ann/fuse/x", "fuse.sshfs", "ann@host:/art"),
        ("/mnt/back\\slash/x", "nfs4", "nas:/art"),
        ("/media/ann/USB/x", "fuseblk", "/dev/sdb1"),
    ],
)
def test_the_mount_of_a_path_is_the_longest_one_above_it(path, kind, source):
    """Whole names count, and the kernel's escapes in points and sources are undone."""
    found = mount_of(PurePath(path), parse_mountinfo(LAPTOP))
    assert (found.kind, found.source) == (kind, source)


def test_of_two_mounts_at_one_point_the_later_one_is_seen():
    """A share mounted over a local folder that was a mount itself hides it, in whatever order the table lists them."""
    lines = [
        "1 0 8:1 / / rw - ext4 /dev/sda rw",
        "2 1 8:2 / /out rw - xfs /dev/sdb rw",
        "3 2 0:9 / /out rw - nfs4 nas:/art rw",
    ]
    for order in (lines, lines[::-1]):
        assert mount_of(PurePath("/out/a"), parse_mountinfo("\n".join(order))).kind == "nfs4"


def test_a_mount_hidden_below_a_later_one_is_not_seen():
    """What is mounted at /a/b is out of sight once something is mounted at /a, though its point is longer."""
    text = """\
1 0 8:1 / / rw - ext4 /dev/sda rw
2 1 0:8 / /a/b rw - cifs //nas/b rw
3 1 8:2 / /a rw - xfs /dev/sdb rw
"""
    assert mount_of(PurePath("/a/b/c"), parse_mountinfo(text)).kind == "xfs"


def test_a_container_sees_its_bind_mounts():
    """In a container the root is an overlay, and a bound folder is on the host's file system or what passes it on."""
    text = """\
700 600 0:70 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
701 700 8:1 /home/ann/out /outbox rw,relatime - ext4 /dev/sda1 rw
702 700 0:71 / /mac rw,nosuid - fakeowner /run/host_mark/Users rw
703 700 0:72 / /vm rw,relatime - virtiofs share rw
"""
    mounts = parse_mountinfo(text)
    assert [mount_of(PurePath(path), mounts).kind for path in ("/x", "/outbox/x", "/mac/x", "/vm")] == [
        "overlay",
        "ext4",
        "fakeowner",
        "virtiofs",
    ]


@pytest.mark.parametrize("text", ["", "nonsense", "a b c - d", "1 0 8:1 / / rw", "x 0 8:1 / / rw - ext4 /dev/sda rw"])
def test_lines_of_another_shape_are_passed_over(text):
    """A table that cannot be read is an empty one, and then no mount is known."""
    assert parse_mountinfo(text) == ()
    assert mount_of(PurePath("/a"), parse_mountinfo(text)) is None


def test_a_table_that_is_no_tree_ends():
    """Mounts that are each other's parents cannot make the search go on for ever."""
    text = "1 2 8:1 / / rw - ext4 /dev/sda rw\n2 1 8:2 / /a rw - xfs /dev/sdb rw\n"
    assert mount_of(PurePath("/a"), parse_mountinfo(text)) is None
    text += "7 7 8:3 / / rw - ext4 /dev/sdc rw\n"
    assert mount_of(PurePath("/a"), parse_mountinfo(text)).source == "/dev/sdc"


def test_the_listing_of_macos_is_read():
    """Source, point and type are taken from what `mount` prints, with spaces in names; the longest point wins."""
    text = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//ann@nas._smb._tcp.local/my%20art on /Volumes/my art (smbfs, nodev, nosuid, mounted by ann)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""
    mounts = parse_listing(text)
    assert [mount.kind for mount in mounts] == ["apfs", "apfs", "smbfs", "autofs"]
    assert mount_of(PurePath("/Volumes/my art/out"), mounts).source == "//ann@nas._smb._tcp.local/my%20art"
    assert mount_of(PurePath("/Users/ann"), mounts).source == "/dev/disk3s1s1"


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "virtiofs",
        "drvfs",
        "afs",
        "ceph",
        "glusterfs",
        "fuse",
        "fuse.sshfs",
        "fuse.rclone",
        "fuse.glusterfs",
        "fuse.vmhgfs-fuse",
        "fuse.grpcfuse",
        "vboxsf",
        "prl_fs",
        "afpfs",
        "webdav",
        "ocfs2",
        "fakeowner",
    ],
)
def test_shares_are_polled(kind):
    """Where others write behind the kernel's back, the folder is looked through again and again."""
    mount = Mount(PurePath("/out"), kind, "there")
    assert is_shared(mount)
    way = way_of("auto", mount)
    assert way.polling
    assert kind in way.why


@pytest.mark.parametrize(
    "kind",
    [
        "ext4",
        "btrfs",
        "xfs",
        "zfs",
        "f2fs",
        "tmpfs",
        "overlay",
        "vfat",
        "exfat",
        "ntfs3",
        "fuseblk",
        "fuse.gocryptfs",
        "apfs",
        "hfs",
        "bcachefs",
    ],
)
def test_local_disks_send_events(kind):
    """Every change on them goes through this kernel."""
    assert not way_of("auto", Mount(PurePath("/out"), kind, "/dev/sda")).polling


def test_the_setting_wins_and_says_so():
    """Whoever knows better is believed, and status names the setting."""
    share, disk = Mount(PurePath("/"), "nfs", "s"), Mount(PurePath("/"), "ext4", "d")
    assert not way_of("native", share).polling
    assert way_of("polling", disk).polling
    assert 'events = "polling"' in way_of("polling", disk).why


def test_an_unknown_file_system_is_tried_with_events():
    """Where the mounts cannot be told, events are tried; the scans are there all the same."""
    assert not way_of("auto", None).polling


def test_a_mount_survives_being_stored():
    """What is remembered of a mount is the same mount again; other texts are none."""
    mount = Mount(PurePath("/a b"), "cifs", "//nas/\udcff")
    assert Mount.from_text(mount.to_text()) == mount
    assert [Mount.from_text(text) for text in ("", "[]", "{}", "[1", '["a"]', "3")] == [None] * 6


def test_the_systems_own_table_is_read():
    """On this machine the root folder's file system is known."""
    if sys.platform not in ("linux", "darwin"):
        pytest.skip("no table of mounts is known here")
    mounts = read_mounts()
    assert mount_of(PurePath("/"), mounts) is not None
    if Path("/proc/self").exists():
        assert mount_of(PurePath("/proc/self/fd"), mounts).kind == "proc"


@pytest.mark.parametrize("text", ["[" * 100_000, "x", "1e999", "[1]", "", '{"a": 1}'])
def test_a_text_that_is_no_mount_is_none(text):
    """Whatever stands where a mount was remembered, it is read as nothing and ends nobody."""
    assert Mount.from_text(text) is None
