"""Surrogates from a local folder."""

from __future__ import annotations

import json

import pytest
import torch

from shaded.errors import ModelError
from shaded.models.local_surrogates import load_local


@pytest.fixture
def kl_folder(tmp_path):
    """A tiny AutoencoderKL, saved by diffusers itself."""
    import diffusers

    torch.manual_seed(0)
    module = diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    module.save_pretrained(tmp_path / "my-vae", safe_serialization=True)
    return tmp_path / "my-vae"


def test_a_diffusers_folder_loads(kl_folder):
    """A folder that diffusers saved comes back frozen, with its kind and its hash."""
    model = load_local(kl_folder)
    assert (model.name, model.kind, len(model.sha256)) == ("my-vae", "AutoencoderKL", 64)
    assert not any(parameter.requires_grad for parameter in model.content.parameters())


def test_pickled_weights_are_not_loaded(kl_folder):
    """Without safetensors nothing is loaded: a pickle could run code."""
    weights = kl_folder / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        load_local(kl_folder)


def test_another_kind_of_model_is_refused(kl_folder):
    """A folder with a model that is no autoencoder says so."""
    (kl_folder / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel"}))
    with pytest.raises(ModelError, match="UNet2DModel"):
        load_local(kl_folder)


def test_an_empty_folder_is_no_surrogate(tmp_path):
    """A folder without a config says what a surrogate looks like."""
    with pytest.raises(ModelError, match="diffusers folder"):
        load_local(tmp_path)


def test_damaged_weights_are_an_error(kl_folder):
    """A torn weight file is reported as not loading."""
    weights = kl_folder / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError):
        load_local(kl_folder)


@pytest.mark.real_encoder
def test_a_tiny_encoder_s_file_loads(shared_encoders):
    """A safetensors file of a tiny encoder is a surrogate without any folder."""
    model = load_local(shared_encoders / "sana-tiny-encoder.safetensors")
    assert (model.kind, model.name) == ("encoder", "sana-tiny-encoder")


def test_the_decoder_beside_a_tiny_encoder_comes_with_it(tmp_path):
    """``NAME-encoder`` and ``NAME-decoder`` are one model, and both are in its hash; an encoder alone is one too."""
    from safetensors.torch import save_file

    from shaded.shading.tiny_autoencoders import TinyDecoder, TinyEncoder

    encoder, decoder = (tmp_path / f"sdxl-tiny-{part}.safetensors" for part in ("encoder", "decoder"))
    save_file(TinyEncoder("sdxl").state_dict(), encoder)
    alone = load_local(encoder)
    save_file(TinyDecoder("sdxl").state_dict(), decoder)
    both = load_local(encoder)
    assert (alone.decoder, alone.name, both.name) == (None, "sdxl-tiny-encoder", "sdxl-tiny-encoder")
    assert both.decoder.keys() == TinyDecoder("sdxl").state_dict().keys()
    assert both.sha256 != alone.sha256
