"""Train the shader and the meter together against both real encoders, until a wall-clock end.

    python -m shaded.training.train --cache CACHE --encoders DIR --work DIR --until 10:00

The shader is pushed to move latents toward random anchors, through random launderings, within random limits, under an
LPIPS ceiling. The meter sees every picture, anchor and shaded picture that the shader produces and learns what
the real encoders said about them. A checkpoint is written every few minutes; started again, the run goes on from it.
"""

from __future__ import annotations

import argparse
import copy
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from shaded.training.losses import meter_loss, shader_loss
from shaded.training.rig import Journal, Prefetcher, Rig, Schedule, apply_gradients, today_at

__all__ = ["Worker", "crop_shape", "main", "run_workers"]

_LEARNING_RATE = 6e-4
_LAUNDERED_SHARE, _GENTLE_STEPS = 0.3, 300
_CHECKPOINT_SECONDS = 180
_STALEST = 12


def crop_shape(progress: float, draw: float) -> tuple[int, int]:
    """Crop size and number of pictures: small crops while much is to be learned, larger ones toward the end."""
    if progress < 0.35:
        return (128, 4)
    if progress < 0.75:
        return ((128, 4), (128, 4), (192, 3), (192, 3), (256, 2))[int(draw * 5)]
    return ((128, 4), (192, 3), (256, 2))[int(draw * 3)]


class Worker(threading.Thread):
    """One of several threads that train the same networks, each on a core of its own.

    A step of one thread never waits for another: on a machine that others use too, threads inside one operation would
    all go at the pace of the slowest core. A gradient that many steps of the others have overtaken is dropped.
    """

    def __init__(self, rig: Rig, schedule: Schedule, batches: Prefetcher, journal: Journal, number: int) -> None:
        super().__init__(daemon=True)
        self.rig, self.schedule, self.batches, self.journal = rig, schedule, batches, journal
        self.shader, self.meter = copy.deepcopy(rig.shader), copy.deepcopy(rig.meter)
        self.generator = torch.Generator().manual_seed(1000 * rig.steps + number)

    def run(self) -> None:
        """Train until the schedule ends."""
        while self.schedule.progress() < 1:
            batch = self.batches.ready.get()
            with self.rig.lock:
                self.shader.load_state_dict(self.rig.shader.state_dict())
                self.meter.load_state_dict(self.rig.meter.state_dict())
                begun = self.rig.steps
            share = _LAUNDERED_SHARE if begun > _GENTLE_STEPS else 0.0
            loss, outcome, numbers = shader_loss(self.rig.judges, self.shader, batch, self.generator, share)
            loss.backward()  # type: ignore[no-untyped-call]
            measured = begun % 2 == 0
            if measured:
                gap, more = meter_loss(self.meter, outcome)
                gap.backward()  # type: ignore[no-untyped-call]
                numbers |= more
            with self.rig.lock:
                self._finish(begun, measured, numbers)

    def _finish(self, begun: int, measured: bool, numbers: dict[str, float]) -> None:
        rig, rate = self.rig, self.schedule.rate(self.rig.steps)
        if rig.steps - begun > _STALEST:
            self.shader.zero_grad(set_to_none=True)
            self.meter.zero_grad(set_to_none=True)
            return
        apply_gradients(rig.shader_optimiser, rig.shader, self.shader, rate)
        rig.shader_average.update(rig.shader)
        if measured:
            apply_gradients(rig.meter_optimiser, rig.meter, self.meter, 2 * rate)
            rig.meter_average.update(rig.meter)
        rig.steps += 1
        self.journal.note(rig.steps, numbers, rate)


def run_workers(workers: Sequence[threading.Thread], rig: Rig, checkpoint: Path, started: float) -> None:
    """Start the workers and write a checkpoint every few minutes, and one when all are done."""
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        workers[0].join(_CHECKPOINT_SECONDS)
        with rig.lock:
            rig.save(checkpoint, started)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="made by shaded.training.corpus")
    parser.add_argument("--encoders", type=Path, required=True, help="folder of the real encoders' weights")
    parser.add_argument("--work", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--until", type=today_at, required=True, help="end, HH:MM in UTC, today")
    parser.add_argument("--threads", type=int, default=2, help="worker threads, one core each")
    options = parser.parse_args()
    torch.manual_seed(1)
    rig = Rig(options.encoders)
    checkpoint = options.work / "checkpoint.pt"
    started = rig.restore(checkpoint) if checkpoint.exists() else time.time()
    schedule = Schedule(started, options.until, _LEARNING_RATE)
    batches = Prefetcher(options.cache, schedule, crop_shape, seed=rig.steps + 1)
    torch.set_num_threads(1)
    journal = Journal()
    workers = [Worker(rig, schedule, batches, journal, number) for number in range(options.threads)]
    run_workers(workers, rig, checkpoint, started)


if __name__ == "__main__":
    main()
