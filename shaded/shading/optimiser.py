"""The optimiser: sign steps with momentum toward the anchor, inside hard limits, with an adaptive LPIPS penalty.

Sign-gradient steps are those of projected gradient descent (Madry et al. 2018, eq. 4), the momentum that of MI-FGSM
(Dong et al. 2018, eq. 6). What is ours: the limit differs per pixel, and the weight of the LPIPS penalty follows the
ceiling instead of being a constant that has to be tuned for each picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shaded.shading.laundering import random_laundering
from shaded.shading.perceptibility import ReferenceDistance, sum_of
from shaded.shading.pull import remaining
from shaded.shading.surrogates import Surrogate

MOMENTUM = 0.9
FIRST_STEP, LAST_STEP = 0.35, 0.03  # in units of each pixel's limit


@dataclass(frozen=True)
class Goal:
    """Something whose rest is to become small.

    Attributes:
        name: The surrogate's name.
        rest: From the shaded canvas ``(1, 3, H, W)`` to what remains of the way, ``(1,)``: 1 nothing done, 0 done.
        launderable: Whether the goal is to hold through launderings too.
    """

    name: str
    rest: Callable[[Tensor], Tensor]
    launderable: bool = True


def latent_goal(surrogate: Surrogate, original: Tensor, anchor: Tensor) -> Goal:
    """The goal of reaching the anchor's latents in one surrogate."""
    with torch.no_grad():
        start, end = surrogate.encode(original), surrogate.encode(anchor)
    return Goal(surrogate.name, lambda shaded: remaining(surrogate.encode(shaded.clamp(0, 1)), start, end))


def proposal_goal(original: Tensor, proposal: Tensor, limits: Tensor) -> Goal:
    """The goal of keeping what the shader network proposed, measured in units of each pixel's limit.

    The network was trained against encoders that are not at hand, so its proposal stands for them: a destination in
    the space of the shading itself.
    """
    end = proposal / limits
    return Goal(
        "shader",
        lambda shaded: remaining((shaded - original) / limits, torch.zeros_like(end), end),
        launderable=False,
    )


def _silent(_step: int, _steps: int, _pull: float | None) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Ceilings:
    """The visible budget on the canvas."""

    lpips: float
    local_lpips: float


def optimise(
    original: Tensor,
    start: Tensor,
    limits: Tensor,
    goals: Sequence[Goal],
    distance: ReferenceDistance,
    ceilings: Ceilings,
    project: Callable[[Tensor], Tensor],
    *,
    steps: int,
    generator: torch.Generator,
    progress: Callable[[int, int, float], None] = _silent,
) -> Tensor:
    """The shading ``(1, 3, H, W)`` with the least rest that was seen inside the ceilings.

    Args:
        original: The canvas ``(1, 3, H, W)`` in ``[0, 1]``.
        start: The shading to begin with, as ``project`` gives it.
        limits: The largest change per pixel ``(1, 1, H, W)``, in ``[0, 1]`` units.
        goals: At least one; their rests are averaged, so that no family is left behind.
        distance: LPIPS to ``original``.
        ceilings: What LPIPS and its worst window may be.
        project: Brings a shading back inside limits, value range, mask and grayness.
        steps: How many gradient steps to take.
        generator: Seeds the random launderings.
        progress: Told the step, the number of steps and the mean pull so far.

    Returns:
        The best shading inside the ceilings; where there was none, the last one seen (the caller scales it down).
    """
    delta = start.detach().clone()
    momentum = torch.zeros_like(delta)
    weight = 1.0
    best, best_rest = None, float("inf")
    for step in range(steps + 1):
        delta.requires_grad_()
        shaded = original + delta
        excess = _excess(shaded, distance, ceilings)
        rest = _mean_rest(goals, shaded, step, generator)
        if float(excess.detach()) <= 0 and float(rest.detach()) < best_rest:
            best, best_rest = delta.detach().clone(), float(rest.detach())
        progress(step, steps, 1 - float(rest.detach()))
        if step == steps or best_rest < 1e-3:
            break
        (gradient,) = torch.autograd.grad(rest + weight * excess.clamp_min(0), delta)
        weight = min(20.0, weight * 1.25) if float(excess.detach()) > 0 else max(0.05, weight * 0.9)
        momentum = MOMENTUM * momentum + gradient / gradient.abs().mean().clamp_min(1e-20)
        size = FIRST_STEP + (LAST_STEP - FIRST_STEP) * step / max(1, steps - 1)
        delta = project(delta.detach() - size * limits * momentum.sign())
    return best if best is not None else delta.detach()


def _mean_rest(goals: Sequence[Goal], shaded: Tensor, step: int, generator: torch.Generator) -> Tensor:
    """The goals' mean rest; every other step through one random laundering, the last and first ones plain."""
    launder = step % 2 == 1 and any(goal.launderable for goal in goals)
    seen = random_laundering(shaded.clamp(0, 1), generator) if launder else shaded
    return sum_of([goal.rest(seen if goal.launderable else shaded).mean() for goal in goals]) / len(goals)


def _excess(shaded: Tensor, distance: ReferenceDistance, ceilings: Ceilings) -> Tensor:
    """How far the worse of LPIPS and its worst window is over its ceiling, as a share of it; negative inside."""
    mean, worst = distance.mean_and_worst(shaded)
    return torch.maximum(mean / ceilings.lpips, worst / ceilings.local_lpips).max() - 1
