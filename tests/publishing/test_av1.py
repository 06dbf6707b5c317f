"""The colour space in an AV1 sequence header."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shaded.publishing.av1 import stated_colour
from shaded.publishing.boxes import read_items
from tests.publishing.samples import saved, smooth


def _stream(data):
    start, end = read_items(data).shown.extents[0]
    return data[start:end]


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("pixels", ["420", "422", "444"])
@pytest.mark.parametrize("numbers", [(1, 13), (9, 16), (12, 13), (2, 2)])
def test_the_colour_of_a_still_picture(bits, pixels, numbers):
    """Primaries and transfer are found behind everything that a sequence header says before them."""
    array = smooth(64, 64) if bits == 8 else smooth(64, 64, kind=np.uint16) >> (16 - bits)
    data = imagecodecs.avif_encode(
        array, level=90, bitspersample=bits, pixelformat=pixels, primaries=numbers[0], transfer=numbers[1]
    )
    assert stated_colour(_stream(data)) == numbers


def test_gray_and_films():
    """A stream of one channel, and the longer header of a film, are read too."""
    assert stated_colour(_stream(saved(smooth(channels=1), "AVIF"))) == (1, 13)
    frames = [Image.fromarray(smooth(seed=n)) for n in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "AVIF", save_all=True, append_images=frames[1:])
    assert stated_colour(_stream(out.getvalue())) == (1, 13)


@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer(data):
    """Junk states something or nothing, and never fails."""
    primaries, transfer = stated_colour(data)
    assert 0 <= primaries <= 255
    assert 0 <= transfer <= 255


@pytest.mark.parametrize("data", [b"", b"\x12\x00", b"\x12\x00\x32\x04abcd"])
def test_a_stream_without_a_sequence_header_states_nothing(data):
    """Unspecified, by its number."""
    assert stated_colour(data) == (2, 2)
