"""What is read from a file for the concept, and what rights are stated in it."""

from __future__ import annotations

import struct

import pytest

from shaded.publishing import exif, xmp
from shaded.publishing import xmp_names as names
from shaded.publishing.ifd import Entry
from shaded.publishing.metadata import rights_in, subject_of
from shaded.publishing.orientation import orientation_of
from shaded.publishing.picture import Container, Picture
from shaded.publishing.reading import decode
from shaded.publishing.resizing import fit_side
from shaded.publishing.sidecar import RightsFacts
from shaded.publishing.writing import encode
from shaded.settings import Metadata, Rights
from tests.publishing.carriers import FORMATS, SOURCES, jpeg, png, tiff, with_exif, with_iptc, with_xmp
from tests.publishing.samples import SUBJECTS, iptc_records, saved, smooth, text_entry, xmp_packet

VOCABULARY = "http://ns.useplus.org/ldf/vocab/"


def _picture(**container):
    return Picture(decode(saved(smooth(), "PNG")).colour, None, Container("jpeg", "RGB", **container))


def _published(picture, rights, **metadata):
    return rights_in(decode(encode(picture, picture.colour, rights=rights, metadata=Metadata(**metadata)).data))


def test_subjects_come_from_xmp_and_iptc():
    """Keywords of both, each once, and the first title."""
    picture = _picture(xmp=xmp_packet(SUBJECTS), iptc=iptc_records((2, 25, b"cow"), (2, 25, b"noon"), (2, 5, b"other")))
    assert subject_of(picture) == (["cow", "meadow", "noon"], "A cow at noon")


def test_a_picture_that_says_nothing_has_no_subject():
    """No metadata, or a damaged packet, give nothing."""
    assert subject_of(_picture()) == ([], None)
    assert subject_of(_picture(xmp=b"<broken")) == ([], None)


def test_the_opt_out_is_written_by_default():
    """A file that says nothing says no to training afterwards."""
    assert _published(_picture(), None) == RightsFacts(data_mining=VOCABULARY + "DMI-PROHIBITED-AIMLTRAINING")


def test_creator_and_notice_are_written():
    """Both stand in the published file when they are set."""
    rights = Rights(data_mining="prohibited", creator="Ada & Co", notice="© <Ada> 2026")
    assert _published(_picture(), rights) == RightsFacts(
        data_mining=VOCABULARY + "DMI-PROHIBITED", creator="Ada & Co", notice="© <Ada> 2026"
    )


def test_keep_writes_nothing():
    """With ``keep`` a file without metadata stays without, and one that states something still does."""
    picture = _picture()
    assert decode(encode(picture, picture.colour, rights=Rights(data_mining="keep")).data).container.xmp is None
    stating = _picture(xmp=xmp_packet("", f'plus:DataMining="{VOCABULARY}DMI-ALLOWED"'))
    assert _published(stating, Rights(data_mining="keep")).data_mining == VOCABULARY + "DMI-ALLOWED"


@pytest.mark.parametrize(
    ("stated", "setting", "expected"),
    [
        ("DMI-ALLOWED", "prohibited-ai-training", "DMI-PROHIBITED-AIMLTRAINING"),
        ("DMI-PROHIBITED", "prohibited-ai-training", "DMI-PROHIBITED"),
        ("DMI-PROHIBITED-GENAIMLTRAINING", "prohibited-ai-training", "DMI-PROHIBITED-AIMLTRAINING"),
        (
            "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
            "prohibited-ai-training",
            "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
        ),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", "prohibited", "DMI-PROHIBITED"),
        ("DMI-PROHIBITED-SEECONSTRAINT", "prohibited", "DMI-PROHIBITED-SEECONSTRAINT"),
    ],
)
def test_a_stricter_statement_of_the_artist_stands(stated, setting, expected):
    """The setting never weakens what the file already forbids."""
    picture = _picture(xmp=xmp_packet("", f'plus:DataMining="{VOCABULARY}{stated}"'))
    assert _published(picture, Rights(data_mining=setting)).data_mining == VOCABULARY + expected


