"""A PNG's texts, and the blocks of other kinds that programs store in them."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.publishing import texts
from shaded.publishing.walking import PNG_SIGNATURE, png_chunks
from tests.publishing.samples import ICC_RGB, THUMBNAIL, exif_block, iptc_records, raw_profile, xmp_packet


def _chunks(keyword, text, kind):
    key = keyword.encode("latin-1") + b"\0"
    return {
        "tEXt": (b"tEXt", key + text),
        "zTXt": (b"zTXt", key + b"\0" + zlib.compress(text)),
        "iTXt": (b"iTXt", key + b"\0\0en\0Titel\0" + text),
        "compressed iTXt": (b"iTXt", key + b"\1\0\0\0" + zlib.compress(text)),
    }[kind]


KINDS = ("tEXt", "zTXt", "iTXt", "compressed iTXt")


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_read_from_every_chunk(kind):
    """Plain, compressed and international texts, in UTF-8 or Latin-1."""
    found = texts.read([_chunks("Author", "Zoë".encode(), kind), _chunks("Title", b"Zo\xeb", kind)])
    assert found.texts == (("Author", "Zoë"), ("Title", "Zoë"))
    assert not found.unreadable


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_a_raw_exif_profile_is_a_block(kind, name):
    """ImageMagick's and GIMP's hexadecimal copies are read, the prefix left out."""
    profile = raw_profile(name, b"Exif\0\0" + exif_block())
    assert texts.read([_chunks(f"Raw profile type {name}", profile, kind)]).blocks == (("exif", exif_block()),)


@pytest.mark.parametrize(
    ("name", "content", "kind", "block"),
    [
        ("iptc", b"8BIM\4\4\0\0\0\0\0\x08\x1c\2\x50\0\3Ada", "iptc", b"\x1c\2\x50\0\3Ada"),
        ("iptc", iptc_records((2, 80, b"Ada")), "iptc", iptc_records((2, 80, b"Ada"))),
        ("8bim", b"8BIM\4\4\0\0\0\0\0\x08\x1c\2\x50\0\3Ada", "iptc", b"\x1c\2\x50\0\3Ada"),
        ("xmp", xmp_packet(), "xmp", xmp_packet()),
        ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet(), "xmp", xmp_packet()),
    ],
)
def test_raw_profiles_of_other_kinds_are_blocks(name, content, kind, block):
    """IPTC bare or in Photoshop resources, XMP bare or in a JPEG's segment."""
    found = texts.read([_chunks(f"Raw profile type {name}", raw_profile(name, content), "zTXt")])
    assert found.blocks == ((kind, block),)
    assert not found.unreadable


@pytest.mark.parametrize("name", ["icc", "icm"])
def test_a_raw_colour_profile_is_given(name):
    """It stands in where the proper chunk is absent."""
    assert texts.read([_chunks(f"Raw profile type {name}", raw_profile(name, ICC_RGB), "zTXt")]).icc == ICC_RGB


@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"Author\0\0rubbish"),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 100_000_000)),
        (b"zTXt", b"Raw profile type exif\0\0rubbish"),
        (b"tEXt", b"Raw profile type exif\0\nexif\n  100\nabcdef"),
        (b"tEXt", b"Raw profile type exif\0no profile"),
        (b"tEXt", b"Raw profile type iptc\0" + raw_profile("iptc", b"8BIM\4\4\0\0\0\0\xff\xff\x1c\2\x50\0\3Ada")),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0rubbish"),
    ],
)
def test_what_cannot_be_read_is_named(chunk):
    """A text that may name somebody, and any profile, are not silently absent."""
    assert len(texts.read([chunk]).unreadable) == 1


def test_many_bombs_do_not_fill_the_memory():
    """All texts together are bounded."""
    bomb = zlib.compress(raw_profile("xmp", b"a" * 7_000_000))
    found = texts.read([(b"zTXt", b"Raw profile type xmp\0\0" + bomb)] * 50)
    assert sum(len(block) for _, block in found.blocks) < 48_000_000
    assert len(texts.read([(b"tEXt", b"Comment\0a")] * 5000).texts) <= 1000


def test_listed_keywords_are_published_under_their_registered_spelling():
    """Other spellings of them become the registered one; everything else is left out."""
    written = [
        ("author", "Ada"), ("exif:Artist", "Bob"), ("TITLE", "Cow"), ("parameters", "secret"),
        ("date:create", "secret"),
        ("exif:GPSLatitude", "52/1, 30/1, 0/1"), ("Thumb::URI", "file:///home/ada/secret.png"), ("Comment", " "),
        ("Software", "Krita"), ("Author", "Ada"),
    ]  # fmt: skip
    notes = []
    assert texts.publishable(written, gps=False, notes=notes) == (
        ("Author", "Ada"), ("Author", "Bob"), ("Title", "Cow"), ("Software", "Krita"),
    )  # fmt: skip
    assert not notes
    assert ("exif:GPSLatitude", "52/1, 30/1, 0/1") in texts.publishable(written, gps=True, notes=notes)


@pytest.mark.parametrize("text", ["52.5200, 13.4050", THUMBNAIL.decode("latin-1"), THUMBNAIL.hex(), "word " * 20_000])
def test_texts_with_a_position_or_a_picture_are_left_out(text):
    """With a sentence that names the keyword."""
    notes = []
    assert texts.publishable([("Comment", text)], gps=False, notes=notes) == ()
    assert "Comment" in notes[0]


def test_imagemagicks_place_becomes_a_gps_directory():
    """Latitude, its hemisphere and the altitude, as EXIF has them."""
    entries = texts.gps_of(
        [("exif:GPSLatitude", "52/1, 30/1, 1234/100"), ("exif:GPSLatitudeRef", "N"), ("exif:GPSAltitude", "35/1")], ">"
    )
    assert entries[1].raw == b"N\0"
    assert entries[2].numbers(">") == (52, 30, 12.34)
    assert entries[6].numbers(">") == (35,)
    assert texts.gps_of([("exif:GPSLatitude", "nowhere"), ("exif:GPSInfo", "228")], ">") == {}


@given(st.sampled_from(["Author", "Creation Time"]), st.text(st.characters(codec="utf-8"), min_size=1, max_size=80))
def test_what_is_written_reads_back(keyword, text):
    """Any text, Latin or not; zeros are left out, lines end in one way."""
    data = PNG_SIGNATURE + texts.chunk(keyword, text) + b"\0\0\0\0IEND\xaeB`\x82"
    found = texts.read([(part.kind, part.content) for part in png_chunks(data) if part.kind != b"IEND"])
    assert found.texts == ((keyword, text.replace("\0", "").replace("\r\n", "\n")),)
