"""The trial's autoencoder: its loss, and what it is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from shaded.models.bundle import load_state
from shaded.shading.perceptibility import build_lpips
from shaded.training import autoencoder
from shaded.training.corpus import Corpus


@pytest.fixture
def network():
    torch.manual_seed(0)
    return autoencoder.new_autoencoder("autoencoder-trial")


@pytest.fixture
def corpus():
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, size, np.uint8), "RGBA") for size in ((80, 150, 4), (64, 64, 4))]
    return Corpus({"photo": tuple(pictures)}, ())


def test_it_reduces_pictures_as_stable_diffusion_does(network):
    """A picture of 64 pixels becomes 8 x 8 latents of four channels, and comes back at its size."""
    latents = network.encode(torch.zeros(2, 3, 64, 64)).latent_dist.mean
    assert latents.shape == (2, 4, 8, 8)
    assert network.decode(latents).sample.shape == (2, 3, 64, 64)


def test_the_finer_one_keeps_four_times_as_much():
    """A second autoencoder has sixteen channels at the same size, so that the same models can draw in it."""
    fine = autoencoder.new_autoencoder("autoencoder-trial-fine")
    assert fine.encode(torch.zeros(1, 3, 64, 64)).latent_dist.mean.shape == (1, 16, 8, 8)


def test_the_loss_falls_when_it_is_followed(network):
    """A few steps against the loss bring a batch's loss down."""
    lpips = build_lpips(load_state("lpips-alexnet"))
    pictures = torch.tensor([0.9, 0.2, 0.4]).view(1, 3, 1, 1).expand(2, 3, 64, 64)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses = []
    for step in range(8):
        generator = torch.Generator().manual_seed(step)
        loss, restored = autoencoder.autoencoder_loss(network, pictures, lpips, generator)
        assert restored.shape == pictures.shape
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.9 * losses[0]


def test_half_of_a_batch_is_drawn_and_half_from_the_corpus(corpus, monkeypatch):
    """Both kinds of picture are in every batch, 64 pixels each and in [0, 1]."""
    drawn = np.full((64, 64, 3), 255, np.uint8)
    monkeypatch.setattr(autoencoder, "draw_picture", lambda *_: drawn)
    batch = autoencoder.next_batch(corpus, np.random.default_rng(0))
    assert batch.shape[1:] == (3, 64, 64)
    white = (batch == 1).flatten(1).all(dim=1)
    assert int(white.sum()) == len(batch) // 2
    assert 0 <= float(batch.min()) <= float(batch.max()) <= 1


def test_windows_of_the_corpus_have_many_sizes(corpus):
    """Windows come from the whole picture down to 64 pixels of it: noise that is reduced loses contrast."""
    rng = np.random.default_rng(0)
    spreads = [float(autoencoder.corpus_window(corpus, rng).std()) for _ in range(40)]
    assert max(spreads) > 1.1 * min(spreads)
