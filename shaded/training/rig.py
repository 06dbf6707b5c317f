"""The training rig: networks with their optimisers and averages, batches, the clock that sets the rate, the log."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from shaded.shading.networks import MeterNetwork, ShaderNetwork
from shaded.training.corpus import Corpus, Pixels, load_corpus
from shaded.training.losses import Batch, Judges
from shaded.training.teachers import Perceptual, load_teachers

__all__ = ["MODELS", "Averages", "Journal", "Prefetcher", "Rig", "Schedule", "apply_gradients", "today_at"]

MODELS = Path(__file__).resolve().parent.parent / "models"


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
        self.shader = ShaderNetwork().to(memory_format=torch.channels_last)
        self.meter = MeterNetwork().to(memory_format=torch.channels_last)
        self.shader_average, self.meter_average = Averages(self.shader), Averages(self.meter)
        self.shader_optimiser = torch.optim.AdamW(self.shader.parameters(), betas=(0.9, 0.99), weight_decay=1e-3)
        self.meter_optimiser = torch.optim.AdamW(self.meter.parameters(), betas=(0.9, 0.99), weight_decay=1e-3)
        perceptual = Perceptual(load_file(MODELS / "lpips-alexnet.safetensors"))
        self.judges = Judges(load_teachers(encoders, half=half), perceptual)
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


def _batches(corpus: Corpus, size: int, count: int, gallery_share: float, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    samples = [corpus.sample(rng, size, gallery_share) for _ in range(count)]

    def stacked(arrays: list[Pixels]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255

    return Batch(stacked([s.picture for s in samples]), stacked([s.anchor for s in samples]))


class Prefetcher:
    """Makes batches in one background thread; `shape` gives crop size and count from progress and a random draw."""

    def __init__(
        self, cache: Path, schedule: Schedule, shape: Callable[[float, float], tuple[int, int]], seed: int
    ) -> None:
        self.cache, self.gallery, self.schedule, self.shape = cache, MODELS / "gallery", schedule, shape
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
            size, count = self.shape(progress, float(rng.random()))
            self.ready.put(_batches(corpus, size, count, 0.5 if progress < 0.5 else 0.75, int(rng.integers(2**62))))


@dataclass(frozen=True)
class Schedule:
    """Learning rates by the wall clock, from `started` to `until` (seconds since the epoch)."""

    started: float
    until: float
    peak: float

    def progress(self) -> float:
        """How much of the time is over, 0 to 1."""
        return min(1.0, (time.time() - self.started) / (self.until - self.started))

    def rate(self, steps: int) -> float:
        """Warm-up over 100 steps, then half a cosine down to 1 % of the peak."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        return self.peak * min(1.0, (steps + 1) / 100) * (0.01 + 0.99 * cosine)


def apply_gradients(optimiser: torch.optim.Optimizer, master: nn.Module, replica: nn.Module, rate: float) -> None:
    """One optimiser step of the master with the replica's gradients, cut to norm 1; skipped if they aren't finite."""
    norm = nn.utils.clip_grad_norm_(replica.parameters(), 1.0)
    if torch.isfinite(norm):
        for target, source in zip(master.parameters(), replica.parameters(), strict=True):
            target.grad = source.grad
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
    replica.zero_grad(set_to_none=True)


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
            print(f"{datetime.now(UTC):%H:%M:%S} {steps} {means} rate {rate:.1e} {pace:.2f} s/step", flush=True)
            self.sums, self.noted, self.begun = {}, 0, time.time()


def today_at(text: str) -> float:
    """HH:MM, in UTC and today, as seconds since the epoch."""
    hour, minute = (int(part) for part in text.split(":"))
    return datetime.now(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0).timestamp()
