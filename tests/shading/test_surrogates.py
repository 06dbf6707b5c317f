"""Encoders behind the surrogates' seam."""

from __future__ import annotations

import torch
from torch import nn

from shaded.shading.surrogates import autoencoder_kl, autoencoder_tiny, plain_autoencoder


def _tiny_kl():
    import diffusers

    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    ).eval()


def test_an_autoencoder_kl_gives_its_posterior_s_mean():
    """What is optimised against is the mean of the posterior of the picture in [-1, 1], without sampling."""
    module = _tiny_kl()
    picture = torch.rand(1, 3, 32, 32)
    latents = autoencoder_kl("kl", module).encode(picture)
    with torch.no_grad():
        assert torch.equal(latents, module.encode(picture * 2 - 1).latent_dist.mean)
    assert latents.shape == (1, 4, 16, 16)


def test_an_autoencoder_kl_gives_a_picture_back():
    """There and back the picture keeps its size and range, and is what the decoder makes of the mean."""
    module = _tiny_kl()
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        back = autoencoder_kl("kl", module).reconstruct(picture)
        decoded = module.decode(module.encode(picture * 2 - 1).latent_dist.mean).sample
    assert torch.equal(back, (decoded / 2 + 0.5).clamp(0, 1))
    assert back.shape == picture.shape


def test_a_plain_encoder_with_a_decoder_gives_a_picture_back():
    """What the decoder makes of the latents is held to the range of pictures."""
    picture = torch.tensor([-1.0, 0.25, 2.0]).view(1, 3, 1, 1)
    same = plain_autoencoder("same", nn.Identity(), nn.Identity(), family="flux1")
    assert same.family == "flux1"
    assert same.reconstruct(picture).flatten().tolist() == [0.0, 0.25, 1.0]


def test_an_encoder_alone_gives_no_picture_back():
    """Only what has a decoder can be a round trip."""
    assert plain_autoencoder("same", nn.Identity()).reconstruct is None


def test_an_autoencoder_tiny_gives_its_latents():
    """A tiny autoencoder has no posterior; its latents are the mean."""
    import diffusers

    torch.manual_seed(0)
    module = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).eval()
    latents = autoencoder_tiny("tiny", module).encode(torch.rand(1, 3, 32, 32))
    assert latents.shape[:2] == (1, 4)
    assert latents.requires_grad


def test_a_plain_encoder_is_called_as_it_is():
    """A module that takes [0, 1] needs no adapter."""
    picture = torch.rand(1, 3, 8, 8)
    assert torch.equal(plain_autoencoder("same", nn.Identity()).encode(picture), picture)
