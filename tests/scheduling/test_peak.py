from __future__ import annotations

import sys

import numpy as np
import pytest

from shaded.scheduling import peak
from shaded.scheduling.available import resident_bytes
from shaded.scheduling.peak import begin_counting, give_back, peak_bytes

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
    assert resident_bytes(None) == 0


def test_where_nothing_can_be_read_the_systems_own_count_is_taken(tmp_path, monkeypatch):
    """Without the kernel's files the peak since the start is told, and counting anew changes nothing."""
    monkeypatch.setattr(peak, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(peak, "_CLEAR", tmp_path / "none" / "none")
    begin_counting()
    assert peak_bytes() > 10 * MEGABYTE
