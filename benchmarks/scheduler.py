"""What shading side by side gains, and how well memory is foreseen: ``python benchmarks/scheduler.py PICTURES``.

A queue of pictures of many sizes, made from those of a folder, is shaded by the real workers in several ways:

- ``one``: one worker with a thread for every core. The baseline.
- ``overlap``: two such workers: while one reads or saves on one core, the other computes.
- ``groups``: a worker for each core, in groups of four; the next group begins when the last of a group has ended.
- ``pool``: a worker for each core, each given the next picture that there is memory for as soon as it is free.

Printed: seconds in all and their ratio to the baseline, how far each peak of memory was from what was expected (from
the sixth picture on), the most that all workers held at once beside the budget, and whether ways that differ in nothing
but what runs beside what gave the same bytes: ``one`` and ``overlap``, ``groups`` and ``pool``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from PIL import Image

from shaded import logs
from shaded.clock import SystemClock
from shaded.outbox.roots import ShortMemory
from shaded.scheduling.available import private_bytes, total_bytes
from shaded.scheduling.executor import Candidate
from shaded.scheduling.memory import Footprint
from shaded.scheduling.messages import Failure, Rendered, ShadeTask, Start, WorkerDied
from shaded.scheduling.pace import Effort, Pace
from shaded.scheduling.pool import Limits, WorkerPool
from shaded.scheduling.process import ProcessExecutor, core_count
from shaded.scheduling.room import Allowance, Room
from shaded.settings import Profile, Shading

GROUP = 4
QUALITY: Literal["fast"] = "fast"
SUFFIXES = {".jpg", ".png"}
#: From the number of cores to workers, threads of each, and pictures in a group (0: no groups).
WAYS: dict[str, Callable[[int], tuple[int, int, int]]] = {
    "one": lambda cores: (1, cores, 0),
    "overlap": lambda cores: (2, cores, 0),
    "groups": lambda cores: (cores, 1, GROUP),
    "pool": lambda cores: (cores, 1, 0),
}


class WatchedRoom(Room):
    """A room that remembers how each picture's memory compares with what was expected."""

    def __init__(self, canvas_pixels: int) -> None:
        super().__init__(canvas_pixels, lambda _name: ShortMemory(), SystemClock())
        self.seen: list[tuple[Footprint, int, int]] = []

    def measured(self, footprint: Footprint, expected: int, peak: int, *, failed: bool = False) -> None:
        """Learn, and remember what was expected and what it was."""
        self.seen.append((footprint, expected, peak))
        super().measured(footprint, expected, peak, failed=failed)

    def errors(self) -> list[float]:
        """How far each peak was from what was expected, as a share of the peak, from the sixth picture on."""
        return [abs(expected / peak - 1) for _, expected, peak in self.seen[5:]]


class WatchedPace(Pace):
    """A pace that remembers how each picture's time compares with what was expected."""

    def __init__(self) -> None:
        super().__init__(ShortMemory())
        self.seen: list[tuple[float, float]] = []

    def measured(self, effort: Effort, seconds: float) -> None:
        """Learn, and remember what was expected and what it was."""
        self.seen.append((self.expected(effort), seconds))
        super().measured(effort, seconds)

    def errors(self) -> list[float]:
        """How far each time was from what was expected, as a share of it, from the sixth picture on."""
        return [abs(expected / seconds - 1) for expected, seconds in self.seen[5:]]


@dataclass
class Watch:
    """Looks at what the workers hold, many times a second."""

    pool: WorkerPool
    most: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            self.most = max(self.most, sum(private_bytes(e.worker_pid) for e in self.pool.executors))


def make_queue(pictures: Path, folder: Path, count: int, sides: tuple[int, int]) -> list[tuple[str, int]]:
    """Pictures of many sizes, upright and lying, as PNG in a folder; each name and how many pixels it has."""
    dice = random.Random(1)
    sources = []
    for path in sorted(pictures.iterdir()):
        if path.suffix in SUFFIXES:
            with Image.open(path) as opened:
                if opened.mode in ("RGB", "RGBA", "L"):
                    sources.append(path)
    queue = []
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as opened:
            side = round(sides[0] * (sides[1] / sides[0]) ** dice.random())
            long, short = side, max(sides[0], round(side * dice.choice((0.5, 2 / 3, 3 / 4, 1.0))))
            size = (long, short) if dice.random() < 0.5 else (short, long)
            picture = opened.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        name = f"{number:03}.jpg"
        picture.save(folder / name, quality=92)
        queue.append((name, size[0] * size[1]))
    return queue