def test_damaged_metadata_are_left_out_with_a_warning():
    """A broken EXIF block or XMP packet does not stop the picture."""
    picture = _picture(exif=b"II*\0\xff\xff\xff\xff", xmp=b"<!DOCTYPE a><a/>")
    encoded = encode(picture, picture.colour)
    assert any("EXIF" in one for one in encoded.warnings)
    assert any("XMP" in one and "document type" in one for one in encoded.warnings)
    assert rights_in(decode(encoded.data)).data_mining


def test_iptc_records_that_a_format_cannot_hold_are_mentioned():
    """Going from JPEG to WebP, what IPTC says goes into XMP, which a warning says."""
    picture = _picture(iptc=iptc_records((2, 25, b"cow"), (2, 105, b"Cows"), (2, 80, b"Ada"), (2, 120, b"Two of them")))
    encoded = encode(picture, picture.colour, "webp")
    assert any("IPTC" in one for one in encoded.warnings)
    packet = xmp.parse(decode(encoded.data).container.xmp)
    assert xmp.values(packet, xmp.DC, "subject") == ["cow"]
    assert xmp.values(packet, xmp.DC, "creator") == ["Ada"]
    assert xmp.values(packet, xmp.DC, "description") == ["Two of them"]
    assert xmp.values(packet, names.PHOTOSHOP, "Headline") == ["Cows"]
    assert not encode(picture, picture.colour, "tiff").warnings


def _texts(**said):
    return png(*((b"tEXt", f"{key}\0{text}".encode("latin-1")) for key, text in said.items()))


def _utf8(text):
    raw = f"{text}\0".encode()
    return Entry(129, len(raw), raw)


_RECORDS = iptc_records((2, 80, "Zoë".encode()), (2, 116, "(c) Zoë".encode()), (2, 5, b"A cow"))
_NOTHING = Metadata(exif=False, xmp=False)
#: Files that name Zoë and her notice, by the carrier that does.
NAMING = {
    "PNG texts": _texts(Author="Zoë", Copyright="(c) Zoë", Title="A cow"),
    **{f"IPTC in {form}": with_iptc(form, _RECORDS) for form in ("jpeg", "png", "tiff")},
    **{
        f"EXIF 3.0 in {form}": with_exif(form, exif.build(exif.Exif(
            "<", {315: _utf8("Zoë"), 33432: _utf8("(c) Zoë"), 274: Entry(3, 1, b"\6\0")}, {42038: _utf8("A cow")}
        )))
        for form in SOURCES
    },
    **{
        f"XMP in {form}": with_xmp(form, xmp_packet("", 'dc:creator="Zoë" dc:rights="(c) Zoë" dc:title="A cow"'))
        for form in SOURCES
    },
}  # fmt: skip


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("where", NAMING)
def test_names_notices_and_titles_reach_every_container(where, output):
    """Whatever carrier said them, and the settings' own creator and notice are not written beside them."""
    picture = decode(NAMING[where])
    rights = Rights(creator="Bob", notice="(c) Bob")
    encoded = encode(picture, picture.colour, output, rights=rights)
    stated = rights_in(decode(encoded.data))
    assert (stated.creator, stated.notice) == ("Zoë", "(c) Zoë")
    assert subject_of(decode(encoded.data))[1] == "A cow"
    assert b"Bob" not in encoded.data
    assert orientation_of(decode(encoded.data)) == orientation_of(picture)
    assert not any("rights" in warning for warning in encoded.warnings)


@pytest.mark.parametrize("output", FORMATS)
def test_what_few_programs_read_is_said_in_xmp_too(output):
    """EXIF 3.0's type and tags, and Windows' own: a reader that does not know them finds the name."""
    wide = "Zoë\0".encode("utf-16-le")
    for tree in (
        *([exif.Exif("<", {315: _utf8("Zoë")})] if output != "tiff" else []),  # a TIFF tag has no such type
        exif.Exif("<", photo={42039: text_entry("Zoë")}),
        exif.Exif("<", {40093: Entry(1, len(wide), wide)}),
    ):  # fmt: skip
        picture = _picture(exif=exif.build(tree))
        packet = xmp.parse(decode(encode(picture, picture.colour, output).data).container.xmp)
        assert xmp.values(packet, xmp.DC, "creator") == ["Zoë"]
    known = _picture(exif=exif.build(exif.Exif("<", {315: text_entry("Zoë")})))
    packet = xmp.parse(decode(encode(known, known.colour, output).data).container.xmp)
    assert not xmp.values(packet, xmp.DC, "creator")


