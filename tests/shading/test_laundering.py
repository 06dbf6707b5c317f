"""Launderings: shapes, ranges, gradients, determinism, and JPEG against a real codec."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from shaded.shading import laundering


def _picture(height: int = 48, width: int = 64) -> Tensor:
    """A smooth colourful picture with some noise, as real pictures are."""
    down, across = torch.linspace(0, 1, height).view(-1, 1), torch.linspace(0, 1, width)
    waves = [0.5 + 0.4 * torch.sin(7 * down + 5 * across * turn) for turn in (1.0, 2.0, 3.0)]
    noise = 0.05 * torch.randn(3, height, width, generator=torch.Generator().manual_seed(0))
    return (torch.stack(waves) + noise).clamp(0, 1).unsqueeze(0)


def _through_pillow(picture: Tensor, quality: int, subsampling: int) -> Tensor:
    levels = (picture[0] * 255).round().byte().permute(1, 2, 0).numpy()
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    decoded = np.array(Image.open(stream).convert("RGB"))
    return torch.from_numpy(decoded).permute(2, 0, 1).unsqueeze(0).float() / 255


@pytest.mark.parametrize("quality", [50, 75, 90])
@pytest.mark.parametrize("subsample", [True, False])
def test_jpeg_is_close_to_a_real_codec(quality: int, subsample: bool) -> None:
    """The differentiable JPEG differs from Pillow's by far less than Pillow's differs from the original."""
    picture = (_picture() * 255).round() / 255
    ours = laundering.jpeg(picture, quality, subsample)
    theirs = _through_pillow(picture, quality, 2 if subsample else 0)
    assert (ours - theirs).square().mean() < 0.2 * (theirs - picture).square().mean()


def test_jpeg_of_sides_that_are_no_multiple_of_sixteen_keeps_the_size() -> None:
    """Padding to whole blocks is cut off again."""
    assert laundering.jpeg(_picture(37, 51), 80).shape == (1, 3, 37, 51)


@pytest.mark.parametrize("quality", [0, 101])
def test_jpeg_refuses_a_quality_off_the_scale(quality: int) -> None:
    """Quality outside 1 to 100 is an error that says so."""
    with pytest.raises(ValueError, match="1 to 100"):
        laundering.jpeg(_picture(), quality)


@pytest.mark.parametrize("name", sorted(laundering.LAUNDERINGS))
def test_named_launderings_keep_size_and_range_and_change_something(name: str) -> None:
    """Each named laundering gives a picture of the same size in [0, 1] that isn't the one it got."""
    picture = _picture(64, 96)
    result = laundering.LAUNDERINGS[name](picture)
    assert result.shape == picture.shape
    assert result.min() >= 0
    assert result.max() <= 1
    assert (result - picture).abs().max() > 1e-3
    torch.testing.assert_close(result, laundering.LAUNDERINGS[name](picture))


@pytest.mark.parametrize("name", sorted(laundering.LAUNDERINGS))
def test_gradients_pass_through(name: str) -> None:
    """Every named laundering lets finite gradients, not all zero, through to the pixels."""
    picture = _picture().requires_grad_(True)
    (laundering.LAUNDERINGS[name](picture) * _picture(48, 64).flip(-1)).sum().backward()
    assert picture.grad is not None
    assert torch.isfinite(picture.grad).all()
    assert picture.grad.abs().mean() > 1e-3


def test_random_launderings_come_in_kinds_and_repeat_with_their_seed() -> None:
    """One seed always gives the same laundering; many seeds give different ones, all of the picture's size."""
    picture = _picture()
    results = [laundering.random_laundering(picture, torch.Generator().manual_seed(seed)) for seed in range(12)]
    again = laundering.random_laundering(picture, torch.Generator().manual_seed(3))
    torch.testing.assert_close(results[3], again)
    assert all(result.shape == picture.shape and result.min() >= 0 and result.max() <= 1 for result in results)
    assert len({round(float((result - picture).abs().mean()), 6) for result in results}) > 8


def test_blur_keeps_flat_pictures_and_softens_edges() -> None:
    """A flat picture comes out as it was, and a step edge gets intermediate values but the same mean."""
    flat = torch.full((1, 3, 32, 32), 0.3)
    torch.testing.assert_close(laundering.gaussian_blur(flat, 1.0), flat)
    edge = torch.zeros(1, 3, 32, 32)
    edge[..., 16:] = 1
    blurred = laundering.gaussian_blur(edge, 1.0)
    assert 0.2 < float(blurred[0, 0, 16, 15]) < 0.5
    torch.testing.assert_close(blurred.mean(), edge.mean())


@pytest.mark.parametrize("kernel", ["area", "bilinear", "bicubic"])
def test_resize_and_back_loses_fine_detail_only(kernel: str) -> None:
    """A checkerboard of single pixels becomes gray while a flat picture is unchanged, with every filter."""
    board = (torch.arange(32).view(-1, 1) + torch.arange(32)).remainder(2).float().expand(1, 3, 32, 32)
    assert laundering.resize_and_back(board, 0.5, kernel)[..., 4:-4, 4:-4].std() < 0.15
    flat = torch.full((1, 3, 32, 32), 0.6)
    torch.testing.assert_close(laundering.resize_and_back(flat, 0.5, kernel), flat)


def test_resize_refuses_an_unknown_filter() -> None:
    """A filter that isn't known is an error that names those that are."""
    with pytest.raises(ValueError, match="area, bilinear, bicubic"):
        laundering.resize_and_back(_picture(), 0.5, "lanczos9")


def test_crop_takes_the_named_window() -> None:
    """Cropping the right half of a picture that is black left and white right gives white, at the size asked for."""
    picture = torch.zeros(1, 3, 32, 64)
    picture[..., 32:] = 1
    cropped = laundering.crop_and_resize(picture, 0.0, 0.5, 1.0, 0.5, size=(16, 24))
    assert cropped.shape == (1, 3, 16, 24)
    torch.testing.assert_close(cropped, torch.ones(1, 3, 16, 24))


def test_noise_has_the_deviation_asked_for() -> None:
    """Added noise has about the standard deviation asked for and depends on the generator's seed."""
    flat = torch.full((1, 3, 64, 64), 0.5)
    one = laundering.add_noise(flat, 0.02, torch.Generator().manual_seed(1))
    other = laundering.add_noise(flat, 0.02, torch.Generator().manual_seed(2))
    assert abs(float((one - flat).std()) - 0.02) < 0.001
    assert not torch.equal(one, other)
