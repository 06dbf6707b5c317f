from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.filestat import FileStat
from shaded.outbox.stability import StabilityTracker

FOX = Path("fox.png")
STAT = FileStat(size=100, mtime_ns=1, inode=7, device=1)
QUIET = 3.0


def tracker(longest: float = 100.0) -> StabilityTracker:
    return StabilityTracker(QUIET, longest)


def test_a_single_look_never_settles():
    """One look proves nothing, however much time passes."""
    tracked = tracker()
    tracked.note(FOX, STAT, 0.0)
    assert tracked.due(1000.0) == [FOX]
    assert tracked.take_settled() == []


def test_two_equal_looks_a_quiet_period_apart_settle():
    """A path settles at the second look, with the stat of both, and is handed over once."""
    tracked = tracker()
    tracked.note(FOX, STAT, 0.0)
    tracked.note(FOX, STAT, QUIET)
    assert tracked.take_settled() == [(FOX, STAT)]
    assert tracked.take_settled() == []
    assert FOX not in tracked


def test_looks_that_are_closer_than_the_quiet_period_do_not_settle():
    """Events that change nothing neither settle a path nor reset its clock."""
    tracked = tracker()
    for now in (0.0, 1.0, 2.0, 2.9):
        tracked.note(FOX, STAT, now)
    assert tracked.take_settled() == []
    assert tracked.next_deadline() == QUIET


@pytest.mark.parametrize(
    "changed",
    [
        replace(STAT, size=101),
        replace(STAT, mtime_ns=2),
        replace(STAT, inode=8),
        replace(STAT, device=2),
        replace(STAT, ctime_ns=5),
    ],
    ids=["size", "mtime", "inode", "device", "ctime"],
)
def test_any_difference_begins_the_quiet_period_anew(changed):
    """Size, both times, inode and device each count as a change."""
    tracked = tracker()
    tracked.note(FOX, STAT, 0.0)
    tracked.note(FOX, changed, QUIET)
    assert tracked.take_settled() == []
    assert tracked.next_deadline() == 2 * QUIET
    tracked.note(FOX, changed, 2 * QUIET)
    assert tracked.take_settled() == [(FOX, changed)]


def test_an_empty_file_waits_until_something_is_written():
    """A file of zero bytes never settles, and settles as usual once it has content."""
    tracked = tracker()
    empty = replace(STAT, size=0)
    for step in range(10):
        tracked.note(FOX, empty, step * QUIET)
    assert tracked.take_settled() == []
    assert tracked.next_deadline() == 10 * QUIET
    tracked.note(FOX, STAT, 30.0)
    tracked.note(FOX, STAT, 33.0)
    assert tracked.take_settled() == [(FOX, STAT)]


def test_a_vanished_path_is_dropped():
    """A path that is gone is tracked no more, even if it had just settled."""
    tracked = tracker()
    tracked.note(FOX, STAT, 0.0)
    tracked.note(FOX, None, 1.0)
    assert len(tracked) == 0
    tracked.note(FOX, STAT, 2.0)
    tracked.note(FOX, STAT, 5.0)
    tracked.note(FOX, None, 6.0)
    assert tracked.take_settled() == []


def test_a_change_after_settling_and_before_handing_over_is_not_lost():
    """What settled but was changed before it was taken has to rest again."""
    tracked = tracker()
    tracked.note(FOX, STAT, 0.0)
    tracked.note(FOX, STAT, 3.0)
    tracked.note(FOX, replace(STAT, size=5), 3.5)
    assert tracked.take_settled() == []
    assert FOX in tracked


def test_a_path_that_never_rests_is_reported_and_still_tracked():
    """After the longest wait a path is restless; once it rests it settles like any other."""
    tracked = tracker(longest=10.0)
    for second in range(12):
        tracked.note(FOX, replace(STAT, size=second + 1), float(second))
    assert dict(tracked.restless) == {FOX: 0.0}
    assert tracked.unsettled == 0
    tracked.note(FOX, replace(STAT, size=12), 11.0 + QUIET)
    assert tracked.take_settled() == [(FOX, replace(STAT, size=12))]
    assert not tracked.restless


