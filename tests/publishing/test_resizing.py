"""Reducing a picture before it is shaded."""

from __future__ import annotations

import numpy as np
import pytest

from shaded.publishing.picture import Container, Picture
from shaded.publishing.resizing import fit_side
from tests.publishing.samples import smooth


def _picture(array, alpha=None):
    return Picture(array, alpha, Container("png", "RGB"))


@pytest.mark.parametrize("side", [0, 64, 1000])
def test_a_picture_that_fits_is_left_alone(side):
    """No limit, or one that is kept, gives the same object."""
    picture = _picture(smooth())
    assert fit_side(picture, side) is picture


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_longer_side_gets_the_limit_and_the_shape_stays(kind):
    """Proportions, type and the mean colour are kept."""
    picture = _picture(smooth(kind=kind))
    small = fit_side(picture, 32)
    assert small.size == (32, 24)
    assert small.colour.dtype == kind
    assert small.colour.mean() == pytest.approx(picture.colour.mean(), rel=0.02)


def test_hidden_colours_do_not_bleed_into_the_rim():
    """A white shape on hidden green stays white at its edge."""
    colour = np.zeros((64, 64, 3), np.uint8)
    colour[..., 1] = 255
    alpha = np.zeros((64, 64), np.uint8)
    colour[16:48, 16:48] = 255
    alpha[16:48, 16:48] = 255
    small = fit_side(_picture(colour, alpha), 24)
    seen = small.alpha > 8
    assert small.colour[seen].min() > 250
