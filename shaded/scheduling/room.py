"""Whether there is memory for another picture: the memory model, the policy, and what to do when memory runs out.

A picture that ran out of memory beside others is tried again alone. One that ran out alone, or is too large for the
memory that could be had for a while, is shaded on a smaller canvas. The model learns from every picture, also where
memory ran out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from shaded import logs
from shaded.clock import Clock
from shaded.errors import ShadedError
from shaded.outbox.roots import Memory
from shaded.scheduling.executor import Candidate, Pick
from shaded.scheduling.memory import Footprint, MemoryModel
from shaded.scheduling.policy import Waiting, choose

logger = logs.get_logger("room")

#: How long a picture that does not fit into memory alone waits for some, before it is given a smaller canvas; seconds.
PATIENCE_SECONDS = 300.0
#: A picture that ran out of memory is expected to need so many times what it held then.
AFTER_FAILING = 1.25
#: The next smaller canvas has half of the pixels.
SMALLER = 2
LEAST_CANVAS = 65_536
#: A picture whose size is not known (it was queued by an older version) is taken for one of so many pixels.
UNKNOWN_PIXELS = 24_000_000
#: Of so many pictures it is remembered that they waited for memory.
MOST_CASES = 1000


@dataclass(frozen=True)
class Allowance:
    """How much memory all workers together may hold.

    Attributes:
        limit: At most so many bytes.
        reserve: So many bytes of the machine's memory stay free for other programs.
    """

    limit: int
    reserve: int

    def budget(self, available: int, held: int) -> int:
        """What the workers may hold in all, given what can be had beside what they hold already; bytes."""
        return min(self.limit, available + held)


@dataclass(frozen=True)
class Held:
    """A picture under way: what it is expected to take at most, and what its worker holds now, in bytes."""

    needed: int
    resident: int
    alone: bool = False

    @property
    def most(self) -> int:
        """What is to be reckoned with."""
        return max(self.needed, self.resident)


@dataclass(frozen=True)
class _Case:
    """What is remembered of a picture that waited for memory, or ran out of it."""

    passed: int = 0
    alone: bool = False
    canvas_pixels: int = 0
    short_since: float | None = None


class Room:
    """Picks the next picture that there is memory for.

    Args:
        canvas_pixels: The canvas that pictures are shaded on, in pixels, where memory allows.
        memory: Keeps what was learned.
        clock: Its monotonic time.
    """

    def __init__(self, canvas_pixels: int, memory: Memory, clock: Clock) -> None:
        self.canvas_pixels = canvas_pixels
        self._memory = memory
        self._clock = clock
        self._model = MemoryModel(memory.recall())
        self._cases: dict[str, _Case] = {}

    def pick(self, candidates: Sequence[Candidate], running: Sequence[Held], budget: int) -> Pick | None:
        """The picture to begin beside those that run; ``None`` where memory is short for all that wait.

        Args:
            candidates: What waits, the first first.
            running: What is under way.
            budget: What all together may hold, in bytes.
        """
        if any(held.alone for held in running):
            return None
        offers = [offer for i, candidate in enumerate(candidates) if (offer := self._offer(i, candidate, budget))]
        waiting = [
            Waiting(candidates[o.index].job_id, o.needed, self._passed(candidates[o.index]), o.alone) for o in offers
        ]
        chosen = choose(waiting, len(running), sum(held.most for held in running), budget)
        if chosen:
            first = waiting[0].job_id
            self._note(first, replace(self._case(first), passed=waiting[0].passed + 1))
        return None if chosen is None else offers[chosen]

    def _offer(self, index: int, candidate: Candidate, budget: int) -> Pick | None:
        """How a picture would be begun; ``None`` while it waits for the memory that it needs even alone."""
        case = self._case(candidate.job_id)
        source = candidate.pixels or UNKNOWN_PIXELS
        full = Footprint(min(source, case.canvas_pixels or self.canvas_pixels), source)
        needed = round(self._model.predict(full))
        if needed <= budget:
            if case.short_since is not None:
                self._note(candidate.job_id, replace(case, short_since=None))
            return Pick(index, case.canvas_pixels, needed, full, alone=case.alone)
        now = self._clock.monotonic()
        since = now if case.short_since is None else case.short_since
        self._note(candidate.job_id, replace(case, short_since=since))
        if now - since < PATIENCE_SECONDS:
            return None
        smaller = full
        while smaller.canvas_pixels > LEAST_CANVAS and self._model.predict(smaller) > budget:
            smaller = Footprint(max(LEAST_CANVAS, smaller.canvas_pixels // SMALLER), source)
        canvas = case.canvas_pixels if smaller is full else smaller.canvas_pixels
        return Pick(index, canvas, round(self._model.predict(smaller)), smaller, alone=True)

    def measured(self, footprint: Footprint, expected: int, peak: int, *, failed: bool = False) -> None:
        """Learn from a picture's peak, in bytes; where it ran out of memory, its peak is only the least it needs."""
        logger.debug("memory", expected=expected, measured=peak, failed=failed, canvas=footprint.canvas_pixels,
                     source=footprint.source_pixels)  # fmt: skip
        if failed:
            self._model.raise_to(footprint, round(AFTER_FAILING * max(peak, expected)))
        else:
            self._model.learn(footprint, peak)
        with suppress(ShadedError):  # on a full disk it is learned again after the next start
            self._memory.remember(self._model.to_text())

    def ran_out(self, job_id: str, footprint: Footprint, *, alone: bool) -> bool:
        """A picture ran out of memory; whether there is something left to try, with which it may be picked again."""
        case = self._case(job_id)
        if alone:
            smaller = max(LEAST_CANVAS, footprint.canvas_pixels // SMALLER)
            left = smaller < footprint.canvas_pixels
            case = replace(case, canvas_pixels=smaller)
        else:
            left = True
        self._note(job_id, replace(case, alone=True))
        return left

    def done(self, job_id: str) -> None:
        """Forget a picture."""
        self._cases.pop(job_id, None)

    def _case(self, job_id: str) -> _Case:
        return self._cases.get(job_id, _Case())

    def _note(self, job_id: str, case: _Case) -> None:
        """Remember this of a picture; of very many, those that were noted first are forgotten."""
        self._cases[job_id] = case
        while len(self._cases) > MOST_CASES:
            del self._cases[next(iter(self._cases))]

    def _passed(self, candidate: Candidate) -> int:
        return self._case(candidate.job_id).passed
