"""Shadings on the way, for students and meter to be taught on: such as will be made, a step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from shaded.shading.laundering import random_laundering
from shaded.shading.limits import texture_limits
from shaded.shading.metric import steepest
from shaded.shading.perceptibility import without_shapes
from shaded.training.losses import Batch, eight_bits

__all__ = ["Slot", "advanced", "new_slot"]

_LONGEST = 16
_MOMENTUM = 0.9
_FIRST_STEP, _LAST_STEP = 0.55, 0.05
_HARDEST = 3.0
_BUSY = 4.0
_STUDENT_SHARE, _TEACHER_SHARE = 0.65, 0.22


@dataclass(frozen=True)
class Slot:
    """A batch of pictures (B, 3, S, S) on their way to anchors: the shading so far and how to go on with it.

    `kind` says what finds the shading: the students, the real encoders ("teacher") or nothing ("noise"). `flat` (B,) is
    the limit in flat areas, `reach` (B,) how much is to be seen, `ends` the last step.
    """

    batch: Batch
    limits: Tensor
    flat: Tensor
    delta: Tensor
    momentum: Tensor
    reach: Tensor
    kind: str
    age: int
    ends: int

    @property
    def shaded(self) -> Tensor:
        """The pictures with their shading, as 8 bits hold them."""
        return eight_bits(self.batch.pictures + self.delta)


def new_slot(batch: Batch, generator: torch.Generator) -> Slot:
    """A fresh slot of a random kind, without a shading but for noise."""
    count = len(batch.pictures)
    flat = (0.7 + 2.8 * torch.rand(count, generator=generator)) / 255
    limits = texture_limits(batch.pictures, flat, _BUSY * flat)
    draw = float(torch.rand((), generator=generator))
    kind = "student" if draw < _STUDENT_SHARE else "teacher" if draw < _STUDENT_SHARE + _TEACHER_SHARE else "noise"
    delta = torch.zeros_like(batch.pictures)
    ends = int(torch.randint(2, _LONGEST + 1, (), generator=generator))
    if kind == "noise":
        grain = int(torch.randint(0, 3, (), generator=generator))
        noise = torch.randn(count, 3, *(side >> grain for side in delta.shape[-2:]), generator=generator)
        delta = limits * nn.functional.interpolate(noise, delta.shape[-2:], mode="bilinear").clamp(-1, 1)
        ends = 2
    reach = 0.3 + 0.9 * torch.rand(count, generator=generator)
    return Slot(batch, limits, flat, delta, torch.zeros_like(delta), reach, kind, 0, ends)


def _size(change: Tensor) -> Tensor:
    size: Tensor = change.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    return size


def advanced(slot: Slot, encoders: Mapping[str, nn.Module], generator: torch.Generator) -> Slot:
    """The slot one step (see `shading/optimiser.py`) nearer to its anchors, at times through a laundering."""
    if slot.kind == "noise":
        return replace(slot, age=slot.age + 1)
    delta = slot.delta.clone().requires_grad_()
    arrived = (slot.batch.pictures + delta).clamp(0, 1)
    if float(torch.rand((), generator=generator)) < 0.5:
        arrived = random_laundering(generator, moving=False).apply(arrived)
    rest = torch.zeros(())
    for encoder in encoders.values():
        with torch.no_grad():
            start, end = encoder(torch.cat([slot.batch.pictures, slot.batch.anchors])).chunk(2)
        left = (encoder(arrived) - end).flatten(1).norm(dim=1)
        whole = (start - end).flatten(1).norm(dim=1)
        rest = rest + (left / torch.maximum(whole, whole.mean() / 2)).sum()
    (gradient,) = torch.autograd.grad(rest, delta)
    step = steepest(gradient, slot.limits) / slot.limits
    momentum = _MOMENTUM * slot.momentum + step / _size(step)
    reach = slot.reach.view(-1, 1, 1, 1)
    size = (_FIRST_STEP + (_LAST_STEP - _FIRST_STEP) * slot.age / _LONGEST) * reach
    share = slot.delta / slot.limits - size * momentum / _size(momentum)
    share = (share * (reach / _size(share)).clamp_max(1)).clamp(-_HARDEST, _HARDEST)
    # Limits differ from picture to picture, and the filter takes one pair: their ratio is the same for all.
    unit = slot.flat.view(-1, 1, 1, 1)
    moved = unit * without_shapes(share * slot.limits / unit, slot.limits / unit, 1.0, _BUSY)
    return replace(slot, delta=moved, momentum=momentum, age=slot.age + 1)
