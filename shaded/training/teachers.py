"""What is taught: the real autoencoders, and the pull that the meter is about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from shaded.shading.tiny_autoencoders import FAMILIES, tiny_decoder, tiny_encoder

__all__ = ["Teacher", "load_teachers", "pull"]


class _Half(nn.Module):
    """Frozen layers, in bfloat16 but for one end: there the shading itself would be rounded away."""

    def __init__(self, layers: nn.Sequential, *, rough: bool, precise: int) -> None:
        super().__init__()
        self.layers = layers.to(memory_format=torch.channels_last)
        self.rough, self.precise = rough, precise % len(layers)

    def features(self, signal: Tensor, wanted: Collection[int]) -> list[Tensor]:
        kept = []
        signal = signal.contiguous(memory_format=torch.channels_last)
        for number, layer in enumerate(self.layers):
            rough = self.rough and number != self.precise
            with torch.autocast("cpu", torch.bfloat16, enabled=rough, cache_enabled=False):
                signal = layer(signal if rough else signal.float())
            if number in wanted:
                kept.append(signal.float())
        return [*kept, signal.float()]


class Teacher(nn.Module):
    """A frozen real encoder and, where there is one, its decoder."""

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential | None = None, *, half: bool = True) -> None:
        super().__init__()
        self.encoder = _Half(encoder, rough=half, precise=0)
        self.decoder = None if decoder is None else _Half(decoder, rough=half, precise=-1)

    def forward(self, picture: Tensor) -> Tensor:
        """Latents of (B, 3, H, W) in [0, 1], float32."""
        return self.encoder.features(picture, ())[0]

    def features(self, picture: Tensor, wanted: Collection[int]) -> list[Tensor]:
        """What the encoder's layers of the numbers `wanted` give, in their order, and last the latents; float32."""
        return self.encoder.features(picture, wanted)

    def shown(self, latents: Tensor, wanted: Collection[int]) -> list[Tensor]:
        """The same of the decoder, and last the picture (B, 3, H, W), about [0, 1].

        Raises:
            ValueError: The family has no decoder.
        """
        if self.decoder is None:
            raise ValueError("this family has no decoder")
        return self.decoder.features(latents, wanted)


def load_teachers(folder: Path, families: Sequence[str] = tuple(FAMILIES), *, half: bool = True) -> dict[str, Teacher]:
    """The real ones, from `FAMILY-tiny-encoder.safetensors` and `FAMILY-tiny-decoder.safetensors` files in `folder`."""
    found = {}
    for family in families:
        encoder = tiny_encoder(load_file(folder / f"{family}-tiny-encoder.safetensors"), family)
        decoder = None
        if FAMILIES[family].stride == 8:
            decoder = tiny_decoder(load_file(folder / f"{family}-tiny-decoder.safetensors"), family)
        found[family] = Teacher(encoder, decoder, half=half)
    return found


def pull(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """`1 - |E(x') - E(t)| / |E(x) - E(t)|` per sample, from latents (B, C, h, w); (B,)."""
    left = (shaded - anchor).flatten(1).norm(dim=1)
    whole = (original - anchor).flatten(1).norm(dim=1)
    share: Tensor = left / whole.clamp_min(1e-6)
    return 1 - share
