"""Teach the student encoders what the real encoders do, until a wall-clock end.

    python -m shaded.training.distil --cache CACHE --encoders DIR --work DIR --until 10:00

Students that only learn latents fool themselves: what moves them does not move their teachers. So each student is
taught the teacher's features at every stage (Romero et al. 2015, eq. 2, without a regressor: the stages are as wide),
each stretch of layers by itself at first. Then all together, on pictures and on the same pictures under shadings, and
how the features *move* between the two. The shadings are such as will be made with it: most are found by steps against
the students as they stand, some against the real encoders, some are noise. `shaded.training.meter` comes after it. A
checkpoint is written every few minutes; started again, the run goes on.
"""

from __future__ import annotations

import argparse
import copy
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from shaded.training.losses import Batch, launder_some, student_loss
from shaded.training.rig import Journal, Prefetcher, Rig, Schedule, apply_gradients, today_at
from shaded.training.slots import Slot, advanced, new_slot, noise_slot
from shaded.training.teachers import FAMILIES

__all__ = ["Worker", "crop_shape", "rate_at", "train"]

_APART_RATE, _JOINT_RATE = 0.05, 0.004
_CHECKPOINT_SECONDS = 240
_SLOTS = 8
_LAUNDERED_SHARE = 0.3
_STALEST = 12

#: The layers whose output is taught: what a whole block gives, and at first what comes of the pixels.
_TAUGHT: Mapping[str, tuple[int, ...]] = {
    "flux2": (2, 3, 4, 5, 7, 8, 9, 11, 12),
    "sana": (3, 4, 6, 7, 8, 10, 11, 12, 14, 15),
}
_SHIFT_WEIGHT = 0.5

#: For this part of the time each stretch of layers is taught by itself, on what its teacher's layers give it: all of
#: them at once from nothing hardly learn (0.87 of the variance was left after 700 steps).
_APART = 0.2


def rate_at(progress: float) -> float:
    """Half a cosine from the peak to nothing, once for the layers apart and once for all together."""
    if progress < _APART:
        return _APART_RATE * 0.5 * (1 + math.cos(math.pi * progress / _APART))
    joint = (progress - _APART) / (1 - _APART)
    return _JOINT_RATE * 0.5 * (1 + math.cos(math.pi * joint)) * min(1.0, 20 * joint + 0.05)


