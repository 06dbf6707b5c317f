"""Teach the student autoencoders what the real ones do, until a wall-clock end.

    python -m shaded.training.distil --cache CACHE --encoders DIR --work DIR --until 10:00

Students that only learn latents fool themselves: what moves them does not move their teachers. So each student is
taught the teacher's features at every stage (Romero et al. 2015, eq. 2, without a regressor: the stages are as wide),
of the encoder and of the decoder, each stretch of layers by itself at first. Then all together, on pictures and on the
same pictures under shadings, and how the features *move* between the two. The shadings are such as will be made with
it: most are found by steps against a student as it stands, some against a real one, some are noise.
`shaded.training.meter` comes after it. A checkpoint is written every few minutes; started again, the run goes on.
"""

from __future__ import annotations

import argparse
import copy
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from shaded.shading.students import StudentAutoencoder
from shaded.shading.tiny_autoencoders import FAMILIES
from shaded.training.losses import Batch, launder_some, student_loss
from shaded.training.rig import STUDENTS, Journal, Prefetcher, Rig, Schedule, apply_gradients, today_at
from shaded.training.slots import Slot, advanced, new_slot, noise_slot
from shaded.training.teachers import Teacher

__all__ = ["APART", "Worker", "crop_shape", "rate_at", "train"]

_APART_RATE, _JOINT_RATE = 0.05, 0.004
_CHECKPOINT_SECONDS = 240
_SLOTS = 8
_LAUNDERED_SHARE = 0.3
_STALEST = 12

#: The encoder's layers whose output is taught, by its stride: what a whole block gives, and at first what comes of the
#: pixels; and the decoder's.
_TAUGHT: Mapping[int, tuple[int, ...]] = {
    8: (2, 3, 4, 5, 7, 8, 9, 11, 12),
    32: (3, 4, 6, 7, 8, 10, 11, 12, 14, 15),
}
_TAUGHT_BACK = (3, 4, 5, 8, 9, 10, 13, 14, 15, 18)
_SHIFT_WEIGHT = 0.5

#: In so many steps the student is taught on shadings that were found for its own family.
_OWN_SHARE = 0.6

#: For this part of the time each stretch of layers is taught by itself, on what its teacher's layers give it: all of
#: them at once from nothing hardly learn (0.87 of the variance was left after 700 steps).
APART = 0.2


def rate_at(progress: float, apart: float = APART) -> float:
    """Half a cosine from the peak to nothing, once for the layers apart and once for all together."""
    if progress < apart:
        return _APART_RATE * 0.5 * (1 + math.cos(math.pi * progress / apart))
    joint = (progress - apart) / max(1 - apart, 1e-9)
    return _JOINT_RATE * 0.5 * (1 + math.cos(math.pi * joint)) * min(1.0, 20 * joint + 0.05)


class Worker(threading.Thread):
    """One of several threads that train the same networks, each on a core of its own; none waits for another.

    A step of one thread never waits for another's: on a machine that others use too, threads inside one operation would
    all go at the pace of the slowest core. A gradient that many steps of the others have overtaken is dropped.
    """

    #: Weight files of the networks that are taught, by family; the others of the rig stay as they are.
    taught: Mapping[str, str] = STUDENTS

    #: Whether layers are taught by themselves at first.
    begins_apart = True

    def __init__(
        self, rig: Rig, schedule: Schedule, batches: Prefetcher, journal: Journal, number: int, *, apart: float
    ) -> None:
        super().__init__(daemon=True)
        self.rig, self.schedule, self.batches, self.journal, self.apart = rig, schedule, batches, journal, apart
        self.networks = copy.deepcopy(rig.networks)
        self.generator = torch.Generator().manual_seed(1000 * rig.steps + number)
        self.slots: list[Slot] = []

    def run(self) -> None:
        """Train until the schedule ends."""
        while self.schedule.progress() < 1:
            family = self.rig.families[int(torch.randint(len(self.rig.families), (), generator=self.generator))]
            apart = self.schedule.progress() < self.apart
            if apart:
                slot = noise_slot(self.either(self.batches.ready.get()), self.generator)
            else:
                slot = self.next_slot()
                own = slot.family and float(torch.rand((), generator=self.generator)) < _OWN_SHARE
                family = slot.family if own else family
            network = self.networks[self.taught[family]]
            with self.rig.lock:
                network.load_state_dict(self.rig.networks[self.taught[family]].state_dict())
                begun = self.rig.steps
            numbers = self.learn(slot, family, network, apart=apart)
            with self.rig.lock:
                self._finish(begun, self.taught[family], {f"{name} {family}": one for name, one in numbers.items()})

    def learn(self, slot: Slot, family: str, network: StudentAutoencoder, *, apart: bool) -> dict[str, float]:
        """Give one student gradients from one batch; returns numbers for the journal."""
        count, teacher = len(slot.batch.pictures), self.rig.teachers[family]
        shaded = slot.shaded if apart else launder_some(slot.shaded, _LAUNDERED_SHARE, self.generator)
        taught = _TAUGHT[FAMILIES[family].stride]
        with torch.no_grad():
            if family not in slot.known:
                slot.known[family] = _all_of(teacher, slot.batch.pictures, taught)
            real = [torch.cat(pair) for pair in zip(slot.known[family], _all_of(teacher, shaded, taught), strict=True)]
        there = len(taught) + 1
        given = dict(zip(taught, real if apart else [None] * len(taught), strict=False))
        mine = network.encoder.features(torch.cat([slot.batch.pictures, shaded]), given)
        loss, error, shift, worst = student_loss(mine, real[:there], count, _SHIFT_WEIGHT)
        numbers = {"latents": error, "worst": worst, f"shift {slot.kind}": shift}
        if network.decoder is not None:
            back = dict(zip(_TAUGHT_BACK, real[there:] if apart else [None] * len(_TAUGHT_BACK), strict=False))
            shown = network.decoder.features(real[there - 1] if apart else mine[-1], back)
            loss_back, error, shift, worst = student_loss(shown, real[there:], count, _SHIFT_WEIGHT)
            loss = loss + loss_back
            numbers |= {"shown": error, "worst shown": worst, f"shift shown {slot.kind}": shift}
        loss.backward()  # type: ignore[no-untyped-call]
        return numbers

    def either(self, batch: Batch) -> Batch:
        """The batch, or the same with pictures and anchors exchanged: both are to be learned."""
        turned = float(torch.rand((), generator=self.generator)) < 0.5
        return Batch(batch.anchors, batch.pictures) if turned else batch

    def next_slot(self) -> Slot:
        """A slot, one step farther; it stays among the slots until it has come to its end."""
        if len(self.slots) < _SLOTS:
            self.slots.append(new_slot(self.batches.ready.get(), self.rig.families, self.generator))
        slot = self.slots.pop(int(torch.randint(len(self.slots), (), generator=self.generator)))
        if slot.kind == "student":
            student = self.networks[STUDENTS[slot.family]]
            student.load_state_dict(self.rig.networks[STUDENTS[slot.family]].state_dict())
            student.requires_grad_(requires_grad=False)
            slot = advanced(slot, _seen_by_student(student, decoded=slot.decoded), self.generator)
            student.requires_grad_(requires_grad=True)
        elif slot.kind == "teacher":
            teacher = self.rig.teachers[slot.family]
            slot = advanced(slot, _seen_by_teacher(teacher, decoded=slot.decoded), self.generator)
        else:
            slot = replace(slot, age=slot.age + 1)
        if slot.age < slot.ends:
            self.slots.append(slot)
        return slot

    def rate(self, progress: float) -> float:
        """The learning rate after this part of the time."""
        return rate_at(progress, self.apart)

    def _finish(self, begun: int, name: str, numbers: dict[str, float]) -> None:
        rig, rate = self.rig, self.rate(self.schedule.progress())
        if rig.steps - begun > _STALEST:
            self.networks[name].zero_grad(set_to_none=True)
        else:
            apply_gradients(rig.optimisers[name], rig.networks[name], self.networks[name], rate)
            rig.averages[name].update(rig.networks[name])
        rig.steps += 1
        self.journal.note(rig.steps, numbers, rate)


