"""How much memory may still be taken on this machine: what the system says, and what a control group allows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_COUNTERS = Path("/proc/vmstat")
#: A limit of control groups of the first version that means "none" is a number of pages near 2**63.
_NO_LIMIT = 1 << 60

#: For each version: the files with the limit and with what is used, and what stands before the lines of
#: ``memory.stat`` for pages of files, which are given back before anything runs out.
_SECOND = ("memory.max", "memory.current", "")
_FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")


def available_bytes(reserve: int, groups: Path = _GROUPS, own: Path = _OWN_GROUPS) -> int:
    """What can be taken now without swapping and without meeting the limit of any control group around this process.

    Args:
        reserve: So many bytes of the machine's memory are left to other programs. Those of a control group's are not:
            what it holds is there for this program.
        groups: See :func:`group_rooms`.
        own: See :func:`group_rooms`.
    """
    system = int(psutil.virtual_memory().available)
    return min([system - reserve, *group_rooms(groups, own)])


def total_bytes() -> int:
    """The machine's memory."""
    return int(psutil.virtual_memory().total)


def group_rooms(groups: Path = _GROUPS, own: Path = _OWN_GROUPS) -> list[int]:
    """What each control group around this process that has a limit lets through, in bytes; none outside Linux.

    Args:
        groups: Where the control groups' file system is mounted.
        own: Names this process's groups (cgroups(7), ``/proc/[pid]/cgroup``).
    """
    found = []
    with suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                found += _rooms_up(groups, path, _SECOND)
            elif "memory" in controllers.split(","):
                found += _rooms_up(groups / "memory", path, _FIRST)
    return found


def _rooms_up(mounted: Path, path: str, files: tuple[str, str, str]) -> list[int]:
    """The group's own room and that of every group above it: each of them may have a limit."""
    here = mounted / path.lstrip("/")
    rooms = [_room(group, *files) for group in (here, *here.parents) if group.is_relative_to(mounted)]
    return [room for room in rooms if room is not None]


def _room(group: Path, limit: str, used: str, prefix: str) -> int | None:
    try:
        most = int((group / limit).read_text())
        if most >= _NO_LIMIT:
            return None
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        files = sum(int(statistics.get(f"{prefix}{kind}_file", "0")) for kind in ("active", "inactive"))
        return max(0, most - int((group / used).read_text()) + files)
    except (OSError, ValueError):  # "max" is no number
        return None


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
