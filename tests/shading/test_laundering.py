"""Launderings: shapes, ranges, gradients, determinism, and JPEG against a real codec."""

from __future__ import annotations

import io
from itertools import islice

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
    """One seed always gives the same laundering; many seeds give every kind, all of the picture's size."""
    picture = _picture()
    chosen = [laundering.random_laundering(torch.Generator().manual_seed(seed)) for seed in range(40)]
    results = [one.apply(picture) for one in chosen]
    again = laundering.random_laundering(torch.Generator().manual_seed(3))
    torch.testing.assert_close(results[3], again.apply(picture))
    assert {one.name for one in chosen} == {"jpeg", "resize", "blur", "noise", "crop"}
    assert all(result.shape == picture.shape and result.min() >= 0 and result.max() <= 1 for result in results)
    assert len({round(float((result - picture).abs().mean()), 6) for result in results}) > 30


def test_each_round_of_launderings_has_every_kind_of_its_list() -> None:
    """Rounds of seven are the same kinds in another order, each there once or twice."""
    endless = laundering.launderings(torch.Generator().manual_seed(0))
    rounds = [[one.name for one in islice(endless, 7)] for _ in range(6)]
    assert all(sorted(names) == sorted(rounds[0]) for names in rounds)
    assert len({tuple(names) for names in rounds}) > 3
    assert {*rounds[0]} == {"jpeg", "resize", "blur", "crop"}
    again = laundering.launderings(torch.Generator().manual_seed(0))
    assert [one.name for one in islice(again, 7)] == rounds[0]


def test_a_laundering_does_the_same_to_every_picture() -> None:
    """Its strength and its noise are fixed when it is drawn, so that two pictures can be compared through it."""
    for seed in range(20):
        one = laundering.random_laundering(torch.Generator().manual_seed(seed))
        torch.testing.assert_close(one.apply(_picture()), one.apply(_picture()))


def test_only_crops_move_content_and_can_be_left_out() -> None:
    """Launderings that move content say so, and none is drawn when content must stay."""
    generator = torch.Generator().manual_seed(0)
    chosen = [laundering.random_laundering(generator) for _ in range(60)]
    assert {one.name for one in chosen if one.moves} == {"crop"}
    assert not any(laundering.random_laundering(generator, moving=False).moves for _ in range(60))


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_pure_white_and_pure_black_feel_every_laundering(level: float) -> None:
    """What a laundering would clip keeps its gradient: each one passes as much of it as it does in the middle gray."""
    for seed in range(12):
        slopes = []
        for value in (level, 0.5):
            picture = torch.full((1, 3, 32, 32), value, requires_grad=True)
            one = laundering.random_laundering(torch.Generator().manual_seed(seed))
            (one.apply(picture) * _picture(32, 32)).sum().backward()
            slopes.append(float(picture.grad.norm()))
        assert slopes[0] == pytest.approx(slopes[1], rel=1e-3), one.name