def _all_of(teacher: Teacher, pictures: Tensor, taught: tuple[int, ...]) -> list[Tensor]:
    """What the teacher's layers give, the latents, and what its decoder's give, the picture last."""
    features = teacher.features(pictures, taught)
    return features if teacher.decoder is None else [*features, *teacher.shown(features[-1], _TAUGHT_BACK)]


def _seen_by_student(student: StudentAutoencoder, *, decoded: bool) -> Callable[[Tensor], Tensor]:
    decoder = student.decoder
    if not decoded or decoder is None:
        return student
    return lambda pictures: decoder(student(pictures))


def _seen_by_teacher(teacher: Teacher, *, decoded: bool) -> Callable[[Tensor], Tensor]:
    if not decoded or teacher.decoder is None:
        return teacher
    return lambda pictures: teacher.shown(teacher(pictures), ())[0]


def crop_shape(progress: float, draw: float) -> tuple[int, int]:
    """Crop size and number of pictures: small crops while much is to be learned, larger ones toward the end."""
    if progress < 0.4:
        return (128, 4) if draw < 0.8 else (192, 2)
    return ((128, 4), (192, 2), (256, 1))[int(draw * 3)]


def train(worker: type[Worker], about: str | None) -> None:
    """Read the command line and train with workers of this kind."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--cache", type=Path, required=True, help="made by shaded.training.corpus")
    parser.add_argument("--encoders", type=Path, required=True, help="folder of the real autoencoders' weights")
    parser.add_argument("--work", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--until", type=today_at, required=True, help="end, HH:MM in UTC, today")
    parser.add_argument("--families", nargs="+", choices=tuple(FAMILIES), default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument(
        "--apart", type=float, default=APART, help="share of the time that teaches layers by themselves"
    )
    parser.add_argument("--bundled", action="store_true", help="begin with the weights that the package has")
    parser.add_argument("--threads", type=int, default=2, help="worker threads, one core each")
    options = parser.parse_args()
    torch.manual_seed(1)
    rig = Rig(options.encoders, options.families)
    if options.bundled:
        rig.begin_with_bundled()
    options.work.mkdir(parents=True, exist_ok=True)
    checkpoint = options.work / "checkpoint.pt"
    trained = tuple(worker.taught[family] for family in rig.families)
    started = rig.restore(checkpoint, trained) if checkpoint.exists() else time.time()
    schedule = Schedule(started, options.until)
    batches = Prefetcher(options.cache, schedule, crop_shape, seed=rig.steps + 1)
    torch.set_num_threads(1)
    journal = Journal()
    apart = options.apart if worker.begins_apart else 0.0
    workers = [worker(rig, schedule, batches, journal, number, apart=apart) for number in range(options.threads)]
    for one in workers:
        one.start()
    while any(one.is_alive() for one in workers):
        workers[0].join(_CHECKPOINT_SECONDS)
        with rig.lock:
            rig.save(checkpoint, started, trained)


if __name__ == "__main__":
    train(Worker, __doc__)
