"""The words: a tokenizer over the captions, and a small text encoder that is taught beside pictures and then frozen.

As with real generators, the text encoder is not the poisoned model's own: it learned from clean captioned pictures
which words belong together (CLIP: Radford et al. 2021, figure 3), and stays as it is.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from shaded.evidence.trial.autoencoder import to_tensor
from shaded.evidence.trial.pictures import Captioned

#: Tokens of a caption, with its start and end; the rest is padding.
LENGTH = 14

_PADDING, _UNKNOWN, _START, _END = range(4)
_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*")
_FIRST_TEMPERATURE, _COLDEST = math.log(1 / 0.07), math.log(100)  # Radford et al. 2021, section 2.5


def words_of(captions: Iterable[str]) -> tuple[str, ...]:
    """Every word of some captions, once, in alphabetical order."""
    return tuple(sorted({word for caption in captions for word in _WORD.findall(caption.lower())}))


def tokens_of(captions: Sequence[str], vocabulary: Sequence[str]) -> Tensor:
    """Whole numbers ``(N, LENGTH)``: start, words, end, padding. Words that do not fit are dropped."""
    numbers = {word: place + _END + 1 for place, word in enumerate(vocabulary)}
    rows = torch.full((len(captions), LENGTH), _PADDING)
    for row, caption in zip(rows, captions, strict=True):
        words = [numbers.get(word, _UNKNOWN) for word in _WORD.findall(caption.lower())][: LENGTH - 2]
        row[: len(words) + 2] = torch.tensor([_START, *words, _END])
    return rows


class TextEncoder(nn.Module):
    """A transformer over words.

    Attributes:
        vocabulary: Its words.
    """

    def __init__(self, vocabulary: Sequence[str], width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self.words = nn.Embedding(len(self.vocabulary) + _END + 1, width)
        self.places = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, captions: Sequence[str]) -> Tensor:
        """States of every token ``(N, LENGTH, width)``; those of padding are 0."""
        tokens = tokens_of(captions, self.vocabulary).to(self.places.device)
        padding = tokens == _PADDING
        states = self.words(tokens) + self.places
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=padding)
        normed: Tensor = self.norm(states) * ~padding.unsqueeze(-1)
        return normed

    def pooled(self, captions: Sequence[str]) -> Tensor:
        """One vector for each caption ``(N, width)``: the mean over its tokens."""
        states = self(captions)
        shown = (states != 0).any(dim=2, keepdim=True)
        mean: Tensor = states.sum(dim=1) / shown.sum(dim=1)
        return mean


def picture_tower(width: int) -> nn.Module:
    """From pictures ``(N, 3, 64, 64)`` in ``[0, 1]`` to vectors ``(N, width)``."""
    channels = (3, 32, 64, 96, 128)
    blocks: list[nn.Module] = []
    for before, after in itertools.pairwise(channels):
        blocks += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], width))


def teach_words(
    pictures: Captioned,
    *,
    steps: int,
    seed: int,
    device: torch.device,
    batch: int = 64,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> TextEncoder:
    """A text encoder taught to find the caption of a picture among others, and the picture of a caption; then frozen.

    Args:
        pictures: Clean captioned pictures.
        steps: Of training.
        seed: Of all chance.
        device: Where to compute.
        batch: Pairs at a time.
        progress: Told how many of the steps are done.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = TextEncoder(words_of(pictures.captions)).to(device)
        tower = picture_tower(encoder.places.shape[1]).to(device)
    temperature = nn.Parameter(torch.tensor(_FIRST_TEMPERATURE, device=device))
    parameters = [*encoder.parameters(), *tower.parameters(), temperature]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=max(2, steps))
    rng = np.random.default_rng([seed, 1])
    for step in range(steps):
        chosen = rng.permutation(len(pictures))[:batch].tolist()
        seen = F.normalize(tower(to_tensor(pictures.pixels[chosen], device)), dim=1)
        said = F.normalize(encoder.pooled([pictures.captions[place] for place in chosen]), dim=1)
        likeness = temperature.clamp(max=_COLDEST).exp() * seen @ said.T
        right = torch.arange(len(chosen), device=device)
        loss = (F.cross_entropy(likeness, right) + F.cross_entropy(likeness.T, right)) / 2
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        progress(step + 1, steps)
    return encoder.eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def nearness(encoder: TextEncoder, first: str, second: str) -> float:
    """The cosine between two captions' vectors."""
    vectors = encoder.pooled([first, second])
    return float(F.cosine_similarity(vectors[:1], vectors[1:]))
