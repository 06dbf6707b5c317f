from __future__ import annotations

import pytest

from shaded.clock import FakeClock
from shaded.errors import Transient
from shaded.outbox.roots import ShortMemory
from shaded.scheduling.executor import Candidate
from shaded.scheduling.memory import DeviceMemoryModel, Footprint, MemoryModel
from shaded.scheduling.room import LEAST_CANVAS, PATIENCE_SECONDS, Allowance, Device, Held, Room

GB = 10**9
CANVAS = 1_048_576
LARGE, SMALL = 24_000_000, 65_536


class World:
    """A room under a fake clock, and what its model expects of a picture."""

    def __init__(self):
        self.clock = FakeClock()
        self.memory = ShortMemory()
        self.room = Room(CANVAS, lambda _name: self.memory, self.clock)

    @property
    def model(self) -> MemoryModel:
        return MemoryModel(self.memory.recall())

    def needs(self, pixels: int) -> int:
        return self.model.predict(Footprint(min(pixels, CANVAS), pixels))

    def pick(self, *pixels: int, running=(), budget=100 * GB, limit=100 * GB, **more):
        candidates = [Candidate(str(number), size) for number, size in enumerate(pixels)]
        return self.room.pick(candidates, running, budget, limit, **more)


@pytest.fixture
def world():
    return World()


def test_the_first_is_picked_with_what_it_is_expected_to_need(world):
    """With memory for everything the order of the queue holds, and the pick says what it was reckoned from."""
    pick = world.pick(LARGE, SMALL)
    assert (pick.index, pick.canvas_pixels) == (0, 0)
    assert pick.needed == world.needs(LARGE)
    assert pick.footprint == Footprint(CANVAS, LARGE)


def test_an_unknown_size_counts_as_large(world):
    """A job of an older ledger, without its number of pixels, is taken for a large picture."""
    assert world.pick(0).needed == world.needs(LARGE)


def test_a_large_picture_is_passed_over_four_times_and_then_waited_for(world):
    """Small ones use what is left beside a running one, but not for ever."""
    held = Held(world.needs(SMALL), 0)
    budget = world.needs(LARGE) + world.needs(SMALL) // 2
    picked = [world.pick(LARGE, SMALL, running=[held], budget=budget) for _ in range(5)]
    assert [pick and pick.index for pick in picked] == [1, 1, 1, 1, None]
    assert world.pick(LARGE, SMALL, budget=budget).index == 0


def test_what_a_worker_really_holds_counts(world):
    """A picture that holds more than was expected leaves less to others."""
    budget = 2 * world.needs(SMALL)
    assert world.pick(SMALL, running=[Held(world.needs(SMALL), 0)], budget=budget)
    assert world.pick(SMALL, running=[Held(world.needs(SMALL), budget)], budget=budget) is None


def test_too_large_for_the_machine_waits_a_while_and_gets_a_smaller_canvas(world):
    """Others go on meanwhile; after five minutes it is shaded alone on a canvas that fits."""
    budget = world.needs(LARGE) - 1
    assert world.pick(LARGE, budget=budget) is None
    assert world.pick(LARGE, SMALL, budget=budget).index == 1
    world.clock.advance(PATIENCE_SECONDS - 1)
    assert world.pick(LARGE, budget=budget) is None
    world.clock.advance(1)
    pick = world.pick(LARGE, budget=budget)
    assert pick.canvas_pixels == CANVAS // 2
    assert pick.alone
    assert world.pick(SMALL, running=[Held(pick.needed, 0, alone=True)]) is None


def test_memory_that_comes_back_in_time_is_used(world):
    """Once there is enough again the full canvas is used, and the wait begins anew the next time."""
    budget = world.needs(LARGE)
    assert world.pick(LARGE, budget=budget - 1) is None
    world.clock.advance(PATIENCE_SECONDS - 1)
    assert world.pick(LARGE, budget=budget).canvas_pixels == 0
    world.clock.advance(2)
    assert world.pick(LARGE, budget=budget - 1) is None


def test_even_the_smallest_canvas_is_tried_when_nothing_fits(world):
    """On a machine too small for the models themselves the picture is begun all the same, alone."""
    world.pick(CANVAS, budget=1)
    world.clock.advance(PATIENCE_SECONDS)
    assert world.pick(CANVAS, budget=1).canvas_pixels == LEAST_CANVAS
    assert world.pick(CANVAS, budget=1, running=[Held(1, 1)]) is None


def test_a_canvas_is_not_made_smaller_where_that_saves_nothing(world):
    """What a huge picture takes to be read and saved is no less on a canvas below that."""
    world.pick(LARGE, budget=1)
    world.clock.advance(PATIENCE_SECONDS)
    pick = world.pick(LARGE, budget=1)
    assert pick.canvas_pixels == 2 * LEAST_CANVAS
    assert pick.needed == world.model.predict(Footprint(LEAST_CANVAS, LARGE))


