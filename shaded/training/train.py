"""Train the shader and the meter together against both real encoders, until a wall-clock end.

    python -m shaded.training.train --cache CACHE --encoders DIR --work DIR --until 10:00

The shader is pushed to move latents toward random anchors, through random launderings, within random limits, under an
LPIPS ceiling. The meter sees every picture, anchor and shaded picture that the shader produces and learns what
the real encoders said about them. A checkpoint is written every few minutes; started again, the run goes on from it.
"""

from __future__ import annotations

import argparse
import copy
import math
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from shaded.shading.laundering import random_laundering
from shaded.shading.limits import texture_limits
from shaded.shading.networks import MeterNetwork, ShaderNetwork
from shaded.training.corpus import Corpus, load_corpus
from shaded.training.teachers import FAMILIES, Perceptual, Teacher, load_teachers, pull

__all__ = ["Averages", "Batch", "Outcome", "Rig", "main", "meter_loss", "shader_loss"]

MODELS = Path(__file__).resolve().parent.parent / "models"
_LAUNDERED_SHARE = 0.4
_PAIRINGS = 2
_CEILINGS = ((1.0, 0.03), (2.0, 0.05), (3.0, 0.07))
_LPIPS_WEIGHT = 4.0
_CHECKPOINT_SECONDS = 180
_STALEST = 12
_LEARNING_RATE = 6e-4
_SATURATED, _SATURATION_WEIGHT = 1.5, 0.05
_GENTLE_STEPS = 300
_GUESS_WEIGHT = 0.1


@dataclass(frozen=True)
class Batch:
    """Pictures and anchors (B, 3, S, S) in [0, 1]."""

    pictures: Tensor
    anchors: Tensor


@dataclass(frozen=True)
class Outcome:
    """What one shader step produced, kept for the meter: the pictures and what the real encoders said of them."""

    shaded: Tensor
    pictures: Tensor
    anchors: Tensor
    pairing: Tensor
    latents: Mapping[str, tuple[Tensor, Tensor, Tensor]]
    """Per family: shaded (P * B), pictures (B), anchors (B)."""


class Averages:
    """Exponential moving averages of a network's weights, warmed up so that early values don't linger."""

    def __init__(self, network: nn.Module, decay: float = 0.998) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def update(self, network: nn.Module) -> None:
        """Take the network's present weights in."""
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, tensor in network.state_dict().items():
            self.state[name].lerp_(tensor.detach(), 1 - keep)


class Rig:
    """The two networks under training with their optimisers and averages, and the judges."""

    def __init__(self, encoders: Path, *, half: bool = True) -> None:
        self.shader = ShaderNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.meter = MeterNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.shader_average, self.meter_average = Averages(self.shader), Averages(self.meter)
        self.shader_optimiser = torch.optim.AdamW(self.shader.parameters(), betas=(0.9, 0.99), weight_decay=1e-3)
        self.meter_optimiser = torch.optim.AdamW(self.meter.parameters(), betas=(0.9, 0.99), weight_decay=1e-3)
        self.teachers = load_teachers(encoders, half=half)
        self.perceptual = Perceptual(load_file(MODELS / "lpips-alexnet.safetensors"))
        self.steps = 0
        self.lock = threading.Lock()

    def save(self, path: Path, started: float) -> None:
        """Write everything that a later run needs to go on."""
        parts = {
            "shader": self.shader.state_dict(),
            "meter": self.meter.state_dict(),
            "shader_average": self.shader_average.state,
            "meter_average": self.meter_average.state,
            "shader_optimiser": self.shader_optimiser.state_dict(),
            "meter_optimiser": self.meter_optimiser.state_dict(),
            "steps": self.steps,
            "started": started,
        }
        staged = path.with_suffix(".tmp")
        torch.save(parts, staged)
        staged.replace(path)

    def restore(self, path: Path) -> float:
        """Go on from a checkpoint; returns when its run began (seconds since the epoch)."""
        parts = torch.load(path, weights_only=True)
        self.shader.load_state_dict(parts["shader"])
        self.meter.load_state_dict(parts["meter"])
        self.shader_average.state, self.meter_average.state = parts["shader_average"], parts["meter_average"]
        self.shader_optimiser.load_state_dict(parts["shader_optimiser"])
        self.meter_optimiser.load_state_dict(parts["meter_optimiser"])
        self.steps = self.shader_average.steps = self.meter_average.steps = parts["steps"]
        return float(parts["started"])


