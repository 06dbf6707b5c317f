from __future__ import annotations

import math
import random
import statistics

import pytest

from shaded.errors import Transient
from shaded.outbox.roots import ShortMemory
from shaded.scheduling.memory import Footprint
from shaded.scheduling.pace import Effort, Pace
from shaded.shading.presets import STEPS

SIZES = [(65_536, 65_536), (262_144, 500_000), (1_048_576, 2_000_000), (1_048_576, 24_000_000)]


def _seconds(effort, factor):
    """A machine that is so much slower."""
    canvas = effort.canvas_pixels / 1e6
    return factor * (1.0 + canvas * (7.0 + 6.0 * STEPS[effort.quality]) + 0.4 * effort.source_pixels / 1e6)


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_the_pace_of_a_machine_is_known_after_a_few_pictures(factor):
    """Five times as fast or as slow, with chance in it: from the eleventh picture on it errs little."""
    dice = random.Random(4)
    pace, errors = Pace(ShortMemory()), []
    for _ in range(60):
        effort = Effort(*dice.choice(SIZES), dice.choice(list(STEPS)))
        seconds = _seconds(effort, factor) * dice.gauss(1, 0.05)
        errors.append(abs(math.log(pace.expected(effort) / seconds)))
        pace.measured(effort, seconds)
    assert statistics.median(errors[10:]) < 0.1
    assert max(errors[10:]) < math.log(2)


def test_more_of_anything_takes_longer():
    """A larger canvas, a larger picture and a higher quality each add to what is expected."""
    pace = Pace(ShortMemory())
    small = pace.expected(Effort(65_536, 65_536, "fast"))
    assert small < pace.expected(Effort(65_536, 10_000_000, "fast"))
    assert small < pace.expected(Effort(131_072, 131_072, "fast"))
    assert small < pace.expected(Effort(65_536, 65_536, "thorough"))


def test_what_was_learned_is_kept():
    """Another one over the same memory expects the same; a full disk takes nothing from this one."""
    memory = ShortMemory()
    effort = Effort.of(Footprint(65_536, 65_536), "balanced")
    pace = Pace(memory)
    before = pace.expected(effort)
    pace.measured(effort, 3 * before)
    assert Pace(memory).expected(effort) == pace.expected(effort) > 1.5 * before

    def full(_text):
        raise Transient("the disk is full")

    memory.remember = full
    learned = pace.expected(effort)
    pace.measured(effort, 3 * learned)
    assert pace.expected(effort) > 1.2 * learned


def test_one_night_in_the_middle_of_a_picture_is_taken_lightly():
    """A machine that slept over a picture is not taken for a slow one: chance is a share of what was measured."""
    pace = Pace(ShortMemory())
    effort = Effort(262_144, 500_000, "balanced")
    for _ in range(10):
        pace.measured(effort, 20.0)
    pace.measured(effort, 8 * 3600.0)
    assert pace.expected(effort) < 40
