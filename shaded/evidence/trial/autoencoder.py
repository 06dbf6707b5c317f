"""The autoencoder in whose latent space the trial's models draw: the bundled one, a file, or a diffusers folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from shaded.errors import ModelError
from shaded.models.bundle import bundled_models, load_described, metadata_of, tensors_of
from shaded.models.local_surrogates import load_local

#: Its name in the bundle's manifest.
BUNDLED = "autoencoder-trial"

_BATCH = 64


@dataclass(frozen=True)
class Autoencoder:
    """A diffusers ``AutoencoderKL`` with its name and the hash of its weights."""

    name: str
    sha256: str
    module: Any

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        device: torch.device = next(iter(self.module.parameters())).device
        return device


def open_autoencoder(path: Path | None, device: torch.device) -> Autoencoder:
    """The autoencoder, ready to use and without gradients for its weights.

    Args:
        path: A folder in diffusers format, or a safetensors file whose metadata has the ``config`` as JSON; ``None``
            takes the bundled one.
        device: Where it is to compute.

    Raises:
        ModelError: It is missing, altered, or no ``AutoencoderKL``.
    """
    if path is None:
        entry = bundled_models().get(BUNDLED)
        if entry is None:
            raise ModelError(
                f"this version bundles no {BUNDLED!r}", remedy="Name an AutoencoderKL with --autoencoder PATH"
            )
        built = Autoencoder(BUNDLED, entry.sha256, build_autoencoder(*load_described(BUNDLED), entry.path))
    elif path.is_dir():
        local = load_local(path)
        if local.kind != "AutoencoderKL":
            raise ModelError("it is no AutoencoderKL", path=path, remedy="The trial needs an encoder and its decoder")
        built = Autoencoder(local.name, local.sha256, local.content)
    else:
        try:
            content = path.read_bytes()
            state, words = tensors_of(content), metadata_of(content)
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"the autoencoder cannot be read: {error}", path=path) from error
        built = Autoencoder(path.stem, hashlib.sha256(content).hexdigest(), build_autoencoder(state, words, path))
    built.module.to(device).eval().requires_grad_(requires_grad=False)
    return built


def build_autoencoder(state: dict[str, Tensor], words: dict[str, str], path: Path) -> Any:
    """An ``AutoencoderKL`` from its tensors and a file's metadata, whose ``config`` holds its arguments as JSON.

    Raises:
        ModelError: There is no config, or the tensors do not fit it; ``path`` is the file at fault.
    """
    from diffusers import AutoencoderKL  # noqa: PLC0415 - heavy

    try:
        module = AutoencoderKL(**json.loads(words["config"]))
        module.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"it is no AutoencoderKL with its config: {error}", path=path) from error
    return module


def to_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """``(N, H, W, 3)`` in 8 bits as ``(N, 3, H, W)`` in ``[0, 1]``."""
    return torch.from_numpy(pixels.copy()).to(device).permute(0, 3, 1, 2).float() / 255


def to_pixels(pictures: Tensor) -> NDArray[np.uint8]:
    """The inverse of :func:`to_tensor`: rounded to 8 bits."""
    rounded = (pictures.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    array: NDArray[np.uint8] = rounded.cpu().numpy()
    return array


@torch.no_grad()
def encode(autoencoder: Autoencoder, pixels: NDArray[np.uint8]) -> Tensor:
    """The means of the latents ``(N, C, h, w)`` of pictures ``(N, H, W, 3)``, unscaled."""
    parts = [
        autoencoder.module.encode(
            2 * to_tensor(pixels[first : first + _BATCH], autoencoder.device) - 1
        ).latent_dist.mean
        for first in range(0, len(pixels), _BATCH)
    ]
    return torch.cat(parts)


@torch.no_grad()
def decode(autoencoder: Autoencoder, latents: Tensor) -> NDArray[np.uint8]:
    """Pictures ``(N, H, W, 3)`` of unscaled latents ``(N, C, h, w)``."""
    parts = [
        to_pixels((autoencoder.module.decode(latents[first : first + _BATCH]).sample + 1) / 2)
        for first in range(0, len(latents), _BATCH)
    ]
    return np.concatenate(parts)
