"""The optimiser: steepest steps toward the anchor in a metric of what people see, inside hard limits.

A sign step (Madry et al. 2018, eq. 4), which the published tools take, moves every pixel by the same amount, also those
that hardly matter to the encoder; all of it is seen. Here the picture's own masking is the metric: a change counts by
its size in units of the pixel's limit, and a change of colour counts more than one of light (`metric.py`). In that
metric the steepest step gives most pull for what is seen (natural gradient: Amari 1998, eq. 5), and the sum of what is
seen is held to a ball. The gradient of LPIPS, taken along at a weight that follows its ceiling, bends the way around
what that metric does not know. The momentum is that of MI-FGSM (Dong et al. 2018, eq. 6), without the sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shaded.shading.laundering import Laundering
from shaded.shading.metric import steepest, visible_size
from shaded.shading.perceptibility import ReferenceDistance, calmed, sum_of
from shaded.shading.pull import remaining
from shaded.shading.surrogates import Surrogate

MOMENTUM = 0.6
FIRST_STEP, LAST_STEP = 1.0, 0.3  # in units of the reach
FIRST_WEIGHT, LEAST_WEIGHT, MOST_WEIGHT = 0.2, 0.02, 1.0  # of LPIPS' gradient, as a share of the goals'
RESPONSE = 0.35  # of that weight's logarithm to each step's excess


@dataclass(frozen=True)
class Goal:
    """Something whose rest is to become small.

    Attributes:
        name: The surrogate's name.
        rest: From a shaded canvas ``(1, 3, H, W)`` in ``[0, 1]`` and what it is laundered with to what remains of the
            way, ``(1,)``: 1 nothing done, 0 at the anchor.
        weight: Of this rest in the mean.
    """

    name: str
    rest: Callable[[Tensor, Laundering | None], Tensor]
    weight: float = 1.0


def latent_goal(surrogate: Surrogate, original: Tensor, anchor: Tensor) -> Goal:
    """The goal of reaching the anchor's latents in one surrogate, through launderings too.

    A laundering that moves content (a crop) moves the way as well: both its ends are then seen through it.
    """
    with torch.no_grad():
        start, end = surrogate.encode(original), surrogate.encode(anchor)

    def rest(shaded: Tensor, laundering: Laundering | None) -> Tensor:
        if laundering is None:
            return remaining(surrogate.encode(shaded), start, end)
        if not laundering.moves:
            return remaining(surrogate.encode(laundering.apply(shaded)), start, end)
        with torch.no_grad():
            moved = [surrogate.encode(laundering.apply(one)) for one in (original, anchor)]
        return remaining(surrogate.encode(laundering.apply(shaded)), *moved)

    return Goal(surrogate.name, rest, surrogate.weight)


def _silent(_step: int, _steps: int, _pull: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Ceilings:
    """The visible budget on the canvas.

    Attributes:
        reach: Root mean square of the change in visible units (see ``metric.py``), at most.
        lpips: LPIPS over the canvas, at most.
        local_lpips: LPIPS of the worst window, at most.
    """

    reach: float
    lpips: float
    local_lpips: float


def optimise(
    original: Tensor,
    limits: Tensor,
    goals: Sequence[Goal],
    distance: ReferenceDistance,
    ceilings: Ceilings,
    project: Callable[[Tensor], Tensor],
    *,
    steps: int,
    seen_through: Iterator[Laundering | None],
    progress: Callable[[int, int, float], None] = _silent,
) -> Tensor:
    """The shading ``(1, 3, H, W)`` after ``steps`` steps; LPIPS may still be a little over its ceiling.

    Args:
        original: The canvas ``(1, 3, H, W)`` in ``[0, 1]``.
        limits: The unit of visible change per pixel ``(1, 1, H, W)``, in ``[0, 1]`` units.
        goals: At least one; their weighted rests are averaged, so that no family is left behind.
        distance: LPIPS to ``original``.
        ceilings: What the shading may cost.
        project: Brings a shading back inside the hard limits, value range, mask and grayness.
        steps: How many gradient steps to take.
        seen_through: What each step sees the canvas through, ``None`` as it is; at least ``steps`` of them.
        progress: Told the step, the number of steps and the mean pull as the goals saw it.
    """
    delta = torch.zeros_like(original)
    momentum = torch.zeros_like(original)
    weight, windows = FIRST_WEIGHT, None
    for step, laundering in zip(range(steps), seen_through, strict=False):
        delta.requires_grad_()
        rest = _rest_of(goals, original + delta, laundering)
        way = steepest(torch.autograd.grad(rest, delta)[0], limits)
        progress(step, steps, 1 - float(rest.detach()))
        if step:
            # Nothing has changed before the first step, and LPIPS has no slope there.
            mean, windows = distance.mean_and_windows(original + delta)
            aside = steepest(torch.autograd.grad(mean.sum(), delta)[0], limits)
            change = RESPONSE * min(1.0, max(-0.5, float(mean.detach().max()) / ceilings.lpips - 1))
            weight = min(MOST_WEIGHT, max(LEAST_WEIGHT, weight * math.exp(change)))
            way = way / visible_size(way, limits) + weight * aside / visible_size(aside, limits)
        momentum = MOMENTUM * momentum + way / visible_size(way, limits)
        size = ceilings.reach * (FIRST_STEP + (LAST_STEP - FIRST_STEP) * step / max(1, steps - 1))
        delta = delta.detach() - size * momentum / visible_size(momentum, limits)
        delta = delta * (ceilings.reach / visible_size(delta, limits)).clamp_max(1)
        delta = project(delta if windows is None else calmed(delta, windows.detach(), ceilings.local_lpips))
    with torch.no_grad():
        progress(steps, steps, 1 - float(_rest_of(goals, original + delta, None)))
    return delta


def _rest_of(goals: Sequence[Goal], shaded: Tensor, laundering: Laundering | None) -> Tensor:
    """The goals' mean rest ``()``, by their weights."""
    parts = [goal.weight * goal.rest(shaded, laundering).mean() for goal in goals]
    return sum_of(parts) / sum(goal.weight for goal in goals)
