from __future__ import annotations

import pytest

from shaded.daemon.executors import limits_of, start_message
from shaded.settings import Scheduling, Settings


@pytest.mark.parametrize(("per_gpu", "devices"), [(1, [0, 1, 2, 3]), (2, [0, 0, 1, 1])])
def test_workers_are_dealt_to_gpus_as_the_pool_counts_them(per_gpu, devices):
    """The first few workers are told the first GPU, and so on; the pool knows by how many."""
    settings = Settings(scheduling=Scheduling(workers_per_gpu=per_gpu))
    assert [start_message(settings, number).device_index for number in range(4)] == devices
    assert limits_of(settings).per_gpu == per_gpu


def test_the_workers_limit_is_never_more_than_the_machine_could_give(monkeypatch):
    """What the user allows counts, or what there could be at most beside the reserve, whichever is less."""
    asked = []
    monkeypatch.setattr("shaded.daemon.executors.total_bytes", lambda: 8_000)
    monkeypatch.setattr("shaded.daemon.executors.most_bytes", lambda reserve: asked.append(reserve) or 3_000)
    limits = [
        limits_of(Settings(scheduling=Scheduling(memory_limit=share, memory_reserve="25 %"))).allowance.limit
        for share in ("100 %", "25 %")
    ]
    assert limits == [3_000, 2_000]
    assert asked == [2_000, 2_000]
