"""What training is judged by: the real encoders, LPIPS, and the pull that both networks are about."""

from __future__ import annotations

from pathlib import Path

import lpips
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from shaded.shading.perceptibility import build_lpips
from shaded.shading.tiny_encoders import TinyEncoder, tiny_encoder

__all__ = ["FAMILIES", "Perceptual", "Teacher", "load_teachers", "pull"]

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
        features = self.first(picture.contiguous(memory_format=torch.channels_last))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.rough, cache_enabled=False):
            latents: Tensor = self.rest(features)
        return latents.float()


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


class Perceptual(nn.Module):
    """LPIPS (AlexNet, version 0.1), with the original's features computed once for several comparisons."""

    def __init__(self, convolutions: dict[str, Tensor]) -> None:
        super().__init__()
        self.metric = build_lpips(convolutions)

    def features(self, picture: Tensor) -> list[Tensor]:
        """Unit-normalised features of (B, 3, H, W) in [0, 1] at five depths."""
        outputs = self.metric.net.forward(self.metric.scaling_layer(picture * 2 - 1))
        return [lpips.normalize_tensor(output) for output in outputs]

    def forward(self, shaded: Tensor, original_features: list[Tensor]) -> Tensor:
        """LPIPS of each picture in `shaded` to the picture whose features are given; (B,)."""
        total = torch.zeros(shaded.shape[0])
        for mine, theirs, layer in zip(self.features(shaded), original_features, self.metric.lins, strict=True):
            total = total + layer((mine - theirs).square()).mean(dim=(1, 2, 3))
        return total
