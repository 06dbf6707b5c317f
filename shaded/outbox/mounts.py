"""Which file system a folder is on, and whether changes made elsewhere send events here.

inotify, FSEvents and kqueue tell of what this machine's kernel does to a file. On a network share, and on a folder
that a virtual machine or a FUSE program shows from elsewhere, others write too, and nothing is heard of that.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

_MOUNTINFO = Path("/proc/self/mountinfo")
_LISTING = "/sbin/mount"

#: Types of file systems on which others write behind this kernel's back: network shares, clusters, and what virtual
#: machines and containers pass through (9p also is WSL's drvfs; fakeowner and grpcfuse are Docker Desktop's).
SHARED = frozenset((
    "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "fakeowner", "fuse", "gfs2",
    "glusterfs", "gpfs", "grpcfuse", "lustre", "macfuse", "mfs", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "osxfs",
    "osxfuse", "panfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "webdav",
))  # fmt: skip
#: FUSE file systems over a local disk, whose every change goes through this kernel.
_LOCAL_FUSE = frozenset({"fuseblk", "fuse.ntfs-3g", "fuse.gocryptfs", "fuse.cryfs", "fuse.encfs", "fuse.exfat"})


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system.

    Attributes:
        point: Where it is mounted.
        kind: Its type, such as ``ext4``, ``nfs4``, ``fuse.sshfs``.
        source: What is mounted, such as ``/dev/sda1`` or ``//nas/art``.
        number: Its number in the table, and ``parent`` the number of the one that its point is in; 0 where not told.
    """

    point: PurePath
    kind: str
    source: str
    number: int = 0
    parent: int = 0

    def to_text(self) -> str:
        """What tells this mount from others, to be stored."""
        return json.dumps([str(self.point), self.kind, self.source])

    @classmethod
    def from_text(cls, text: str) -> Mount | None:
        """Read :meth:`to_text` again; ``None`` for anything else."""
        try:
            point, kind, source = json.loads(text)
            return cls(PurePath(point), kind, source)
        except (ValueError, TypeError, RecursionError):
            return None

    def __str__(self) -> str:
        """For a person."""
        return f"{self.source} ({self.kind}) at {self.point}"


def _unescaped(word: str) -> str:
    r"""Undo the kernel's escapes: ``\040`` for a space, ``\011``, ``\012`` and ``\134``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), word)


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Read ``/proc/self/mountinfo`` (proc_pid_mountinfo(5)); lines of another shape are passed over."""
    mounts = []
    for line in text.split("\n"):
        left, dash, right = line.partition(" - ")
        before, after = left.split(" "), right.split(" ")
        if not dash or len(before) < 6 or len(after) < 2 or not (before[0].isdecimal() and before[1].isdecimal()):
            continue
        point, source = PurePath(_unescaped(before[4])), _unescaped(after[1])
        mounts.append(Mount(point, after[0], source, int(before[0]), int(before[1])))
    return tuple(mounts)


def parse_listing(text: str) -> tuple[Mount, ...]:
    """Read what ``mount`` prints on macOS and the BSDs: ``SOURCE on POINT (TYPE, options)``."""
    lines = (re.fullmatch(r"(.+?) on (/.*) \(([^,()]+)[^()]*\)", line) for line in text.splitlines())
    return tuple(Mount(PurePath(found[2]), found[3].strip(), found[1]) for found in lines if found)


def mount_of(path: PurePath, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that an absolute path without links lies on.

    The way a path is looked up: from a mount one goes over to the first one that is met on the way and has it as
    its parent. So of two at one point the later one is found, and none that is hidden below another. Where the table
    does not tell parents, the longest point wins, and the last of equals.
    """
    above = [mount for mount in mounts if path.is_relative_to(mount.point)]
    numbers = {mount.number for mount in mounts if mount.number}
    if not numbers:
        return max(reversed(above), key=_depth, default=None)
    tops = [mount for mount in above if mount.parent not in numbers or mount.parent == mount.number]
    here = max(reversed(tops), key=_depth, default=None)
    for _ in above:  # each step goes to another mount, unless the table is no tree
        on_the_way = [m for m in above if here is not None and m.parent == here.number and m.number != here.number]
        if not on_the_way:
            break
        here = min(on_the_way, key=_depth)
    return here


def _depth(mount: Mount) -> int:
    return len(mount.point.parts)


def read_mounts() -> tuple[Mount, ...]:
    """The system's table; empty where it cannot be had."""
    with suppress(OSError):
        return parse_mountinfo(_MOUNTINFO.read_bytes().decode("utf-8", "surrogateescape"))
    try:
        done = subprocess.run([_LISTING], capture_output=True, check=False, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_listing(done.stdout.decode("utf-8", "surrogateescape"))


#: Tells the system's table of mounts; tests put their own in.
Table = Callable[[], Sequence[Mount]]


def is_shared(mount: Mount) -> bool:
    """Whether others may write on it without any event here."""
    return mount.kind in SHARED or (mount.kind.startswith(("fuse.", "macfuse")) and mount.kind not in _LOCAL_FUSE)


@dataclass(frozen=True, slots=True)
class Way:
    """How changes below a folder are noticed: by events or by looking again and again, and why so, as a clause."""

    polling: bool
    why: str


def way_of(wanted: str, mount: Mount | None) -> Way:
    """Choose for one folder.

    Args:
        wanted: ``folder.events``: "auto", "native" or "polling".
        mount: What the folder lies on, where that is known.
    """
    if wanted != "auto":
        return Way(wanted == "polling", f'the settings say events = "{wanted}"')
    if mount is None:
        return Way(polling=False, why="its file system is not known, and events are tried")
    if is_shared(mount):
        return Way(polling=True, why=f"it is on {mount.kind}, where changes from elsewhere send no events")
    return Way(polling=False, why=f"it is on {mount.kind}, a local file system")
