"""What the shader and the meter are trained for, on one batch of crops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from shaded.shading.laundering import random_laundering
from shaded.shading.limits import texture_limits
from shaded.shading.networks import MeterNetwork, ShaderNetwork
from shaded.training.teachers import FAMILIES, Perceptual, Teacher, pull

__all__ = ["Batch", "Judges", "Outcome", "eight_bits", "launder_some", "meter_loss", "shader_loss"]

_FAMILY_WEIGHTS = {"flux2": 1.0, "sana": 1.5}
_PAIRINGS = 2
_CEILINGS = ((1.0, 0.03), (2.0, 0.05), (3.0, 0.07))
_LPIPS_WEIGHT = 4.0
_SATURATED, _SATURATION_WEIGHT = 1.5, 0.05
_GUESS_WEIGHT = 0.1
_GHOST_CELL, _GHOST_LEVELS, _GHOST_WEIGHT = 8, 0.5, 0.02


@dataclass(frozen=True)
class Batch:
    """Pictures and anchors (B, 3, S, S) in [0, 1]."""

    pictures: Tensor
    anchors: Tensor


@dataclass(frozen=True)
class Outcome:
    """What one shader step produced, kept for the meter: the pictures and what the real encoders said of them."""

    shaded: Tensor
    pictures: Tensor
    anchors: Tensor
    pairing: Tensor
    latents: Mapping[str, tuple[Tensor, Tensor, Tensor]]
    """Per family: shaded (P * B), pictures (B), anchors (B)."""


@dataclass(frozen=True)
class Judges:
    """The real encoders by family, and LPIPS."""

    teachers: Mapping[str, Teacher]
    perceptual: Perceptual


def _ceiling(flat_levels: Tensor) -> Tensor:
    """The LPIPS ceiling for a flat limit in grey levels: 0.03 at 1, 0.05 at 2, 0.07 at 3."""
    (low, least), _, (high, most) = _CEILINGS
    return least + (flat_levels - low) / (high - low) * (most - least)


def eight_bits(picture: Tensor) -> Tensor:
    """Clip and round to 8 bits, gradients straight through the rounding."""
    clipped = picture.clamp(0, 1)
    return clipped + ((clipped * 255).round() / 255 - clipped).detach()


def shader_loss(
    judges: Judges, shader: ShaderNetwork, batch: Batch, generator: torch.Generator, laundered_share: float
) -> tuple[Tensor, Outcome, dict[str, float]]:
    """The loss of one batch under `_PAIRINGS` random pairings of pictures with anchors, and what came of it."""
    count = len(batch.pictures)
    with torch.no_grad():
        both = torch.cat([batch.pictures, batch.anchors])
        known = {family: judges.teachers[family](both).chunk(2) for family in FAMILIES}
        seen = judges.perceptual.features(batch.pictures)
    shift = torch.arange(count)
    pairing = torch.cat([(shift + turn) % count for turn in range(_PAIRINGS)])
    pictures = batch.pictures.repeat(_PAIRINGS, 1, 1, 1)
    anchors = batch.anchors[pairing]
    flat = 1 + 2 * torch.rand(len(pictures), generator=generator)
    limits = texture_limits(pictures, flat / 255, 4 * flat / 255)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        seen_by_shader = [part.contiguous(memory_format=torch.channels_last) for part in (pictures, anchors)]
        raw, guesses = shader.propose(seen_by_shader[0], seen_by_shader[1], limits)
    delta = limits * torch.tanh(raw)
    shaded = eight_bits(pictures + delta)
    excess = judges.perceptual(shaded, [part.repeat(_PAIRINGS, 1, 1, 1) for part in seen])
    arrived = launder_some(shaded, laundered_share, generator)
    loss = _LPIPS_WEIGHT * torch.relu(excess - _ceiling(flat)).mean()
    loss = loss + _SATURATION_WEIGHT * torch.relu(raw.abs() - _SATURATED).square().mean()
    ghost = _ghost(delta, limits, flat)
    loss = loss + _GHOST_WEIGHT * ghost
    parts = {"ghost": ghost, "lpips": excess.mean(), "raw": raw.abs().mean()}
    numbers = {name: float(part.detach()) for name, part in parts.items()}
    latents = {}
    for family in FAMILIES:
        clean, wanted = known[family]
        reached = judges.teachers[family](arrived)
        gained = _steady_pull(reached, clean.repeat(_PAIRINGS, 1, 1, 1), wanted[pairing])
        seen_by_teacher = torch.cat([clean.repeat(_PAIRINGS, 1, 1, 1), wanted[pairing]])
        error = (guesses[family] - seen_by_teacher).square().mean() / seen_by_teacher.var()
        loss = loss - _FAMILY_WEIGHTS[family] * gained.mean() + _GUESS_WEIGHT * error
        numbers[f"error_{family}"] = float(error.detach())
        latents[family] = (reached.detach(), clean, wanted)
        numbers[family] = float(gained.detach().mean())
    return loss, Outcome(arrived.detach(), batch.pictures, batch.anchors, pairing, latents), numbers


def _distance(one: Tensor, other: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm((one - other).flatten(1), dim=1)
    return length


def _weights(original: Tensor, anchor: Tensor) -> Tensor:
    """0 to 1 per sample: crops whose picture and anchor nearly coincide (white on white) say little about pull."""
    whole = _distance(original, anchor)
    return (2 * whole / whole.mean().clamp_min(1e-6)).clamp(0, 1).square()


def _steady_pull(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """Pull per crop, with small distances taken as half the batch's mean distance, so that none explodes."""
    whole = _distance(original, anchor)
    floor = whole.mean().clamp_min(1e-6) / 2
    return (whole - _distance(shaded, anchor)) / torch.maximum(whole, floor)


