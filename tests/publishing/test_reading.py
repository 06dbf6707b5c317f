"""Damaged and hostile files: always this project's error, never another, never a hang."""

from __future__ import annotations

import io
import logging

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shaded.errors import PictureError, Unreadable
from shaded.outbox.screening import screen
from shaded.publishing.colour import Colour
from shaded.publishing.reading import decode
from shaded.publishing.stills import still_facts
from shaded.publishing.writing import encode
from tests.publishing.samples import exif_block, saved, smooth, xmp_packet


def _tiff():
    out = io.BytesIO()
    tifffile.imwrite(out, smooth(), photometric="rgb", compression="zlib", metadata=None)
    return out.getvalue()


FILES = {
    "JPEG": saved(smooth(), "JPEG", exif=b"Exif\0\0" + exif_block(), xmp=xmp_packet()),
    "PNG": saved(smooth(channels=4), "PNG", exif=exif_block()),
    "WEBP": saved(smooth(channels=4), "WEBP", exif=exif_block()),
    "TIFF": _tiff(),
    "AVIF": saved(smooth(), "AVIF", exif=exif_block()),
}


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_unreadable(form, share):
    """Whatever the format and wherever the cut, a half-written file is never taken for a picture."""
    data = FILES[form][: int(len(FILES[form]) * share)]

    def read():
        screen(data, None, 10**6)
        return decode(data)

    with pytest.raises(Unreadable):
        read()


@given(st.sampled_from(sorted(FILES)), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damage_anywhere_is_survived(form, data):
    """Bytes changed at random give a picture, or this project's error."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    broken = bytearray(FILES[form])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
    try:
        screened = screen(bytes(broken), None, 10**6)
        picture = decode(bytes(broken))
        assert picture.size[0] * picture.size[1] <= 10**6
        assert screened.format == picture.container.format
        encode(picture, picture.colour)
    except PictureError:
        pass


def test_what_is_no_picture_is_unreadable():
    """Decoding text says that it is no picture."""
    with pytest.raises(Unreadable, match="not a picture"):
        decode(b"hello")


def test_a_ten_bit_avif_says_that_it_loses_two():
    """10-bit AVIF comes with 8 bits and a warning."""
    import imagecodecs

    data = imagecodecs.avif_encode(smooth(kind=np.uint16) >> 6, bitspersample=10, level=90)
    assert still_facts(data).bits == 10
    picture = decode(data)
    assert picture.colour.dtype == np.uint8
    assert any("10 bits" in one for one in picture.container.warnings)


def test_a_wide_gamut_avif_keeps_its_primaries():
    """Display P3 values without an ICC profile stay P3, by the colour box of the published file."""
    plain = saved(smooth(), "AVIF")
    at = plain.find(b"colrnclx") + 8
    wide = plain[:at] + (12).to_bytes(2, "big") + plain[at + 2 :]
    picture = decode(wide)
    assert picture.container.colour == Colour(12, 13)
    assert still_facts(encode(picture, picture.colour).data).colour == Colour(12, 13)
    assert decode(plain).container.colour == Colour(1, 13)


def test_pixels_are_never_turned():
    """A picture with an orientation keeps its stored width and height."""
    picture = decode(FILES["JPEG"])
    assert picture.size == (64, 48)
    assert decode(encode(picture, picture.colour).data).size == (64, 48)
