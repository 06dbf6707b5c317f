"""Between a picture and what encoders see of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from shaded.publishing.orientation import orientation_of
from shaded.publishing.picture import Container, Picture
from shaded.scheduling.views import (
    as_stored,
    canvas_of,
    gray_was_kept,
    mask_of,
    plane_of,
    psnr_of,
    shown_size,
    shows_no_colour,
    upright,
    with_shading,
)
from shaded.shading.canvas import plan_canvas, to_canvas

CPU = torch.device("cpu")


def _exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _picture(colour, alpha=None, orientation=None):
    exif = None if orientation is None else _exif(orientation)
    return Picture(colour=colour, alpha=alpha, container=Container(format="png", mode="RGB", exif=exif))


def _view(picture):
    return torch.cat([plane_of(picture, channel, CPU) for channel in range(picture.colour.shape[2])], dim=1)


def _planes(height, width, value):
    return torch.full((1, 3, height, width), value).split(1, dim=1)


def _random(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_encoders_see_the_picture_upright(orientation):
    """Each EXIF orientation is turned as Pillow's viewer turns it."""
    stored = _random(6, 9, 3)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    shown = _view(_picture(stored, orientation=orientation))
    assert np.array_equal(np.rint(shown[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_back_undoes_turning_upright(orientation):
    """What was found upright lands where it belongs in the file."""
    stored = torch.rand(1, 3, 4, 7)
    assert torch.equal(as_stored(upright(stored, orientation), orientation), stored)


def test_broken_exif_means_no_orientation():
    """EXIF that cannot be read turns nothing."""
    picture = Picture(_random(2, 2, 3), None, Container(format="png", mode="RGB", exif=b"Exif\0\0nonsense"))
    assert orientation_of(picture) == 1


def test_transparency_is_seen_over_white():
    """Encoders see white where a picture is transparent, whatever colour hides there."""
    picture = _picture(np.zeros((2, 2, 3), np.uint8), np.array([[0, 255], [51, 255]], np.uint8))
    shown = _view(picture)[0, 0]
    assert shown.flatten().tolist() == pytest.approx([1, 0, 0.8, 0], abs=1e-6)


def test_gray_is_seen_in_three_channels():
    """A picture with one channel is shown to encoders in three."""
    picture = _picture(_random(70, 80, 1))
    shown = canvas_of(picture, plan_canvas(*shown_size(picture), 70 * 80), CPU)
    assert shown.shape == (1, 3, 96, 96)
    assert torch.equal(shown[0, 0, :70, :80], _view(picture)[0, 0])
    assert torch.equal(shown[:, 0], shown[:, 2])


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_canvas_made_channel_by_channel_is_the_whole_view_s(orientation):
    """Reducing one channel after the other gives the values of reducing all at once, transparency included."""
    picture = _picture(_random(90, 200, 3), _random(90, 200, seed=1), orientation=orientation)
    canvas = plan_canvas(*shown_size(picture), 5000)
    assert canvas.reduced
    assert torch.equal(canvas_of(picture, canvas, CPU), to_canvas(_view(picture), canvas))


def test_the_mask_is_alpha_turned_upright():
    """The mask has the view's shape, with and without alpha."""
    alpha = _random(3, 5)
    with_alpha = mask_of(_picture(_random(3, 5, 3), alpha, orientation=6), CPU)
    without = mask_of(_picture(_random(3, 5, 3), orientation=6), CPU)
    assert with_alpha.shape == without.shape == (1, 1, 5, 3)
    assert float(without.min()) == 1


@pytest.mark.parametrize(("dtype", "step"), [(np.uint8, 3), (np.uint16, 3 * 257)])
def test_a_shading_is_added_in_the_file_s_own_depth(dtype, step):
    """Three grey levels of shading are three of 255 or 771 of 65535."""
    colour = np.full((4, 6, 3), 1000 if dtype == np.uint16 else 100, dtype)
    result = with_shading(_picture(colour), _planes(4, 6, 3 / 255), 1.0)
    assert result.dtype == dtype
    assert set((result.astype(int) - colour).flatten()) == {step}


def test_half_a_shading_is_half_as_large():
    """The scale multiplies the shading before it is rounded."""
    result = with_shading(_picture(np.full((2, 2, 3), 100, np.uint8)), _planes(2, 2, 8 / 255), 0.5)
    assert set(result.flatten()) == {104}


def test_nothing_under_full_transparency_is_touched():
    """Where alpha is 0 the colour is bit for bit the source's."""
    colour, alpha = _random(8, 8, 3), np.zeros((8, 8), np.uint8)
    alpha[4:] = 128
    result = with_shading(_picture(colour, alpha), _planes(8, 8, 9 / 255), 1.0)
    assert np.array_equal(result[:4], colour[:4])
    assert not np.array_equal(result[4:], colour[4:])


def test_a_gray_picture_gets_the_mean_of_the_shading():
    """One channel is shaded with the mean of three."""
    planes = torch.tensor([3.0, 6.0, 0.0]).div(255).view(1, 3, 1, 1).expand(1, 3, 2, 2).split(1, dim=1)
    assert set(with_shading(_picture(np.full((2, 2, 1), 100, np.uint8)), planes, 1.0).flatten()) == {103}


def test_dithering_keeps_the_mean_of_less_than_a_level():
    """A third of a level moves a third of the pixels by one level, all channels alike; without dithering, none."""
    colour = np.full((700, 90, 3), 100, np.uint8)
    planes = _planes(700, 90, 1 / 765)
    assert np.array_equal(with_shading(_picture(colour), planes, 1.0), colour)
    dithered = with_shading(_picture(colour), planes, 1.0, dither=5)
    assert set(dithered.flatten()) == {100, 101}
    assert dithered.mean() == pytest.approx(100 + 1 / 3, abs=0.01)
    assert np.ptp(dithered, axis=2).max() == 0
    assert np.array_equal(dithered, with_shading(_picture(colour), planes, 1.0, dither=5))
    assert not np.array_equal(dithered, with_shading(_picture(colour), planes, 1.0, dither=6))


def test_dithering_changes_nothing_where_nothing_is_added():
    """Whole levels stay whole levels."""
    colour = _random(40, 50, 3)
    assert np.array_equal(with_shading(_picture(colour), _planes(40, 50, 0.0), 1.0, dither=1), colour)


def test_a_turned_picture_is_shaded_in_its_stored_orientation():
    """A shading in one corner of the upright view lands in the matching stored corner."""
    colour = np.full((4, 6, 3), 100, np.uint8)
    delta = torch.zeros(1, 3, 6, 4)
    delta[..., 0, 0] = 10 / 255
    result = with_shading(_picture(colour, orientation=6), delta.split(1, dim=1), 1.0)
    assert np.argwhere(result[..., 0] != 100).tolist() == [[3, 0]]


def test_black_and_white_is_recognised_in_three_channels():
    """Three channels that agree, or nearly, are black and white; one red pixel is colour."""
    colour = np.repeat(_random(5, 5, 1), 3, axis=2)
    assert shows_no_colour(_picture(colour))
    colour[2, 2] = (255, 0, 0)
    assert not shows_no_colour(_picture(colour))


def test_a_tint_in_an_exactly_gray_picture_is_noticed():
    """An exactly gray original must come out exactly gray; a faintly tinted one may waver by two levels."""
    gray = np.full((4, 4, 3), 90, np.uint8)
    tinted = gray.copy()
    tinted[0, 0, 2] = 92
    assert not gray_was_kept(_picture(tinted), _picture(gray))
    assert gray_was_kept(_picture(gray), _picture(gray))
    more = tinted.copy()
    more[0, 0, 2] = 94
    assert gray_was_kept(_picture(more), _picture(tinted))


def test_psnr_across_depths_and_channels():
    """A picture saved with fewer bits, more channels or without its alpha is compared as people see it."""
    deep = _picture(np.full((4, 4, 1), 100 * 257, np.uint16))
    shallow = _picture(np.full((4, 4, 3), 101, np.uint8))
    assert psnr_of(shallow, deep) == pytest.approx(48.13, abs=0.01)
    cutout = _picture(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 51, np.uint8))
    flattened = _picture(np.full((4, 4, 3), 204, np.uint8))
    assert psnr_of(flattened, cutout) == 99.0
