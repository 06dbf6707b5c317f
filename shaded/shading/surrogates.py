"""The encoders that a shading is optimised against, behind one small seam.

A surrogate gives *means* of latents: what a diffusion trainer feeds to its model. Its module is built elsewhere; here
it is only called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Surrogate:
    """An encoder with a name.

    Attributes:
        name: As the sidecar states it.
        encode: ``(B, 3, H, W)`` in ``[0, 1]``, sides multiples of 32, to latents ``(B, C, h, w)``.
        role: ``surrogate`` may be optimised against; ``meter`` measures only, since an encoder that was optimised
            against flatters the result.
    """

    name: str
    encode: Callable[[Tensor], Tensor]
    role: str = "surrogate"


def autoencoder_kl(name: str, module: Any) -> Surrogate:
    """A diffusers ``AutoencoderKL``: the mean of its posterior, for pictures scaled to ``[-1, 1]``."""

    def encode(picture: Tensor) -> Tensor:
        mean: Tensor = module.encode(2 * picture - 1).latent_dist.mean
        return mean

    return Surrogate(name, encode)


def autoencoder_tiny(name: str, module: Any) -> Surrogate:
    """A diffusers ``AutoencoderTiny``; it has no posterior, its latents are the mean."""

    def encode(picture: Tensor) -> Tensor:
        latents: Tensor = module.encode(2 * picture - 1).latents
        return latents

    return Surrogate(name, encode)


def plain_encoder(name: str, module: nn.Module) -> Surrogate:
    """A module that takes ``[0, 1]`` and gives latents, such as a tiny encoder."""
    return Surrogate(name, module)


def meter_heads(module: nn.Module, heads: tuple[str, ...] = ("flux2", "sana")) -> list[Surrogate]:
    """The bundled meter: one measuring encoder for each family that it was distilled from."""

    def head(key: str) -> Surrogate:
        return Surrogate(f"{key}-meter", lambda picture: module(picture)[key], role="meter")

    return [head(key) for key in heads]
