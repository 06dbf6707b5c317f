"""The tiny autoencoders' architectures, from weights with the right and the wrong shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shaded.shading.tiny_autoencoders import FAMILIES, TinyDecoder, TinyEncoder, tiny_decoder, tiny_encoder

DECODED = [name for name, family in FAMILIES.items() if family.stride == 8]


@pytest.mark.parametrize("family", ["flux1", "flux2", "sana"])
def test_family_is_read_from_the_weights(family: str) -> None:
    """Weights say by their shapes which encoder they are, where no other has the same."""
    state = {name: tensor.half() for name, tensor in TinyEncoder(family).state_dict().items()}
    assert tiny_encoder(state).family == family


@pytest.mark.parametrize("family", FAMILIES)
def test_latents_have_the_familys_shape(family: str) -> None:
    """The encoder gives the family's channels at its stride, in float32, and learns nothing any more."""
    encoder = tiny_encoder(TinyEncoder(family).state_dict(), family)
    side = 64 // FAMILIES[family].stride
    assert encoder.stride == FAMILIES[family].stride
    with torch.no_grad():
        assert encoder(torch.rand(1, 3, 64, 64)).shape == (1, FAMILIES[family].channels, side, side)
    assert not any(weight.requires_grad for weight in encoder.parameters())


@pytest.mark.parametrize("family", DECODED)
def test_the_decoder_gives_back_a_picture(family: str) -> None:
    """Latents become a picture of eight times their sides, however far they are outside the usual range."""
    decoder = tiny_decoder(TinyDecoder(family).state_dict(), family)
    latents = torch.full((1, FAMILIES[family].channels, 4, 5), 1e6)
    with torch.no_grad():
        picture = decoder(latents)
        held = decoder(latents / 1e3)
    assert picture.shape == (1, 3, 32, 40)
    assert torch.allclose(picture, held)
    assert not any(weight.requires_grad for weight in decoder.parameters())


def test_weights_that_fit_several_families_need_a_name() -> None:
    """Those of Stable Diffusion 1.x and SDXL have the same shapes, and guessing would state another's strength."""
    state = TinyEncoder("sdxl").state_dict()
    with pytest.raises(ValueError, match=r"several tiny encoders \(sd1, sdxl\)"):
        tiny_encoder(state)
    assert tiny_encoder(state, "sd1").family == "sd1"


@pytest.mark.parametrize(
    "state",
    [{}, {"0.weight": torch.zeros(48, 3, 3, 3)}, {"0.weight": torch.zeros(64)}, {"weight": torch.zeros(64)}],
    ids=["nothing", "another width", "another rank", "no numbers"],
)
def test_foreign_weights_are_refused(state: dict[str, torch.Tensor]) -> None:
    """Weights of no known encoder raise an error that names the known ones."""
    with pytest.raises(ValueError, match="sd1, sdxl, flux1, flux2, sana"):
        tiny_encoder(state)


def test_incomplete_weights_are_refused() -> None:
    """Weights that begin and end like a known network but lack parts raise an error that names the family."""
    state = TinyEncoder("sana").state_dict()
    del state["8.conv.0.bias"]
    with pytest.raises(ValueError, match="do not fit the sana tiny encoder"):
        tiny_encoder(state)
    with pytest.raises(ValueError, match="do not fit the flux2 tiny decoder"):
        tiny_decoder(TinyDecoder("flux1").state_dict(), "flux2")


def test_an_unknown_family_is_refused() -> None:
    """Asking for a family that is not known names those that are; Sana has no tiny decoder."""
    with pytest.raises(ValueError, match="known: sd1, sdxl"):
        TinyEncoder("cascade")
    with pytest.raises(ValueError, match="no tiny decoder of the family 'sana'"):
        TinyDecoder("sana")


@pytest.mark.real_encoder
@pytest.mark.parametrize("family", FAMILIES)
def test_real_weights_fit_and_tell_pictures_apart(shared_encoders: Path, family: str) -> None:
    """The real weights load completely, and a flat picture's latents differ from a textured one's."""
    encoder = tiny_encoder(load_file(shared_encoders / f"{family}-tiny-encoder.safetensors"), family)
    textured = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        flat, busy = encoder(torch.full((1, 3, 64, 64), 0.5)), encoder(textured)
    assert torch.isfinite(busy).all()
    assert (flat - busy).norm() > 0.5 * flat.norm()


@pytest.mark.real_encoder
@pytest.mark.parametrize("family", DECODED)
def test_real_weights_give_a_picture_back(shared_encoders: Path, family: str) -> None:
    """Through the real encoder and decoder a soft picture comes back nearly as it was."""
    encoder = tiny_encoder(load_file(shared_encoders / f"{family}-tiny-encoder.safetensors"), family)
    decoder = tiny_decoder(load_file(shared_encoders / f"{family}-tiny-decoder.safetensors"), family)
    corners = torch.rand(1, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.interpolate(corners, (64, 64), mode="bilinear", align_corners=True)
    with torch.no_grad():
        assert (decoder(encoder(picture)) - picture).abs().mean() < 0.03
