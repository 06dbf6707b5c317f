"""Days of a daemon's life under a fake clock: whatever happens, all is published once in the end."""

from __future__ import annotations

import sys

import pytest

from tests.reliability.simulation import Day


def _live(base, seed):
    day = Day(base, seed)
    try:
        day.live()
        day.end()
        renders, contents = day.look_at_the_end()
    finally:
        day.close()
    sys.stdout.write(
        f"seed {seed}: {len(day.saved)} pictures at the end, {contents} contents, {renders} renders, "
        f"{day.rig.executor.deaths} deaths of the worker, {dict(day.happened)}\n"
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
def test_a_day(tmp_path, seed):
    """After a day of arrivals, edits, deletions, kills, sleeps and full disks every picture is published, once."""
    _live(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 112))
def test_twelve_days(tmp_path, seed):
    """The same for twelve days."""
    _live(tmp_path, seed)
