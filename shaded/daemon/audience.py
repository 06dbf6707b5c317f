"""Whoever watches the daemon work: a progress display, or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Outcome = Literal["published", "refused", "failed", "waiting", "left alone"]


@dataclass(frozen=True)
class Flight:
    """One picture under way.

    Attributes:
        job_id: Its job.
        path: Its source.
        started_at: When it was handed to the worker (``Clock.monotonic``).
        stage: What is being done, in a word or two.
        step: How many of ``steps`` are done in this stage; 0 of 0 where it is not counted.
        steps: See ``step``.
        pull: What the optimiser sees so far.
        stage_at: When this stage began (``Clock.monotonic``).
        expected: How long it is expected to take in all, in seconds; 0 where that is not known.
    """

    job_id: str
    path: Path
    started_at: float
    stage: str = "waiting for the worker"
    step: int = 0
    steps: int = 0
    pull: float | None = None
    stage_at: float = 0.0
    expected: float = 0.0

    def eta(self, now: float) -> float | None:
        """Seconds left, as a rough guess: what is expected, but no less than this stage at the pace so far."""
        expected = self.expected - (now - self.started_at)
        stage = (now - self.stage_at) / self.step * (self.steps - self.step) if self.steps and self.step else 0.0
        left = max(expected, stage)
        return left if left > 0 else None


@dataclass(frozen=True)
class Finished:
    """How one picture ended.

    Attributes:
        path: Its source.
        outcome: ``waiting`` means that it is tried again later, ``left alone`` that it is no picture.
        published: Where the shaded copy is.
        summary: The few numbers that a table shows; see ``Rendered.summary``.
        reason: Why it was refused, failed or put off.
        remedy: What to do about it.
    """

    path: Path
    outcome: Outcome
    published: Path | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    remedy: str = ""


class Audience(Protocol):
    """Hears of progress and of outcomes, in the daemon's thread."""

    def progress(self, flight: Flight) -> None:
        """A picture is under way."""

    def finished(self, finished: Finished) -> None:
        """A picture's way ended, at least for now."""


class Nobody:
    """An audience that does not listen."""

    def progress(self, flight: Flight) -> None:
        """Do nothing."""

    def finished(self, finished: Finished) -> None:
        """Do nothing."""
