"""Shadings on the way, for students and meter to be taught on: such as will be made, a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from shaded.shading.laundering import random_laundering
from shaded.shading.limits import HARDEST, hard_limits, texture_limits
from shaded.shading.metric import steepest
from shaded.shading.perceptibility import without_lines, without_outlines, without_shapes
from shaded.training.losses import Batch, eight_bits

__all__ = ["BUSY", "Slot", "advanced", "new_slot", "noise_slot"]

#: The limit in busy areas, in limits of flat ones; about that of every intensity.
BUSY = 10.0

_LONGEST = 16
_MOMENTUM = 0.6
_FIRST_STEP, _LAST_STEP = 1.0, 0.3
_STUDENT_SHARE, _TEACHER_SHARE = 0.65, 0.22
_FAINT_SHARE, _DECODED_SHARE = 0.6, 0.6


@dataclass(frozen=True)
class Slot:
    """A batch of pictures (B, 3, S, S) on their way to anchors: the shading so far and how to go on with it.

    `kind` says what finds the shading: a student, its teacher or nothing ("noise"), `family` whose, and `decoded`
    whether it moves what the decoder shows, or latents. `flat` (B,)
    is the limit in flat areas, `reach` (B,) how much is to be seen, `ends` the last step, `faint_lines` whether
    outlines are held down as at lower intensities. Two things are kept for the steps to come: `way`, what the network
    that the shading is found with gives of pictures and anchors, and `known`, what the teachers said, by family.
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
    family: str = ""
    decoded: bool = False
    faint_lines: bool = False
    way: list[Tensor] = field(default_factory=list)
    known: dict[str, list[Tensor]] = field(default_factory=dict)

    @property
    def shaded(self) -> Tensor:
        """The pictures with their shading, as 8 bits hold them."""
        return eight_bits(self.batch.pictures + self.delta)


def new_slot(batch: Batch, families: Sequence[str], generator: torch.Generator) -> Slot:
    """A fresh slot of a random kind and one of the families, without a shading but for noise."""
    draw = float(torch.rand((), generator=generator))
    if draw > _STUDENT_SHARE + _TEACHER_SHARE:
        return noise_slot(batch, generator)
    flat, limits = _limits(batch, generator)
    kind = "student" if draw < _STUDENT_SHARE else "teacher"
    ends = int(torch.randint(2, _LONGEST + 1, (), generator=generator))
    reach = 0.3 + 0.9 * torch.rand(len(flat), generator=generator)
    nothing = torch.zeros_like(batch.pictures)
    faint, decoded = (torch.rand(2, generator=generator) < torch.tensor([_FAINT_SHARE, _DECODED_SHARE])).tolist()
    family = families[int(torch.randint(len(families), (), generator=generator))]
    return Slot(batch, limits, flat, nothing, nothing, reach, kind, 0, ends, family, decoded, faint)


def noise_slot(batch: Batch, generator: torch.Generator) -> Slot:
    """A slot of random grain, fine or coarse, colourful or hardly so, within the limits."""
    flat, limits = _limits(batch, generator)
    grain, colourful = torch.randint(0, 3, (2,), generator=generator).tolist()
    height, width = batch.pictures.shape[-2:]
    noise = torch.randn(len(flat), 3, height >> grain, width >> grain, generator=generator)
    if not colourful:
        noise = noise.mean(dim=1, keepdim=True) + 0.3 * noise
    noise = nn.functional.interpolate(noise, (height, width), mode="bilinear")
    delta = limits * noise.clamp(-HARDEST[0], HARDEST[0])
    return Slot(batch, limits, flat, delta, torch.zeros_like(delta), torch.ones(len(flat)), "noise", 0, 2)


def _limits(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    flat = (0.7 + 2.8 * torch.rand(len(batch.pictures), generator=generator)) / 255
    return flat, texture_limits(batch.pictures, flat, BUSY * flat)


def _size(change: Tensor) -> Tensor:
    size: Tensor = change.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    return size


def advanced(slot: Slot, see: Callable[[Tensor], Tensor], generator: torch.Generator) -> Slot:
    """The slot one step (see `shading/optimiser.py`) nearer to its anchors, at times through a laundering.

    Args:
        slot: Where it stands.
        see: From pictures (B, 3, S, S) to what is to be moved: latents, or what the decoder shows.
        generator: Of chance.
    """
    if slot.kind == "noise":
        return replace(slot, age=slot.age + 1)
    unit = slot.flat.view(-1, 1, 1, 1)
    # Limits differ from picture to picture, and the filters take one pair: their ratio is the same for all.
    ratios = (slot.limits / unit, 1.0, BUSY)
    delta = slot.delta.clone().requires_grad_()
    arrived = (slot.batch.pictures + delta).clamp(0, 1)
    if float(torch.rand((), generator=generator)) < 0.5:
        arrived = random_laundering(generator, moving=False).apply(arrived)
    if not slot.way:
        # A student changes a little while its slot lives; where the way led at first is near enough.
        with torch.no_grad():
            ends = without_outlines(slot.batch.anchors, *ratios) if slot.faint_lines else slot.batch.anchors
            slot.way.extend(see(torch.cat([slot.batch.pictures, ends])).chunk(2))
    start, end = slot.way
    left = (see(arrived) - end).flatten(1).norm(dim=1)
    whole = (start - end).flatten(1).norm(dim=1)
    rest = (left / torch.maximum(whole, whole.mean() / 2)).sum()
    (gradient,) = torch.autograd.grad(rest, delta)
    step = steepest(gradient, slot.limits) / slot.limits
    momentum = _MOMENTUM * slot.momentum + step / _size(step)
    reach = slot.reach.view(-1, 1, 1, 1)
    size = (_FIRST_STEP + (_LAST_STEP - _FIRST_STEP) * slot.age / _LONGEST) * reach
    share = slot.delta / slot.limits - size * momentum / _size(momentum)
    share = share * (reach / _size(share)).clamp_max(1)
    moved = share * slot.limits / unit
    for clean in (without_shapes, without_lines) if slot.faint_lines else (without_shapes,):
        moved = clean(moved, *ratios)
    moved = unit * moved
    bound = hard_limits(slot.limits, unit, BUSY * unit)
    moved = torch.minimum(torch.maximum(moved, -bound), bound)
    return replace(slot, delta=moved, momentum=momentum, age=slot.age + 1)