def _ceiling(flat_levels: Tensor) -> Tensor:
    """The LPIPS ceiling for a flat limit in grey levels: 0.03 at 1, 0.05 at 2, 0.07 at 3."""
    (low, least), _, (high, most) = _CEILINGS
    return least + (flat_levels - low) / (high - low) * (most - least)


def _rounded(picture: Tensor) -> Tensor:
    """Clip and round to 8 bits, gradients straight through the rounding."""
    clipped = picture.clamp(0, 1)
    return clipped + ((clipped * 255).round() / 255 - clipped).detach()


def shader_loss(
    rig: Rig, shader: ShaderNetwork, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, Outcome, dict[str, float]]:
    """The loss of one batch under `_PAIRINGS` random pairings of pictures with anchors, and what came of it."""
    count = len(batch.pictures)
    with torch.no_grad():
        both = torch.cat([batch.pictures, batch.anchors])
        known = {family: rig.teachers[family](both).chunk(2) for family in FAMILIES}
        seen = rig.perceptual.features(batch.pictures)
    shift = torch.arange(count)
    pairing = torch.cat([(shift + turn) % count for turn in range(_PAIRINGS)])
    pictures = batch.pictures.repeat(_PAIRINGS, 1, 1, 1)
    anchors = batch.anchors[pairing]
    flat = 1 + 2 * torch.rand(len(pictures), generator=generator)
    limits = texture_limits(pictures, flat / 255, 4 * flat / 255)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        raw, guesses = shader.propose(*(part.contiguous(memory_format=torch.channels_last) for part in (pictures, anchors)), limits)
    shaded = _rounded(pictures + limits * torch.tanh(raw))
    excess = rig.perceptual(shaded, [part.repeat(_PAIRINGS, 1, 1, 1) for part in seen])
    arrived = _some_laundered(shaded, generator) if rig.steps > _GENTLE_STEPS else shaded
    loss = _LPIPS_WEIGHT * torch.relu(excess - _ceiling(flat)).mean()
    loss = loss + _SATURATION_WEIGHT * torch.relu(raw.abs() - _SATURATED).square().mean()
    latents, numbers = {}, {"lpips": float(excess.detach().mean()), "raw": float(raw.detach().abs().mean())}
    for family in FAMILIES:
        clean, wanted = known[family]
        reached = rig.teachers[family](arrived)
        gained = _steady_pull(reached, clean.repeat(_PAIRINGS, 1, 1, 1), wanted[pairing])
        seen_by_teacher = torch.cat([clean.repeat(_PAIRINGS, 1, 1, 1), wanted[pairing]])
        error = (guesses[family] - seen_by_teacher).square().mean() / seen_by_teacher.var()
        loss = loss - gained.mean() + _GUESS_WEIGHT * error
        numbers[f"error_{family}"] = float(error.detach())
        latents[family] = (reached.detach(), clean, wanted)
        numbers[family] = float(gained.detach().mean())
    return loss, Outcome(arrived.detach(), batch.pictures, batch.anchors, pairing, latents), numbers


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).flatten(1).norm(dim=1)


def _weights(original: Tensor, anchor: Tensor) -> Tensor:
    """0 to 1 per sample: crops whose picture and anchor nearly coincide (white on white) say little about pull."""
    whole = _distance(original, anchor)
    return (2 * whole / whole.mean().clamp_min(1e-6)).clamp(0, 1).square()


