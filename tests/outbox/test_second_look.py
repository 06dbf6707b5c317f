"""Incomplete files are looked at once more, after a longer quiet period, and then no more."""

from __future__ import annotations

from pathlib import Path

from shaded.clock import FakeClock
from shaded.filestat import FileStat
from shaded.outbox.looking import Arrival
from shaded.outbox.second_look import TIMES, SecondLook

QUIET = 3.0
WAIT = TIMES * QUIET


def arrival(clock, ago=0.0, name="fox.jpg", size=5):
    """A file that changed so many seconds ago."""
    at = int((clock.time() - ago) * 1e9)
    return Arrival(Path("/out"), Path(name), FileStat(size, at - 10**15, 7, 1, at))


def test_a_file_that_changed_lately_is_held_and_handed_over_once():
    """It comes back after the longer wait, and counts as waited for then, once."""
    clock = FakeClock()
    later, fox = SecondLook(clock, QUIET), arrival(clock, ago=QUIET)
    assert later.hold(fox)
    assert later.holds(fox.path, fox.stat)
    assert later.take_due() == []
    clock.advance(WAIT - 1)
    assert later.take_due() == []
    clock.advance(1)
    assert later.take_due() == [fox]
    assert not later.holds(fox.path, fox.stat)
    assert later.has_waited(fox)
    assert not later.has_waited(fox)
    assert later.next_deadline is None


def test_a_file_that_changed_long_ago_is_not_held():
    """The time of the last change of content or status counts, not a date that a copy took over."""
    clock = FakeClock()
    later = SecondLook(clock, QUIET)
    assert not later.hold(arrival(clock, ago=WAIT))
    assert later.hold(arrival(clock, ago=WAIT - 1))


def test_a_date_in_the_future_counts_as_now():
    """A file server's clock that is ahead does not make a file wait for ever."""
    clock = FakeClock()
    later, fox = SecondLook(clock, QUIET), arrival(clock, ago=-86_400)
    assert later.hold(fox)
    clock.advance(WAIT)
    assert later.take_due() == [fox]


def test_another_state_of_a_file_waits_anew():
    """What changed while it waited is another file: it waits for itself, and has not waited."""
    clock = FakeClock()
    later, fox = SecondLook(clock, QUIET), arrival(clock)
    assert later.hold(fox)
    clock.advance(WAIT / 2)
    grown = arrival(clock, size=9)
    assert not later.holds(grown.path, grown.stat)
    assert later.hold(grown)
    assert len(later) == 1
    clock.advance(WAIT / 2)
    assert later.take_due() == []
    clock.advance(WAIT / 2)
    assert later.take_due() == [grown]
    assert not later.has_waited(fox)


def test_files_are_handed_over_in_the_order_of_their_waits():
    """The first deadline is told, and each comes when it is due."""
    clock = FakeClock()
    later = SecondLook(clock, QUIET)
    first = arrival(clock, name="a")
    assert later.hold(first)
    clock.advance(2)
    second = arrival(clock, name="b")
    assert later.hold(second)
    assert later.next_deadline == WAIT
    clock.advance(WAIT - 2)
    assert later.take_due() == [first]
    assert later.next_deadline == WAIT + 2
