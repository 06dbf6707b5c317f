"""The tiny encoders of Ollin Boer Bohan (TAESD family) as surrogates: architecture only, weights come from outside.

Two of them are known: the one that teaches FLUX.2's autoencoder (32 latent channels, one eighth of the size)
and the one that teaches Sana's DC-AE (32 channels, one thirty-second). Which of the two a state dict belongs to is
read from its shapes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["Block", "TinyEncoder", "convolution", "tiny_encoder"]

_STEM_FAMILIES = {64: "flux2", 32: "sana"}
_STRIDES = {"flux2": 8, "sana": 32}


def convolution(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """Three by three, with a rim of zeros: the size stays, or is divided by `stride`."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)


class Block(nn.Module):
    """`relu(body(x) + x)` with three convolutions; with `pooled`, x first gets a normalised pointwise detour added."""

    def __init__(self, width: int, *, pooled: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            convolution(width, width), nn.ReLU(), convolution(width, width), nn.ReLU(), convolution(width, width)
        )
        self.pool = (
            nn.Sequential(
                nn.Conv2d(width, 4 * width, 1, bias=False),
                nn.GroupNorm(4, 4 * width),
                nn.ReLU(),
                nn.Conv2d(4 * width, width, 1, bias=False),
            )
            if pooled
            else None
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, width, h, w) to the same shape."""
        if self.pool is not None:
            features = features + self.pool(features)
        return torch.relu(self.conv(features) + features)


def _stages(count: int, *, pooled_last: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for stage in range(count):
        pooled = pooled_last and stage == count - 1
        layers.append(convolution(64, 64, stride=2, bias=False))
        layers.extend(Block(64, pooled=pooled) for _ in range(3))
    return layers


class TinyEncoder(nn.Sequential):
    """A picture (B, 3, H, W) in [0, 1] to latents (B, 32, H / stride, W / stride); H and W multiples of `stride`.

    `family` is "flux2" (stride 8) or "sana" (stride 32).
    """

    def __init__(self, family: str) -> None:
        if family == "flux2":
            layers: list[nn.Module] = [convolution(3, 64), Block(64), *_stages(3, pooled_last=True)]
        elif family == "sana":
            layers = [
                convolution(3, 32, stride=2),
                nn.ReLU(),
                convolution(32, 64, stride=2),
                nn.ReLU(),
                Block(64),
                *_stages(3, pooled_last=False),
            ]
        else:
            raise ValueError(f"no tiny encoder of the family {family!r} is known; known: flux2, sana")
        super().__init__(*layers, convolution(64, 32))
        self.family = family
        self.stride = _STRIDES[family]


def tiny_encoder(state: Mapping[str, Tensor]) -> TinyEncoder:
    """Build the encoder that `state` belongs to, in float32 and evaluation mode, its weights frozen.

    Raises ValueError where the shapes fit neither known encoder.
    """
    stem = state.get("0.weight")
    family = _STEM_FAMILIES.get(stem.shape[0]) if stem is not None and stem.ndim == 4 else None
    if family is None:
        raise ValueError("these weights belong to no known tiny encoder (neither FLUX.2 nor Sana)")
    encoder = TinyEncoder(family)
    try:
        encoder.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except RuntimeError as error:
        raise ValueError(f"these weights do not fit the {family} tiny encoder: {error}") from error
    return encoder.eval().requires_grad_(False)