@pytest.mark.parametrize("where", NAMING)
def test_nobody_elses_name_is_written_where_the_settings_drop_the_carrier(where):
    """The source names somebody, also where that is not published."""
    picture = decode(NAMING[where])
    encoded = encode(
        picture,
        picture.colour,
        rights=Rights(creator="Bob", notice="(c) Bob"),
        metadata=Metadata(exif=False, xmp=False),
    )
    assert rights_in(decode(encoded.data)).creator == ""
    assert b"Bob" not in encoded.data
    assert b"Zo" not in encoded.data
    assert any(warning.startswith("rights.creator was not written") for warning in encoded.warnings)
    own = encode(picture, picture.colour, rights=Rights(creator="Zoë", notice="by Zoë"), metadata=_NOTHING)
    assert rights_in(decode(own.data)).creator == "Zoë"


_BROKEN = b"II*\0\xff\xff\xff\xff" + bytes(8)
_CUT = iptc_records((2, 25, b"cow"), (2, 80, b"Ada"))[:-1]
_ARTIST = exif.build(exif.Exif("<", {315: text_entry("Ada Painter")}))
UNREADABLE = {
    **{f"EXIF in {form}": with_exif(form, _BROKEN) for form in ("jpeg", "png", "webp", "avif", "heic")},
    **{f"XMP in {form}": with_xmp(form, xmp_packet("", 'dc:creator="Ada"')[:400]) for form in SOURCES},
    **{f"IPTC in {form}": with_iptc(form, _CUT) for form in ("jpeg", "png", "tiff")},
    "a text": png((b"zTXt", b"Author\0\0rubbish")),
    "a raw profile": png((b"zTXt", b"Raw profile type exif\0\0rubbish")),
    "an artist outside of a TIFF": with_exif("tiff", _ARTIST).replace(
        b"\x3b\1\2\0\x0c\0\0\0", b"\x3b\1\2\0\xff\xff\xff\0"
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", UNREADABLE)
def test_where_a_block_cannot_be_read_no_creator_is_written(where):
    """It may name somebody: a warning says what could not be read, and that the settings' names were not written."""
    picture = decode(UNREADABLE[where])
    for output in FORMATS:
        encoded = encode(picture, picture.colour, output, rights=Rights(creator="Bob", notice="(c) Bob"))
        assert b"Bob" not in encoded.data
        assert any(warning.startswith("rights.creator was not written") for warning in encoded.warnings)
        assert any("read" in warning or "left out" in warning for warning in encoded.warnings[:-1])
        assert rights_in(decode(encoded.data)).data_mining.endswith("AIMLTRAINING")


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_picture_that_says_nothing_gets_the_settings_names(source, output):
    """Other metadata, all readable, do not stand in the way."""
    camera = exif.build(exif.Exif("<", {271: text_entry("Camera Works"), 33432: text_entry("All rights reserved")}))
    picture = decode(with_exif(source, camera))
    encoded = encode(picture, picture.colour, output, rights=Rights(creator="Bob", notice="(c) Bob"))
    assert rights_in(decode(encoded.data)).creator == "Bob"
    assert rights_in(decode(encoded.data)).notice == "All rights reserved"
    assert not encoded.warnings


@pytest.mark.parametrize(
    ("notice", "creator"),
    [
        ("(c) Jane Roe", ""),
        ("Jane Roe", ""),
        ("© 2024 Bob", "Bob"),
        ("All rights reserved.", "Bob"),
        ("(c) 2024", "Bob"),
    ],
)
def test_a_notice_that_names_somebody_counts(notice, creator):
    """Whose copyright it is, is who made it; a notice without a name says nothing about that."""
    picture = decode(_texts(Copyright=notice))
    assert rights_in(decode(encode(picture, picture.colour, rights=Rights(creator="Bob")).data)).creator == creator


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_numbers_of_pixels_are_true_or_gone(source, output):
    """In every container, when the picture was reduced; and in XMP."""
    block = exif.build(exif.Exif("<", photo={
        40962: Entry(3, 1, b"\x1e\0"), 40963: Entry(3, 1, b"\x14\0"), 37396: Entry(3, 2, bytes(4)),
    }))  # fmt: skip
    picture = fit_side(decode(with_exif(source, block)), 15)
    tree = exif.parse(decode(encode(picture, picture.colour, output).data).container.exif)
    assert {tag: entry.integers(tree.order)[0] for tag, entry in tree.photo.items()} == {40962: 15, 40963: 10}
    packet = xmp_packet("", f'exif:PixelXDimension="4000" xmlns:t="{names.TIFF}" t:ImageWidth="4000"')
    picture = fit_side(decode(with_xmp(source, packet)), 15)
    assert b"4000" not in encode(picture, picture.colour, output).data


def _geo():
    return {
        33550: Entry(12, 3, struct.pack("<3d", 0.5, 0.5, 0)),
        33922: Entry(12, 6, struct.pack("<6d", 0, 0, 0, 13.4, 52.5, 0)),
        34735: Entry(3, 4, struct.pack("<4H", 1, 1, 0, 0)), 34736: Entry(12, 1, struct.pack("<d", 1)),
        34737: text_entry("WGS 84|"), 42112: text_entry("<GDALMetadata/>"),
    }  # fmt: skip


@pytest.mark.parametrize("output", FORMATS)
def test_geotiffs_tags_are_kept_only_with_the_place(output):
    """All of them go by default; with ``gps = true`` all stay, in any container."""
    picture = decode(tiff(_geo()))
    data = encode(picture, picture.colour, output).data
    assert struct.pack("<d", 52.5) not in data
    assert b"WGS" not in data
    kept = exif.parse(decode(encode(picture, picture.colour, output, metadata=Metadata(gps=True)).data).container.exif)
    assert {tag: entry for tag, entry in kept.main.items() if tag in _geo()} == _geo()


@pytest.mark.parametrize("output", FORMATS)
def test_imagemagicks_texts_give_the_place_only_when_it_is_kept(output):
    """As EXIF in any container; by default nothing of them is left."""
    texts = {"exif:GPSLatitude": "52/1, 30/1, 0/1", "exif:GPSLatitudeRef": "N", "Comment": "hello"}
    picture = decode(_texts(**texts))
    result = decode(encode(picture, picture.colour, output).data)
    assert result.container.exif is None or not exif.parse(result.container.exif).gps
    assert all("52" not in text for _, text in result.container.texts)
    kept = decode(encode(picture, picture.colour, output, metadata=Metadata(gps=True)).data)
    assert exif.parse(kept.container.exif).gps[2].numbers("<") == (52, 30, 0)


@pytest.mark.parametrize("output", FORMATS)
def test_places_by_name_are_kept_only_with_the_place(output):
    """IPTC's and XMP's, in any container: where IPTC has no place, as XMP."""
    picture = decode(with_iptc("jpeg", iptc_records((2, 90, b"Markerville"), (2, 25, b"cow"))))
    assert b"Markerville" not in encode(picture, picture.colour, output).data
    assert b"Markerville" in encode(picture, picture.colour, output, metadata=Metadata(gps=True)).data
    picture = decode(with_xmp("png", xmp_packet("", f'xmlns:p="{names.PHOTOSHOP}" p:City="Markerville"')))
    assert b"Markerville" not in encode(picture, picture.colour, output).data
    assert b"Markerville" in encode(picture, picture.colour, output, metadata=Metadata(gps=True)).data


@pytest.mark.parametrize(("source", "output"), [("png", "jpeg"), ("jpeg", "png"), ("jpeg", "jpeg"), ("png", "png")])
def test_a_comment_travels_between_jpeg_and_png(source, output):
    """Unless it reads like a position."""
    for text, stays in (("by händ", True), ("52.5200, 13.4050", False)):
        data = _texts(Comment=text) if source == "png" else jpeg(comment=text.encode())
        picture = decode(data)
        result = decode(encode(picture, picture.colour, output).data).container
        found = dict(result.texts).get("Comment", "") if output == "png" else (result.comment or b"").decode()
        assert (found == text) is stays


def test_a_title_that_reads_like_a_position_is_none():
    """It would stand in the sidecar's description of the picture."""
    picture = _picture(xmp=xmp_packet("", 'dc:title="52.5200, 13.4050"'))
    assert subject_of(picture) == ([], None)
    assert subject_of(picture, gps=True)[1] == "52.5200, 13.4050"


def test_a_stricter_statement_stands_where_xmp_is_not_kept():
    """The setting never weakens what the file forbids."""
    picture = _picture(xmp=xmp_packet("", f'plus:DataMining="{VOCABULARY}DMI-PROHIBITED"'))
    assert _published(picture, None, xmp=False).data_mining == VOCABULARY + "DMI-PROHIBITED"
    assert _published(picture, Rights(data_mining="keep"), xmp=False).data_mining == ""


def test_records_and_exif_too_long_for_a_jpeg_still_name_people():
    """What does not fit is said in XMP."""
    long = iptc_records((2, 80, b"Ada"), *((2, 25, b"meadow " * 9 + str(number).encode()) for number in range(1200)))
    picture = _picture(iptc=long)
    encoded = encode(picture, picture.colour)
    assert any("too long" in warning for warning in encoded.warnings)
    assert rights_in(decode(encoded.data)).creator == "Ada"
    big = exif.Exif("<", {315: text_entry("Ada"), 270: text_entry("a " * 20_000), 305: text_entry("b " * 20_000)})
    encoded = encode(_picture(exif=exif.build(big)), picture.colour)
    assert any("too long" in warning for warning in encoded.warnings)
    assert rights_in(decode(encoded.data)).creator == "Ada"


@pytest.mark.parametrize(
    "data",
    [
        jpeg(comment=b"Copyright 2020 Zoe"),
        _texts(Comment="painted by Zoe"),
        _texts(Credit="Zoe"),
        with_iptc("jpeg", iptc_records((2, 110, b"Zoe"))),
        with_xmp("png", xmp_packet("", 'xmlns:pdf="http://ns.adobe.com/pdf/1.3/" pdf:Author="Zoe"')),
    ],
)
def test_neither_creator_nor_notice_is_put_beside_another_name(data):
    """Where an owner, a credit line or a notice inside of a text names somebody, the settings do not."""
    picture = decode(data)
    encoded = encode(picture, picture.colour, rights=Rights(creator="Ada", notice="(c) Ada"))
    assert b"Ada" not in encoded.data
    assert any("rights.creator" in one for one in encoded.warnings)
    assert b"pdf/1.3" not in encoded.data
    named = encode(picture, picture.colour, rights=Rights(creator="Zoe"))
    assert "Zoe" in rights_in(decode(named.data)).creator


def test_an_extended_packet_without_its_first_portion_may_name_somebody():
    """What is left of it is no packet, and the default creator is not written."""
    left = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 400, 200) + b"x" * 200
    picture = decode(jpeg((1, left)))
    assert b"Ada" not in encode(picture, picture.colour, rights=Rights(creator="Ada")).data


def test_names_in_spellings_of_blocks_that_other_readers_forgive():
    """XMP without its zero, Photoshop 2.5's segment, IPTC in UTF-16, and PNG's chunk before it was registered."""
    records = iptc_records((2, 80, "Zoë".encode()))
    old = b"8BIM\x04\x04\0\0" + len(records).to_bytes(4, "big") + records
    wide = iptc_records((1, 90, b"\x1b%/L"), (2, 80, "Zoë".encode("utf-16-be")))
    for data in (
        jpeg((1, b"http://ns.adobe.com/xap/1.0/" + xmp_packet("", 'dc:creator="Zoë"'))),
        jpeg((13, b"Adobe_Photoshop2.5:" + old)),
        with_iptc("jpeg", wide),
        png((b"exIf", exif.build(exif.Exif("<", {315: Entry(2, 5, "Zoë\0".encode())})))),
        _texts(Authors="Zoë"),
    ):
        picture = decode(data)
        assert rights_in(decode(encode(picture, picture.colour).data)).creator == "Zoë"
