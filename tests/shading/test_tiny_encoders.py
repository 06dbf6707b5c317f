"""The tiny encoders' architectures, from weights with the right and the wrong shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shaded.shading.tiny_encoders import TinyEncoder, tiny_encoder


@pytest.mark.parametrize(("family", "side"), [("flux2", 8), ("sana", 2)])
def test_family_is_read_from_the_weights_and_latents_have_its_shape(family: str, side: int) -> None:
    """Weights say by their shapes which encoder they are; the encoder gives 32 channels at its stride, in float32."""
    state = {name: tensor.half() for name, tensor in TinyEncoder(family).state_dict().items()}
    encoder = tiny_encoder(state)
    assert encoder.family == family
    assert encoder.stride == 64 // side
    with torch.no_grad():
        assert encoder(torch.rand(1, 3, 64, 64)).shape == (1, 32, side, side)
    assert not any(weight.requires_grad for weight in encoder.parameters())


@pytest.mark.parametrize(
    "state",
    [{}, {"0.weight": torch.zeros(48, 3, 3, 3)}, {"0.weight": torch.zeros(64)}],
    ids=["nothing", "another width", "another rank"],
)
def test_foreign_weights_are_refused(state: dict[str, torch.Tensor]) -> None:
    """Weights of neither encoder raise an error that names the known ones."""
    with pytest.raises(ValueError, match="neither FLUX"):
        tiny_encoder(state)


def test_incomplete_weights_are_refused() -> None:
    """Weights that begin like a known encoder but lack parts raise an error that names the family."""
    state = TinyEncoder("sana").state_dict()
    del state["17.bias"]
    with pytest.raises(ValueError, match="do not fit the sana"):
        tiny_encoder(state)


def test_unknown_family_is_refused() -> None:
    """Asking for a family that isn't known names those that are."""
    with pytest.raises(ValueError, match="known: flux2, sana"):
        TinyEncoder("sdxl")


@pytest.mark.parametrize("family", ["flux2", "sana"])
def test_real_weights_fit_and_tell_pictures_apart(shared_encoders: Path, family: str) -> None:
    """The real weights load completely, and a flat picture's latents differ from a textured one's."""
    encoder = tiny_encoder(load_file(shared_encoders / f"{family}-tiny-encoder.safetensors"))
    assert encoder.family == family
    textured = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        flat, busy = encoder(torch.full((1, 3, 64, 64), 0.5)), encoder(textured)
    assert torch.isfinite(busy).all()
    assert (flat - busy).norm() > 0.5 * flat.norm()
