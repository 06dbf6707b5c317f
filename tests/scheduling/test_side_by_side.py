"""Real pictures, the real engine: what runs beside what changes no byte."""

from __future__ import annotations

import pytest

from shaded.clock import SystemClock
from shaded.outbox.roots import ShortMemory
from shaded.scheduling.available import total_bytes
from shaded.scheduling.executor import Candidate
from shaded.scheduling.messages import Rendered, ShadeTask, Start
from shaded.scheduling.pace import Pace
from shaded.scheduling.pool import Limits, WorkerPool
from shaded.scheduling.process import ProcessExecutor
from shaded.scheduling.room import LEAST_CANVAS, Allowance, Room
from shaded.settings import Profile, Shading

pytestmark = [pytest.mark.slow, pytest.mark.real_process, pytest.mark.timeout(1500)]

#: Photos, paintings and drawings; grey, with transparency, with 16 bits; small and of 24 megapixels.
NAMES = (
    "photo-fruits.jpg", "photo-squirrel.jpg", "photo-dune.jpg", "painting-castle.jpg", "painting-bear-alpha.png",
    "cow-alpha.png", "flat-dragon.png", "lineart-gryphon-gray.png", "container-gray16.png", "container.webp",
    "container-exif-orientation-gps-icc-xmp.jpg", "big-24-megapixels.jpg",
)  # fmt: skip


def _shade_all(folder, staging, workers, names):
    """The hash of each published file, and the most pictures that were under way at once."""
    start = Start(shading=Shading(threads=1, canvas_pixels=LEAST_CANVAS, device="cpu"), log_level="warning")
    clock = SystemClock()
    pool = WorkerPool(
        lambda _number, ring: ProcessExecutor(start, idle_seconds=600, silence_seconds=600, on_event=ring),
        Limits(workers, Allowance(limit=total_bytes(), reserve=0)),
        Room(LEAST_CANVAS, lambda _name: ShortMemory(), clock),
        Pace(ShortMemory()),
        clock=clock,
    )
    waiting, hashes, most = list(names), {}, 0
    try:
        while waiting or pool.busy:
            while waiting and not pool.full:
                pick = pool.pick([Candidate(name, 0) for name in waiting])
                if pick is None:
                    break
                name = waiting.pop(pick.index)
                (staging / name).mkdir(parents=True)
                pool.submit([
                    ShadeTask(
                        job_id=name, root=folder, source=folder / name, name=name, staging=staging / name,
                        output_name=name, profile=Profile(quality="fast"), secret="5" * 64,
                    )
                ])  # fmt: skip
            most = max(most, sum(executor.busy for executor in pool.executors))
            for event in pool.events(1.0):
                assert event.kind in ("ready", "progress", "spent", "rendered"), event
                if isinstance(event, Rendered):
                    hashes[event.job_id] = event.sha256
    finally:
        pool.close(now=True)
    return hashes, most


def test_twelve_pictures_are_the_same_alone_and_side_by_side_in_any_order(shared_pictures, tmp_path):
    """One after another, three at once, and three at once in the other order: every file has the same bytes."""
    alone, one = _shade_all(shared_pictures, tmp_path / "alone", 1, NAMES)
    beside, three = _shade_all(shared_pictures, tmp_path / "beside", 3, NAMES)
    backwards, _ = _shade_all(shared_pictures, tmp_path / "backwards", 3, NAMES[::-1])
    assert (one, three) == (1, 3)
    assert set(alone) == set(NAMES)
    assert alone == beside == backwards