def _steady_pull(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """Pull per crop, with small distances taken as half the batch's mean distance, so that none explodes."""
    whole = _distance(original, anchor)
    floor = whole.mean().clamp_min(1e-6) / 2
    return (whole - _distance(shaded, anchor)) / torch.maximum(whole, floor)


def _some_laundered(shaded: Tensor, generator: torch.Generator) -> Tensor:
    """Launder a random share of the samples, in two groups so that two kinds appear per step."""
    chosen = torch.rand(len(shaded), generator=generator) < _LAUNDERED_SHARE
    group = torch.rand(len(shaded), generator=generator) < 0.5
    parts = list(shaded.split(1))
    for member in (chosen & group, chosen & ~group):
        places = member.nonzero().flatten().tolist()
        if places:
            laundered = random_laundering(shaded[places], generator)
            for place, sample in zip(places, laundered.split(1), strict=True):
                parts[place] = sample
    return torch.cat(parts)


def meter_loss(meter: MeterNetwork, outcome: Outcome) -> tuple[Tensor, dict[str, float]]:
    """How far the meter is from the real encoders: latents, the shading's shift in latents, and the pull itself."""
    count = len(outcome.pictures)
    turns = len(outcome.shaded) // count
    everything = torch.cat([outcome.shaded, outcome.pictures, outcome.anchors])
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        estimates = meter(everything.contiguous(memory_format=torch.channels_last))
    loss, numbers = torch.zeros(()), {}
    for family in FAMILIES:
        real = outcome.latents[family]
        mine = estimates[family].split([len(outcome.shaded), count, count])
        joined = torch.cat(real)
        loss = loss + (estimates[family] - joined).square().mean() / joined.var()
        shift = real[0] - real[1].repeat(turns, 1, 1, 1)
        my_shift = mine[0] - mine[1].repeat(turns, 1, 1, 1)
        sizes = shift.square().mean(dim=(1, 2, 3)).clamp_min(1e-3 * joined.var())
        loss = loss + 0.3 * ((my_shift - shift).square().mean(dim=(1, 2, 3)) / sizes).mean()
        original = real[1].repeat(turns, 1, 1, 1)
        true = pull(real[0], original, real[2][outcome.pairing])
        stated = pull(mine[0], mine[1].repeat(turns, 1, 1, 1), mine[2][outcome.pairing])
        gap = (stated - true).abs() * _weights(original, real[2][outcome.pairing])
        loss = loss + 2 * gap.mean()
        numbers[f"gap_{family}"] = float(gap.detach().mean())
    return loss, numbers


def _batches(corpus: Corpus, size: int, count: int, gallery_share: float, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    samples = [corpus.sample(rng, size, gallery_share) for _ in range(count)]

    def stacked(arrays: list[np.ndarray]) -> Tensor:  # type: ignore[type-arg]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255

    return Batch(stacked([s.picture for s in samples]), stacked([s.anchor for s in samples]))


def _shape(progress: float, draw: float) -> tuple[int, int]:
    """Crop size and number of pictures: small crops while much is to be learned, larger ones toward the end."""
    if progress < 0.4:
        return (128, 4)
    if progress < 0.8:
        return (128, 4) if draw < 0.5 else (192, 2)
    return ((128, 4), (192, 3), (256, 2))[int(draw * 3)]


class Prefetcher:
    """Makes batches in one background thread."""

    def __init__(self, cache: Path, gallery: Path, schedule: Schedule, seed: int) -> None:
        self.cache, self.gallery, self.schedule = cache, gallery, schedule
        self.ready: queue.Queue[Batch] = queue.Queue(maxsize=3)
        self.seed = seed
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        corpus, known = load_corpus(self.cache, self.gallery), len(list(self.gallery.glob("*.webp")))
        rng = np.random.default_rng(self.seed)
        while True:
            found = len(list(self.gallery.glob("*.webp")))
            if found != known:
                corpus, known = load_corpus(self.cache, self.gallery), found
            progress = self.schedule.progress()
            size, count = _shape(progress, float(rng.random()))
            self.ready.put(_batches(corpus, size, count, 0.5 if progress < 0.5 else 0.75, int(rng.integers(2**62))))


@dataclass(frozen=True)
class Schedule:
    """Learning rates by the wall clock, from `started` to `until` (seconds since the epoch)."""

    started: float
    until: float

    def progress(self) -> float:
        """How much of the time is over, 0 to 1."""
        return min(1.0, (time.time() - self.started) / (self.until - self.started))

    def rate(self, steps: int) -> float:
        """Warm-up over 100 steps, then half a cosine down to 1 % of the peak."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        return _LEARNING_RATE * min(1.0, (steps + 1) / 100) * (0.01 + 0.99 * cosine)


def _apply(optimiser: torch.optim.Optimizer, master: nn.Module, replica: nn.Module, rate: float) -> None:
    """One optimiser step of the master with the replica's gradients, cut to norm 1; skipped if they aren't finite."""
    norm = nn.utils.clip_grad_norm_(replica.parameters(), 1.0)
    if torch.isfinite(norm):
        for target, source in zip(master.parameters(), replica.parameters(), strict=True):
            target.grad = source.grad
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
    replica.zero_grad(set_to_none=True)


class Worker(threading.Thread):
    """One of several threads that train the same networks, each on a core of its own.

    A step of one thread never waits for another: on a machine that others use too, threads inside one operation would
    all go at the pace of the slowest core. A gradient that many steps of the others have overtaken is dropped.
    """

    def __init__(self, rig: Rig, schedule: Schedule, batches: Prefetcher, journal: Journal, number: int) -> None:
        super().__init__(daemon=True)
        self.rig, self.schedule, self.batches, self.journal = rig, schedule, batches, journal
        self.shader, self.meter = copy.deepcopy(rig.shader), copy.deepcopy(rig.meter)
        self.generator = torch.Generator().manual_seed(1000 * rig.steps + number)

    def run(self) -> None:
        """Train until the schedule ends."""
        while self.schedule.progress() < 1:
            batch = self.batches.ready.get()
            with self.rig.lock:
                self.shader.load_state_dict(self.rig.shader.state_dict())
                self.meter.load_state_dict(self.rig.meter.state_dict())
                begun = self.rig.steps
            loss, outcome, numbers = shader_loss(self.rig, self.shader, batch, self.generator)
            loss.backward()  # type: ignore[no-untyped-call]
            measured = begun % 2 == 0
            if measured:
                gap, more = meter_loss(self.meter, outcome)
                gap.backward()  # type: ignore[no-untyped-call]
                numbers |= more
            with self.rig.lock:
                self._finish(begun, measured, numbers)

    def _finish(self, begun: int, measured: bool, numbers: dict[str, float]) -> None:
        rig, rate = self.rig, self.schedule.rate(self.rig.steps)
        if rig.steps - begun > _STALEST:
            self.shader.zero_grad(set_to_none=True)
            self.meter.zero_grad(set_to_none=True)
            return
        _apply(rig.shader_optimiser, rig.shader, self.shader, rate)
        rig.shader_average.update(rig.shader)
        if measured:
            _apply(rig.meter_optimiser, rig.meter, self.meter, 2 * rate)
            rig.meter_average.update(rig.meter)
        rig.steps += 1
        self.journal.note(rig.steps, numbers, rate)


class Journal:
    """Prints the means of every fifty steps."""

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}
        self.noted, self.begun = 0, time.time()

    def note(self, steps: int, numbers: dict[str, float], rate: float) -> None:
        """Take one step's numbers in."""
        self.noted += 1
        for name, value in numbers.items():
            self.sums.setdefault(name, []).append(value)
        if self.noted == 50:
            means = " ".join(f"{name} {sum(values) / len(values):.4f}" for name, values in self.sums.items())
            pace = (time.time() - self.begun) / self.noted
            print(f"{datetime.now():%H:%M:%S} {steps} {means} rate {rate:.1e} {pace:.2f} s/step", flush=True)
            self.sums, self.noted, self.begun = {}, 0, time.time()


def _until(text: str) -> float:
    hour, minute = (int(part) for part in text.split(":"))
    return datetime.now(timezone.utc).replace(hour=hour, minute=minute, second=0, microsecond=0).timestamp()


def _train(rig: Rig, schedule: Schedule, batches: Prefetcher, checkpoint: Path, threads: int) -> None:
    torch.set_num_threads(1)
    journal = Journal()
    workers = [Worker(rig, schedule, batches, journal, number) for number in range(threads)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        workers[0].join(_CHECKPOINT_SECONDS)
        with rig.lock:
            rig.save(checkpoint, schedule.started)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="made by shaded.training.corpus")
    parser.add_argument("--encoders", type=Path, required=True, help="folder of the real encoders' weights")
    parser.add_argument("--work", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--until", type=_until, required=True, help="end, HH:MM in UTC, today")
    parser.add_argument("--threads", type=int, default=2, help="worker threads, one core each")
    options = parser.parse_args()
    torch.manual_seed(1)
    rig = Rig(options.encoders)
    checkpoint = options.work / "checkpoint.pt"
    started = rig.restore(checkpoint) if checkpoint.exists() else time.time()
    schedule = Schedule(started, options.until)
    batches = Prefetcher(options.cache, MODELS / "gallery", schedule, seed=rig.steps + 1)
    _train(rig, schedule, batches, checkpoint, options.threads)


if __name__ == "__main__":
    main()
