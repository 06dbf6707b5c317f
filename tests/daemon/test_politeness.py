from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from shaded.daemon import politeness
from shaded.daemon.politeness import is_within, on_battery, why_wait
from shaded.errors import ConfigurationError
from shaded.reports import status_document
from shaded.settings import Scheduling, load_settings


def at(hour: int, minute: int = 0) -> float:
    """A date with this local time of the day."""
    return time.mktime((2026, 3, 3, hour, minute, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("hours", "hour", "minute", "inside"),
    [
        ("09:00-17:30", 8, 59, False), ("09:00-17:30", 9, 0, True), ("09:00-17:30", 17, 29, True),
        ("09:00-17:30", 17, 30, False), ("22:00-07:00", 23, 0, True), ("22:00-07:00", 3, 0, True),
        ("22:00-07:00", 7, 0, False), ("22:00 - 07:00", 21, 59, False), ("08:00-08:00", 8, 0, False),
        ("", 12, 0, False),
    ],
)  # fmt: skip
def test_quiet_hours(hours, hour, minute, inside):
    """Inside them nothing is begun, past midnight too, and the end is said."""
    why = why_wait(Scheduling(quiet_hours=hours), at(hour, minute), lambda: False)
    assert bool(why) == inside
    if inside:
        assert hours[-5:] in why


@pytest.mark.parametrize("hours", ["22", "25:00-07:00", "22:00-07:60", "late", "22:00-07:00-08:00"])
def test_hours_that_are_none_are_a_wrong_setting(hours, tmp_path):
    """The message names the key and shows how it is written."""
    config = tmp_path / "config.toml"
    config.write_text(f'[scheduling]\nquiet_hours = "{hours}"\n')
    with pytest.raises(ConfigurationError, match=r"scheduling\.quiet_hours.*22:00-07:00"):
        load_settings(config)


def test_every_minute_is_inside_or_outside():
    """Hours and those that complete the day share no minute and leave none out."""
    for begin, end in [(0, 1), (60, 30), (1439, 0), (600, 1200)]:
        for minute in range(1440):
            assert is_within(minute, begin, end) != is_within(minute, end, begin)


def test_on_battery_it_waits_only_when_that_is_wished():
    """By default a laptop on its battery goes on."""
    assert why_wait(Scheduling(), at(12), lambda: True) == ""
    assert "battery" in why_wait(Scheduling(on_battery="wait"), at(12), lambda: True)
    assert why_wait(Scheduling(on_battery="wait"), at(12), lambda: False) == ""


@pytest.mark.parametrize(
    ("battery", "on"),
    [(None, False), (SimpleNamespace(power_plugged=None), False), (SimpleNamespace(power_plugged=True), False),
     (SimpleNamespace(power_plugged=False), True)],
)  # fmt: skip
def test_what_the_system_says_of_its_battery(battery, on, monkeypatch):
    """No battery, and one of which nothing is known, count as plugged in."""
    monkeypatch.setattr(politeness.psutil, "sensors_battery", lambda: battery, raising=False)
    assert on_battery() is on


def test_a_system_that_cannot_tell_has_no_battery(monkeypatch):
    """Where the question itself fails, work goes on."""
    monkeypatch.delattr(politeness.psutil, "sensors_battery", raising=False)
    assert on_battery() is False


def test_a_daemon_waits_politely_and_says_so(make_rig, monkeypatch):
    """On battery nothing is begun; status says why for each folder; plugged in, it goes on by itself."""
    plugged = [False]
    monkeypatch.setattr(politeness.psutil, "sensors_battery", lambda: SimpleNamespace(power_plugged=plugged[0]),
                        raising=False)  # fmt: skip
    rig = make_rig(on_battery="wait")
    rig.put("fox.png")
    rig.settle()
    assert rig.executor.submitted == []
    view = rig.daemon.view
    assert view.sentence().startswith("waiting: the machine runs on its battery")
    assert view.problems() == []
    (folder,) = status_document(rig.ledger, view)["folders"]
    assert "battery" in folder["waits"]
    plugged[0] = True
    rig.settle()
    assert rig.published() == ["fox.png"]


def test_giving_way_to_another_program_is_no_trouble(make_rig):
    """What an executor does not begin for another program's sake waits, and status says why; the daemon is well."""
    rig = make_rig()
    rig.executor.pick = lambda candidates: None
    rig.executor.courtesy = "another program computes on the GPU"
    rig.put("fox.png")
    rig.settle()
    view = rig.daemon.view
    assert view.sentence().startswith("waiting: another program computes on the GPU; 1 waiting")
    assert view.problems() == []
    (folder,) = status_document(rig.ledger, view)["folders"]
    assert folder["waits"] == "another program computes on the GPU"


def test_once_does_not_wait_for_better_hours(make_rig, monkeypatch):
    """Who asks for a run now gets it, battery or not."""
    monkeypatch.setattr(politeness.psutil, "sensors_battery", lambda: SimpleNamespace(power_plugged=False),
                        raising=False)  # fmt: skip
    rig = make_rig(once=True, on_battery="wait")
    rig.put("fox.png")
    rig.settle()
    assert rig.published() == ["fox.png"]
