"""Shading one canvas: found by the optimiser, held to the canvas budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from shaded.shading.laundering import launderings
from shaded.shading.limits import hard_limits, texture_limits
from shaded.shading.optimiser import Ceilings, latent_goal, optimise
from shaded.shading.perceptibility import (
    ReferenceDistance,
    calmed,
    colour_drift,
    hold_colour,
    psnr,
    without_lines,
    without_outlines,
    without_shapes,
)
from shaded.shading.presets import Visibility
from shaded.shading.surrogates import Surrogate

#: The canvas is held a little tighter than the budget, since saving the file costs some of it again.
HEADROOM = 0.96

#: The same for the peak signal-to-noise ratio.
PSNR_HEADROOM_DB = 0.2

#: Lossy codecs shift dark colours by a level or so on their own, which takes a larger part of the colour limit.
COLOUR_HEADROOM = 0.7

#: Rounds of reducing what is over the local limit, before all of it is scaled down.
CALMING_ROUNDS = 4


@dataclass(frozen=True)
class CanvasWork:
    """What one canvas is to become.

    Attributes:
        original: ``(1, 3, H, W)`` in ``[0, 1]``, transparency over white.
        anchor: The destination, same shape.
        mask: How much each pixel shows, ``(1, 1, H, W)`` in ``[0, 1]``: alpha, or ones.
        gray: Whether the shading must be the same in all three channels.
        visibility: The budget.
        steps: Optimiser steps.
        seed: Makes the random launderings repeatable; from the content hash.
        laundered: Whether the steps see the canvas through launderings: without, more is reached and less survives.
    """

    original: Tensor
    anchor: Tensor
    mask: Tensor
    gray: bool
    visibility: Visibility
    steps: int
    seed: int
    laundered: bool = True


@dataclass(frozen=True)
class ShadedCanvas:
    """The shading of one canvas.

    Attributes:
        delta: What is added to the colour, ``(1, 3, H, W)`` in ``[0, 1]`` units, inside ``limits``.
        limits: The largest change per pixel, ``(1, 1, H, W)``.
        scale: What the shading was multiplied with to come inside the budget.
        steps: Optimiser steps that were taken.
    """

    delta: Tensor
    limits: Tensor
    scale: float
    steps: int


def _silent(_step: int, _steps: int, _pull: float | None) -> None:
    """Tell nobody."""


def shade_canvas(
    work: CanvasWork,
    surrogates: Sequence[Surrogate],
    lpips: Any,
    progress: Callable[[int, int, float | None], None] = _silent,
) -> ShadedCanvas:
    """Find the shading of one canvas. Deterministic: the same work gives the same shading on the same device.

    Args:
        work: The canvas and what is asked of it.
        surrogates: Encoders to optimise against, at least one.
        lpips: From :func:`~shaded.shading.perceptibility.build_lpips`.
        progress: Told the step, the number of steps and the pull so far as the optimiser sees it.
    """
    budget = work.visibility
    units = texture_limits(work.original, budget.flat / 255, budget.busy / 255)
    limits = hard_limits(units, budget.flat / 255, budget.busy / 255)
    distance = ReferenceDistance(lpips, work.original)
    anchor = work.anchor
    if budget.faint_lines:
        anchor = without_outlines(anchor, units, budget.flat / 255, budget.busy / 255)
    delta = optimise(
        work.original, units,
        [latent_goal(surrogate, work.original, anchor) for surrogate in surrogates],
        distance,
        Ceilings(budget.reach, budget.lpips * HEADROOM, budget.local_lpips * HEADROOM),
        _projection(work, units, limits),
        steps=work.steps,
        seen_through=launderings(torch.Generator().manual_seed(work.seed)) if work.laundered else repeat(None),
        progress=progress,
    )  # fmt: skip
    for _ in range(CALMING_ROUNDS):
        with torch.no_grad():
            windows = distance.mean_and_windows(as_saved(work.original + delta))[1]
        delta = calmed(delta, windows, budget.local_lpips * HEADROOM)
    scale = largest_scale(lambda share: fits(work, delta * share, distance))
    return ShadedCanvas(delta=delta * scale, limits=limits, scale=scale, steps=work.steps)


def _projection(work: CanvasWork, units: Tensor, limits: Tensor) -> Callable[[Tensor], Tensor]:
    """Back inside hard limits, noise limit, value range, mask and grayness, without a gradient."""
    bound = limits * work.mask
    loudest = 10 ** (-(work.visibility.psnr_db + PSNR_HEADROOM_DB) / 20)

    @torch.no_grad()
    def project(delta: Tensor) -> Tensor:
        if work.gray:
            delta = delta.mean(dim=1, keepdim=True).expand_as(delta)
        for clean in (without_shapes, without_lines) if work.visibility.faint_lines else ():
            delta = clean(delta, units, work.visibility.flat / 255, work.visibility.busy / 255)
        delta = hold_colour(delta, work.original, work.visibility.delta_e * COLOUR_HEADROOM)
        delta = torch.minimum(torch.maximum(delta, -bound), bound)
        delta = delta * (loudest / delta.square().mean().sqrt().clamp_min(1e-12)).clamp_max(1)
        if work.gray:
            # One amount for all channels, so that the one nearest to black or white decides.
            low = -work.original.amin(dim=1, keepdim=True)
            high = 1 - work.original.amax(dim=1, keepdim=True)
            return torch.minimum(torch.maximum(delta, low), high).contiguous()
        return (work.original + delta).clamp(0, 1) - work.original

    return project


def as_saved(picture: Tensor) -> Tensor:
    """``picture`` as 8 bits hold it."""
    return (picture.clamp(0, 1) * 255).round() / 255


@torch.no_grad()
def fits(work: CanvasWork, delta: Tensor, distance: ReferenceDistance) -> bool:
    """Whether a shading is inside the canvas budget after rounding to 8 bits."""
    shaded = as_saved(work.original + delta)
    mean, worst = distance.mean_and_worst(shaded)
    budget = work.visibility
    return bool(
        float(mean) <= budget.lpips * HEADROOM
        and float(worst) <= budget.local_lpips * HEADROOM
        and float(psnr(shaded, work.original)) >= budget.psnr_db + PSNR_HEADROOM_DB
        and float(colour_drift(shaded, work.original)) <= budget.delta_e * HEADROOM
    )


def largest_scale(fits_at: Callable[[float], bool], halvings: int = 5) -> float:
    """The largest share in ``(0, 1]`` of a shading that fits, to within ``2 ** -halvings``; 0 when none does."""
    if fits_at(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if fits_at(middle) else (low, middle)
    return low
