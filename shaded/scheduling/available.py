"""How much memory may still be taken on this machine: what the system says, and what a control group allows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_COUNTERS = Path("/proc/vmstat")
#: So much of a control group's limit is left: what a picture takes is foreseen to a tenth, and what goes over the limit
#: the kernel ends. A machine has the reserve for that.
_SPARE = 0.1
#: A limit of control groups of the first version that means "none" is a number of pages near 2**63.
_NO_LIMIT = 1 << 60

#: For each version: the files with limits (over ``memory.high`` nothing is ended, but everything crawls) and with what
#: is used, and what stands before the lines of ``memory.stat`` for pages of files, which are given back before that.
_Files = tuple[tuple[str, ...], str, str]
_SECOND: _Files = (("memory.max", "memory.high"), "memory.current", "")
_FIRST: _Files = (("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_")


def available_bytes(reserve: int, groups: Path = _GROUPS, own: Path = _OWN_GROUPS) -> int:
    """What can be taken now without swapping and without meeting the limit of any control group around this process.

    Args:
        reserve: So many bytes of the machine's memory are left to other programs. Of a control group's memory, which
            is there for this program, only a tenth is left.
        groups: See :func:`group_rooms`.
        own: See :func:`group_rooms`.
    """
    system = int(psutil.virtual_memory().available)
    return min([system - reserve, *group_rooms(groups, own)])


def total_bytes() -> int:
    """The machine's memory."""
    return int(psutil.virtual_memory().total)


def most_bytes(reserve: int, groups: Path = _GROUPS, own: Path = _OWN_GROUPS) -> int:
    """What could be taken if nothing else took any, beside what this process itself holds.

    Args:
        reserve: See :func:`available_bytes`.
        groups: See :func:`group_rooms`.
        own: See :func:`group_rooms`.
    """
    return min([total_bytes() - reserve, *group_limits(groups, own)]) - private_bytes(os.getpid())


@dataclass(frozen=True)
class _Group:
    """A control group with a limit, of either version.

    Attributes:
        limit: How much is to be held there at most, in bytes.
        folder: Its folder in the control groups' file system.
        used: The file there that tells what it holds.
        prefix: What stands before the lines of ``memory.stat``.
    """

    limit: int
    folder: Path
    used: str
    prefix: str

    @property
    def room(self) -> int | None:
        """What may still be taken there, in bytes; ``None`` where it does not tell."""
        with suppress(OSError, ValueError):
            statistics = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
            files = sum(int(statistics.get(f"{self.prefix}{kind}_file", "0")) for kind in ("active", "inactive"))
            return max(0, self.limit - int((self.folder / self.used).read_text()) + files)
        return None


def group_rooms(groups: Path = _GROUPS, own: Path = _OWN_GROUPS) -> list[int]:
    """What may still be taken in each control group around this process that has a limit, in bytes; none outside Linux.

    Args:
        groups: Where the control groups' file system is mounted.
        own: Names this process's groups (cgroups(7), ``/proc/[pid]/cgroup``).
    """
    return [room for group in _groups_around(groups, own) if (room := group.room) is not None]


def group_limits(groups: Path = _GROUPS, own: Path = _OWN_GROUPS) -> list[int]:
    """How much is to be held in each of those groups at most, in bytes; see :func:`group_rooms`."""
    return [group.limit for group in _groups_around(groups, own)]


def _groups_around(groups: Path, own: Path) -> list[_Group]:
    """The groups with a limit around this process: its own, and every one above."""
    found: list[_Group] = []
    with suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                found += _with_limits(groups, path, _SECOND)
            elif "memory" in controllers.split(","):
                found += _with_limits(groups / "memory", path, _FIRST)
    return found


def _with_limits(mounted: Path, path: str, files: _Files) -> Iterator[_Group]:
    here = mounted / path.lstrip("/")
    limits, used, prefix = files
    for folder in (here, *here.parents):
        if folder.is_relative_to(mounted):
            least = min(_limit(folder / limit) for limit in limits)
            if least < _NO_LIMIT:
                yield _Group(round((1 - _SPARE) * least), folder, used, prefix)


def _limit(file: Path) -> int:
    """What a file says, in bytes; the root has no such file, and "max" is no number."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return _NO_LIMIT


def private_bytes(pid: int | None) -> int:
    """What a process holds in memory now for itself alone; 0 for one that is gone, or none.

    Pages of files (on Linux) are not counted: processes share them, and the system drops them before memory runs out.
    """
    if pid is None:
        return 0
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))


def kernel_kills(counters: Path = _COUNTERS) -> int:
    """How often Linux ended a process because memory ran out, on this machine, since it was started; 0 elsewhere.

    Kills in control groups count too (proc_vmstat(5), ``oom_kill``).
    """
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in counters.read_text().splitlines() if line.startswith("oom_kill "))
        return int(line.split()[1])
    return 0


#: Tells what may still be taken beside a reserve; tests put their own in.
Available = Callable[[int], int]
#: Tells what a process holds.
Private = Callable[[int | None], int]
