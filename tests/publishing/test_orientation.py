"""Which way up: one decision, and published files that agree with it in every container."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from shaded.publishing import exif, xmp
from shaded.publishing import xmp_names as names
from shaded.publishing.ifd import Entry
from shaded.publishing.orientation import orientation_of
from shaded.publishing.reading import decode
from shaded.publishing.stills import still_facts
from shaded.publishing.walking import iso_boxes
from shaded.publishing.writing import encode
from shaded.settings import Metadata
from tests.publishing.carriers import FORMATS, PIXELS, avif, heic, jpeg, png, tiff, webp, with_exif, with_xmp
from tests.publishing.samples import exif_block, raw_profile, xmp_packet


def _shown(data):
    """The picture as Pillow's viewer turns it."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)


def _sources(orientation):
    return {form: with_exif(form, exif_block(orientation)) for form in ("jpeg", "png", "webp", "tiff")} | {
        "avif": avif(orientation=orientation)
    }


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_published_picture_stands_as_its_source(source, output, orientation, keep):
    """From any container into any other, with and without EXIF, a viewer shows the same picture the same way up."""
    data = _sources(orientation)[source]
    picture = decode(data)
    assert orientation_of(picture) == orientation
    published = encode(picture, picture.colour, output, metadata=Metadata(exif=keep)).data
    assert orientation_of(decode(published)) == orientation
    before, after = _shown(data), _shown(published)
    assert before.shape == after.shape
    assert np.abs(before - after).mean() < 15


@pytest.mark.parametrize("prefix", [b"Exif\0\0", b"Exif\0\0Exif\0\0", b"\0\0\0\6Exif\0\0", b"Exif\0\xff", b"\0\0"])
@pytest.mark.parametrize("source", ["jpeg", "png", "webp", "avif"])
def test_a_prefix_before_the_block_is_forgiven(source, prefix):
    """The name Ada is found, and the orientation except in an AVIF, without a warning."""
    picture = decode(with_exif(source, prefix + exif_block()))
    encoded = encode(picture, picture.colour)
    assert not encoded.warnings
    assert orientation_of(decode(encoded.data)) == (1 if source == "avif" else 6)
    assert exif.parse(decode(encoded.data).container.exif).text(315) == "Ada Painter"


