"""Teach the meter alone, on what the finished shader does: the last part of the recipe.

    python -m shaded.training.meter --cache CACHE --encoders DIR --work DIR --until 10:13

The shader is frozen. Its shading is shown to the meter at random strength, gray, laundered, and beside plain noise, on
larger crops than before, in full precision: what counts is that the pull the meter states is the real encoders'.
"""

from __future__ import annotations

import argparse
import copy
import threading
import time
from pathlib import Path

import torch
from torch import Tensor

from shaded.shading.limits import texture_limits
from shaded.shading.networks import MeterNetwork, ShaderNetwork
from shaded.training.losses import Batch, Judges, Outcome, eight_bits, launder_some, meter_loss
from shaded.training.rig import Averages, Journal, Prefetcher, Rig, Schedule, apply_gradients, today_at
from shaded.training.teachers import FAMILIES
from shaded.training.train import run_workers

__all__ = ["main", "shown_to_meter"]

_LEARNING_RATE = 8e-4
_LAUNDERED_SHARE = 0.15
_PAIRINGS = 2


def _shape(_progress: float, draw: float) -> tuple[int, int]:
    return ((128, 6), (192, 3), (256, 2), (256, 2), (384, 2))[int(draw * 5)]


def _varied(delta: Tensor, limits: Tensor, generator: torch.Generator) -> Tensor:
    """The shading at 0.2 to 1 of its strength; for some samples gray, for some replaced by noise of the same size."""
    shares = 0.2 + 0.8 * torch.rand((len(delta), 1, 1, 1), generator=generator).sqrt()
    noise = limits * torch.empty_like(delta).uniform_(-1, 1, generator=generator)
    fate = torch.rand((len(delta), 1, 1, 1), generator=generator)
    gray = delta.mean(dim=1, keepdim=True).expand_as(delta)
    return shares * torch.where(fate < 0.1, gray, torch.where(fate < 0.2, noise, delta))


@torch.no_grad()
def shown_to_meter(judges: Judges, shader: ShaderNetwork, batch: Batch, generator: torch.Generator) -> Outcome:
    """Shade a batch with the finished shader and ask the real encoders what came of it."""
    count = len(batch.pictures)
    pairing = torch.cat([(torch.arange(count) + turn) % count for turn in range(_PAIRINGS)])
    pictures, anchors = batch.pictures.repeat(_PAIRINGS, 1, 1, 1), batch.anchors[pairing]
    flat = 1 + 2 * torch.rand(len(pictures), generator=generator)
    limits = texture_limits(pictures, flat / 255, 4 * flat / 255)
    delta = _varied(shader(pictures, anchors, limits), limits, generator)
    shaded = eight_bits(launder_some(eight_bits(pictures + delta), _LAUNDERED_SHARE, generator))
    everything = torch.cat([shaded, batch.pictures, batch.anchors])
    latents = {}
    for family in FAMILIES:
        reached, clean, wanted = judges.teachers[family](everything).split([len(shaded), count, count])
        latents[family] = (reached, clean, wanted)
    return Outcome(shaded, batch.pictures, batch.anchors, pairing, latents)


class _MeterWorker(threading.Thread):
    """Like `train.Worker`, for the meter alone."""

    def __init__(
        self, rig: Rig, shader: ShaderNetwork, schedule: Schedule, batches: Prefetcher, journal: Journal, number: int
    ) -> None:
        super().__init__(daemon=True)
        self.rig, self.shader, self.schedule, self.batches, self.journal = rig, shader, schedule, batches, journal
        self.meter: MeterNetwork = copy.deepcopy(rig.meter)
        self.generator = torch.Generator().manual_seed(7000 * rig.steps + number)

    def run(self) -> None:
        """Train until the schedule ends."""
        rig = self.rig
        while self.schedule.progress() < 1:
            outcome = shown_to_meter(rig.judges, self.shader, self.batches.ready.get(), self.generator)
            with rig.lock:
                self.meter.load_state_dict(rig.meter.state_dict())
            loss, numbers = meter_loss(self.meter, outcome, half=False)
            loss.backward()  # type: ignore[no-untyped-call]
            with rig.lock:
                rate = self.schedule.rate(rig.steps)
                apply_gradients(rig.meter_optimiser, rig.meter, self.meter, rate)
                rig.meter_average.update(rig.meter)
                rig.steps += 1
                self.journal.note(rig.steps, numbers, rate)


def main() -> None:
    """Read the command line and train the meter from where `train` left it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="made by shaded.training.corpus")
    parser.add_argument("--encoders", type=Path, required=True, help="folder of the real encoders' weights")
    parser.add_argument("--work", type=Path, required=True, help="folder with train's checkpoint.pt")
    parser.add_argument("--until", type=today_at, required=True, help="end, HH:MM in UTC, today")
    parser.add_argument("--threads", type=int, default=2, help="worker threads, one core each")
    options = parser.parse_args()
    rig = Rig(options.encoders)
    rig.restore(options.work / "checkpoint.pt")
    rig.meter_average = Averages(rig.meter, decay=0.99)
    shader = ShaderNetwork.from_state(rig.shader_average.state).to(memory_format=torch.channels_last)
    started = time.time()
    schedule = Schedule(started, options.until, _LEARNING_RATE)
    batches = Prefetcher(options.cache, schedule, _shape, seed=rig.steps + 7)
    torch.set_num_threads(1)
    journal = Journal()
    workers = [_MeterWorker(rig, shader, schedule, batches, journal, number) for number in range(options.threads)]
    run_workers(workers, rig, options.work / "meter-checkpoint.pt", started)


if __name__ == "__main__":
    main()
