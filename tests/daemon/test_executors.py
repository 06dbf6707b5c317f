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
