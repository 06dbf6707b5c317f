"""What is taught: the real encoders, and the pull that the meter is about."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from shaded.shading.tiny_autoencoders import TinyEncoder, tiny_encoder

__all__ = ["FAMILIES", "Teacher", "load_teachers", "pull"]

FAMILIES = ("flux2", "sana")


class Teacher(nn.Module):
    """A frozen real encoder, in bfloat16 after its first layer: the first would round the shading itself away."""

    def __init__(self, encoder: TinyEncoder, *, half: bool = True) -> None:
        super().__init__()
        self.first = encoder[0].to(memory_format=torch.channels_last)
        self.rest = nn.Sequential(*list(encoder)[1:]).to(memory_format=torch.channels_last)
        self.rough = half

    def forward(self, picture: Tensor) -> Tensor:
        """Latents of (B, 3, H, W) in [0, 1], float32."""
        return self.features(picture, ())[0]

    def features(self, picture: Tensor, wanted: Collection[int]) -> list[Tensor]:
        """What the layers of the numbers `wanted` (1 and more) give, in their order, and last the latents; float32."""
        signal, kept = self.first(picture.contiguous(memory_format=torch.channels_last)), []
        with torch.autocast("cpu", torch.bfloat16, enabled=self.rough, cache_enabled=False):
            for number, layer in enumerate(self.rest, 1):
                signal = layer(signal)
                if number in wanted:
                    kept.append(signal.float())
        return [*kept, signal.float()]


def load_teachers(folder: Path, *, half: bool = True) -> dict[str, Teacher]:
    """Both real encoders from `FAMILY-tiny-encoder.safetensors` files in `folder`."""
    return {
        family: Teacher(tiny_encoder(load_file(folder / f"{family}-tiny-encoder.safetensors")), half=half)
        for family in FAMILIES
    }


def pull(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """`1 - |E(x') - E(t)| / |E(x) - E(t)|` per sample, from latents (B, C, h, w); (B,)."""
    left = (shaded - anchor).flatten(1).norm(dim=1)
    whole = (original - anchor).flatten(1).norm(dim=1)
    share: Tensor = left / whole.clamp_min(1e-6)
    return 1 - share
