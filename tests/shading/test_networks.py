"""The shader and the meter: shapes, limits, determinism, independence of the batch, and their weight files."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from shaded.shading.networks import MeterNetwork, ShaderNetwork


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _loud_shader() -> ShaderNetwork:
    """A small untrained shader whose output is driven hard against its limits."""
    torch.manual_seed(1)
    shader = ShaderNetwork((16, 16, 16))
    with torch.no_grad():
        shader.head.weight.mul_(50)
    return shader.eval()


@torch.no_grad()
def test_change_has_the_pictures_shape_and_never_exceeds_its_limits() -> None:
    """The shader's change is as large as the picture and within the limit at every pixel."""
    limits = 0.001 + 0.04 * _noise(2, 1, 64, 96, seed=3)
    change = _loud_shader()(_noise(2, 3, 64, 96), _noise(2, 3, 64, 96, seed=2), limits)
    assert change.shape == (2, 3, 64, 96)
    assert (change.abs() <= limits).all()
    assert change.abs().max() > 0.5 * limits.max()


@torch.no_grad()
def test_change_depends_on_the_anchor() -> None:
    """Two anchors give two different changes for one picture."""
    shader, picture, limits = _loud_shader(), _noise(1, 3, 32, 32), torch.full((1, 1, 32, 32), 0.03)
    first = shader(picture, _noise(1, 3, 32, 32, seed=5), limits)
    assert not torch.allclose(first, shader(picture, _noise(1, 3, 32, 32, seed=6), limits), atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("network", ["shader", "meter"])
def test_result_does_not_depend_on_the_rest_of_the_batch(network: str) -> None:
    """A picture gets the same result alone and in a batch with another one."""
    pictures, anchors = _noise(2, 3, 64, 64), _noise(2, 3, 64, 64, seed=1)
    limits = torch.full((2, 1, 64, 64), 0.03)
    if network == "shader":
        shader = _loud_shader()
        together, alone = shader(pictures, anchors, limits)[:1], shader(pictures[:1], anchors[:1], limits[:1])
    else:
        torch.manual_seed(1)
        meter = MeterNetwork((16, 16, 16))
        together, alone = meter(pictures)["flux2"][:1], meter(pictures[:1])["flux2"]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_meter_gives_each_family_its_latent_shape() -> None:
    """The meter's outputs have the real encoders' shapes: a thirty-second for Sana, an eighth for FLUX.2."""
    latents = MeterNetwork((16, 16, 16))(_noise(2, 3, 64, 96))
    assert {family: tuple(latent.shape) for family, latent in latents.items()} == {
        "flux2": (2, 32, 8, 12),
        "sana": (2, 32, 2, 3),
    }


@torch.no_grad()
def test_shader_guesses_the_latents_of_picture_and_anchor() -> None:
    """Beside the change, the shader states latents of both pictures in the real encoders' shapes, anchors last."""
    shader, pictures, anchors = _loud_shader(), _noise(2, 3, 64, 64), _noise(2, 3, 64, 64, seed=1)
    limits = torch.full((2, 1, 64, 64), 0.03)
    guesses = shader.propose(pictures, anchors, limits)[1]
    swapped = shader.propose(anchors, pictures, limits)[1]
    assert guesses["flux2"].shape == (4, 32, 8, 8)
    assert guesses["sana"].shape == (4, 32, 2, 2)
    torch.testing.assert_close(guesses["flux2"].roll(2, dims=0), swapped["flux2"], atol=1e-5, rtol=1e-4)


def test_sides_that_do_not_fit_are_refused() -> None:
    """A side that is no multiple of 32 is an error that says so, for both networks."""
    crooked = _noise(1, 3, 32, 40)
    with pytest.raises(ValueError, match="multiples of 32"):
        MeterNetwork((16, 16, 16))(crooked)
    with pytest.raises(ValueError, match="32 x 40"):
        ShaderNetwork((16, 16, 16))(crooked, crooked, crooked[:, :1])


@torch.no_grad()
@pytest.mark.parametrize("kind", [ShaderNetwork, MeterNetwork])
def test_network_comes_back_from_half_precision_weights(kind: type[ShaderNetwork | MeterNetwork]) -> None:
    """A network built from float16 weights has the same widths, is frozen, computes in float32 and nearly agrees."""
    torch.manual_seed(1)
    before = kind((16, 24, 32)).eval()
    after = kind.from_state({name: tensor.half() for name, tensor in before.state_dict().items()})
    assert not after.training
    assert all(not weight.requires_grad and weight.dtype == torch.float32 for weight in after.parameters())
    picture = _noise(1, 3, 32, 32)
    arguments = (picture, picture, picture[:, :1]) if kind is ShaderNetwork else (picture,)
    one, other = before(*arguments), after(*arguments)
    if isinstance(one, dict):
        one, other = one["sana"], other["sana"]
    torch.testing.assert_close(one, other, atol=5e-3, rtol=1e-2)
