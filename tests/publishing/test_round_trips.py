"""Every format, in and out again: what must stay, stays."""

from __future__ import annotations

import numpy as np
import pytest

from shaded.errors import Refusal
from shaded.outbox.screening import screen
from shaded.publishing import exif, xmp
from shaded.publishing.orientation import orientation_of
from shaded.publishing.reading import decode
from shaded.publishing.writing import encode
from shaded.settings import Metadata, Rights
from tests.publishing.samples import ICC_GRAY_UNKNOWN, ICC_RGB, SUBJECTS, exif_block, nudged, saved, smooth, xmp_packet

EIGHT_BIT = [
    ("JPEG", 1), ("JPEG", 3), ("PNG", 1), ("PNG", 2), ("PNG", 3), ("PNG", 4), ("WEBP", 3), ("WEBP", 4),
    ("TIFF", 1), ("TIFF", 3), ("TIFF", 4), ("AVIF", 1), ("AVIF", 3), ("AVIF", 4),
]  # fmt: skip
LOSSLESS = ("PNG", "TIFF")


def _source(form, channels, **options):
    if form == "WEBP":
        options["exact"] = True
    return saved(smooth(channels=channels), form, **options)


@pytest.mark.parametrize(("form", "channels"), EIGHT_BIT)
def test_a_round_trip_keeps_size_mode_and_alpha(form, channels):
    """The published file has the source's format, size, channels and, bit for bit, its alpha."""
    picture = decode(_source(form, channels))
    encoded = encode(picture, nudged(picture))
    result = decode(encoded.data)
    assert encoded.format == picture.container.format == form.lower()
    assert result.size == picture.size
    assert result.container.mode == picture.container.mode
    assert result.colour.dtype == picture.colour.dtype
    if picture.alpha is None:
        assert result.alpha is None
    else:
        assert np.array_equal(result.alpha, picture.alpha)
    assert screen(encoded.data, None, 10_000_000).format == encoded.format


@pytest.mark.parametrize(("form", "channels"), [case for case in EIGHT_BIT if case[0] in LOSSLESS])
def test_lossless_formats_give_back_exactly_what_was_shaded(form, channels):
    """PNG and TIFF hold the shaded values exactly, and the source's exactly where nothing can be seen."""
    picture = decode(_source(form, channels))
    shaded = nudged(picture)
    result = decode(encode(picture, shaded).data)
    if picture.alpha is None:
        assert np.array_equal(result.colour, shaded)
        return
    hidden = picture.alpha == 0
    assert hidden.any()
    assert np.array_equal(result.colour[hidden], picture.colour[hidden])
    assert np.array_equal(result.colour[~hidden], shaded[~hidden])


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_stay_near_what_was_shaded(form):
    """A lossy file is read back within a few grey levels of what was put in, on average."""
    picture = decode(_source(form, 3, quality=90))
    shaded = nudged(picture, most=1)
    result = decode(encode(picture, shaded).data)
    assert np.abs(result.colour.astype(int) - shaded).mean() < 4


def test_a_lossless_webp_stays_lossless_and_keeps_hidden_colours():
    """Colours under full transparency survive a lossless WebP exactly."""
    picture = decode(saved(smooth(channels=4), "WEBP", lossless=True, exact=True))
    shaded = nudged(picture)
    result = decode(encode(picture, shaded).data)
    hidden = picture.alpha == 0
    assert picture.container.lossless
    assert result.container.lossless
    assert np.array_equal(result.colour[hidden], picture.colour[hidden])
    assert np.array_equal(result.colour[~hidden], shaded[~hidden])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_carries_the_metadata(form):
    """ICC bytes, EXIF with orientation, XMP and resolution come out of each format; the place does not."""
    options = {"icc_profile": ICC_RGB, "xmp": xmp_packet(SUBJECTS)}
    if form == "PNG":
        options = {"icc_profile": ICC_RGB}
    if form == "TIFF":
        options = {"icc_profile": ICC_RGB, "tiffinfo": {700: xmp_packet(SUBJECTS)}}
    if form in ("JPEG", "PNG", "TIFF"):
        options["dpi"] = (300, 300)
    if form == "TIFF":
        options["tiffinfo"] |= {274: 6, 315: "Ada Painter"}
    else:
        options["exif"] = (b"Exif\0\0" if form == "JPEG" else b"") + exif_block()
    picture = decode(_source(form, 3, **options))
    result = decode(encode(picture, nudged(picture), rights=Rights(data_mining="prohibited")).data)
    assert result.container.icc == ICC_RGB
    tree = exif.parse(result.container.exif)
    assert orientation_of(result) == 6
    assert tree.text(315) == "Ada Painter"
    assert not tree.gps
    document = xmp.parse(result.container.xmp)
    assert xmp.data_mining(document) == "DMI-PROHIBITED"
    if form != "PNG":
        assert xmp.values(document, xmp.DC, "subject") == ["cow", "meadow"]
    if form in ("JPEG", "PNG", "TIFF"):
        assert result.container.dpi == pytest.approx((300, 300), abs=0.1)
    second = encode(result, result.colour, rights=Rights(data_mining="prohibited"))
    assert exif.parse(decode(second.data).container.exif) == tree


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_picture_goes_into_any_format(output, channels):
    """Every mode can be written as every format, at its own size, with a warning where something is lost."""
    picture = decode(saved(smooth(channels=channels), "PNG"))
    encoded = encode(picture, nudged(picture), output)
    result = decode(encoded.data)
    assert encoded.format == output
    assert result.size == picture.size
    see_through = channels in (2, 4)
    if output == "jpeg":
        assert result.alpha is None
        assert see_through == any("put on white" in one for one in encoded.warnings)
    elif see_through:
        assert np.array_equal(result.alpha, picture.alpha)


