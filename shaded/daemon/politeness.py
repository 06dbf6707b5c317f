"""When no picture is begun although one could be: on battery, and in the hours that the user keeps free."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from shaded.settings import Scheduling, hours_of


def on_battery() -> bool:
    """Whether this machine runs on its battery; a machine without one, or that cannot tell, does not."""
    with suppress(OSError, AttributeError, RuntimeError):  # not every system tells
        battery = psutil.sensors_battery()
        return battery is not None and battery.power_plugged is False
    return False


def why_wait(scheduling: Scheduling, date: float, battery: Callable[[], bool] = on_battery) -> str:
    """Why nothing is begun now, one clause; empty where nothing stands against it.

    Args:
        scheduling: The user's wishes.
        date: Seconds since 1970; hours are those of the machine's time zone.
        battery: Whether the machine runs on its battery.
    """
    if scheduling.quiet_hours:
        begin, end = hours_of(scheduling.quiet_hours)
        local = time.localtime(date)
        if is_within(local.tm_hour * 60 + local.tm_min, begin, end):
            return f"these are quiet hours, until {end // 60:02}:{end % 60:02}"
    if scheduling.on_battery == "wait" and battery():
        return "the machine runs on its battery"
    return ""


def is_within(minute: int, begin: int, end: int) -> bool:
    """Whether a minute of the day lies in hours that may go past midnight; the end is outside."""
    return begin <= minute < end if begin <= end else minute >= begin or minute < end
