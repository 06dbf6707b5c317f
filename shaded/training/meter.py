"""Teach the meters, after the students: copies of them that learn what the real encoders say of the students' shadings.

    python -m shaded.training.meter --cache CACHE --encoders DIR --work DIR --until 10:13

A student believes the shadings that were found against it. A meter begins as the student's copy and is shown those
shadings with the real encoders' latents, until the pull that it states is theirs. The students stay as they are;
nothing is ever optimised against a meter.
"""

from __future__ import annotations

import torch

from shaded.training.distil import Worker, train
from shaded.training.losses import Outcome, launder_some, meter_loss
from shaded.training.rig import METERS

__all__ = ["MeterWorker"]

_RATE = 0.002
_LAUNDERED_SHARE = 0.25


class MeterWorker(Worker):
    """A worker whose students are finished and whose meters learn."""

    trained = tuple(METERS.values())

    def learn(self) -> dict[str, float]:
        """Give the meters gradients from one batch; returns numbers for the journal."""
        slot = self.next_slot()
        shaded = launder_some(slot.shaded, _LAUNDERED_SHARE, self.generator)
        ends = (slot.batch.pictures, slot.batch.anchors)
        latents = {}
        with torch.no_grad():
            for family, teacher in self.rig.teachers.items():
                if family not in slot.known:
                    slot.known[family] = [teacher(one) for one in ends]
                picture, anchor = slot.known[family]
                latents[family] = (teacher(shaded), picture, anchor)
        outcome = Outcome(shaded, *ends, latents)
        meters = {family: self.networks[name] for family, name in METERS.items()}
        gap, numbers = meter_loss(lambda picture: {name: meter(picture) for name, meter in meters.items()}, outcome)
        gap.backward()  # type: ignore[no-untyped-call]
        return {f"{name}_{slot.kind}": value for name, value in numbers.items()}

    def rate(self, progress: float) -> float:
        """Falls in a straight line to nothing."""
        return _RATE * (1 - progress)


if __name__ == "__main__":
    train(MeterWorker, __doc__)
