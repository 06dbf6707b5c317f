from __future__ import annotations

import os

import psutil
import pytest

from shaded.scheduling.available import (
    available_bytes,
    group_limits,
    group_rooms,
    kernel_kills,
    most_bytes,
    private_bytes,
    total_bytes,
)

GB = 10**9


def group(folder, names, limit, used, cached):
    """A control group with these numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(
        "".join(f"{prefix}{kind}_file {cached // 2}\n" for prefix in ("", "total_") for kind in ("active", "inactive"))
    )


SECOND = ("memory.max", "memory.current")
FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes")


@pytest.fixture
def own(tmp_path):
    """Names the process's groups, of both versions."""
    path = tmp_path / "cgroup"
    path.write_text("5:cpu:/x\n4:memory:/box/inner\n0::/user.slice/shaded.service\n")
    return path


def test_the_nearest_limit_of_a_control_group_counts(tmp_path, own):
    """Pages of files are not counted as used, a group without a limit is passed over, and those above count too.

    A tenth of each limit is left.
    """
    group(tmp_path / "user.slice/shaded.service", SECOND, 5 * GB, 3 * GB, GB)
    group(tmp_path / "user.slice", SECOND, "max", 9 * GB, 0)
    assert group_rooms(tmp_path, own) == [2.5 * GB]
    group(tmp_path / "user.slice", SECOND, 10 * GB, 8 * GB, 0)
    assert group_rooms(tmp_path, own) == [2.5 * GB, GB]
    assert available_bytes(0, tmp_path, own) <= GB


def test_a_limit_over_which_everything_crawls_counts_like_one(tmp_path, own):
    """The lower of ``memory.high`` and ``memory.max`` is the group's."""
    folder = tmp_path / "user.slice/shaded.service"
    group(folder, SECOND, "max", GB, 0)
    (folder / "memory.high").write_text(f"{30 * GB}\n")
    assert (group_limits(tmp_path, own), group_rooms(tmp_path, own)) == ([27 * GB], [26 * GB])
    group(folder, SECOND, 20 * GB, GB, 0)
    assert group_limits(tmp_path, own) == [18 * GB]
    (folder / "memory.high").write_text("max\n")
    assert group_limits(tmp_path, own) == [18 * GB]


def test_control_groups_of_the_first_version(tmp_path, own):
    """Their limit counts alike; the number that means none is none; a group over its limit has no room."""
    group(tmp_path / "memory/box/inner", FIRST, 9223372036854771712, GB, 0)
    group(tmp_path / "memory/box", FIRST, 2 * GB, 3 * GB, 0)
    assert group_rooms(tmp_path, own) == [0]


def test_without_control_groups_the_system_is_asked(tmp_path):
    """Where none can be read, what the system says is what there is."""
    assert group_rooms(tmp_path, tmp_path / "missing") == []
    assert 0 < available_bytes(0, tmp_path, tmp_path / "missing") <= total_bytes()


def test_the_reserve_is_the_machines_and_not_a_control_groups(tmp_path, own):
    """In a small group on a large machine the reserve, a share of the machine, leaves the group's nine tenths alone."""
    group(tmp_path / "user.slice/shaded.service", SECOND, 100_000_000, 0, 0)
    spare = available_bytes(0, tmp_path, tmp_path / "missing")
    assert available_bytes(spare // 2, tmp_path, own) == 90_000_000
    assert available_bytes(spare // 2, tmp_path, tmp_path / "missing") < 0.6 * spare
    assert available_bytes(2 * spare, tmp_path, tmp_path / "missing") < 0


def test_the_most_there_could_ever_be_is_the_smallest_limit_beside_this_process(tmp_path, own):
    """What others use now does not count; the reserve is left, and what this process itself holds."""
    group(tmp_path / "user.slice/shaded.service", SECOND, 10**15, 3 * GB, GB)
    machine = most_bytes(0, tmp_path, own)
    assert total_bytes() - 10 * GB < machine < total_bytes() - 1_000_000
    assert most_bytes(total_bytes() // 2, tmp_path, own) < 0.6 * total_bytes()
    group(tmp_path / "user.slice", SECOND, total_bytes() // 4, total_bytes() // 8, 0)
    assert group_limits(tmp_path, own) == [9 * 10**14, round(0.9 * (total_bytes() // 4))]
    assert most_bytes(0, tmp_path, own) < total_bytes() // 4


def test_what_a_process_holds():
    """This process holds something; one that is gone, or none, holds nothing."""
    assert private_bytes(os.getpid()) > 1_000_000
    assert private_bytes(None) == 0
    assert private_bytes(max(psutil.pids()) + 10_000) == 0


def test_the_kernels_kills_are_counted(tmp_path):
    """The machine's own counter is read; where there is none, nothing was killed."""
    counters = tmp_path / "vmstat"
    assert kernel_kills(counters) == 0
    counters.write_text("pgfault 7\noom_kill 12\nnuma_hit 3\n")
    assert kernel_kills(counters) == 12
    counters.write_text("pgfault 7\n")
    assert kernel_kills(counters) == 0
    assert kernel_kills() >= 0