def test_transparency_goes_on_white_in_a_jpeg():
    """What cannot be seen through becomes white."""
    picture = decode(saved(smooth(channels=4), "PNG"))
    result = decode(encode(picture, picture.colour, "jpeg", quality=100).data)
    assert result.colour[:4].min() >= 250


def test_sixteen_bits_become_eight_where_the_format_has_no_more():
    """A 16-bit picture is rounded to 8 bits for a JPEG, and a warning says so."""
    picture = decode(encode(decode(saved(smooth(), "PNG")), decode(saved(smooth(), "PNG")).colour).data)
    wide = type(picture)(picture.colour.astype(np.uint16) * 257 + 100, None, picture.container)
    encoded = encode(wide, wide.colour, "webp")
    assert any("8 bits" in one for one in encoded.warnings)
    assert decode(encoded.data).colour.dtype == np.uint8


def test_a_gray_profile_is_not_put_into_a_colour_file():
    """WebP knows no gray, so that a gray colour profile would be wrong in it; it is left out with a warning."""
    picture = decode(saved(smooth(channels=1), "PNG", icc_profile=ICC_GRAY_UNKNOWN))
    assert decode(encode(picture, picture.colour).data).container.icc == ICC_GRAY_UNKNOWN
    encoded = encode(picture, picture.colour, "webp")
    assert decode(encoded.data).container.icc is None
    assert any("colour profile" in one for one in encoded.warnings)


def test_metadata_can_be_dropped_but_the_picture_still_stands_upright():
    """Without EXIF and XMP only the orientation stays, and the rights are still stated."""
    picture = decode(
        saved(smooth(), "JPEG", exif=b"Exif\0\0" + exif_block(), xmp=xmp_packet(SUBJECTS), comment=b"mine")
    )
    result = decode(encode(picture, picture.colour, metadata=Metadata(exif=False, xmp=False)).data)
    tree = exif.parse(result.container.exif)
    assert list(tree.main) == [274]
    assert not tree.photo
    document = xmp.parse(result.container.xmp)
    assert xmp.values(document, xmp.DC, "subject") == []
    assert xmp.data_mining(document) == "DMI-PROHIBITED-AIMLTRAINING"
    assert result.container.comment is None


def test_a_picture_too_long_for_the_format_is_refused():
    """WebP holds 16383 pixels a side; a longer picture is refused with what to do."""
    picture = decode(saved(np.zeros((2, 16384, 3), np.uint8), "PNG"))
    with pytest.raises(Refusal, match="16383"):
        encode(picture, picture.colour, "webp")


def test_shaded_pixels_of_another_shape_are_a_mistake_of_the_caller():
    """Colour that does not fit the source is an error and not a file."""
    picture = decode(saved(smooth(), "PNG"))
    with pytest.raises(ValueError, match="shaded pixels"):
        encode(picture, picture.colour[:-1])


STILL = (
    "container-exif-orientation-gps-icc-xmp.jpg", "container-gray16.png", "container-lzw.tif", "container-palette.png",
    "container.avif", "container.webp", "cow-alpha.png", "cow-in-a-green-field.png", "flat-dragon.png", "flat-kay.png",
    "flat-landing.jpg", "lineart-gryphon-gray.png", "painting-bear-alpha.png", "painting-castle.jpg",
    "painting-paladin-alpha.png", "painting-shyde-alpha.png", "photo-dune.jpg", "photo-fruits.jpg",
    "photo-squirrel.jpg", "photo-wings.jpg",
)  # fmt: skip


@pytest.mark.parametrize("name", STILL)
def test_the_real_pictures_survive(shared_pictures, name):
    """Each real picture comes back with its size, alpha, hidden colours, profile and JPEG tables."""
    data = (shared_pictures / name).read_bytes()
    screened = screen(data, shared_pictures / name, 200_000_000)
    picture = decode(data)
    assert picture.size == (screened.width, screened.height)
    result = decode(encode(picture, nudged(picture)).data)
    assert result.size == picture.size
    assert result.container.icc == picture.container.icc
    assert result.container.jpeg_tables == picture.container.jpeg_tables
    assert result.container.jpeg_subsampling == picture.container.jpeg_subsampling
    if picture.alpha is not None:
        hidden = picture.alpha == 0
        assert np.array_equal(result.alpha, picture.alpha)
        assert np.array_equal(result.colour[hidden], picture.colour[hidden])


@pytest.mark.parametrize(("name", "words"), [("container-animated.gif", "GIF"), ("container-cmyk.jpg", "CMYK")])
def test_the_real_pictures_that_cannot_be_shaded_are_refused(shared_pictures, name, words):
    """The animation and the print colours are refused with a reason."""
    with pytest.raises(Refusal, match=words):
        screen((shared_pictures / name).read_bytes(), None, 200_000_000)


def test_the_real_jpeg_loses_its_place_and_keeps_the_rest(shared_pictures):
    """Orientation 6, the profile, the date and the subject stay; the GPS data go, and stay when they are asked for."""
    picture = decode((shared_pictures / "container-exif-orientation-gps-icc-xmp.jpg").read_bytes())
    before = exif.parse(picture.container.exif)
    assert before.gps
    result = decode(encode(picture, nudged(picture)).data)
    after = exif.parse(result.container.exif)
    assert after.orientation == before.orientation == 6
    assert after.main == before.main
    assert after.photo == before.photo
    assert not after.gps
    assert result.container.dpi == picture.container.dpi
    kept = decode(encode(picture, picture.colour, metadata=Metadata(gps=True)).data)
    assert exif.parse(kept.container.exif).gps == before.gps