def make_pool(workers: int, threads: int, canvas: int, limit: int) -> tuple[WorkerPool, WatchedRoom, WatchedPace]:
    """A pool of real workers."""
    room = WatchedRoom(canvas)
    start = Start(shading=Shading(threads=threads, canvas_pixels=canvas, device="cpu"), log_level="warning")

    def make(_number, ring):  # noqa: ANN001, ANN202 - a callback
        return ProcessExecutor(start, idle_seconds=600, silence_seconds=1800, on_event=ring)

    limits = Limits(workers, Allowance(limit=limit, reserve=0))
    pace = WatchedPace()
    return WorkerPool(make, limits, room, pace, clock=SystemClock()), room, pace


def task_for(folder: Path, name: str, canvas_pixels: int) -> ShadeTask:
    """What the worker is told."""
    staging = folder / f"staging-{name}"
    staging.mkdir(exist_ok=True)
    return ShadeTask(
        job_id=name, root=folder, source=folder / name, name=name, staging=staging, output_name=name,
        profile=Profile(quality=QUALITY), secret="00" * 32, canvas_pixels=canvas_pixels,
    )  # fmt: skip


def run(pool: WorkerPool, folder: Path, queue: Sequence[tuple[str, int]], group: int = 0) -> dict[str, str]:
    """Shade the queue; each name's hash. With ``group``, so many at a time, the next when all of them have ended."""
    waiting, hashes, left = list(queue), {}, 0
    while waiting or pool.busy:
        if not pool.busy:
            left = group or len(waiting)
        while waiting and left and not pool.full:
            pick = pool.pick([Candidate(*each, QUALITY) for each in waiting[:left]])
            if pick is None:
                break
            name, _ = waiting.pop(pick.index)
            left -= 1
            pool.submit([task_for(folder, name, pick.canvas_pixels)])
        for event in pool.events(1.0):
            if isinstance(event, Rendered):
                hashes[event.job_id] = event.sha256
            elif isinstance(event, Failure | WorkerDied):
                raise SystemExit(str(event))
    return hashes


def main() -> None:
    """Run the three ways and print their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--sides", type=int, nargs=2, default=(256, 4000), help="the longer side, in pixels")
    parser.add_argument("--canvas", type=int, default=262_144, help="pixels of the canvas")
    parser.add_argument("--limit", type=float, default=0.0, help="what the workers may hold, in GB; 0: all there is")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    logs.configure("warning", "console")
    cores = core_count()
    limit = round(options.limit * 1e9) or total_bytes()
    rows: dict[str, dict[str, object]] = {}
    hashes = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        queue = make_queue(options.pictures, folder, options.count, options.sides)
        (folder / "first.jpg").write_bytes((folder / queue[0][0]).read_bytes())
        for way in options.ways:
            workers, threads, group = WAYS[way](cores)
            pool, room, pace = make_pool(workers, threads, options.canvas, limit)
            try:
                run(pool, folder, [("first.jpg", queue[0][1])])  # loads the models
                with Watch(pool) as watch:
                    begun = time.monotonic()
                    hashes[way] = run(pool, folder, queue, group)
                    seconds = time.monotonic() - begun
            finally:
                pool.close(now=True)
            errors, paces = room.errors(), pace.errors()
            rows[way] = {
                "workers": workers, "threads": threads, "seconds": round(seconds, 1),
                "worst_error": round(max(errors), 3) if errors else None,
                "errors_over_15_percent": sum(error > 0.15 for error in errors), "pictures_judged": len(errors),
                "most_bytes": watch.most, "limit_bytes": limit,
                "memory": [{**asdict(each), "expected": e, "measured": m} for each, e, m in room.seen],
                "median_pace_error": round(statistics.median(paces), 3) if paces else None,
            }  # fmt: skip
            ratio = next(iter(rows.values()))["seconds"] / seconds  # type: ignore[operator]
            worst = f"{max(errors):.0%}" if errors else "-"
            typical = f"{statistics.median(paces):.0%}" if paces else "-"
            print(
                f"{way:7} {workers} x {threads} threads: {seconds:.0f} s, {ratio:.2f} times the throughput of "
                f"{options.ways[0]}; "
                f"worst memory error {worst}; median time error {typical}; "
                f"at most {watch.most / 1e9:.2f} of {limit / 1e9:.1f} GB",
                flush=True,
            )
    twins = [pair for pair in (("one", "overlap"), ("groups", "pool")) if set(pair) <= set(hashes)]
    same = all(hashes[one] == hashes[other] for one, other in twins)
    for one, other in twins:
        same_here = hashes[one] == hashes[other]
        print(f"{one} and {other} gave {'the same' if same_here else 'DIFFERENT'} bytes for {len(queue)} pictures")
    if options.json:
        options.json.write_text(json.dumps({"cores": cores, "ways": rows, "same_bytes": same}, indent=1) + "\n")


if __name__ == "__main__":
    main()
