"""Items, properties and references in the boxes of AVIF and HEIC files."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.publishing.boxes import Items, alone, read_items
from shaded.publishing.reading import decode
from shaded.publishing.walking import Cut
from tests.publishing.colours import heic
from tests.publishing.isofile import Part, assembled, box, full, grid, irot, ispe, part_of
from tests.publishing.samples import saved, smooth

TILE = part_of(heic(smooth(64, 64)))
TILED = assembled([Part(b"grid", grid(1, 2, 128, 64), (ispe(128, 64),), ((b"dimg", (2, 3)),)), TILE, TILE])


def test_the_shown_picture_and_its_tiles():
    """The primary item, what it is made of, and where the coded bytes lie."""
    items = read_items(TILED)
    assert items.primary == 1
    assert items.shown.kind == b"grid"
    assert items.shown.size == (128, 64)
    assert items.inputs(1) == (2, 3)
    assert [(item.kind, item.size) for item in items.coded()] == [(b"hvc1", (64, 64))] * 2
    assert items.coding() == b"hvc1"
    pieces = [TILED[start:end] for item in items.coded() for start, end in item.extents]
    assert pieces == [TILE.data, TILE.data]


def test_transparency_is_decoded_along_with_the_picture():
    """The alpha item of a real AVIF is among the coded pictures; a depth map would not be."""
    items = read_items(saved(smooth(channels=4), "AVIF"))
    assert len(items.auxiliary()) == 1
    assert items.is_alpha(items.auxiliary()[0])
    assert len(items.coded()) == 2
    depth = part_of(heic(smooth(64, 64, 1)), full(b"auxC", b"urn:mpeg:hevc:2015:auxid:2\0"), refers=[(b"auxl", (1,))])
    items = read_items(assembled([TILE, depth]))
    assert items.auxiliary() == (2,)
    assert len(items.coded()) == 1


def test_a_file_without_a_meta_box_has_no_items():
    """A film, or text, has no items and shows no picture."""
    for data in (b"", b"hello", box(b"ftyp", b"isom", bytes(4)) + box(b"moov", bytes(30))):
        assert read_items(data) == Items()
        assert read_items(data).shown is None
        assert read_items(data).coding() == b""


def test_versions_with_wide_numbers_are_read():
    """Item numbers of four bytes, 8-byte offsets and a base offset, as other writers use them."""
    payload = b"PICTURE"

    def meta(at):
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">I", 70_000), version=1),
            full(
                b"iloc", bytes((0x84, 0x80)), struct.pack(">I", 1),
                struct.pack(">IHHQHQI", 70_000, 0, 0, at, 1, 2, len(payload) - 2), version=2,
            ),
            full(b"iinf", struct.pack(">I", 1), full(b"infe", struct.pack(">IH", 70_000, 0), b"hvc1\0", version=3),
                 version=1),
            full(b"iref", box(b"auxl", struct.pack(">IHI", 5, 1, 70_000)), version=1),
            box(b"iprp", box(b"ipco", ispe(8, 9)),
                full(b"ipma", struct.pack(">IIBB", 1, 70_000, 1, 0x81), version=1)),
        )  # fmt: skip

    data = meta(len(meta(0)) + 8) + box(b"mdat", payload)
    items = read_items(data)
    assert items.shown.size == (8, 9)
    assert items.auxiliary() == (5,)
    start, end = items.shown.extents[0]
    assert data[start:end] == payload[2:]


def test_data_in_the_meta_box_itself_are_found():
    """What lies in ``idat`` is counted from there, as libheif writes a grid's description."""
    import io

    import pillow_heif
    from PIL import Image

    out = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(smooth(100, 150))).save(out, tile_size=64)
    data = out.getvalue()
    items = read_items(data)
    start, end = items.shown.extents[0]
    assert items.shown.kind == b"grid"
    assert data[start:end] == grid(2, 3, 150, 100)


@pytest.mark.parametrize("number", [1, 2])
def test_a_coded_picture_in_a_file_of_its_own(number):
    """The file decodes to the same pixels as the picture alone."""
    part = part_of(heic(smooth(64, 64, seed=number)), irot(1))
    items = read_items(assembled([TILE, part], primary=2))
    assert np.array_equal(decode(alone(items.shown, assembled([TILE, part]))).colour, decode(assembled([part])).colour)


@given(st.integers(0, len(TILED) - 1), st.binary(min_size=1, max_size=8))
def test_broken_boxes_are_an_error_of_one_kind(at, junk):
    """Whatever stands in a box, reading it gives items or ``ValueError``."""
    data = TILED[:at] + junk + TILED[at + len(junk) :]
    try:
        items = read_items(data)
        items.coded()
        items.coding()
    except ValueError:
        pass
    else:
        assert all(start >= 0 and end <= len(data) for item in items.all.values() for start, end in item.extents)


def test_a_box_that_is_cut_off_says_so():
    """A file that ends inside its list of items is cut."""
    with pytest.raises(Cut):
        read_items(TILED[:200])


def test_a_part_with_absurdly_many_properties_is_refused():
    """One that is passed over might be a crop."""
    with pytest.raises(ValueError, match="more than 64 properties"):
        read_items(assembled([part_of(saved(smooth(), "AVIF"), *[irot(1)] * 64)]))
