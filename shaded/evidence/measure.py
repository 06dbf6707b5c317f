"""Measuring a published picture: budget, strength and survival, on the pixels read back from its file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shaded.shading.canvas import MULTIPLE, SMALLEST
from shaded.shading.laundering import LAUNDERINGS
from shaded.shading.perceptibility import ReferenceDistance, colour_drift
from shaded.shading.presets import Visibility
from shaded.shading.pull import direction, pull
from shaded.shading.surrogates import Surrogate

#: Whole numbers as a file holds them.
Pixels = NDArray[np.uint8] | NDArray[np.uint16]

#: Below this pull nothing is left to divide by: survival is not stated.
LEAST_PULL = 0.01

#: Survival is measured on this many pixels of a canvas, at most.
SURVIVAL_PIXELS = 512 * 512


@dataclass(frozen=True)
class Check:
    """One limit and what was measured against it."""

    limit: float | bool
    measured: float | bool
    ok: bool

    @property
    def overshoot(self) -> float:
        """By how much of the limit it is missed; 0 where it holds."""
        return 0.0 if self.ok else abs(float(self.measured) - float(self.limit)) / max(float(self.limit), 1e-9)


@dataclass(frozen=True)
class Strength:
    """What one encoder sees: pull, and the cosine between the way gone and the way to the anchor."""

    pull: float
    direction: float


@dataclass(frozen=True)
class Survival:
    """What one laundering leaves, in the encoder where the least is left; ``share`` is ``None`` where pull was ~0."""

    pull: float
    share: float | None
    surrogate: str


def full_psnr(published: Pixels, original: Pixels, alpha: Pixels | None) -> float:
    """PSNR in dB over full-size pixels ``(H, W, C)`` of the same type; pixels under full transparency do not count.

    99 where nothing differs. Rows are taken in strips, so that large pictures need little memory.
    """
    peak = float(np.iinfo(original.dtype).max)
    total, count = 0.0, 0
    for top in range(0, original.shape[0], 256):
        rows = slice(top, top + 256)
        squares = (published[rows].astype(np.float32) - original[rows].astype(np.float32)) ** 2
        shown = np.ones(squares.shape[:2], dtype=bool) if alpha is None else alpha[rows] > 0
        total += float(squares[shown].sum(dtype=np.float64))
        count += int(shown.sum()) * squares.shape[2]
    if total == 0:
        return 99.0
    return float(10 * np.log10(peak**2 * count / total))


def largest_spread(colour: Pixels) -> int:
    """The largest distance between the channels of one pixel, in the file's own units: 0 for a gray picture."""
    if colour.shape[2] == 1:
        return 0
    return max(
        int(np.ptp(colour[top : top + 256].astype(np.int32), axis=2).max()) for top in range(0, colour.shape[0], 256)
    )


@torch.no_grad()
def measure_budget(
    shaded: Tensor,
    distance: ReferenceDistance,
    original: Tensor,
    visibility: Visibility,
    *,
    inner: tuple[int, int],
    psnr_db: float,
    gray_kept: bool,
) -> dict[str, Check]:
    """Every limit of the budget, by its name in the sidecar.

    Args:
        shaded: The published file's canvas ``(1, 3, H, W)``.
        distance: LPIPS to the original's canvas.
        original: The original's canvas.
        visibility: The limits.
        inner: The picture's own height and width on the canvas; what pads it repeats its last pixels, so that an error
            there would be taken for a drift of colour.
        psnr_db: From :func:`full_psnr`.
        gray_kept: Whether a gray original came out gray; ``True`` for one in colour.
    """
    mean, worst = (float(value) for value in distance.mean_and_worst(shaded))
    height, width = inner
    drift = float(colour_drift(shaded[..., :height, :width], original[..., :height, :width]))
    return {
        "lpips": _at_most(visibility.lpips, mean),
        "local_lpips": _at_most(visibility.local_lpips, worst),
        "psnr_db": Check(visibility.psnr_db, round(psnr_db, 3), psnr_db >= visibility.psnr_db),
        "max_delta_e": _at_most(visibility.delta_e, drift),
        "gray_kept": Check(True, gray_kept, gray_kept),
    }


def _at_most(limit: float, measured: float) -> Check:
    return Check(limit, round(measured, 5), measured <= limit)


@torch.no_grad()
def measure_strength(
    encoders: Sequence[Surrogate], shaded: Tensor, original: Tensor, anchor: Tensor
) -> dict[str, Strength]:
    """Pull and direction in each encoder; all three pictures are canvases ``(1, 3, H, W)`` of one size."""
    result = {}
    for encoder in encoders:
        latents = [encoder.encode(picture) for picture in (shaded, original, anchor)]
        result[encoder.name] = Strength(round(float(pull(*latents)), 4), round(float(direction(*latents)), 4))
    return result


def mean_pull(strength: Mapping[str, Strength]) -> float:
    """The mean pull over all encoders: the one number for a table."""
    return sum(one.pull for one in strength.values()) / len(strength)


@torch.no_grad()
def measure_survival(
    encoders: Sequence[Surrogate],
    shaded: Tensor,
    original: Tensor,
    anchor: Tensor,
    launderings: Mapping[str, Callable[[Tensor], Tensor]] = LAUNDERINGS,
) -> dict[str, Survival]:
    """For each laundering, the worst encoder's pull after it and its share of the pull without it.

    All three pictures, ``(1, 3, H, W)``, go through the laundering, so that what is measured is what it leaves of the
    shading and not what it does to latents by itself. On a large canvas this is measured in its ``middle``: fifteen
    passes of every encoder over all of it would take longer than half of the shading's steps.
    """
    three = [middle(picture, SURVIVAL_PIXELS) for picture in (shaded, original, anchor)]
    starts = {encoder.name: _pull_of(encoder, three) for encoder in encoders}
    result = {}
    for name, launder in launderings.items():
        washed = [launder(picture) for picture in three]
        candidates = []
        for encoder in encoders:
            after, start = _pull_of(encoder, washed), starts[encoder.name]
            share = after / start if start >= LEAST_PULL else None
            candidates.append(Survival(round(after, 4), None if share is None else round(share, 4), encoder.name))
        result[name] = min(candidates, key=lambda one: (float("inf") if one.share is None else one.share, one.pull))
    return result


def _pull_of(encoder: Surrogate, three: Sequence[Tensor]) -> float:
    """The pull of the first of three pictures: shaded, original, anchor."""
    return float(pull(*(encoder.encode(picture) for picture in three)))


def middle(canvas: Tensor, pixels: int) -> Tensor:
    """The middle part of ``(B, C, H, W)`` with at most ``pixels`` pixels and about its shape; all of a smaller one.

    It begins at multiples of what the latents' strides divide, so that it is seen as it was in the whole canvas.
    """
    height, width = canvas.shape[-2:]
    share = min(1.0, math.sqrt(pixels / (height * width)))
    rows, columns = (max(SMALLEST, int(side * share) // MULTIPLE * MULTIPLE) for side in (height, width))
    top, left = (max(0, whole - part) // 2 // MULTIPLE * MULTIPLE for whole, part in ((height, rows), (width, columns)))
    return canvas[..., top : top + rows, left : left + columns]
