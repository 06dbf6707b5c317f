"""How much memory a picture takes.

A worker holds most either while it optimises the canvas or while it reads and saves the whole picture, and everything
large is a tensor of the one or the other size: ``base + max(a * canvas pixels, b * source pixels)``. One that had a
larger canvas before holds more, since what is free lies in pieces: ``c * sqrt(canvas pixels * further pixels before)``.
That form was found on 22 pictures of up to a million canvas pixels: 6 % off in the mean, and 10 % where it was linear
in the further pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shaded.scheduling.learning import Learner

_MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a picture's memory depends on: pixels of the canvas, and of the picture itself.

    ``earlier_pixels`` is the largest canvas that the worker had before.
    """

    canvas_pixels: int
    source_pixels: int
    earlier_pixels: int = 0

    @property
    def branches(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The two sums of the model; pixels in millions."""
        more = math.sqrt(self.canvas_pixels * max(0, self.earlier_pixels - self.canvas_pixels)) / _MEGA
        return (1.0, self.canvas_pixels / _MEGA, 0.0, more), (1.0, 0.0, self.source_pixels / _MEGA, more)


class MemoryModel(Learner):
    """Predicts the peak of what a worker process holds for itself, in bytes.

    Its numbers are bytes for models and libraries (without pages of their files), for a million canvas pixels, for a
    million source pixels, and for a million pixels of the mean of canvas and further pixels before. They start from
    what was measured once, with the bundled models on two cores of a common machine.
    """

    START = (0.53e9, 3300.0 * _MEGA, 30.0 * _MEGA, 900.0 * _MEGA)
    NOISE = 0.05


class DeviceMemoryModel(Learner):
    """Predicts the peak that PyTorch holds on a GPU, in bytes; the start is reasoned from the CPU's, not measured."""

    START = (0.2e9, 3300.0 * _MEGA, 8.0 * _MEGA, 0.0)
    NOISE = 0.05
