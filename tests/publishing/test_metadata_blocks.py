"""EXIF, IPTC and XMP: what is taken out, what stays, and what hostile data can do."""

from __future__ import annotations

import base64
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.publishing import exif, iptc, xmp
from shaded.publishing.embedded import holds_picture
from shaded.publishing.ifd import Entry, read_directory, read_header, write_directory
from tests.publishing.samples import (
    SUBJECTS,
    THUMBNAIL,
    exif_block,
    exif_tree,
    exif_with_thumbnail,
    iptc_records,
    text_entry,
    xmp_packet,
)  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tree_survives_a_block(order):
    """What was built is parsed again, in either byte order."""
    tree = exif_tree(order=order)
    assert exif.parse(exif.build(tree)) == tree


@pytest.mark.parametrize("order", ["<", ">"])
def test_thumbnails_and_maker_notes_are_not_parsed_into_a_tree(order):
    """A thumbnail directory and a maker note with a preview do not come back."""
    block = exif_with_thumbnail(order)
    assert block.count(b"UNSHADED") > 40
    tree = exif.parse(block)
    assert tree.text(315) == "Ada Painter"
    assert tree.gps
    assert b"UNSHADED" not in exif.build(tree)


def test_the_place_goes_unless_it_is_kept():
    """GPS data are dropped by default."""
    tree = exif_tree()
    assert not exif.publishable(tree, keep=True, gps=False).gps
    assert exif.publishable(tree, keep=True, gps=True) == tree


def test_an_upright_picture_without_exif_has_no_block():
    """When EXIF is dropped and the picture is not turned, nothing is left to write."""
    assert exif.build(exif.publishable(exif_tree(orientation=1), keep=False, gps=False)) is None


def test_resolution_is_read_in_inches_and_centimetres():
    """Dots per centimetre are given as dots per inch."""

    def ratio(value):
        return Entry(5, 1, struct.pack("<II", value, 1))

    inches = exif.Exif("<", {282: ratio(300), 283: ratio(200), 296: Entry(3, 1, struct.pack("<H", 2))})
    centimetres = exif.Exif("<", {282: ratio(100), 283: ratio(100), 296: Entry(3, 1, struct.pack("<H", 3))})
    assert inches.dpi == (300, 200)
    assert centimetres.dpi == pytest.approx((254, 254))
    assert exif.Exif("<", {282: ratio(300)}).dpi is None


entries = st.dictionaries(
    st.integers(1, 65535),
    st.binary(min_size=1, max_size=40).map(lambda raw: Entry(7, len(raw), raw)),
    max_size=12,
)


@given(entries, st.sampled_from("<>"))
def test_any_directory_reads_back(written, order):
    """Writing and reading a directory are inverse to each other."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    block = head + write_directory(written, 8, order)
    assert dict(read_directory(block, 8, read_header(block)).entries) == written


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_block_raises_nothing_but_value_errors(noise, at):
    """Any damage gives a tree or a ValueError, never another exception and never a hang."""
    block = exif_block()
    broken = block[:at] + noise + block[at + len(noise) :]
    with suppress(ValueError):
        exif.build(exif.parse(broken))


def test_a_directory_that_points_at_itself_ends():
    """Photo data that point back at the main directory do not loop."""
    tree = exif_tree()
    block = bytearray(exif.build(tree))
    count = struct.unpack_from("<H", block, 8)[0]
    for at in range(10, 10 + 12 * count, 12):
        if struct.unpack_from("<H", block, at)[0] == 34665:
            struct.pack_into("<I", block, at + 8, 8)
    assert exif.parse(bytes(block)).photo.keys() <= {271, 274, 315}


@given(st.lists(st.tuples(st.sampled_from([1, 2, 8]), st.integers(0, 255), st.binary(max_size=60)), max_size=8))
def test_iptc_keeps_descriptions_only(sets):
    """Of any records, exactly the descriptive ones without previews stay, in order."""
    wanted = [one for one in sets if one[0] in (1, 2) and not 200 <= one[1] <= 202]
    assert list(iptc.datasets(iptc.publishable(iptc_records(*sets)))) == wanted


@given(st.binary(max_size=300))
def test_iptc_of_noise_is_harmless(noise):
    """Damaged records and resource blocks give what could be read and no exception."""
    list(iptc.datasets(b"\x1c" + noise))
    iptc.records_of(b"8BIM" + noise)


def test_iptc_texts_are_read_in_either_encoding():
    """UTF-8 is tried first, then Latin-1."""
    records = iptc_records((2, 25, "Kühe".encode()), (2, 25, "Kühe".encode("latin-1")), (2, 25, b" "))
    assert iptc.texts(records, iptc.KEYWORDS) == ["Kühe", "Kühe"]


def _after(packet, *, gps=False):
    document = xmp.parse(packet)
    xmp.strip(document, gps=gps)
    return xmp.serialise(document)


def test_xmp_keeps_what_it_does_not_know():
    """Subjects, titles and somebody's own properties come through stripping unchanged."""
    out = _after(xmp_packet(SUBJECTS + "<own:thing own:kind='a'>b &amp; c</own:thing>", 'own:short="d"'))
    document = xmp.parse(out)
    assert xmp.values(document, xmp.DC, "subject") == ["cow", "meadow"]
    assert xmp.values(document, "http://example.org/own/", "thing") == ["b & c"]
    assert xmp.values(document, "http://example.org/own/", "short") == ["d"]


