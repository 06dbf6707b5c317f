"""How trainers see a picture."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis.strategies import integers, sampled_from

from shaded.shading.trainers import FILTERS, MULTIPLE, as_trained, trained_size, trained_sizes


@given(height=integers(1, 9000), width=integers(1, 9000), side=sampled_from([512, 768, 1024]))
def test_sizes_are_multiples_about_the_area_of_the_square_or_the_pictures_own(height, width, side):
    """Both sides divide by every stride, and the area is that of the square, or the picture's own."""
    rows, columns = trained_size(height, width, side)
    assert rows % MULTIPLE == columns % MULTIPLE == 0
    scale = min(1.0, side / math.sqrt(height * width))
    for one, own in ((rows, height), (columns, width)):
        assert abs(one - max(MULTIPLE, own * scale)) <= MULTIPLE / 2


def test_usual_pictures_have_the_usual_buckets():
    """A square becomes the square, and three to two keeps its shape."""
    assert trained_size(2000, 2000, 512) == (512, 512)
    assert trained_size(2000, 3000, 1024) == (832, 1248)


def test_a_small_picture_is_seen_at_one_size():
    """Where every side would leave a picture as it is, it is seen once."""
    assert trained_sizes(300, 400, (512, 768, 1024)) == {512: (288, 384)}
    assert list(trained_sizes(700, 700, (1024, 512, 768))) == [512, 768]


@pytest.mark.parametrize("kernel", FILTERS)
def test_every_filter_keeps_the_range_and_lets_gradients_through(kernel):
    """Black and white stay what they are, and a pixel at the end of the range still feels what draws it."""
    picture = (torch.arange(64) % 16 < 8).float().expand(1, 3, 64, 64).clone().requires_grad_()
    seen = as_trained(picture, (32, 32), kernel)
    assert seen.shape == (1, 3, 32, 32)
    assert 0 <= float(seen.detach().min()) < float(seen.detach().max()) <= 1
    seen.sum().backward()
    assert float(picture.grad.sum()) == pytest.approx(3 * 32 * 32, rel=1e-3)


def test_a_picture_of_that_size_stays_as_it_is():
    """Nothing is resampled where nothing need be."""
    picture = torch.rand(1, 3, 32, 64)
    assert as_trained(picture, (32, 64)) is picture
