"""How long a picture takes: learned like its memory, and said as the time that is left."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from shaded import logs
from shaded.errors import ShadedError
from shaded.outbox.roots import Memory
from shaded.scheduling.learning import Learner
from shaded.scheduling.memory import Footprint
from shaded.shading.presets import STEPS

logger = logs.get_logger("pace")

_MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Effort:
    """What a picture's time depends on: pixels of the canvas, of the picture itself, and the optimiser's steps."""

    canvas_pixels: int
    source_pixels: int
    quality: str

    @classmethod
    def of(cls, footprint: Footprint, quality: str) -> Effort:
        """The effort of a picture that is shaded so."""
        return cls(footprint.canvas_pixels, footprint.source_pixels, quality)

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


class Pace:
    """Foretells how long pictures take.

    Args:
        memory: Keeps what was learned.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._model = PaceModel(memory.recall())

    def expected(self, effort: Effort) -> float:
        """Seconds in the worker."""
        return self._model.predict(effort)

    def measured(self, effort: Effort, seconds: float) -> None:
        """Learn from a picture."""
        logger.debug("pace", expected=round(self.expected(effort), 1), measured=seconds, quality=effort.quality)
        self._model.learn(effort, seconds)
        with suppress(ShadedError):  # on a full disk it is learned again after the next start
            self._memory.remember(self._model.to_text())
