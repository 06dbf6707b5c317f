"""A tiny autoencoder, written as a file and opened."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from shaded.evidence.trial.autoencoder import open_autoencoder
from shaded.models.bundle import load_state
from shaded.shading.perceptibility import build_lpips

CONFIG = {
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [8, 8, 8, 8],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": 64,
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    # Before the fixtures of a module, whose documents state the number of threads.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def autoencoder_file(tmp_path_factory):
    """An untrained autoencoder with its config, as `--autoencoder` takes it."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_file(AutoencoderKL(**CONFIG).state_dict(), path, metadata={"config": json.dumps(CONFIG)})
    return path


@pytest.fixture(scope="session")
def autoencoder(autoencoder_file):
    """The same, opened."""
    return open_autoencoder(autoencoder_file, torch.device("cpu"))


@pytest.fixture(scope="session")
def lpips():
    """The bundled LPIPS."""
    return build_lpips(load_state("lpips-alexnet"))
