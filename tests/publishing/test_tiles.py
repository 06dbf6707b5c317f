"""Tiles of an uncompressed TIFF that were never written, and black areas that keep to the grid."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from shaded.errors import Incomplete
from shaded.outbox.screening import screen
from shaded.publishing.ifd import read_directory, read_header
from tests.publishing.samples import textured

_TILE = 64


def tiled(pixels):
    """An uncompressed TIFF with tiles of 64 x 64 pixels, and where they lie in it."""
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, photometric="rgb", tile=(_TILE, _TILE), metadata=None)
    data = out.getvalue()
    header = read_header(data)
    page = read_directory(data, header.first, header)
    places = page.entries[324].integers(header.order), page.entries[325].integers(header.order)
    return data, list(zip(*places, strict=True))


def picture():
    """300 x 330 pixels, five tiles by six; none of them black."""
    return np.maximum(textured(300, 330), 1)


@pytest.mark.parametrize("first", [8, 14, 21])
def test_a_tail_of_tiles_that_were_never_written_is_refused(first):
    """A copy that stopped in the middle of a row of tiles."""
    data, places = tiled(picture())
    at = places[first][0]
    with pytest.raises(Incomplete, match="only zeros"):
        screen(data[:at] + bytes(len(data) - at), None, 10**6)


@pytest.mark.parametrize("lost", [7, 9, 15])
def test_a_lost_tile_is_refused(lost):
    """One tile of zeros with a picture above and below it."""
    data, places = tiled(picture())
    at, size = places[lost]
    with pytest.raises(Incomplete, match="only zeros"):
        screen(data[:at] + bytes(size) + data[at + size :], None, 10**6)


def black(pixels, *areas):
    """The picture with black areas."""
    for area in areas:
        pixels[area] = 0
    return pixels


@pytest.mark.parametrize(
    "pixels",
    [
        black(picture(), np.s_[:]),
        black(picture(), np.s_[128:]),
        black(picture(), np.s_[:, 192:]),
        black(picture(), np.s_[70:250, 70:250]),
        black(picture(), np.s_[::2, ::2]),
        black(picture(), *(np.s_[y : y + 64, x : x + 64] for y in (0, 128, 256) for x in (64, 192))),
        black(picture(), np.s_[256:, 320:]),
    ],
    ids=["all", "bar below", "bar beside", "box", "grid", "chessboard", "corner"],
)
def test_black_areas_are_no_lost_tiles(pixels):
    """Bars, boxes and boards, also where they keep to the grid of the tiles."""
    screen(tiled(pixels)[0], None, 10**6)
