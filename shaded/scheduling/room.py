"""Whether there is memory for another picture: the memory model, the policy, and what to do when memory runs out.

A picture that ran out of memory beside others is tried again alone. One that ran out alone, or is too large for what
the workers may ever hold, or for what could be had for a while, is shaded on a smaller canvas. The model learns from
every picture, also where memory ran out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from shaded import logs
from shaded.clock import Clock
from shaded.errors import ShadedError
from shaded.outbox.roots import Memory
from shaded.scheduling.executor import Candidate, Pick
from shaded.scheduling.learning import Learner
from shaded.scheduling.memory import DeviceMemoryModel, Footprint, MemoryModel
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
        limit: At most so many bytes, whatever is free.
        reserve: So many bytes of the machine's memory stay free for other programs.
        reserve_share: The same of a GPU's memory, as a share of it from 0 to 1.
    """

    limit: int
    reserve: int
    reserve_share: float = 0.0

    def budget(self, available: int, held: int) -> int:
        """What the workers may hold in all, given what can be had beside what they hold already; bytes."""
        return min(self.limit, available + held)


@dataclass(frozen=True)
class Device:
    """A GPU's own memory.

    Attributes:
        name: Under it is learned what pictures take.
        budget: How many bytes a picture may hold there now.
        limit: How many it could hold there if nothing else did.
    """

    name: str
    budget: int
    limit: int


@dataclass(frozen=True)
class Held:
    """A picture under way: what it is expected to take at most, and what its worker holds now, in bytes."""

    needed: int
    private: int
    alone: bool = False

    @property
    def most(self) -> int:
        """What is to be reckoned with."""
        return max(self.needed, self.private)


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
        memory_of: Keeps what was learned of the machine's memory (under an empty name) and of each GPU's.
        clock: Its monotonic time.
    """

    def __init__(self, canvas_pixels: int, memory_of: Callable[[str], Memory], clock: Clock) -> None:
        self.canvas_pixels = canvas_pixels
        self._memory_of = memory_of
        self._clock = clock
        self._model = MemoryModel(memory_of("").recall())
        self._devices: dict[str, DeviceMemoryModel] = {}
        self._cases: dict[str, _Case] = {}

    def pick(
        self,
        candidates: Sequence[Candidate],
        running: Sequence[Held],
        budget: int,
        limit: int,
        device: Device | None = None,
        *,
        earlier: int = 0,
    ) -> Pick | None:
        """The picture to begin beside those that run; ``None`` where memory is short for all that wait.

        Args:
            candidates: What waits, the first first.
            running: What is under way.
            budget: What all together may hold now, in bytes.
            limit: What they could hold if nothing else held any. A picture that needs more is not kept waiting for it.
            device: Where the picture would be shaded, if that has memory of its own of which something is known.
            earlier: The largest canvas that the worker had before, in pixels.
        """
        if any(held.alone for held in running):
            return None
        offers = [
            offer
            for i, candidate in enumerate(candidates)
            if (offer := self._offer(self._possible(i, candidate, limit, device), candidate, budget, device, earlier))
        ]
        waiting = [
            Waiting(candidates[o.index].job_id, o.needed, self._passed(candidates[o.index]), o.alone) for o in offers
        ]
        chosen = choose(waiting, len(running), sum(held.most for held in running), budget)
        if chosen:
            first = waiting[0].job_id
            self._note(first, replace(self._case(first), passed=waiting[0].passed + 1))
        return None if chosen is None else offers[chosen]

    def footprint(self, candidate: Candidate, canvas_pixels: int = 0) -> Footprint:
        """What a picture is shaded as, on the usual canvas or on a smaller one."""
        source = candidate.pixels or UNKNOWN_PIXELS
        return Footprint(min(source, canvas_pixels or self.canvas_pixels), source)

    def _possible(self, index: int, candidate: Candidate, limit: int, device: Device | None) -> Pick:
        """A picture on the largest canvas for which a new worker could ever have the memory."""
        case = self._case(candidate.job_id)
        usual = Pick(index, case.canvas_pixels, alone=case.alone)
        usual = self._begun(usual, self.footprint(candidate, case.canvas_pixels), device)
        return self._within(usual, limit, device and replace(device, budget=device.limit))

    def _offer(
        self, possible: Pick, candidate: Candidate, budget: int, device: Device | None, earlier: int
    ) -> Pick | None:
        """How a picture would be begun; ``None`` while it waits for the memory that it needs even alone."""
        case = self._case(candidate.job_id)
        footprint = replace(self.footprint(candidate, possible.canvas_pixels), earlier_pixels=earlier)
        offer = self._begun(possible, footprint, device)
        if _fits(offer, budget, device):
            if case.short_since is not None:
                self._note(candidate.job_id, replace(case, short_since=None))
            return offer
        now = self._clock.monotonic()
        since = now if case.short_since is None else case.short_since
        self._note(candidate.job_id, replace(case, short_since=since))
        if now - since < PATIENCE_SECONDS:
            return None
        return self._within(replace(offer, alone=True), budget, device)

    def _within(self, offer: Pick, budget: int, device: Device | None) -> Pick:
        """The same on the largest canvas with which it fits, or the largest of those with which it takes least."""
        footprint = offer.footprint
        while footprint and footprint.canvas_pixels > LEAST_CANVAS and not _fits(offer, budget, device):
            canvas = max(LEAST_CANVAS, footprint.canvas_pixels // SMALLER)
            footprint = replace(footprint, canvas_pixels=canvas)
            smaller = self._begun(replace(offer, canvas_pixels=canvas), footprint, device)
            if smaller.needed >= offer.needed and smaller.device_needed >= offer.device_needed:
                break
            offer = smaller
        return offer

    def _begun(self, offer: Pick, footprint: Footprint, device: Device | None) -> Pick:
        """The same, with what it is expected to need."""
        there = 0 if device is None else round(self._device_model(device.name).predict(footprint))
        needed = round(self._model.predict(footprint))
        return replace(offer, footprint=footprint, needed=needed, device_needed=there)

    def measured(self, footprint: Footprint, expected: int, peak: int, *, failed: bool = False) -> None:
        """Learn from a picture's peak, in bytes; where it ran out of memory, its peak is only the least it needs."""
        self._learn("", self._model, footprint, expected, peak, failed=failed)

    def measured_on(self, name: str, footprint: Footprint, expected: int, peak: int, *, failed: bool = False) -> None:
        """The same of a GPU's own memory."""
        self._learn(name, self._device_model(name), footprint, expected, peak, failed=failed)

    def _learn(
        self, name: str, model: Learner, footprint: Footprint, expected: int, peak: int, *, failed: bool
    ) -> None:
        logger.debug("memory", of=name or "the machine", expected=expected, measured=peak, failed=failed,
                     canvas=footprint.canvas_pixels, source=footprint.source_pixels)  # fmt: skip
        if failed:
            model.raise_to(footprint, round(AFTER_FAILING * max(peak, expected)))
        else:
            model.learn(footprint, peak)
        with suppress(ShadedError):  # on a full disk it is learned again after the next start
            self._memory_of(name).remember(model.to_text())

    def _device_model(self, name: str) -> DeviceMemoryModel:
        if name not in self._devices:
            self._devices[name] = DeviceMemoryModel(self._memory_of(name).recall())
        return self._devices[name]

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


def _fits(offer: Pick, budget: int, device: Device | None) -> bool:
    return offer.needed <= budget and (device is None or offer.device_needed <= device.budget)
