"""The tiny autoencoders of Ollin Boer Bohan (TAESD family): architecture only, weights come from outside.

Each stands in for the autoencoder of one family of image generators. Their layers are laid out alike; families differ
in the channels of their latents, in a detour that FLUX.2's have, and Sana's encoder begins with strides. Which family a
state dict belongs to is read from its shapes, but for those of Stable Diffusion 1.x and SDXL, whose shapes are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["FAMILIES", "Block", "Family", "TinyDecoder", "TinyEncoder", "convolution", "tiny_decoder", "tiny_encoder"]

_WIDTH = 64


@dataclass(frozen=True)
class Family:
    """Generators whose autoencoders give the same latents.

    Attributes:
        channels: Of the latents.
        stride: Side of the square of picture pixels that one latent stands for.
        pooled: Whether the blocks at the latents' size have a normalised pointwise detour.
    """

    channels: int
    stride: int
    pooled: bool


#: By the names that settings, sidecars and weight files use.
FAMILIES: Mapping[str, Family] = {
    "sd1": Family(4, 8, pooled=False),  # Stable Diffusion 1.x and 2.x
    "sdxl": Family(4, 8, pooled=False),
    "flux1": Family(16, 8, pooled=False),
    "flux2": Family(32, 8, pooled=True),
    "sana": Family(32, 32, pooled=False),
}


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


def _blocks(count: int, *, pooled: bool = False) -> list[nn.Module]:
    return [Block(_WIDTH, pooled=pooled) for _ in range(count)]


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise ValueError(f"no tiny autoencoder of the family {name!r} is known; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]


class TinyEncoder(nn.Sequential):
    """A picture (B, 3, H, W) in [0, 1] to latents (B, channels, H / stride, W / stride); sides multiples of `stride`.

    `family` is one of :data:`FAMILIES`.
    """

    def __init__(self, family: str) -> None:
        kind = _family(family)
        layers: list[nn.Module] = (
            [convolution(3, _WIDTH), Block(_WIDTH)]
            if kind.stride == 8
            else [
                convolution(3, 32, stride=2), nn.ReLU(), convolution(32, _WIDTH, stride=2), nn.ReLU(), Block(_WIDTH),
            ]
        )  # fmt: skip
        for stage in range(3):
            layers.append(convolution(_WIDTH, _WIDTH, stride=2, bias=False))
            layers.extend(_blocks(3, pooled=kind.pooled and stage == 2))
        super().__init__(*layers, convolution(_WIDTH, kind.channels))
        self.family = family
        self.stride = kind.stride


class _SoftClamp(nn.Module):
    """Latents softly held to -3..3, as the decoders were trained."""

    def forward(self, latents: Tensor) -> Tensor:
        """Any shape to the same."""
        return torch.tanh(latents / 3) * 3


class TinyDecoder(nn.Sequential):
    """Latents (B, channels, h, w) to a picture (B, 3, 8 h, 8 w), about [0, 1] and not held to it.

    `family` is one of :data:`FAMILIES` with a stride of 8; for another a ValueError is raised.
    """

    def __init__(self, family: str) -> None:
        kind = _family(family)
        if kind.stride != 8:
            raise ValueError(f"no tiny decoder of the family {family!r} is known")
        layers: list[nn.Module] = [_SoftClamp(), convolution(kind.channels, _WIDTH), nn.ReLU()]
        for stage in range(3):
            layers.extend(_blocks(3, pooled=kind.pooled and stage == 0))
            layers += [nn.Upsample(scale_factor=2), convolution(_WIDTH, _WIDTH, bias=False)]
        super().__init__(*layers, Block(_WIDTH), convolution(_WIDTH, 3))
        self.family = family


def tiny_encoder(state: Mapping[str, Tensor], family: str | None = None) -> TinyEncoder:
    """Build the encoder that `state` belongs to, in float32 and evaluation mode, its weights frozen.

    Args:
        state: Weights of any float type.
        family: Whose they are; needed where their shapes fit several.

    Raises:
        ValueError: They fit no known encoder, several, or not the family.
    """
    encoder = TinyEncoder(family or _only_family(state))
    _load(encoder, state, f"{encoder.family} tiny encoder")
    return encoder


def tiny_decoder(state: Mapping[str, Tensor], family: str) -> TinyDecoder:
    """Build a family's decoder from `state`, in float32 and evaluation mode, its weights frozen.

    Raises:
        ValueError: The weights do not fit, or no decoder of the family is known.
    """
    decoder = TinyDecoder(family)
    _load(decoder, state, f"{family} tiny decoder")
    return decoder


def _only_family(state: Mapping[str, Tensor]) -> str:
    """The family of an encoder's weights, by the shapes of its first and last layers."""
    first, last = (state.get(name) for name in ("0.weight", f"{_last_number(state)}.weight"))
    shapes = [tuple(one.shape[:1]) if one is not None and one.ndim == 4 else () for one in (first, last)]
    fitting = [
        name
        for name, kind in FAMILIES.items()
        if shapes == [(_WIDTH if kind.stride == 8 else 32,), (kind.channels,)] and kind.pooled == _is_pooled(state)
    ]
    if not fitting:
        raise ValueError(f"these weights belong to no known tiny encoder ({', '.join(FAMILIES)})")
    if len(fitting) > 1:
        raise ValueError(f"these weights fit several tiny encoders ({', '.join(fitting)}): say which family they are")
    return fitting[0]


def _last_number(state: Mapping[str, Tensor]) -> int:
    return max((int(name.split(".")[0]) for name in state if name.split(".")[0].isdecimal()), default=0)


def _is_pooled(state: Mapping[str, Tensor]) -> bool:
    return any(".pool." in name for name in state)


def _load(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    try:
        module.load_state_dict({key: tensor.float() for key, tensor in state.items()})
    except RuntimeError as error:
        raise ValueError(f"these weights do not fit the {name}: {error}") from error
    module.eval().requires_grad_(requires_grad=False)