class Worker(threading.Thread):
    """One of several threads that train the same networks, each on a core of its own; none waits for another.

    A step of one thread never waits for another's: on a machine that others use too, threads inside one operation would
    all go at the pace of the slowest core. A gradient that many steps of the others have overtaken is dropped.
    """

    #: The networks that are taught; the others of the rig stay as they are.
    trained: tuple[str, ...] = FAMILIES

    def __init__(self, rig: Rig, schedule: Schedule, batches: Prefetcher, journal: Journal, number: int) -> None:
        super().__init__(daemon=True)
        self.rig, self.schedule, self.batches, self.journal = rig, schedule, batches, journal
        self.networks = copy.deepcopy(rig.networks)
        self.generator = torch.Generator().manual_seed(1000 * rig.steps + number)
        self.slots: list[Slot] = []

    def run(self) -> None:
        """Train until the schedule ends."""
        while self.schedule.progress() < 1:
            with self.rig.lock:
                for name in self.trained:
                    self.networks[name].load_state_dict(self.rig.networks[name].state_dict())
                begun = self.rig.steps
            numbers = self.learn()
            with self.rig.lock:
                self._finish(begun, numbers)

    def learn(self) -> dict[str, float]:
        """Give the students gradients from one batch; returns numbers for the journal."""
        apart = self.schedule.progress() < _APART
        slot = noise_slot(self.either(self.batches.ready.get()), self.generator) if apart else self.next_slot()
        count = len(slot.batch.pictures)
        shaded = slot.shaded if apart else launder_some(slot.shaded, _LAUNDERED_SHARE, self.generator)
        numbers: dict[str, float] = {}
        for family in FAMILIES:
            taught = _TAUGHT[family]
            with torch.no_grad():
                if family not in slot.known:
                    slot.known[family] = self.rig.teachers[family].features(slot.batch.pictures, taught)
                real = [
                    torch.cat(pair)
                    for pair in zip(slot.known[family], self.rig.teachers[family].features(shaded, taught), strict=True)
                ]
            given = dict(zip(taught, real if apart else [None] * len(taught), strict=False))
            mine = self.networks[family].features(torch.cat([slot.batch.pictures, shaded]), given)
            loss, error, shift, worst = student_loss(mine, real, count, _SHIFT_WEIGHT)
            loss.backward()  # type: ignore[no-untyped-call]
            numbers |= {f"error_{family}": error, f"worst_{family}": worst, f"shift_{family}_{slot.kind}": shift}
        return numbers

    def either(self, batch: Batch) -> Batch:
        """The batch, or the same with pictures and anchors exchanged: both are to be learned."""
        turned = float(torch.rand((), generator=self.generator)) < 0.5
        return Batch(batch.anchors, batch.pictures) if turned else batch

    def next_slot(self) -> Slot:
        """A slot, one step farther; it stays among the slots until it has come to its end."""
        if len(self.slots) < _SLOTS:
            self.slots.append(new_slot(self.batches.ready.get(), self.generator))
        place = int(torch.randint(len(self.slots), (), generator=self.generator))
        slot = self.slots.pop(place)
        students = {family: self.networks[family] for family in FAMILIES}
        for network in students.values():
            network.requires_grad_(requires_grad=False)
        slot = advanced(slot, self.rig.teachers if slot.kind == "teacher" else students, self.generator)
        for name, network in students.items():
            network.requires_grad_(requires_grad=name in self.trained)
        if slot.age < slot.ends:
            self.slots.append(slot)
        return slot

    def rate(self, progress: float) -> float:
        """The learning rate after this part of the time."""
        return rate_at(progress)

    def _finish(self, begun: int, numbers: dict[str, float]) -> None:
        rig, rate = self.rig, self.rate(self.schedule.progress())
        for name in self.trained:
            if rig.steps - begun > _STALEST:
                self.networks[name].zero_grad(set_to_none=True)
                continue
            apply_gradients(rig.optimisers[name], rig.networks[name], self.networks[name], rate)
            rig.averages[name].update(rig.networks[name])
        rig.steps += 1
        self.journal.note(rig.steps, numbers, rate)


def crop_shape(progress: float, draw: float) -> tuple[int, int]:
    """Crop size and number of pictures: small crops while much is to be learned, larger ones toward the end."""
    if progress < 0.4:
        return (128, 4) if draw < 0.8 else (192, 2)
    return ((128, 4), (192, 2), (256, 1))[int(draw * 3)]


def train(worker: type[Worker], about: str | None) -> None:
    """Read the command line and train with workers of this kind."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--cache", type=Path, required=True, help="made by shaded.training.corpus")
    parser.add_argument("--encoders", type=Path, required=True, help="folder of the real encoders' weights")
    parser.add_argument("--work", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--until", type=today_at, required=True, help="end, HH:MM in UTC, today")
    parser.add_argument("--threads", type=int, default=2, help="worker threads, one core each")
    options = parser.parse_args()
    torch.manual_seed(1)
    rig = Rig(options.encoders)
    options.work.mkdir(parents=True, exist_ok=True)
    checkpoint = options.work / "checkpoint.pt"
    started = rig.restore(checkpoint, worker.trained) if checkpoint.exists() else time.time()
    schedule = Schedule(started, options.until)
    batches = Prefetcher(options.cache, schedule, crop_shape, seed=rig.steps + 1)
    torch.set_num_threads(1)
    journal = Journal()
    workers = [worker(rig, schedule, batches, journal, number) for number in range(options.threads)]
    for one in workers:
        one.start()
    while any(one.is_alive() for one in workers):
        workers[0].join(_CHECKPOINT_SECONDS)
        with rig.lock:
            rig.save(checkpoint, started, worker.trained)


if __name__ == "__main__":
    train(Worker, __doc__)
