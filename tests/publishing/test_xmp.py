"""XMP packets: what is read, what is published, and what hostile packets can do."""

from __future__ import annotations

import base64
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.publishing import xmp
from shaded.publishing import xmp_names as names
from tests.publishing.samples import SUBJECTS, THUMBNAIL, xmp_packet

ENCODED = base64.b64encode(THUMBNAIL).decode()


def _published(packet, *, gps=False):
    notes = []
    return xmp.publishable(xmp.parse(packet), gps=gps, notes=notes), notes


def _after(packet, *, gps=False):
    return xmp.serialise(_published(packet, gps=gps)[0])


def test_xmp_keeps_what_is_listed_and_nothing_else():
    """Subjects and titles come through; somebody's own properties, fields and qualifiers do not."""
    out = _after(xmp_packet(
        SUBJECTS + "<own:thing own:kind='a'>secret</own:thing><dc:description own:q='secret'><rdf:Alt><rdf:li"
        " xml:lang='de' own:q='secret'>Kuh</rdf:li></rdf:Alt></dc:description><dc:creator><rdf:Seq><rdf:li>"
        "<rdf:Description><rdf:value>Ada</rdf:value><own:q>secret</own:q></rdf:Description></rdf:li></rdf:Seq>"
        "</dc:creator>",
        'own:short="secret" xmp:Nickname="secret" xmp:Rating="5"',
    ))  # fmt: skip
    packet = xmp.parse(out)
    assert xmp.values(packet, xmp.DC, "subject") == ["cow", "meadow"]
    assert xmp.values(packet, xmp.DC, "description") == ["Kuh"]
    assert xmp.values(packet, xmp.DC, "creator") == ["Ada"]
    assert b"Rating>5<" in out
    assert b"secret" not in out
    assert b"own" not in out


@pytest.mark.parametrize(
    "hidden",
    [
        "<!-- secret -->", "<?secret secret?>", "<dc:title rdf:nodeID='secret'>a</dc:title>",
        "<dc:title rdf:datatype='secret'>a</dc:title>", "<dc:title xml:lang='se cret secret'>a</dc:title>",
        "<rdf:Description><dc:title>secret</dc:title></rdf:Description>", "secret",
        "<dc:title><rdf:Alt><rdf:li>a</rdf:li>secret</rdf:Alt></dc:title>",
        "<dc:title rdf:parseType='secret'>a</dc:title>",
        "<dc:title rdf:parseType='Literal'><b>secret</b></dc:title>", "<x:secret xmlns:x='secret'/>",
    ],
)  # fmt: skip
def test_nothing_hides_between_the_properties(hidden):
    """Comments, instructions, names of nodes and types, and text where none belongs are not written."""
    assert b"secret" not in _after(xmp_packet(hidden)).replace(b"about", b"")


def test_the_subject_of_a_packet_is_empty():
    """``rdf:about`` and the toolkit's name tell who made the file with what."""
    packet = xmp_packet(SUBJECTS).replace(b'rdf:about=""', b'rdf:about="uuid:secret"').replace(
        b"<x:xmpmeta", b'<x:xmpmeta x:xmptk="secret"'
    )  # fmt: skip
    assert b"secret" not in _after(packet)


def test_xmp_loses_the_place_in_every_form():
    """GPS properties and names of places go as elements, as attributes and inside structures."""
    inner = (
        "<exif:GPSLatitude>48,51.5N</exif:GPSLatitude><i:LocationShown><rdf:Bag><rdf:li rdf:parseType='Resource'>"
        "<i:City>Markerville</i:City><exif:GPSLongitude>2,17.5E</exif:GPSLongitude></rdf:li></rdf:Bag></i:LocationShown>"
        "<c:CreatorContactInfo c:CiAdrCity='Markerville' c:CiUrlWork='https://example.org'/>"
        "<c:CreatorContactInfo rdf:parseType='Resource'><c:CiAdrExtadr>Markerville 1</c:CiAdrExtadr>"
        "</c:CreatorContactInfo>"
        "<dc:coverage>Markerville</dc:coverage><p:LicensorCity xmlns:p='http://ns.useplus.org/ldf/xmp/1.0/'>Markerville"
        "</p:LicensorCity>"
    )
    packet = xmp_packet(
        inner,
        f'xmlns:i="{names.PREFIXES["Iptc4xmpExt"]}" xmlns:c="{names.IPTC_CORE}" c:Location="Markerville" '
        f'xmlns:ps="{names.PHOTOSHOP}" ps:City="Markerville" ps:State="Markerville" ps:Country="Markerville" '
        'exif:GPSAltitude="35/1" exif:DateTimeOriginal="2024-05-01"',
    )
    out = _after(packet)
    assert b"GPS" not in out
    assert b"Markerville" not in out
    assert b"2024-05-01" in out
    assert b"https://example.org" in out
    kept = _after(packet, gps=True)
    assert kept.count(b"Markerville") == inner.count("Markerville") + 4
    assert b"48,51.5N" in kept
    assert b"2,17.5E" in kept


