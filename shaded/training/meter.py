"""Teach the meters, after the students: copies that learn what the real autoencoders say of the students' shadings.

    python -m shaded.training.meter --cache CACHE --encoders DIR --work DIR --until 10:13

A student believes the shadings that were found against it. A meter begins as the student's copy and is shown those
shadings with the real encoders' latents, until the pull that it states is theirs. The students stay as they are;
nothing is ever optimised against a meter.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shaded.shading.students import StudentAutoencoder
from shaded.training.distil import Worker, train
from shaded.training.losses import Outcome, Triple, launder_some, meter_loss
from shaded.training.rig import METERS
from shaded.training.slots import Slot
from shaded.training.teachers import Teacher

__all__ = ["MeterWorker"]

_RATE = 0.002
_LAUNDERED_SHARE = 0.25


class MeterWorker(Worker):
    """A worker whose students are finished and whose meters learn."""

    taught = METERS
    begins_apart = False

    def learn(
        self,
        slot: Slot,
        family: str,
        network: StudentAutoencoder,
        *,
        apart: bool = False,  # noqa: ARG002 - never
    ) -> dict[str, float]:
        """Give one meter gradients from one batch; returns numbers for the journal."""
        teacher = self.rig.teachers[family]
        shaded = launder_some(slot.shaded, _LAUNDERED_SHARE, self.generator)
        ends = torch.cat([slot.batch.pictures, slot.batch.anchors])
        with torch.no_grad():
            if family not in slot.known:
                slot.known[family] = _all_of(teacher, ends)
            pairs = zip(_all_of(teacher, shaded), slot.known[family], strict=True)
            real = [torch.cat(pair) for pair in pairs]
        mine = [network(torch.cat([shaded, ends]))]
        if network.decoder is not None:
            mine.append(network.decoder(mine[0]))
        numbers, loss = {}, torch.zeros(())
        for what, (one, other) in zip(("latent", "decoded"), zip(real, mine, strict=True), strict=False):
            part, gap = meter_loss(Outcome(_three(one), _three(other)))
            loss = loss + part
            numbers[f"{what} gap {slot.kind}"] = gap
        loss.backward()  # type: ignore[no-untyped-call]
        return numbers

    def rate(self, progress: float) -> float:
        """Falls in a straight line to nothing."""
        return _RATE * (1 - progress)


def _all_of(teacher: Teacher, pictures: Tensor) -> list[Tensor]:
    """Latents, and what the decoder shows where there is one."""
    latents = teacher(pictures)
    return [latents] if teacher.decoder is None else [latents, *teacher.shown(latents, ())]


def _three(joined: Tensor) -> Triple:
    shaded, pictures, anchors = joined.chunk(3)
    return shaded, pictures, anchors


if __name__ == "__main__":
    train(MeterWorker, __doc__)
