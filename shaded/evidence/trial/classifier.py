"""An independent judge of what a drawing shows: a small network that knows only clean pictures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor, nn

from shaded.evidence.trial.autoencoder import Autoencoder, decode, encode, to_tensor
from shaded.evidence.trial.pictures import Captioned
from shaded.shading.laundering import gaussian_blur

#: What is said of a drawing that shows none of the concepts.
NONE = "none of these"

#: With less certainty than this a drawing counts as :data:`NONE`.
LEAST_CERTAINTY = 0.5

_CHANNELS = (3, 32, 64, 128, 128)
_BATCH = 64


@dataclass(frozen=True)
class Classifier:
    """A trained judge.

    Attributes:
        concepts: What it knows, in the order of its outputs; after them comes one for none of these.
        network: Pictures ``(N, 3, 64, 64)`` in ``[0, 1]`` to ``(N, len(concepts) + 1)``.
    """

    concepts: tuple[str, ...]
    network: nn.Module

    @torch.no_grad()
    def read(self, pixels: NDArray[np.uint8]) -> list[str]:
        """What each of ``(N, 64, 64, 3)`` shows: a concept, or :data:`NONE`."""
        device = next(self.network.parameters()).device
        names = (*self.concepts, NONE)
        said = []
        for first in range(0, len(pixels), _BATCH):
            certainty, best = self.network(to_tensor(pixels[first : first + _BATCH], device)).softmax(dim=1).max(dim=1)
            said += [
                names[place] if sure >= LEAST_CERTAINTY else NONE
                for sure, place in zip(certainty.tolist(), best.tolist(), strict=True)
            ]
        return said

    @torch.no_grad()
    def nearest(self, pixels: NDArray[np.uint8]) -> list[str]:
        """Which concept each of ``(N, 64, 64, 3)`` shows most of, were it one of them: a forced choice."""
        device = next(self.network.parameters()).device
        said = []
        for first in range(0, len(pixels), _BATCH):
            known = self.network(to_tensor(pixels[first : first + _BATCH], device))[:, : len(self.concepts)]
            said += [self.concepts[place] for place in known.argmax(dim=1).tolist()]
        return said

    def accuracy(self, pictures: Captioned) -> float:
        """The share of pictures that it reads as what they show."""
        pairs = zip(self.read(pictures.pixels), pictures.concepts, strict=True)
        return sum(said == shown for said, shown in pairs) / len(pictures)


def build_network(outputs: int) -> nn.Module:
    """The judge's untrained network."""
    blocks: list[nn.Module] = []
    for before, after in itertools.pairwise(_CHANNELS):
        blocks += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.2), nn.Linear(_CHANNELS[-1] * 16, outputs))


def through(autoencoder: Autoencoder, pictures: Captioned) -> Captioned:
    """The same pictures as the autoencoder gives them back: how a perfect generator would draw them."""
    return Captioned(decode(autoencoder, encode(autoencoder, pictures.pixels)), pictures.concepts, pictures.captions)


def teach_classifier(
    pictures: Captioned,
    strange: NDArray[np.uint8],
    concepts: Sequence[str],
    autoencoder: Autoencoder,
    *,
    steps: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Classifier:
    """A judge taught on clean pictures, as they are and as the autoencoder gives them back, some with unsteady latents.

    For none of these it is shown pictures of other things, and grounds with nothing on them. Colours are changed at
    random: a thing must be known by its shape, since a model that was led half astray draws it in pale ones.

    Args:
        pictures: Clean pictures that no generator is trained on.
        strange: ``(M, 64, 64, 3)`` of none of the concepts.
        concepts: What it is to know.
        autoencoder: The generator's.
        steps: Of training.
        seed: Of all chance.
        progress: Told how many of the steps are done.
    """
    device = autoencoder.device
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng([seed, 2])
    numbers = {concept: place for place, concept in enumerate(concepts)}
    labels = [numbers[concept] for concept in pictures.concepts]
    shown, answers = _lessons(pictures.pixels, labels, strange, len(concepts), autoencoder, generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(len(concepts) + 1).to(device).train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=max(2, steps))
        for step in range(steps):
            chosen = rng.integers(0, len(shown), _BATCH)
            batch = _varied(to_tensor(shown[chosen], device), rng)
            right = torch.from_numpy(answers[chosen]).to(device)
            loss = F.cross_entropy(network(batch), right, label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            progress(step + 1, steps)
    return Classifier(tuple(concepts), network.eval().requires_grad_(requires_grad=False))


def _lessons(
    pixels: NDArray[np.uint8],
    labels: Sequence[int],
    strange: NDArray[np.uint8],
    none: int,
    autoencoder: Autoencoder,
    generator: torch.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All that the judge is shown, and the right answers."""
    latents = encode(autoencoder, pixels)
    unsteady = latents + 0.25 * latents.std() * torch.randn(latents.shape, generator=generator).to(latents)
    odd = encode(autoencoder, strange)
    parts = [
        (pixels, labels),
        (decode(autoencoder, latents), labels),
        (decode(autoencoder, unsteady), labels),
        (strange, [none] * len(strange)),
        (decode(autoencoder, odd), [none] * len(odd)),
    ]
    return np.concatenate([part for part, _ in parts]), np.concatenate([np.asarray(said) for _, said in parts])


def _varied(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirrored, shifted, in other colours, softer or noisier: what may differ without changing what is shown."""
    batch = _recoloured(batch, rng)
    if rng.random() < 0.5:
        batch = batch.flip(-1)
    batch = batch.roll([int(shift) for shift in rng.integers(-3, 4, 2)], (-2, -1))
    if rng.random() < 0.4:
        batch = gaussian_blur(batch, float(rng.uniform(0.4, 1.3)))
    noise = torch.from_numpy(rng.standard_normal(batch.shape, dtype=np.float32)).to(batch.device)
    light = torch.from_numpy(rng.uniform(0.85, 1.15, (len(batch), 1, 1, 1)).astype(np.float32)).to(batch.device)
    return (batch * light + float(rng.uniform(0, 0.04)) * noise).clamp(0, 1)


def _recoloured(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Each picture's hue turned by any angle or by a little, its colours paler or stronger, its contrast changed."""
    count = len(batch)

    def drawn(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(batch.device).view(count, 1, 1)

    angle = drawn(np.where(rng.random(count) < 0.5, rng.uniform(-np.pi, np.pi, count), rng.normal(0, 0.2, count)))
    saturation, contrast = drawn(rng.uniform(0, 1.3, count)), drawn(rng.uniform(0.5, 1.2, count)).unsqueeze(-1)
    # A turn about the grey axis (Rodrigues' formula); what lies along it is lightness, across it colour.
    identity, grey = torch.eye(3, device=batch.device), torch.full((3, 3), 1 / 3, device=batch.device)
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=batch.device) / 3**0.5
    turned = angle.cos() * identity + angle.sin() * across + (1 - angle.cos()) * grey
    changed = torch.einsum("nij,njhw->nihw", grey + saturation * (turned - grey), batch)
    middle = changed.mean(dim=(1, 2, 3), keepdim=True)
    return ((changed - middle) * contrast + middle).clamp(0, 1)