def test_xmp_loses_every_preview():
    """Thumbnails, base64 pictures anywhere and pointers to extended packets go."""
    inner = (
        f"<xmp:Thumbnails><rdf:Alt><rdf:li><xmpGImg:image>{ENCODED}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>"
        f"<dc:title>{ENCODED}</dc:title><dc:subject><rdf:Bag><rdf:li>cow</rdf:li><rdf:li>{ENCODED}</rdf:li></rdf:Bag>"
        f"</dc:subject><dc:description>data:image/jpeg;base64,{ENCODED}</dc:description>"
        f"<cc:license xmlns:cc='{names.CC}' rdf:resource='data:image/jpeg;base64,{ENCODED}'/>"
    )
    packet = xmp_packet(inner, f'dc:rights="{ENCODED}" xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="0F"')
    out = _after(packet)
    assert ENCODED[:40].encode() not in out
    assert b"Thumbnails" not in out
    assert b"HasExtendedXMP" not in out
    assert xmp.values(xmp.parse(out), xmp.DC, "subject") == ["cow"]


def test_texts_that_read_like_a_position_go_alone_with_a_sentence():
    """The other keywords stay."""
    packet = xmp_packet(
        "<dc:subject><rdf:Bag><rdf:li>cow</rdf:li><rdf:li>geo:lat=52.52</rdf:li></rdf:Bag></dc:subject>",
        'dc:description="near 52.5200, 13.4050"',
    )
    kept, notes = _published(packet)
    assert xmp.values(kept, xmp.DC, "subject") == ["cow"]
    assert not xmp.values(kept, xmp.DC, "description")
    assert len(notes) == 2
    assert all("position" in note for note in notes)
    assert len(xmp.values(_published(packet, gps=True)[0], xmp.DC, "subject")) == 2


def test_numbers_of_pixels_and_the_orientation_are_not_published_by_name():
    """Sizes and regions would be untrue; the orientation is decided elsewhere."""
    packet = xmp_packet(
        "<tiff:Orientation>6</tiff:Orientation><mwg:Regions><mwg:AppliedToDimensions d:w='4000' d:h='3000'/>"
        "</mwg:Regions>",
        f'xmlns:tiff="{names.TIFF}" tiff:ImageWidth="4000" exif:PixelXDimension="4000" '
        'xmlns:mwg="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:d="http://ns.adobe.com/xap/1.0/sType/d#"',
    )
    assert xmp.orientation(xmp.parse(packet)) == 6
    out = _after(packet)
    assert b"4000" not in out
    assert b"Orientation" not in out


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
        b"x" * 16_000_001,
        xmp_packet(SUBJECTS)[:500],
        xmp_packet("<dc:title>a &nbsp; b</dc:title>"),
        xmp_packet("<own:a/>" * 1_100_000),
    ],
    ids=str,
)
def test_an_unsafe_or_broken_packet_is_refused(packet):
    """Document types, entities, great size, very many parts and bad XML are refused before anything is built."""
    with pytest.raises(xmp.BadPacket):
        xmp.parse(packet)


@pytest.mark.parametrize(
    "change",
    [
        lambda packet: b"\0 \n" + packet + b"\0\0",
        lambda packet: packet.replace(b"<x:xmpmeta", b'<?xml version="1.0"?><x:xmpmeta'),
        lambda packet: packet + b"<rubbish",
        lambda packet: b"rubbish " + packet,
        lambda packet: packet[: packet.index(b"</x:xmpmeta>")],
        lambda packet: packet.decode().encode("utf-16"),
        lambda packet: packet.decode().lstrip("\ufeff").encode("utf-16-be"),
        lambda packet: b"\xef\xbb\xbf" + packet,
        lambda packet: re.sub(rb"</?x:xmpmeta[^>]*>", b"", packet),
        lambda packet: packet.replace(b"x:xmpmeta", b"x:xapmeta"),
        lambda packet: packet.replace(b"rdf:", b"r:").replace(b"xmlns:rdf", b"xmlns:r"),
    ],
)
def test_what_stands_around_a_packet_is_forgiven(change):
    """Padding, a declaration in the wrong place, rubbish, other encodings and other wrappers."""
    assert xmp.values(xmp.parse(change(xmp_packet(SUBJECTS))), xmp.DC, "subject") == ["cow", "meadow"]


