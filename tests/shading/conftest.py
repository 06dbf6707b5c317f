"""Small pictures and encoders for the engine's tests."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shaded.models.bundle import load_state
from shaded.shading.perceptibility import build_lpips
from shaded.shading.surrogates import plain_autoencoder


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lpips():
    """The bundled LPIPS."""
    return build_lpips(load_state("lpips-alexnet"))


@pytest.fixture
def textured():
    """A busy picture (1, 3, 64, 96) with a flat white third at its right."""
    generator = torch.Generator().manual_seed(3)
    picture = torch.rand(1, 3, 64, 96, generator=generator) * 0.6 + 0.2
    picture[..., 64:] = 1.0
    return picture


@pytest.fixture
def encoder():
    """A fixed random encoder of stride 8."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    return plain_autoencoder("random", module.requires_grad_(False))
