"""Weight files: compact safetensors with a name, a revision, a licence and the hash of the recipe that made them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from shaded.models.bundle import SCALE

__all__ = ["recipe_hash", "save_weights"]


def recipe_hash(*extra: str) -> str:
    """A short hash of every source file of the recipe and of the networks, and of the words in `extra`."""
    here = Path(__file__).resolve().parent
    files = sorted([*here.glob("*.py"), *(here.parent / "shading").glob("*.py")])
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    digest.update("\0".join(extra).encode())
    return digest.hexdigest()[:16]


def save_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write `state` to `path`, replacing it in one step so that a reader never sees half a file.

    Convolutions and matrices become int8 with one scale for each output, all else float16; `shaded.models.bundle`
    reads both.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim > 1:
            tensors |= _in_eight_bits(name, tensor.detach().float())
        else:
            tensors[name] = tensor.detach().to(torch.float16).contiguous()
    staged = path.with_name(f".~{path.name}.tmp")
    save_file(tensors, staged, metadata=dict(metadata))
    staged.chmod(0o644)
    staged.replace(path)


def _in_eight_bits(name: str, tensor: Tensor) -> dict[str, Tensor]:
    scale = tensor.abs().amax(dim=tuple(range(1, tensor.ndim)), keepdim=True).clamp_min(1e-12) / 127
    return {name: (tensor / scale).round().to(torch.int8).contiguous(), name + SCALE: scale.contiguous()}
