"""The metadata items of an AVIF, as bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.errors import Unreadable
from shaded.publishing.items import metadata_items, without_exif
from shaded.publishing.reading import decode
from shaded.publishing.writing import encode
from shaded.settings import Rights
from tests.publishing.carriers import avif, heic
from tests.publishing.samples import exif_block, xmp_packet

WHOLE = avif(exif_block(), xmp_packet())


@pytest.mark.parametrize("made", [avif, heic])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_items_are_found_as_they_lie_in_the_file(made, prefix):
    """EXIF from behind its offset and prefix, and XMP."""
    found, whole = metadata_items(made(prefix + exif_block(), xmp_packet()))
    assert whole
    assert found == [("exif", exif_block()), ("xmp", xmp_packet())]
    assert metadata_items(made()) == ([], True)


def test_letters_that_are_not_ascii_survive_with_an_orientation():
    """Pillow rewrites a block whose orientation it turns into boxes, and has no such letters."""
    from shaded.publishing import exif
    from shaded.publishing.ifd import Entry

    tree = exif.turned(exif.Exif("<", {315: Entry(2, 15, "Zoë Ångström\0".encode())}), 6)
    picture = decode(avif())
    picture = type(picture)(picture.colour, None, type(picture.container)("jpeg", "RGB", exif=exif.build(tree)))
    data = encode(picture, picture.colour, "avif", rights=Rights()).data
    assert "Zoë Ångström".encode() in data
    assert exif.parse(decode(data).container.exif).text(315) == "Zoë Ångström"


@pytest.mark.parametrize("made", [avif, heic])
@pytest.mark.parametrize("block", [b"rubbish that is no EXIF block", b"II*\0\xff\xff\xff\xff" + bytes(20), b"x", b""])
def test_an_odd_block_does_not_keep_the_picture_from_being_read(block, made):
    """The library would refuse the file; the block is warned about, and the pixels are good."""
    picture = decode(made(block))
    assert any("EXIF" in warning for warning in encode(picture, picture.colour).warnings)


def test_an_item_that_lies_nowhere_is_missed():
    """A block that the file lists and does not hold is not silently absent."""
    at = WHOLE.index(b"iloc")
    broken = WHOLE[: at + 8] + WHOLE[at + 8 :].replace(b"\0\0\0\1\0\0", b"\0\0\0\1\x7f\xff", 4)
    with suppress(Unreadable):
        assert decode(broken).container.unreadable or decode(broken).container.exif
    assert metadata_items(broken)[1] is False


@given(st.integers(0, 400), st.binary(min_size=1, max_size=12))
def test_damaged_boxes_raise_nothing(at, noise):
    """Any damage gives what could be found."""
    broken = WHOLE[:at] + noise + WHOLE[at + len(noise) :]
    metadata_items(broken)
    assert len(without_exif(broken)) == len(broken)