def test_unsettled_counts_what_may_still_settle():
    """Files with content count; one that is still empty after a quiet period does not."""
    tracked = tracker()
    tracked.note(FOX, STAT, 0.0)
    tracked.note(Path("empty.png"), replace(STAT, size=0), 0.0)
    assert tracked.unsettled == 2
    tracked.note(Path("empty.png"), replace(STAT, size=0), QUIET)
    assert tracked.unsettled == 1


def test_nothing_tracked_means_no_deadline():
    """An empty tracker lets the caller sleep."""
    assert tracker().next_deadline() is None


@dataclass
class Writer:
    """A file as a program writes it: its stat as a function of time."""

    changes: list[tuple[float, FileStat]]

    def at(self, now: float) -> FileStat | None:
        found = None
        for when, stat in self.changes:
            if when <= now:
                found = stat
        return found

    @property
    def finished(self) -> float:
        return self.changes[-1][0]


@st.composite
def writers(draw):
    """A file that is written in steps, sometimes replaced, always ending with content."""
    gaps = draw(st.lists(st.floats(0.01, 5.0), min_size=1, max_size=20))
    changes, now, inode, size = [], 0.0, 1, 0
    for number, gap in enumerate(gaps):
        now += gap
        inode += draw(st.booleans())
        size = draw(st.integers(0, 1000))
        changes.append((now, FileStat(size, number, inode)))
    now, stat = changes[-1]
    changes[-1] = (now, replace(stat, size=stat.size + 1))
    return Writer(changes)


def drive(writer: Writer, quiet: float, tick: float) -> tuple[float, FileStat]:
    """Look as a caller does who hears of each change within ``tick``; when it settled, and as what."""
    tracked = StabilityTracker(quiet, 1e6)
    now, seen = 0.0, None
    while now < writer.finished + quiet + 10 * tick + 1:
        stat = writer.at(now)
        if stat != seen:
            tracked.note(FOX, stat, now)
            seen = stat
        for path in tracked.due(now):
            tracked.note(path, writer.at(now), now)
        for _, settled in tracked.take_settled():
            if settled == writer.changes[-1][1]:
                return now, settled
        now += tick
    pytest.fail("it never settled")


@given(writer=writers(), quiet=st.floats(0.5, 4.0))
def test_a_file_settles_after_the_quiet_period_and_not_much_later(writer, quiet):
    """The final state settles no earlier than quiet after the last change, and at most two ticks later."""
    tick = 0.1
    settled_at, _ = drive(writer, quiet, tick)
    assert settled_at >= writer.finished + quiet - 1e-9
    assert settled_at <= writer.finished + quiet + 2 * tick + 1e-6


@given(writer=writers(), quiet=st.floats(0.5, 4.0))
def test_nothing_settles_that_was_not_unchanged_for_the_quiet_period(writer, quiet):
    """Whatever settles looked the same for the whole quiet period before."""
    tracked = StabilityTracker(quiet, 1e6)
    moments = sorted({when for when, _ in writer.changes} | {when + quiet for when, _ in writer.changes})
    for now in moments:
        tracked.note(FOX, writer.at(now), now)
        for _, stat in tracked.take_settled():
            assert stat.size > 0
            assert all(writer.at(then) == stat for then in moments if now - quiet < then <= now)


@given(rate=st.floats(0.1, 2.5), total=st.integers(1, 30))
def test_a_slow_writer_settles_only_when_it_has_finished(rate, total):
    """A file that grows by a little more often than the quiet period settles whole, never half-written."""
    changes = [(step * rate, FileStat(size=1000 * (step + 1), mtime_ns=step, inode=1)) for step in range(total)]
    _, settled = drive(Writer(changes), QUIET, 0.25)
    assert settled.size == 1000 * total


