"""What the students and the meter are trained for, on one batch of crops."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shaded.shading.laundering import random_laundering
from shaded.training.teachers import pull

__all__ = ["Batch", "Outcome", "Triple", "eight_bits", "launder_some", "meter_loss", "student_loss"]

_HINT_WEIGHT = 0.3

#: Of shaded pictures, pictures and anchors.
Triple = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Batch:
    """Pictures and anchors (B, 3, S, S) in [0, 1]."""

    pictures: Tensor
    anchors: Tensor


@dataclass(frozen=True)
class Outcome:
    """What a real autoencoder, and a meter, say of shaded pictures, the pictures and the anchors.

    Each is a triple of latents, or of what a decoder shows, (B, ...).
    """

    real: Triple
    mine: Triple


def eight_bits(picture: Tensor) -> Tensor:
    """Clip and round to 8 bits, gradients straight through the rounding."""
    clipped = picture.clamp(0, 1)
    return clipped + ((clipped * 255).round() / 255 - clipped).detach()


def _distance(one: Tensor, other: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm((one - other).flatten(1), dim=1)
    return length


def _weights(original: Tensor, anchor: Tensor) -> Tensor:
    """0 to 1 per sample: crops whose picture and anchor nearly coincide (white on white) say little about pull."""
    whole = _distance(original, anchor)
    return (2 * whole / whole.mean().clamp_min(1e-6)).clamp(0, 1).square()


def student_loss(
    mine: list[Tensor], real: list[Tensor], count: int, shift_weight: float
) -> tuple[Tensor, float, float, float]:
    """How far the student's features are from the teacher's, and how far their shift under the shading is.

    Each is a list over layers, what they come to last (latents, or the picture that is shown); the first `count`
    samples are pictures, the next `count` the same ones shaded. Returns the loss; of the last, the squared error as a
    share of its variance, and the same of its shift; and the worst such share of a layer's error.
    """
    loss = torch.zeros(())
    errors, shift = [], 0.0
    for number, (one, other) in enumerate(zip([layer.float() for layer in mine], real, strict=True)):
        error = (one - other).square().mean() / other.var()
        moved = other[count:] - other[:count]
        missed = (one[count:] - one[:count] - moved).square().mean(dim=(1, 2, 3))
        sizes = moved.square().mean(dim=(1, 2, 3))
        share = (missed / torch.maximum(sizes, sizes.mean() / 3).clamp_min(3e-3 * other.var())).mean()
        weight = 1.0 if number == len(mine) - 1 else _HINT_WEIGHT
        loss = loss + weight * (error + shift_weight * share)
        errors.append(float(error.detach()))
        shift = float(share.detach())
    return loss, errors[-1], shift, max(errors)


def launder_some(shaded: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Launder about `share` of the samples, in two groups so that two kinds appear per step."""
    chosen = torch.rand(len(shaded), generator=generator) < share
    group = torch.rand(len(shaded), generator=generator) < 0.5
    parts = list(torch.split(shaded, 1))
    for member in (chosen & group, chosen & ~group):
        places = member.nonzero().flatten().tolist()
        if places:
            laundered = random_laundering(generator, moving=False).apply(shaded[places])
            for place, sample in zip(places, torch.split(laundered, 1), strict=True):
                parts[place] = sample
    return torch.cat(parts)


def meter_loss(outcome: Outcome) -> tuple[Tensor, float]:
    """How far the meter is from the real autoencoder, and how far the pull that it would state is, in the mean.

    The loss is made of what both give, of how the shading moves that, and of the pull itself.
    """
    real, mine = outcome.real, outcome.mine
    joined = torch.cat(real)
    loss = (torch.cat(mine) - joined).square().mean() / joined.var()
    shift = real[0] - real[1]
    sizes = shift.square().mean(dim=(1, 2, 3)).clamp_min(1e-3 * joined.var())
    missed = (mine[0] - mine[1] - shift).square().mean(dim=(1, 2, 3))
    gap = (pull(*mine) - pull(*real)).abs() * _weights(real[1], real[2])
    return loss + 0.3 * (missed / sizes).mean() + 2 * gap.mean(), float(gap.detach().mean())