@pytest.mark.parametrize(
    ("inner", "name"),
    [
        (f"<dc:description>{'word ' * 20_000}</dc:description>", "dc:description"),
        (f"<dc:type><rdf:Bag>{'<rdf:li>a</rdf:li>' * 30_000}</rdf:Bag></dc:type>", "dc:type"),
        (f"<dc:rights><rdf:Alt><rdf:li>{'word ' * 20_000}</rdf:li></rdf:Alt></dc:rights>", "dc:rights"),
        (f"<dc:language>{'<rdf:Bag><rdf:li>' * 500}{'</rdf:li></rdf:Bag>' * 500}</dc:language>", "dc:language"),
    ],
)
def test_an_oversized_property_is_left_out_alone(inner, name):
    """Long texts, very many items and great depth cost the property and nothing else."""
    packet = xmp.parse(xmp_packet(f"<xmp:Label>a</xmp:Label>{inner}{SUBJECTS}"))
    assert packet.too_large == [name]
    assert xmp.values(packet, xmp.DC, "subject") == ["cow", "meadow"]
    assert len(packet.properties) == 3
    short = xmp.parse(xmp_packet(SUBJECTS, f'dc:description="{"word " * 20_000}"'))
    assert short.too_large == ["dc:description"]
    assert len(short.properties) == 2


def test_what_is_not_listed_may_be_large_and_deep():
    """Ten megabytes of somebody's own, or thousands of levels, are passed over in a moment."""
    begun = time.process_time()
    for inner in (
        "<own:a>" + "word " * 2_000_000 + "</own:a>",
        "<own:a>" * 20_000 + "</own:a>" * 20_000,
        "<own:a/>" * 300_000,
    ):
        packet = xmp.parse(xmp_packet(inner + SUBJECTS))
        assert xmp.values(packet, xmp.DC, "subject") == ["cow", "meadow"]
        assert not packet.too_large
    assert time.process_time() - begun < 5


def test_all_properties_together_are_bounded():
    """A million small ones do not fill the memory."""
    packet = xmp.parse(xmp_packet("<dc:type>a</dc:type>" * 100_000))
    assert len(packet.properties) <= 20_000


words = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=40)


@given(words, words, st.sampled_from(["DMI-PROHIBITED", "DMI-PROHIBITED-AIMLTRAINING"]), st.booleans())
def test_rights_merge_into_any_packet_and_stay_the_same_the_second_time(creator, notice, value, empty):
    """Whatever the words, the packet stays well-formed, states them once and keeps the rest."""
    packet = xmp.parse(None if empty else xmp_packet(SUBJECTS, 'plus:DataMining="old"'))
    for _ in range(2):
        xmp.set_data_mining(packet, value)
        packet = xmp.parse(xmp.serialise(packet))
    xmp.add(packet, xmp.DC, "creator", [creator], "Seq")
    xmp.add(packet, xmp.DC, "rights", [notice], "Alt")
    packet = xmp.parse(xmp.serialise(packet))
    assert xmp.data_mining(packet) == value
    assert len(xmp.values(packet, xmp.PLUS, "DataMining")) == 1
    assert len(xmp.values(packet, xmp.DC, "creator")) <= 1
    assert xmp.values(packet, xmp.DC, "subject") == ([] if empty else ["cow", "meadow"])


def test_words_are_added_to_what_is_there():
    """A list grows; a plain text becomes the first item of a list."""
    packet = xmp.parse(xmp_packet(SUBJECTS, 'dc:creator="Ada"'))
    xmp.add(packet, xmp.DC, "subject", ["noon"], "Bag")
    xmp.add(packet, xmp.DC, "creator", ["Bob"], "Seq")
    again = xmp.parse(xmp.serialise(packet))
    assert xmp.values(again, xmp.DC, "subject") == ["cow", "meadow", "noon"]
    assert xmp.values(again, xmp.DC, "creator") == ["Ada", "Bob"]


def test_of_several_languages_the_default_comes_first():
    """A title's own language counts."""
    packet = xmp.parse(xmp_packet(
        "<dc:title><rdf:Alt><rdf:li xml:lang='de'>Kuh</rdf:li><rdf:li xml:lang='x-default'>Cow</rdf:li></rdf:Alt>"
        "</dc:title>"
    ))  # fmt: skip
    assert xmp.values(packet, xmp.DC, "title") == ["Cow", "Kuh"]


def test_a_packet_shrinks_by_its_largest_properties_first_and_rights_last():
    """As few as it takes are left out, and what machines read about training never."""
    packet = xmp.parse(xmp_packet(
        f"<dc:title>{'t' * 900}</dc:title><dc:description>{'d' * 3000}</dc:description>"
        f"<dc:creator>{'c' * 2000}</dc:creator>",
        'plus:DataMining="x" xmp:Label="red"',
    ))  # fmt: skip
    assert xmp.shrink(packet, 100_000)[1] == []
    assert xmp.shrink(packet, 5000)[1] == ["dc:description"]
    less, dropped = xmp.shrink(packet, 600)
    assert dropped == ["dc:description", "dc:title", "xmp:Label", "dc:creator"]
    assert xmp.data_mining(less) == "x"


def test_shrinking_thousands_of_properties_takes_no_time():
    """The number that has to go is found by halving."""
    packet = xmp.parse(xmp_packet("<dc:type>some words</dc:type>" * 15_000))
    begun = time.process_time()
    less, _ = xmp.shrink(packet, 20_000)
    assert 10_000 < len(xmp.serialise(less)) <= 20_000
    assert time.process_time() - begun < 5