@given(
    looks=st.lists(
        st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 3)), st.floats(0.0, 4.0)),
        max_size=60,
    )
)
def test_due_paths_and_the_deadline_agree(looks):
    """In every history the deadline is the earliest look, and what is due is what its time has come."""
    tracked = tracker(longest=5.0)
    now = 0.0
    for name, size, wait in looks:
        now += wait
        stat = None if size is None else replace(STAT, size=size)
        tracked.note(Path(str(name)), stat, now)
        tracked.take_settled()
        deadline = tracked.next_deadline()
        assert (deadline is None) == (len(tracked) == 0)
        assert set(tracked.restless) <= set(tracked.due(1e9))
        moments = {path: known.look_at for path, known in tracked._tracked.items()}
        if deadline is not None:
            assert deadline == min(moments.values())
        for moment in moments.values():
            assert set(tracked.due(moment)) == {path for path, look_at in moments.items() if look_at <= moment}


def test_late_looks_count_the_time_between_them():
    """A look that is late by an hour settles what looked the same before, and begins anew for what does not."""
    tracked = tracker(longest=1e6)
    owl = Path("owl.png")
    tracked.note(FOX, STAT, 0.0)
    tracked.note(owl, STAT, 0.0)
    tracked.note(FOX, STAT, 3600.0)
    tracked.note(owl, replace(STAT, mtime_ns=2), 3600.0)
    assert tracked.take_settled() == [(FOX, STAT)]
    assert tracked.next_deadline() == 3600.0 + QUIET


def test_what_is_due_and_what_has_settled_can_be_taken_in_parts():
    """The longest waiting come first, the rest is kept, and nothing comes twice."""
    tracked = tracker()
    paths = [Path(f"{number}.png") for number in range(10)]
    for path in paths:
        tracked.note(path, STAT, 0.0)
    assert tracked.due(QUIET, 3) == paths[:3]
    for path in tracked.due(QUIET):
        tracked.note(path, STAT, QUIET)
    assert tracked.settled == 10
    taken = []
    while part := tracked.take_settled(4):
        assert len(part) <= 4
        taken += [path for path, _ in part]
    assert taken == paths
    assert tracked.settled == 0


def test_what_has_become_restless_is_told_once():
    """Each time anew when it rested in between."""
    tracked = tracker(longest=2.0)
    tracked.note(FOX, STAT, 0.0)
    assert tracked.take_restless() == []
    for second in (2, 3):
        tracked.note(FOX, replace(STAT, size=second), float(second))
    assert tracked.take_restless() == [FOX]
    assert tracked.take_restless() == []
    tracked.note(FOX, None, 4.0)
    for second in (5, 8):
        tracked.note(FOX, replace(STAT, size=second), float(second))
    assert tracked.take_restless() == [FOX]


@given(
    looks=st.lists(
        st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 2)), st.floats(0.0, 4.0)),
        max_size=60,
    )
)
def test_the_count_of_what_may_settle_is_what_counting_gives(looks):
    """After any history, the number kept is that of the paths neither restless nor empty after a quiet period."""
    tracked = tracker(longest=5.0)
    now = 0.0
    for name, size, wait in looks:
        now += wait
        tracked.note(Path(str(name)), None if size is None else replace(STAT, size=size), now)
        counted = [
            path
            for path, known in tracked._tracked.items()
            if path not in tracked.restless and (known.stat.size or known.look_at <= known.first_seen + QUIET)
        ]
        assert tracked.unsettled == len(counted)


def test_asking_costs_the_same_however_many_are_tracked():
    """What the loop asks in every round looks at no path: a hundred thousand are asked about in no time."""
    tracked = tracker(longest=1e6)
    for number in range(100_000):
        tracked.note(Path(str(number)), STAT, 0.0)
    for path in tracked.due(QUIET, 50_000):
        tracked.note(path, STAT, QUIET)
    began = time.monotonic()
    for _ in range(2000):
        assert tracked.unsettled == 50_000
        assert tracked.next_deadline() == QUIET
        assert len(tracked.due(QUIET, 1)) == 1
        assert not tracked.restless
    assert time.monotonic() - began < 1
