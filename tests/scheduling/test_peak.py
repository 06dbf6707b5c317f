from __future__ import annotations

import mmap
import os
import sys

import numpy as np
import pytest

from shaded.scheduling import peak
from shaded.scheduling.available import private_bytes
from shaded.scheduling.peak import begin_counting, end_first, give_back, peak_bytes, private_peak_bytes

MEGABYTE = 1 << 20


def _use(megabytes: int) -> int:
    """Fill so much memory and let go of it."""
    return int(np.ones(megabytes * MEGABYTE, np.uint8)[:: 1 << 12].sum())


def test_the_peak_is_at_least_what_was_held():
    """Memory that was used and let go of counts."""
    begin_counting()
    before = peak_bytes()
    assert _use(200) > 0
    assert peak_bytes() >= before + 150 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak cannot be counted anew")
def test_each_picture_is_counted_by_itself():
    """Counted anew, what was held before is forgotten."""
    _use(300)
    high = peak_bytes()
    begin_counting()
    assert peak_bytes() < high - 200 * MEGABYTE
    give_back()
    assert private_bytes(None) == 0


def test_where_nothing_can_be_read_the_systems_own_count_is_taken(tmp_path, monkeypatch):
    """Without the kernel's files the peak since the start is told, and counting anew changes nothing."""
    monkeypatch.setattr(peak, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(peak, "_CLEAR", tmp_path / "none" / "none")
    begin_counting()
    assert peak_bytes() > 10 * MEGABYTE
    assert private_peak_bytes() == peak_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere pages of files cannot be told apart")
def test_pages_of_files_are_not_counted_as_a_processs_own(tmp_path):
    """A file that is mapped and read through adds to what is resident and not to what is held; memory adds to both."""
    path = tmp_path / "large"
    path.write_bytes(bytes(200 * MEGABYTE))
    begin_counting()
    resident, own = peak_bytes(), private_peak_bytes()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[:: 1 << 12]) == 0
        assert peak_bytes() > resident + 150 * MEGABYTE
        assert private_peak_bytes() < own + 50 * MEGABYTE
        assert private_bytes(os.getpid()) < own + 50 * MEGABYTE
    _use(200)
    assert private_peak_bytes() > own + 150 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux chooses so")
def test_a_worker_is_ended_rather_than_others_where_memory_runs_out(tmp_path, monkeypatch):
    """Its score is raised, and never lowered."""
    score = tmp_path / "oom_score_adj"
    monkeypatch.setattr(peak, "_ADJUSTMENT", score)
    for before, after in [("0\n", "500"), ("900\n", "900"), ("-200\n", "500")]:
        score.write_text(before)
        end_first()
        assert score.read_text().strip() == after
    score.unlink()
    end_first()
    assert not score.exists()