def _ghost(delta: Tensor, limits: Tensor, flat_levels: Tensor) -> Tensor:
    """How much the anchor shows through in flat areas: soft shifts of colour, squared grey levels above a half.

    LPIPS hardly sees a faint large outline in a clear sky, and people do.
    """
    soft = F.avg_pool2d(delta * 255, _GHOST_CELL).abs()
    openness = F.avg_pool2d(limits * 255, _GHOST_CELL) / flat_levels.view(-1, 1, 1, 1) - 1
    return (torch.exp(-3 * openness) * torch.relu(soft - _GHOST_LEVELS).square()).mean()


def launder_some(shaded: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Launder about `share` of the samples, in two groups so that two kinds appear per step."""
    chosen = torch.rand(len(shaded), generator=generator) < share
    group = torch.rand(len(shaded), generator=generator) < 0.5
    parts = list(torch.split(shaded, 1))
    for member in (chosen & group, chosen & ~group):
        places = member.nonzero().flatten().tolist()
        if places:
            laundered = random_laundering(shaded[places], generator)
            for place, sample in zip(places, torch.split(laundered, 1), strict=True):
                parts[place] = sample
    return torch.cat(parts)


def meter_loss(meter: MeterNetwork, outcome: Outcome, *, half: bool = True) -> tuple[Tensor, dict[str, float]]:
    """How far the meter is from the real encoders: latents, the shading's shift in latents, and the pull itself."""
    count = len(outcome.pictures)
    turns = len(outcome.shaded) // count
    everything = torch.cat([outcome.shaded, outcome.pictures, outcome.anchors])
    with torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False):
        estimates = meter(everything.contiguous(memory_format=torch.channels_last))
    loss, numbers = torch.zeros(()), {}
    for family in FAMILIES:
        real = outcome.latents[family]
        mine = torch.split(estimates[family], [len(outcome.shaded), count, count])
        joined = torch.cat(real)
        loss = loss + (estimates[family] - joined).square().mean() / joined.var()
        shift = real[0] - real[1].repeat(turns, 1, 1, 1)
        my_shift = mine[0] - mine[1].repeat(turns, 1, 1, 1)
        sizes = shift.square().mean(dim=(1, 2, 3)).clamp_min(1e-3 * joined.var())
        loss = loss + 0.3 * ((my_shift - shift).square().mean(dim=(1, 2, 3)) / sizes).mean()
        original = real[1].repeat(turns, 1, 1, 1)
        true = pull(real[0], original, real[2][outcome.pairing])
        stated = pull(mine[0], mine[1].repeat(turns, 1, 1, 1), mine[2][outcome.pairing])
        gap = (stated - true).abs() * _weights(original, real[2][outcome.pairing])
        loss = loss + 2 * gap.mean()
        numbers[f"gap_{family}"] = float(gap.detach().mean())
    return loss, numbers
