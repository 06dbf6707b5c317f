"""The training rig: networks with their optimisers and averages, batches, the clock, the log."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from shaded.models.bundle import bundled_models, load_state
from shaded.shading.students import StudentAutoencoder
from shaded.shading.tiny_autoencoders import FAMILIES
from shaded.training.corpus import Corpus, Pixels, load_corpus
from shaded.training.losses import Batch
from shaded.training.muon import Muon
from shaded.training.teachers import load_teachers

__all__ = [
    "METERS", "MODELS", "STUDENTS", "Averages", "Journal", "Prefetcher", "Rig", "Schedule", "apply_gradients",
    "today_at",
]  # fmt: skip

#: The student and the meter of each family, by the names of their weight files.
STUDENTS = {family: f"student-{family}" for family in FAMILIES}
METERS = {family: f"meter-{family}" for family in FAMILIES}

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
    """The students and the meters of some families under training, with optimisers and averages, and the teachers."""

    def __init__(self, encoders: Path, families: Sequence[str] = tuple(FAMILIES), *, half: bool = True) -> None:
        self.families = tuple(families)
        names = {names[family]: family for names in (STUDENTS, METERS) for family in self.families}
        self.networks = {name: StudentAutoencoder(family, half=half) for name, family in names.items()}
        self.averages = {name: Averages(network) for name, network in self.networks.items()}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            name: Muon(network.parameters(), network.encoder.front()) for name, network in self.networks.items()
        }
        self.teachers = load_teachers(encoders, self.families, half=half)
        self.steps = 0
        self.lock = threading.Lock()

    def begin_with_bundled(self) -> None:
        """Let every network that the package has weights for begin with those; earlier files hold an encoder alone."""
        for name, network in self.networks.items():
            if name in bundled_models():
                state = load_state(name)
                part = network if any(key.startswith("encoder.") for key in state) else network.encoder
                part.load_state_dict(state)
                self.averages[name] = Averages(network)

    def save(self, path: Path, started: float, trained: tuple[str, ...]) -> None:
        """Write everything that a later run needs to go on; `trained` are the networks that this one teaches."""
        parts = {
            name: {
                "weights": network.state_dict(),
                "average": self.averages[name].state,
                "optimiser": self.optimisers[name].state_dict(),
            }
            for name, network in self.networks.items()
        }
        staged = path.with_suffix(".tmp")
        torch.save({"networks": parts, "steps": self.steps, "started": started, "trained": list(trained)}, staged)
        staged.replace(path)

    def restore(self, path: Path, trained: tuple[str, ...]) -> float:
        """Go on from a checkpoint, or begin after one; returns when the run began (seconds since the epoch).

        Where the checkpoint's run taught the students and this one teaches the meters, the students are taken as they
        were on average and the meters begin as their copies, now.
        """
        saved = torch.load(path, weights_only=True)
        if saved["trained"] != list(trained):
            for family in self.families:
                average = saved["networks"][STUDENTS[family]]["average"]
                for name in (STUDENTS[family], METERS[family]):
                    self.networks[name].load_state_dict(average)
                    self.averages[name].state = {key: tensor.clone() for key, tensor in average.items()}
            return time.time()
        for name, parts in saved["networks"].items():
            self.networks[name].load_state_dict(parts["weights"])
            self.averages[name].state = parts["average"]
            self.averages[name].steps = saved["steps"]
            self.optimisers[name].load_state_dict(parts["optimiser"])
        self.steps = saved["steps"]
        return float(saved["started"])


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
    """How much of a run is over by the wall clock, from `started` to `until` (seconds since the epoch)."""

    started: float
    until: float

    def progress(self) -> float:
        """0 to 1."""
        return min(1.0, (time.time() - self.started) / (self.until - self.started))


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
        for name, value in sorted(numbers.items()):
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