def test_what_the_machine_could_never_give_is_not_waited_for(world):
    """A picture that needs more than the workers may ever hold has a smaller canvas at once, beside others too."""
    limit = world.needs(LARGE) - 1
    pick = world.pick(LARGE, budget=limit, limit=limit)
    assert (pick.canvas_pixels, pick.alone) == (CANVAS // 2, False)
    assert world.pick(LARGE, budget=limit, limit=limit, running=[Held(1, 1)]).canvas_pixels == CANVAS // 2
    assert world.pick(LARGE, budget=limit, limit=limit + 1) is None


def test_for_the_canvas_that_is_possible_memory_is_waited_for(world):
    """Where even that is not there now, the picture waits like any other, and then has what there is."""
    limit = world.needs(LARGE) - 1
    assert world.pick(LARGE, budget=GB, limit=limit) is None
    assert world.pick(LARGE, budget=limit, limit=limit).canvas_pixels == CANVAS // 2
    assert world.pick(LARGE, budget=GB, limit=limit) is None
    world.clock.advance(PATIENCE_SECONDS)
    assert world.pick(LARGE, budget=GB, limit=limit).canvas_pixels == CANVAS // 8


def test_what_a_worker_held_before_is_no_reason_for_a_smaller_canvas(world):
    """It is waited for: the idle worker ends, and a new one needs less."""
    limit = world.needs(CANVAS // 2)
    assert world.pick(CANVAS // 2, budget=limit, limit=limit, earlier=CANVAS) is None
    assert world.pick(CANVAS // 2, budget=limit, limit=limit).canvas_pixels == 0


def test_a_gpu_that_is_too_small_means_a_smaller_canvas_at_once(world):
    """A GPU's memory has a limit of its own."""
    there = round(DeviceMemoryModel().predict(Footprint(CANVAS, LARGE)))
    assert world.pick(LARGE, device=Device("gpu", there, there)).canvas_pixels == 0
    assert world.pick(LARGE, device=Device("gpu", there - 1, there)) is None
    assert world.pick(LARGE, device=Device("gpu", there - 1, there - 1)).canvas_pixels == CANVAS // 2


def test_a_small_picture_gets_no_smaller_canvas_than_itself(world):
    """Where the picture itself is no larger than the least canvas, nothing is said of a smaller one."""
    world.pick(SMALL, budget=1)
    world.clock.advance(PATIENCE_SECONDS)
    assert world.pick(SMALL, budget=1).canvas_pixels == 0


def test_the_books_stay_small(world, monkeypatch):
    """Of pictures that wait for memory only so many are remembered: a daemon runs for months."""
    monkeypatch.setattr("shaded.scheduling.room.MOST_CASES", 10)
    for number in range(50):
        world.room.pick([Candidate(str(number), LARGE)], [], 1, 100 * GB)
    assert len(world.room._cases) == 10


def test_running_out_beside_others_means_alone_the_next_time(world):
    """The first time the others are to blame: the full canvas is kept, and nothing runs beside it."""
    first = world.pick(LARGE)
    assert world.room.ran_out("0", first.footprint, alone=False)
    again = world.pick(LARGE)
    assert again.alone
    assert again.canvas_pixels == 0
    assert world.pick(LARGE, running=[Held(1, 1)]) is None


def test_running_out_alone_means_a_smaller_canvas_until_there_is_none(world):
    """Each time half of the pixels, down to the least; then there is nothing left to try."""
    canvases = []
    pick = world.pick(LARGE)
    while world.room.ran_out("0", pick.footprint, alone=True):
        pick = world.pick(LARGE)
        canvases.append(pick.canvas_pixels)
    assert canvases == [CANVAS // 2, CANVAS // 4, CANVAS // 8, CANVAS // 16]
    world.room.done("0")
    assert world.pick(LARGE).canvas_pixels == 0


def test_a_model_that_is_far_too_low_recovers_within_three_pictures(world):
    """Each failure and each measurement teach it; from the fourth picture on it errs by less than 15 %."""
    true = Footprint(CANVAS, LARGE)
    peak = 5 * world.needs(LARGE)
    for _ in range(3):
        expected = world.pick(LARGE).needed
        failed = expected < peak
        world.room.measured(true, expected, expected if failed else peak, failed=failed)
        if failed:
            world.room.measured(true, expected, peak)
    assert abs(world.needs(LARGE) / peak - 1) < 0.15


def test_what_was_learned_outlives_the_process(world):
    """Another room over the same memory expects the same."""
    world.room.measured(Footprint(CANVAS, LARGE), 1, 7 * GB)
    another = Room(CANVAS, lambda _name: world.memory, world.clock)
    assert another.pick([Candidate("0", LARGE)], [], 100 * GB, 100 * GB).needed > 5 * GB


def test_a_full_disk_does_not_keep_it_from_learning(world, monkeypatch):
    """What cannot be written down is still known."""

    def full(_text):
        raise Transient("the disk is full")

    monkeypatch.setattr(world.memory, "remember", full)
    world.room.measured(Footprint(CANVAS, LARGE), 1, 7 * GB)
    assert world.pick(LARGE).needed > 5 * GB


@pytest.mark.parametrize(
    ("limit", "reserve", "available", "held", "budget"),
    [(8, 1, 4, 2, 6), (4, 1, 4, 2, 4), (8, 6, -1, 0, -1)],
)
def test_the_budget(limit, reserve, available, held, budget):
    """What can be had beside the reserve and what the workers hold already, and never more than the limit."""
    assert Allowance(limit, reserve).budget(available, held) == budget