@pytest.mark.parametrize(
    "data",
    [
        png(after=[(b"eXIf", exif_block())]),
        png((b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile("exif", exif_block())))),
        png((b"tEXt", b"Raw profile type APP1\0" + raw_profile("APP1", b"Exif\0\0" + exif_block()))),
        png((b"eXIf", b""), (b"tEXt", b"Raw profile type exif\0" + raw_profile("exif", exif_block()))),
        webp((b"EXIF", exif_block()), flags=0),
        webp((b"EXIF", exif_block()), (b"EXIF", exif_block(3))),
        jpeg((1, b"Exif\0\xff" + exif_block())),
        jpeg((1, b"EXIF\0\0" + exif_block())),
        jpeg((1, b"Exif\0\0" + exif_block()), (1, b"Exif\0\0" + exif_block(3))),
        jpeg((1, b"Exif\0\0" + exif_block()[:60]), (1, b"Exif\0\0" + exif_block()[60:])),
        jpeg((1, b"Exif\0\0rubbish"), (1, b"Exif\0\0" + exif_block())),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("output", FORMATS)
def test_exif_in_unusual_places_counts(data, output):
    """Behind the pixels, unannounced, as a text, in several segments, under another spelling of its mark."""
    picture = decode(data)
    assert orientation_of(picture) == 6
    assert orientation_of(decode(encode(picture, picture.colour, output).data)) == 6


def test_the_boxes_of_an_avif_count_and_its_exif_does_not():
    """EXIF's orientation is void where the container has its own (ISO/IEC 23008-12)."""
    assert orientation_of(decode(avif(exif_block(6)))) == 1
    picture = decode(avif(exif_block(6), orientation=3))
    assert orientation_of(picture) == 3
    for output in FORMATS:
        assert orientation_of(decode(encode(picture, picture.colour, output).data)) == 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("output", FORMATS)
def test_a_heic_is_upright_already(orientation, output):
    """The library turns it by its boxes; neither they nor EXIF count a second time."""
    picture = decode(heic(exif_block(6), orientation=orientation))
    assert orientation_of(picture) == 1
    assert orientation_of(decode(encode(picture, picture.colour, output).data)) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_understood_as_the_library_does(orientation):
    """The orientation of an AVIF's boxes is the one that Pillow tells."""
    data = avif(orientation=orientation)
    with Image.open(io.BytesIO(data)) as image:
        assert still_facts(data).frame.orientation == image.getexif().get(274, 1) == orientation
    assert still_facts(encode(decode(data), decode(data).colour).data).frame.orientation == orientation


def test_an_avif_says_it_once():
    """The orientation is in the boxes; the EXIF block beside them has none that a viewer could apply again."""
    picture = decode(with_exif("jpeg", exif_block(6)))
    data = encode(picture, picture.colour, "avif").data
    assert b"irot" in data
    assert exif.parse(decode(data).container.exif).orientation is None
    assert next(part.kind for part in iso_boxes(data)) == b"ftyp"


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_xmp_alone_says_is_said_where_viewers_look(orientation, source, output, keep):
    """Where EXIF has no orientation XMP's counts, and the published file states it in EXIF or an AVIF's boxes."""
    packet = xmp_packet(f"<tiff:Orientation>{orientation}</tiff:Orientation>", f'xmlns:tiff="{names.TIFF}"')
    picture = decode(with_xmp(source, packet))
    assert orientation_of(picture) == orientation
    data = encode(picture, picture.colour, output, metadata=Metadata(exif=keep, xmp=keep)).data
    result = decode(data)
    assert orientation_of(result) == orientation
    assert xmp.orientation(xmp.parse(result.container.xmp)) is None
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get(274, 1) == orientation


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", ["jpeg", "png", "webp", "tiff"])
def test_an_orientation_as_a_text_is_published_as_a_number(source, output):
    """Pillow and browsers follow the published one."""
    picture = decode(with_exif(source, exif.build(exif.Exif("<", {274: Entry(2, 2, b"6\0")}))))
    encoded = encode(picture, picture.colour, output)
    assert not encoded.warnings
    assert orientation_of(decode(encoded.data)) == 6
    with Image.open(io.BytesIO(encoded.data)) as image:
        assert image.getexif().get(274) == 6


@pytest.mark.parametrize("source", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("entry", [Entry(2, 8, b"Top-left"), Entry(3, 1, b"\x09\0")])
def test_an_orientation_that_is_not_understood_is_warned_about(source, entry):
    """The warning says which one the published picture has: upright here."""
    picture = decode(with_exif(source, exif.build(exif.Exif("<", {274: entry}))))
    encoded = encode(picture, picture.colour)
    assert encoded.warnings == ("EXIF's Orientation could not be understood; the picture has orientation 1.",)
    assert orientation_of(decode(encoded.data)) == 1
    assert not encode(decode(encoded.data), picture.colour).warnings


@pytest.mark.parametrize("source", ["jpeg", "png", "webp"])
def test_exif_counts_more_than_xmp(source):
    """A stale orientation in XMP turns nothing and is not published."""
    packet = xmp_packet("", f'xmlns:tiff="{names.TIFF}" tiff:Orientation="8"')
    data = {
        "jpeg": jpeg((1, b"Exif\0\0" + exif_block(1)), (1, b"http://ns.adobe.com/xap/1.0/\0" + packet)),
        "png": png((b"eXIf", exif_block(1)), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)),
        "webp": webp((b"EXIF", exif_block(1)), (b"XMP ", packet)),
    }[source]
    picture = decode(data)
    assert orientation_of(picture) == 1
    for output in FORMATS:
        assert b"Orientation" not in decode(encode(picture, picture.colour, output).data).container.xmp


@pytest.mark.parametrize("damage", [b"Exif\0\0nonsense", b"II*\0\xff\xff\xff\xff", b"MM\0*"])
def test_broken_exif_turns_nothing(damage):
    """What cannot be read says nothing."""
    assert orientation_of(decode(with_exif("png", damage))) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiffs_own_tag_counts(order):
    """The directory of the picture is its EXIF."""
    picture = decode(tiff({}, exif.parse(exif_block(8, order)), order))
    assert orientation_of(picture) == 8
    assert PIXELS.shape == picture.colour.shape
