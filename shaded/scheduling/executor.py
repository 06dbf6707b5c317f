"""The seam between the daemon and whatever does the shading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shaded.scheduling.memory import Footprint
from shaded.scheduling.messages import (
    Audited,
    AuditTask,
    ClusterState,
    Failure,
    Progress,
    Ready,
    Rendered,
    ShadeTask,
    Spent,
    Unusable,
    Verified,
    VerifyTask,
    WorkerDied,
)

AnyTask = ShadeTask | VerifyTask | AuditTask
AnyEvent = Ready | Progress | Spent | Rendered | Verified | Audited | Failure | WorkerDied | Unusable | ClusterState


#: Of so many waiting pictures, the first ones, an executor chooses the next.
LOOKAHEAD = 32


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture that may be begun: its job, how many pixels it has (0: not known), and with what quality."""

    job_id: str
    pixels: int
    quality: str = "balanced"


@dataclass(frozen=True, slots=True)
class Pick:
    """The picture that an executor takes next.

    Attributes:
        index: Which of the candidates.
        canvas_pixels: The canvas it is to be shaded on, where that is smaller than the settings say; 0: as they say.
        needed: What it is expected to hold at most, in bytes; 0: not known.
        footprint: What that was reckoned from.
        device_needed: What it is expected to hold of a GPU's own memory at most, in bytes; 0: not known.
        seconds: How long it is expected to take once the models are loaded; 0: not known.
        alone: Whether nothing is begun beside it.
    """

    index: int
    canvas_pixels: int = 0
    needed: int = 0
    footprint: Footprint | None = None
    alone: bool = False
    device_needed: int = 0
    seconds: float = 0.0


class Executor(Protocol):
    """Takes batches of tasks, gives events; one process, many, or a cluster behind it."""

    @property
    def busy(self) -> bool:
        """Whether tasks were submitted whose outcome was not given yet."""

    @property
    def full(self) -> bool:
        """Whether nothing more can be begun now, as far as the last :meth:`pick` told."""

    @property
    def shortage(self) -> str:
        """Why nothing was begun at the last :meth:`pick` although nothing is under way, for a person; usually empty."""

    @property
    def courtesy(self) -> str:
        """For whose sake nothing was begun at the last :meth:`pick`, as the user wished, one clause; usually empty."""

    @property
    def next_check(self) -> float | None:
        """When :meth:`events` must be called although nothing happened (on ``Clock.monotonic``), or ``None``."""

    def pick(self, candidates: Sequence[Candidate]) -> Pick | None:
        """Which of the waiting pictures, the first first, is begun now; ``None``: none of them."""

    def backlog(self, candidates: Sequence[Candidate]) -> float | None:
        """How long these pictures would take from now on, all together, in seconds; ``None``: it is not known."""

    def submit(self, batch: Sequence[AnyTask]) -> None:
        """Hand over tasks: pictures that were picked, or anything else while not busy."""

    def events(self, timeout: float) -> Sequence[AnyEvent]:
        """Wait at most ``timeout`` seconds for something to report; possibly nothing."""

    def close(self, *, now: bool = False) -> None:
        """Stop the workers: after what is under way, or at once."""