def test_xmp_loses_the_place_in_every_form():
    """GPS properties go as elements, as attributes and inside structures."""
    inner = (
        "<exif:GPSLatitude>48,51N</exif:GPSLatitude><own:where><rdf:Description exif:GPSLongitude='2,17E'/></own:where>"
    )
    packet = xmp_packet(inner, 'exif:GPSAltitude="35/1" exif:DateTimeOriginal="2024-05-01"')
    out = _after(packet)
    assert b"GPS" not in out
    assert b"2024-05-01" in out
    assert b"48,51N" in _after(packet, gps=True)


def test_xmp_loses_every_preview():
    """Thumbnails, base64 pictures anywhere and pointers to extended packets go."""
    encoded = base64.b64encode(THUMBNAIL).decode()
    inner = (
        f"<xmp:Thumbnails><rdf:Alt><rdf:li><xmpGImg:image>{encoded}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>"
        f"<own:hidden>{encoded}</own:hidden><own:also own:picture='{encoded}'/>"
        f"<own:url>data:image/jpeg;base64,{encoded}</own:url>"
    )
    out = _after(
        xmp_packet(inner, f'own:short="{encoded}" xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="0F"')
    )
    assert encoded[:40].encode() not in out
    assert b"Thumbnails" not in out
    assert b"HasExtendedXMP" not in out


@pytest.mark.parametrize(
    "packet",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>',
        b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"<a>" * 5000 + b"</a>" * 5000,
        b"<a><b></a>",
        b"<x:y/>",
        b"",
        b"\xff\xfe<\0",
        b"<html/>",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b" " * 4_000_001 + b"x" * 4_000_001,
    ],
)
def test_an_unsafe_or_broken_packet_is_refused(packet):
    """Document types, great depth, great size and bad XML are refused before anything is built."""
    with pytest.raises(xmp.BadPacket):
        xmp.parse(packet)


words = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=40)


@given(words, words, st.sampled_from(["DMI-PROHIBITED", "DMI-PROHIBITED-AIMLTRAINING"]), st.booleans())
def test_rights_merge_into_any_packet_and_stay_the_same_the_second_time(creator, notice, value, empty):
    """Whatever the words, the packet stays well-formed, states them once and keeps the rest."""
    document = xmp.parse(None if empty else xmp_packet(SUBJECTS, 'plus:DataMining="old"'))
    for _ in range(2):
        xmp.set_data_mining(document, value)
        xmp.add_creator(document, creator)
        xmp.add_notice(document, notice)
        document = xmp.parse(xmp.serialise(document))
    assert xmp.data_mining(document) == value
    assert len(xmp.values(document, xmp.PLUS, "DataMining")) == 1
    assert len(xmp.values(document, xmp.DC, "creator")) <= 1
    assert xmp.values(document, xmp.DC, "subject") == ([] if empty else ["cow", "meadow"])


def test_a_named_creator_is_not_replaced():
    """The artist's own creator and notice in the file stand."""
    document = xmp.parse(xmp_packet(
        "<dc:creator><rdf:Seq><rdf:li>Ada</rdf:li></rdf:Seq></dc:creator>"
        "<dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>all mine</rdf:li></rdf:Alt></dc:rights>"
    ))  # fmt: skip
    xmp.add_creator(document, "Bob")
    xmp.add_notice(document, "none")
    assert xmp.values(document, xmp.DC, "creator") == ["Ada"]
    assert xmp.values(document, xmp.DC, "rights") == ["all mine"]


def test_pictures_inside_values_are_recognised():
    """Bytes, base64, base64 in a data URL and hexadecimal digits are; ordinary text is not."""
    encoded = base64.b64encode(THUMBNAIL)
    assert holds_picture(b"xx" + THUMBNAIL)
    assert holds_picture(encoded)
    assert holds_picture(b'{"preview":"' + encoded + b'"}')
    assert holds_picture(THUMBNAIL.hex().encode())
    assert not holds_picture(b"A cow stands on a meadow and looks at the sea. " * 50)
    assert not holds_picture(THUMBNAIL[:100])


def test_a_text_tag_is_only_read_as_text():
    """A tag of another type gives no text."""
    assert exif.Exif("<", {315: Entry(3, 1, b"\1\0")}).text(315) == ""
    assert exif.Exif("<", {315: text_entry("Ada")}).text(315) == "Ada"
