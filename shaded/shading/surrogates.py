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
        family: Whose latents these are, where that is known; see :data:`~shaded.shading.tiny_autoencoders.FAMILIES`.
        weight: How much it counts beside the others that a shading is optimised against.
        dtype: What it computes in.
        reconstruct: Where the encoder has a decoder: ``(B, 3, H, W)`` in ``[0, 1]`` through both, to the same.
    """

    name: str
    encode: Callable[[Tensor], Tensor]
    role: str = "surrogate"
    family: str | None = None
    weight: float = 1.0
    dtype: str = "float32"
    reconstruct: Callable[[Tensor], Tensor] | None = None


def autoencoder_kl(name: str, module: Any) -> Surrogate:
    """A diffusers ``AutoencoderKL``: the mean of its posterior, for pictures scaled to ``[-1, 1]``."""

    def encode(picture: Tensor) -> Tensor:
        mean: Tensor = module.encode(2 * picture - 1).latent_dist.mean
        return mean

    return Surrogate(name, encode, reconstruct=_round_trip(module, encode))


def autoencoder_tiny(name: str, module: Any) -> Surrogate:
    """A diffusers ``AutoencoderTiny``; it has no posterior, its latents are the mean."""

    def encode(picture: Tensor) -> Tensor:
        latents: Tensor = module.encode(2 * picture - 1).latents
        return latents

    return Surrogate(name, encode, reconstruct=_round_trip(module, encode))


def _round_trip(module: Any, encode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Through encoder and decoder of a diffusers autoencoder."""

    def reconstruct(picture: Tensor) -> Tensor:
        decoded: Tensor = module.decode(encode(picture)).sample
        return (decoded / 2 + 0.5).clamp(0, 1)

    return reconstruct


def plain_autoencoder(
    name: str, encoder: nn.Module, decoder: nn.Module | None = None, *, family: str | None = None
) -> Surrogate:
    """A module that takes ``[0, 1]`` and gives latents, such as a tiny encoder, perhaps with one that goes back."""
    if decoder is None:
        return Surrogate(name, encoder, family=family)

    def reconstruct(picture: Tensor) -> Tensor:
        decoded: Tensor = decoder(encoder(picture))
        return decoded.clamp(0, 1)

    return Surrogate(name, encoder, family=family, reconstruct=reconstruct)
