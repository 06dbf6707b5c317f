"""IPTC records and the Photoshop block around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.publishing import iptc
from tests.publishing.samples import THUMBNAIL, iptc_records

PLACES = (26, 27, 90, 92, 95, 100, 101)
UNLISTED = (22, 45, 47, 50, 131, 150, 153, 200, 201, 202, 230, 231, 232)


def _published(*entries, gps=False):
    notes = []
    found, whole = iptc.datasets(iptc_records(*entries))
    assert whole
    return iptc.publishable(found, gps=gps, notes=notes), notes


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 255), st.binary(max_size=60)), max_size=8))
def test_any_records_read_back(sets):
    """Reading and building are inverse to each other."""
    found, whole = iptc.datasets(iptc_records(*sets))
    assert whole
    assert found == sets
    assert iptc.build(found) == iptc_records(*sets)


@pytest.mark.parametrize(
    ("record", "number"), [*((2, number) for number in UNLISTED), (1, 30), (3, 10), (7, 1), (8, 10)]
)
def test_what_is_not_listed_is_left_out(record, number):
    """Previews, identifiers, histories, and the records about the object go; keywords and the charset stay."""
    kept = _published((1, 90, b"\x1b%G"), (2, 0, b"\0\4"), (2, 25, b"cow"), (record, number, b"secret"))[0]
    assert kept == [(1, 90, b"\x1b%G"), (2, 0, b"\0\4"), (2, 25, b"cow")]


@pytest.mark.parametrize("number", PLACES)
def test_names_of_places_go_unless_they_are_kept(number):
    """City, sublocation, province, country and content location."""
    assert _published((2, 25, b"cow"), (2, number, b"Markerville"))[0] == [(2, 25, b"cow")]
    assert (2, number, b"Markerville") in _published((2, number, b"Markerville"), gps=True)[0]


def test_a_charset_that_is_none_is_left_out():
    """Somebody's words do not travel as the name of an encoding."""
    assert _published((1, 90, b"52.5200, 13.4050"), (2, 25, b"cow"))[0] == [(2, 25, b"cow")]


@pytest.mark.parametrize("text", [b"52.5200, 13.4050", THUMBNAIL])
def test_texts_with_a_position_or_a_picture_are_left_out(text):
    """With a sentence that names the dataset."""
    kept, notes = _published((2, 25, b"cow"), (2, 120, text))
    assert kept == [(2, 25, b"cow")]
    assert "2:120" in notes[0]


def test_records_of_nothing_but_a_version_are_none():
    """What says nothing is not written."""
    assert _published((1, 90, b"\x1b%G"), (2, 0, b"\0\4"), (2, 90, b"Markerville"))[0] == []


@given(st.binary(max_size=300))
def test_iptc_of_noise_is_harmless(noise):
    """Damaged records and resource blocks give what could be read and no exception."""
    iptc.datasets(b"\x1c" + noise)
    iptc.blocks_of(b"8BIM" + noise)


def test_damage_is_told_from_the_end():
    """Zeros behind the records are padding; a dataset that is cut off, and rubbish, are damage."""
    records = iptc_records((2, 80, b"Ada"))
    assert iptc.datasets(records + b"\0\0\0") == ([(2, 80, b"Ada")], True)
    assert iptc.datasets(records + records[:-1]) == ([(2, 80, b"Ada")], False)
    assert iptc.datasets(records + b"rubbish") == ([(2, 80, b"Ada")], False)
    assert iptc.datasets(records * 20_000)[1] is False


def test_an_extended_dataset_is_read():
    """A length may have a length of its own."""
    value = b"a" * 40_000
    records = b"\x1c\x02\x78\x80\x04" + len(value).to_bytes(4, "big") + value
    assert iptc.datasets(records) == ([(2, 120, value)], True)


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        (b"\x1b%G", "Kühe".encode(), "Kühe"), (b"", "Kühe".encode(), "Kühe"), (b"", b"K\xfche", "Kühe"),
        (b"\x1b-A", b"K\xfche", "Kühe"), (b"\x1b%G", b"K\xfche", "Kühe"), (b"\x1b.B", b"\xb1", "ą"),
        (b"\x1b-L", b"\xda\xde\xe0\xde\xd2\xd0", "корова"),
    ],
)  # fmt: skip
def test_iptc_texts_are_read_in_the_stated_encoding(charset, raw, text):
    """Dataset 1:90 counts; without it, or against it, UTF-8 and then Latin-1."""
    entries = iptc.datasets(iptc_records((1, 90, charset), (2, 25, raw), (2, 25, b" ")))[0]
    assert iptc.texts(entries, iptc.KEYWORDS) == [text]


def test_a_photoshop_block_gives_all_of_its_metadata():
    """IPTC, EXIF, XMP and a profile, whatever name a resource has; bare records are forgiven, damage is told."""

    def resource(number, content, name=b"\0\0", signature=b"8BIM"):
        padded = content + b"\0" * (len(content) & 1)
        return signature + number.to_bytes(2, "big") + name + len(content).to_bytes(4, "big") + padded

    block = (
        resource(0x03ED, bytes(16)) + resource(0x0404, b"\x1c\2\x50\0\3Ada", b"\3abc") + resource(0x0424, b"<x/>")
        + resource(0x0422, b"II*\0", signature=b"MeSa") + resource(0x040F, b"profile") + resource(0x040C, THUMBNAIL)
    )  # fmt: skip
    assert iptc.blocks_of(block) == (
        [("iptc", b"\x1c\2\x50\0\3Ada"), ("xmp", b"<x/>"), ("exif", b"II*\0"), ("icc", b"profile")],
        True,
    )
    assert iptc.blocks_of(block[:40])[1] is False
    unpadded = b"8BIM\4\4\0\0\0\0\0\x08\x1c\2\x50\0\3Ada" + b"8BIM\4\x24\0\0\0\0\0\3<x>8BIM\4\x0c\0\0\0\0\0\0"
    assert iptc.blocks_of(unpadded) == ([("iptc", b"\x1c\2\x50\0\3Ada"), ("xmp", b"<x>")], True)
    assert iptc.blocks_of(b"rubbish that is long enough")[1] is False
    assert iptc.blocks_of(b"\x1c\2\x50\0\3Ada") == ([("iptc", b"\x1c\2\x50\0\3Ada")], True)
    assert iptc.blocks_of(b"") == ([], True)


def test_records_that_a_tiff_turned_around_are_read():
    """Some writers store the records as 32-bit numbers, whose bytes a little-endian file turns around."""
    records = iptc_records((2, 80, b"Ada"))
    turned = b"".join(records[at : at + 4][::-1] for at in range(0, len(records), 4))
    assert iptc.in_order(records) == records
    assert iptc.in_order(turned) == records


def test_records_too_long_for_a_segment_are_none():
    """A JPEG's segment holds 64 KB."""
    assert iptc.app13(b"a" * 65_530) == b""
    assert iptc.app13(b"abc").startswith(b"\xff\xed")
