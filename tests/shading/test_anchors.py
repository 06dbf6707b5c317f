"""Anchors on the canvas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shaded.shading.anchors import (
    GROUND_CELLS,
    PLACEMENTS,
    Placement,
    compose_anchor,
    cover_anchor,
    ground_from_text,
    ground_of,
    ground_to_text,
    nearest_placement,
)


def _cutout(colour=(1.0, 0.0, 0.0)):
    """A filled circle-less square object with a transparent border over hidden green."""
    cutout = torch.zeros(1, 4, 32, 32)
    cutout[:, 1] = 1
    cutout[:, :3, 8:24, 8:24] = torch.tensor(colour).view(1, 3, 1, 1)
    cutout[:, 3, 8:24, 8:24] = 1
    return cutout


@given(st.integers(2, 12), st.integers(2, 12))
def test_the_object_stands_in_the_middle_of_any_canvas(rows, columns):
    """Whatever the canvas' shape, its centre shows the object and its corners the ground."""
    height, width = 32 * rows, 32 * columns
    ground = torch.full((1, 3, GROUND_CELLS, GROUND_CELLS), 0.5)
    anchor = compose_anchor(_cutout(), ground, height, width)
    assert anchor.shape == (1, 3, height, width)
    assert anchor[0, :, height // 2, width // 2].tolist() == pytest.approx([1, 0, 0], abs=0.02)
    assert anchor[0, :, 0, 0].tolist() == pytest.approx([0.5, 0.5, 0.5], abs=0.02)


def test_hidden_colours_do_not_bleed_into_the_rim():
    """What lies under an object's transparency never shows."""
    ground = torch.zeros(1, 3, GROUND_CELLS, GROUND_CELLS)
    anchor = compose_anchor(_cutout(), ground, 96, 96)
    assert float(anchor[:, 1].max()) < 0.02


def test_a_ground_can_be_written_down_and_read_back():
    """The sidecar's colours give exactly the ground that was used."""
    ground = ground_of(torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    rows = ground_to_text(ground)
    assert len(rows) == GROUND_CELLS
    assert torch.equal(ground_from_text(rows), ground)


def test_a_ground_written_a_colour_a_string_is_read_too():
    """Sidecars of 4 x 4 single colours, as were written at first, still give their ground."""
    ground = ground_from_text([f"#{value:02x}0080" for value in range(16)])
    assert ground.shape == (1, 3, 4, 4)
    assert ground[0, :, 1, 2].mul(255).round().tolist() == [6, 0, 128]


@pytest.mark.parametrize("rows", [[], ["#000000"] * 3, ["#0000"], ["#000000#00000"], ["#00000g"]])
def test_a_damaged_ground_is_an_error(rows: list[str]):
    """A damaged sidecar does not give a wrong anchor."""
    with pytest.raises(ValueError):  # noqa: PT011 - from the parser or from us
        ground_from_text(rows)


def test_an_opaque_anchor_covers_the_canvas():
    """A photograph as anchor fills the canvas and keeps its proportions."""
    picture = torch.zeros(1, 3, 50, 100)
    picture[..., 50:] = 1
    anchor = cover_anchor(picture, 96, 64)
    assert anchor.shape == (1, 3, 96, 64)
    assert float(anchor[..., :28].mean()) < 0.02
    assert float(anchor[..., 36:].mean()) > 0.98


def test_the_nearest_placement_is_taken():
    """Of all placements the one whose latents are nearest to the picture's: here, the picture is one of them."""
    ground = torch.full((1, 3, GROUND_CELLS, GROUND_CELLS), 0.4)

    def draw(placement):
        return compose_anchor(_lopsided(), ground, 64, 128, placement)

    for wanted in PLACEMENTS:
        assert nearest_placement(draw, draw(wanted), lambda picture: picture) == wanted


def test_placements_differ_only_where_there_is_room():
    """On a square canvas an object can hardly be shifted; mirrored it is another picture."""
    ground = torch.full((1, 3, GROUND_CELLS, GROUND_CELLS), 0.4)
    plain = compose_anchor(_lopsided(), ground, 64, 128)
    mirrored = compose_anchor(_lopsided(), ground, 64, 128, Placement(0.5, mirrored=True))
    torch.testing.assert_close(mirrored.flip(-1), plain, atol=0.02, rtol=0)
    left = compose_anchor(_lopsided(), ground, 64, 128, Placement(0.0))
    assert float((left[..., 64:] - 0.4).abs().max()) < 0.02


def _lopsided():
    """A square object, black at its left and white at its right."""
    cutout = torch.ones(1, 4, 20, 20)
    cutout[:, :3, :, :10] = 0
    return cutout
