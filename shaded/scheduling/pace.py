"""How long a picture takes: learned like its memory, and said as the time that is left."""

from __future__ import annotations

from dataclasses import dataclass

from shaded.scheduling.learning import Learner
from shaded.shading.presets import STEPS

_MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Effort:
    """What a picture's time depends on: pixels of the canvas, of the picture itself, and the optimiser's steps."""

    canvas_pixels: int
    source_pixels: int
    quality: str

    @property
    def branches(self) -> tuple[tuple[float, float, float, float]]:
        """The one sum of the model; pixels in millions."""
        canvas = self.canvas_pixels / _MEGA
        return ((1.0, canvas, canvas * STEPS[self.quality], self.source_pixels / _MEGA),)


class PaceModel(Learner):
    """Predicts how long a worker takes for a picture once its models are loaded, in seconds.

    Its numbers are seconds for a picture, for a million canvas pixels, for a million canvas pixels in one step and for
    a million source pixels. They start from what was measured on two cores of a common machine.
    """

    START = (2.0, 10.0, 5.0, 0.5)
    NOISE = 0.15
