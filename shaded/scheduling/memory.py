"""How much memory a picture takes.

A worker holds most either while it optimises the canvas or while it reads and saves the whole picture, and everything
large is a tensor of the one or the other size: ``base + max(a * canvas pixels, b * source pixels)``.
"""

from __future__ import annotations

from dataclasses import dataclass

from shaded.scheduling.learning import Learner

_MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a picture's memory depends on: pixels of the canvas, and of the picture itself."""

    canvas_pixels: int
    source_pixels: int

    @property
    def branches(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """The two sums of the model; pixels in millions."""
        return (1.0, self.canvas_pixels / _MEGA, 0.0), (1.0, 0.0, self.source_pixels / _MEGA)


class MemoryModel(Learner):
    """Predicts the peak of what a worker process holds for itself, in bytes.

    Its numbers are bytes for models and libraries (without pages of their files), for a million canvas pixels and for a
    million source pixels. They start from what was measured once, with the bundled models in float32 on two cores of a
    common machine.
    """

    START = (0.55e9, 3300.0 * _MEGA, 30.0 * _MEGA)
    NOISE = 0.05


class DeviceMemoryModel(Learner):
    """Predicts the peak that PyTorch holds on a GPU, in bytes; the start is reasoned from the CPU's, not measured."""

    START = (0.2e9, 3300.0 * _MEGA, 8.0 * _MEGA)
    NOISE = 0.05
