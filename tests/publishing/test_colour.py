"""Colour spaces that are no ICC profile, and profiles that are hard to find, in every container."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ImageCms

from shaded.errors import Refusal
from shaded.outbox.screening import screen
from shaded.publishing.colour import Colour, closest, icc_profile
from shaded.publishing.reading import decode
from shaded.publishing.resizing import fit_side
from shaded.publishing.writing import encode
from shaded.settings import Metadata
from tests.publishing import colours
from tests.publishing.colours import PATCHES, PRIMARIES, as_srgb, avif, chrm, gama, heic, patches, png, seen
from tests.publishing.profiles import table, with_tag
from tests.publishing.samples import ICC_GRAY_UNKNOWN, saved

OUTPUTS = ("jpeg", "png", "webp", "tiff", "avif")
PROPHOTO = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
P3 = PRIMARIES[12]


def _icc(xy=P3, gamma=2.2):
    pairs = [[xy[n], xy[n + 1], 1.0] for n in (0, 2, 4, 6)]
    return imagecodecs.cms_profile("rgb", whitepoint=pairs[0], primaries=[*pairs[1], *pairs[2], *pairs[3]], gamma=gamma)


def _tiff(*tags, gray=False, **options):
    out = io.BytesIO()
    kind = "minisblack" if gray else "rgb"
    tifffile.imwrite(out, patches(gray), photometric=kind, metadata=None, extratags=tags, **options)
    return out.getvalue()


def _white_is_zero(*tags):
    out = io.BytesIO()
    tifffile.imwrite(out, 255 - patches(gray=True), photometric="miniswhite", metadata=None, extratags=tags)
    return out.getvalue()


def _rationals(numbers):
    return [part for number in numbers for part in (round(number * 10_000), 10_000)]


def _chromaticity_tags(xy):
    return (318, 5, 2, _rationals(xy[:2]), True), (319, 5, 6, _rationals(xy[2:]), True)


def _curve_tag(light):
    return 301, 3, 256, [round(float(one) * 65535) for one in light], True


def _resource(icc):
    """A Photoshop resource with a profile."""
    return b"8BIM\x04\x0f\0\0" + struct.pack(">I", len(icc)) + icc + b"\0" * (len(icc) & 1)


def _photoshop_jpeg(icc):
    content = b"Photoshop 3.0\0" + _resource(icc)
    plain = saved(patches(), "JPEG", quality=100, subsampling=0)
    return plain[:2] + b"\xff\xed" + struct.pack(">H", len(content) + 2) + content + plain[2:]


def _camera_jpeg(index=b"R03\0"):
    """Adobe RGB as a camera says it: by EXIF's interoperability index alone."""
    block = (
        b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 34665, 4, 1, 26, 0)
        + struct.pack("<HHHIII", 1, 40965, 4, 1, 44, 0) + struct.pack("<HHHI4sI", 1, 1, 2, 4, index, 0)
    )  # fmt: skip
    return saved(patches(), "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0" + block)


#: What each source's values look like: chromaticities and transfer, as the standard of its container has it.
SOURCES = {
    "png, Display P3 in cICP": (png((b"cICP", bytes((12, 13, 0, 1)))), P3, 13),
    "png, BT.2020 in cICP": (png((b"cICP", bytes((9, 14, 0, 1)))), PRIMARIES[9], 14),
    "png, DCI-P3 and 2.8 in cICP": (png((b"cICP", bytes((11, 5, 0, 1)))), PRIMARIES[11], 5),
    "png, linear in cICP": (png((b"cICP", bytes((1, 8, 0, 1)))), PRIMARIES[1], 8),
    "png, BT.601 in cICP": (png((b"cICP", bytes((6, 6, 0, 1)))), PRIMARIES[6], 6),
    "png, BT.709 in cICP": (png((b"cICP", bytes((1, 1, 0, 1)))), PRIMARIES[1], 1),
    "png, P3 with an open transfer": (png((b"cICP", bytes((12, 2, 0, 1)))), P3, 13),
    "png, cICP before iCCP, sRGB and gAMA": (
        png((b"cICP", bytes((12, 13, 0, 1))), (b"iCCP", b"x\0\0" + imagecodecs.zlib_encode(_icc(ADOBE))),
            (b"sRGB", b"\0"), (b"gAMA", gama(1.0))), P3, 13,
    ),
    "png, sRGB in cICP before iCCP": (
        png((b"cICP", bytes((1, 13, 0, 1))), (b"iCCP", b"x\0\0" + imagecodecs.zlib_encode(_icc(P3)))), PRIMARIES[1], 13,
    ),
    "png, iCCP before sRGB and gAMA": (
        png((b"iCCP", b"x\0\0" + imagecodecs.zlib_encode(_icc(ADOBE))), (b"sRGB", b"\0"), (b"gAMA", gama(1.0))), ADOBE,
        2.2,
    ),
    "png, sRGB before gAMA": (png((b"sRGB", b"\0"), (b"gAMA", gama(1.0)), (b"cHRM", chrm(P3))), PRIMARIES[1], 13),
    "png, gAMA and cHRM": (png((b"gAMA", gama(1.8)), (b"cHRM", chrm(ADOBE))), ADOBE, 1.8),
    "png, gAMA alone": (png((b"gAMA", gama(1.0))), PRIMARIES[1], 1.0),
    "png, cHRM alone": (png((b"cHRM", chrm(P3))), P3, 13),
    "png, gAMA of sRGB": (png((b"gAMA", gama(2.2)), (b"cHRM", chrm(PRIMARIES[1]))), PRIMARIES[1], 13),
    "png, unknown cICP before gAMA": (png((b"cICP", bytes((99, 13, 0, 1))), (b"gAMA", gama(1.0))), PRIMARIES[1], 1.0),
    "png, damaged iCCP before gAMA": (png((b"iCCP", b"x\0\0nothing"), (b"gAMA", gama(1.0))), PRIMARIES[1], 1.0),
    "png, a profile without a name": (png((b"iCCP", b"\0\0" + imagecodecs.zlib_encode(_icc()))), P3, 2.2),
    "png, a profile of a long name": (
        png((b"iCCP", b"n" * 200 + b"\0\0" + imagecodecs.zlib_encode(_icc()))), P3, 2.2,
    ),
    "avif, Display P3": (avif(12, 13), P3, 13),
    "avif, BT.2020": (avif(9, 1), PRIMARIES[9], 1),
    "avif, all open": (avif(2, 2), PRIMARIES[1], 13),
    "avif, sRGB": (avif(1, 13), PRIMARIES[1], 13),
    "avif, P3 in the stream alone": (avif(12, 13, box=False), P3, 13),
    "avif, a profile": (saved(patches(), "AVIF", quality=100, subsampling="4:4:4", icc_profile=_icc()), P3, 2.2),
    "heic, Display P3": (heic(patches(), primaries=12), P3, 13),
    "heic, BT.601": (heic(patches(), primaries=5, transfer=6), PRIMARIES[5], 6),
    "heic, sRGB": (heic(patches()), PRIMARIES[1], 13),
    "heic, no box": (heic(patches(), save_nclx_profile=False).replace(b"colrnclx", b"freenclx"), PRIMARIES[1], 13),
    "jpeg, Adobe RGB in EXIF": (_camera_jpeg(), ADOBE, 563 / 256),
    "jpeg, sRGB in EXIF": (_camera_jpeg(b"R98\0"), PRIMARIES[1], 13),
    "jpeg, a profile": (saved(patches(), "JPEG", quality=100, subsampling=0, icc_profile=_icc()), P3, 2.2),
    "webp, a profile": (saved(patches(), "WEBP", lossless=True, icc_profile=_icc()), P3, 2.2),
    "tiff, a profile of bytes": (_tiff((34675, 1, None, _icc(), True)), P3, 2.2),
    "jpeg, a profile in Photoshop's resources": (_photoshop_jpeg(_icc()), P3, 2.2),
    "tiff, a profile in Photoshop's resources": (_tiff((34377, 7, None, _resource(_icc()), True)), P3, 2.2),
    "tiff, white and primaries": (_tiff(*_chromaticity_tags(PRIMARIES[9])), PRIMARIES[9], 2.2),
    "tiff, a curve": (_tiff(*_chromaticity_tags(P3), _curve_tag(np.linspace(0, 1, 256) ** 1.8)), P3, 1.8),
    "tiff, the curve of sRGB": (
        _tiff(*_chromaticity_tags(P3), _curve_tag(colours.light_of(np.linspace(0, 1, 256), 13))), P3, 13,
    ),
}  # fmt: skip


#: A PNG and a JPEG repeat what a source of their own format says, which other tests hold.
WAYS = [
    (name, output) for name in SOURCES for output in OUTPUTS if output not in ("png", "jpeg") or output not in name[:4]
]


@pytest.mark.parametrize(("name", "output"), WAYS)
def test_another_container_says_the_same_colours(name, output):
    """However a source says its colours, a colour-managed reader sees the same ones in every published format."""
    data, xy, transfer = SOURCES[name]
    picture = decode(data)
    encoded = encode(picture, picture.colour, output, quality=100)
    expected = as_srgb(picture.colour[colours.SIDE // 2, colours.SIDE // 2 :: colours.SIDE], xy, transfer)
    assert np.abs(seen(encoded.data) - expected).max() <= 5
    assert not any("colour" in one for one in encoded.warnings)


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("png")])
def test_a_png_repeats_its_own_words(name):
    """The chunks that say the colours of a PNG stand in the published PNG again, unless one is damaged."""
    data = SOURCES[name][0]
    first, second = decode(data).container, decode(encode(decode(data), decode(data).colour).data).container
    assert (second.icc, second.colour) == (first.icc, first.colour)
    assert second.png_chunks == tuple(part for part in first.png_chunks if part[0] != b"sRGB" or not first.icc)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    ("data", "transfer"),
    [(png((b"gAMA", gama(1.0)), gray=True), 1.0), (avif(1, 4, gray=True), 4),
     (png((b"cICP", bytes((12, 8, 0, 1))), gray=True), 8), (_tiff(_curve_tag(np.linspace(0, 1, 256)), gray=True), 1.0),
     (_white_is_zero(_curve_tag(np.linspace(1, 0, 256))), 1.0), (heic(patches(gray=True), transfer=5), 5),
     (saved(patches(gray=True), "PNG", icc_profile=imagecodecs.cms_profile("gray", gamma=1.8)), 1.8)],
    ids=["gAMA", "nclx", "cICP", "tiff", "white is 0", "heic", "gray profile"],
)  # fmt: skip
def test_gray_stays_as_bright(data, transfer, output):
    """A gray picture's curve goes along: as a gray profile, or as a colour one where a format knows no gray."""
    picture = decode(data)
    assert picture.is_gray
    encoded = encode(picture, picture.colour, output, quality=100)
    values = np.broadcast_to(picture.colour[colours.SIDE // 2, colours.SIDE // 2 :: colours.SIDE], (8, 3))
    if picture.container.format == output == "png":
        assert decode(encoded.data).container.colour == picture.container.colour
    else:
        assert np.abs(seen(encoded.data) - as_srgb(values, PRIMARIES[1], transfer)).max() <= 4
    assert not any("colour" in one for one in encoded.warnings)


def test_a_narrow_range_becomes_part_of_the_curve():
    """Where black is 16 and white 235, a profile says so, and so does an AVIF."""
    narrow = np.rint(16 + PATCHES.astype(float) * 219 / 255).astype(np.uint8)
    array = np.repeat(np.repeat(narrow[None], colours.SIDE, axis=0), colours.SIDE, axis=1)
    picture = decode(colours.chunk_before_pixels(saved(array, "PNG"), (b"cICP", bytes((12, 13, 0, 0)))))
    for output in ("jpeg", "webp", "tiff", "avif"):
        data = encode(picture, picture.colour, output, quality=100).data
        assert np.abs(seen(data) - as_srgb(PATCHES, P3, 13)).max() <= 5


@pytest.mark.parametrize("output", ["jpeg", "webp", "tiff"])
@pytest.mark.parametrize(
    "data",
    [png((b"cICP", bytes((99, 13, 0, 1)))), png((b"cICP", bytes((1, 200, 0, 1)))), avif(77, 13), avif(1, 0),
     png((b"gAMA", gama(1.0)), (b"cHRM", chrm((0.3, 0.3) * 4))),
     png((b"gAMA", struct.pack(">I", 1))), png((b"gAMA", struct.pack(">I", 2**31))),
     _tiff(*_chromaticity_tags(P3), _curve_tag(np.sin(np.linspace(0, 3, 256)) ** 2))],
    ids=["cicp primaries", "cicp transfer", "nclx primaries", "nclx transfer", "flat cHRM", "steep", "level",
         "odd curve"],
)  # fmt: skip
def test_what_is_not_known_is_said(data, output):
    """Numbers that are not known, and values that make no colour space, give a warning and no false profile."""
    picture = decode(data)
    encoded = encode(picture, picture.colour, output)
    assert decode(encoded.data).container.icc is None
    assert any("colour space" in one for one in encoded.warnings)


def test_a_heic_of_unknown_colours_is_refused():
    """Libheif decodes no HEIC whose colours it does not know, and the refusal names the numbers."""
    for numbers in ({"primaries": 3}, {"transfer": 77}):
        data = heic(patches()).replace(
            b"nclx\0\1\0\r",
            b"nclx" + struct.pack(">HH", numbers.get("primaries", 1), numbers.get("transfer", 13)),
        )
        with pytest.raises(Refusal, match="colour space"):
            decode(data)


def test_an_avif_passes_on_numbers_that_are_not_known():
    """From AVIF to AVIF the numbers are repeated, and nothing is lost."""
    encoded = encode(decode(avif(77, 99)), decode(avif(77, 99)).colour)
    assert colours.numbers_in(encoded.data) == (77, 99)
    assert not encoded.warnings


@pytest.mark.parametrize(
    "content",
    [bytes((12, 13, 1, 1)), bytes((12, 13, 0, 2)), bytes((12, 13, 0)), bytes((2, 2, 0, 1))],
    ids=["a matrix", "a third range", "cut off", "all open"],
)
def test_an_invalid_cicp_chunk_counts_as_absent(content):
    """A cICP chunk that says nothing valid gives way to the next description, and the sidecar says so."""
    picture = decode(png((b"cICP", content), (b"gAMA", gama(1.0))))
    assert picture.container.colour == Colour(gamma=1.0)
    assert any("cICP" in one for one in picture.container.warnings)


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize(
    "make",
    [lambda t: png((b"cICP", bytes((9, t, 0, 1)))), lambda t: avif(9, t), lambda t: avif(9, t, box=False),
     lambda t: heic(patches(), primaries=9, transfer=t)],
    ids=["png", "avif", "avif stream", "heic"],
)  # fmt: skip
def test_high_dynamic_range_is_refused(make, transfer):
    """PQ and HLG are refused at screening, wherever they are stated."""
    with pytest.raises(Refusal, match="high-dynamic-range"):
        screen(make(transfer), None, 10**6)


def _segments(data, order, first, count=None):
    """A JPEG with a profile in pieces: in that order, numbered from ``first``, of ``count`` in all."""
    pieces = [data[n * len(data) // 3 : (n + 1) * len(data) // 3] for n in range(3)]
    plain = saved(patches(), "JPEG", quality=100, subsampling=0)
    contents = [b"ICC_PROFILE\0" + bytes((n + first, count or 3)) + pieces[n] for n in order]
    return plain[:2] + b"".join(b"\xff\xe2" + struct.pack(">H", len(c) + 2) + c for c in contents) + plain[2:]


@pytest.mark.parametrize(
    ("order", "first", "count"),
    [((0, 1, 2), 1, 3), ((2, 0, 1), 1, 3), ((0, 1, 2), 0, 3), ((1, 2, 0), 0, 3), ((0, 1, 2), 1, 9), ((0, 1, 2), 5, 3)],
)
def test_the_pieces_of_a_profile_in_a_jpeg_are_found(order, first, count):
    """Out of order, numbered from 0, or with a wrong count: a profile that is all there is kept."""
    icc = _icc()
    picture = decode(_segments(icc, order, first, count))
    assert picture.container.icc == icc
    assert decode(encode(picture, picture.colour, "webp").data).container.icc == icc


def test_a_profile_with_a_piece_missing_is_left_out_with_a_warning():
    """Half a profile is none, and the sidecar says so."""
    container = decode(_segments(_icc(), (0, 2), 1)).container
    assert container.icc is None
    assert any("profile is incomplete" in one for one in container.warnings)


def test_a_profile_that_a_webp_does_not_announce_is_found():
    """The flag in a WebP's header may be missing."""
    data = bytearray(saved(patches(), "WEBP", lossless=True, icc_profile=_icc()))
    data[data.index(b"VP8X") + 8] &= ~0x20
    assert decode(bytes(data)).container.icc == _icc()


def test_a_large_profile_is_kept_where_it_fits():
    """A profile of six megabytes goes from a PNG into every format, and one of twenty into all but a JPEG."""
    for size, fits in ((6_000_000, True), (20_000_000, False)):
        icc = with_tag(_icc(), b"A2B0", table(size))
        picture = decode(png((b"iCCP", b"x\0\0" + imagecodecs.zlib_encode(icc, level=1))))
        assert picture.container.icc == icc
        encoded = encode(picture, picture.colour, "jpeg")
        assert (decode(encoded.data).container.icc == icc) is fits
        assert any("too long" in one for one in encoded.warnings) is not fits
        assert decode(encode(picture, picture.colour, "tiff").data).container.icc == icc


def test_a_profile_of_another_colour_model_is_left_out_with_a_warning():
    """A gray profile that cannot be read and a colour one on gray do not go into another format."""
    for array, icc, output in ((patches(gray=True), ICC_GRAY_UNKNOWN, "webp"), (patches(gray=True), _icc(), "tiff")):
        picture = decode(saved(array, "JPEG", icc_profile=icc))
        encoded = encode(picture, picture.colour, output)
        assert decode(encoded.data).container.icc is None
        assert any("colour profile does not fit" in one for one in encoded.warnings)


def test_a_camera_jpeg_keeps_its_words_or_gets_a_profile():
    """Adobe RGB by EXIF alone stays as it is in a JPEG, and becomes a profile where EXIF is not kept."""
    picture = decode(_camera_jpeg())
    assert decode(encode(picture, picture.colour).data).container.icc is None
    assert decode(encode(picture, picture.colour).data).container.colour == picture.container.colour
    bare = encode(picture, picture.colour, metadata=Metadata(exif=False), quality=100)
    expected = as_srgb(picture.colour[16, 16::32], ADOBE, 563 / 256)
    assert np.abs(seen(bare.data) - expected).max() <= 4


def test_a_smaller_picture_keeps_its_colours():
    """Reducing a picture does not touch what it says about its colours."""
    for name in ("png, Display P3 in cICP", "avif, Display P3", "heic, Display P3", "jpeg, a profile"):
        picture = decode(SOURCES[name][0])
        small = fit_side(picture, 100)
        assert small.size[0] == 100
        assert (small.container.colour, small.container.icc) == (picture.container.colour, picture.container.icc)
        assert decode(encode(small, small.colour, "webp").data).container.icc


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("transfer", [1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17])
@pytest.mark.parametrize("primaries", [1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22])
def test_every_known_number_makes_a_profile(primaries, transfer, gray):
    """Each known pair gives a profile that littlecms opens, always the same bytes, in which white is white."""
    colour = Colour(primaries, transfer)
    profile = icc_profile(colour, gray=gray)
    assert profile == icc_profile(colour, gray=gray)
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert opened.profile.xcolor_space.strip() == ("GRAY" if gray else "RGB")
    white = np.full((1, 1) if gray else (1, 1, 3), 255, np.uint8)
    from PIL import Image

    shown = ImageCms.profileToProfile(
        Image.fromarray(white), opened, ImageCms.createProfile("sRGB"), outputMode="RGB", renderingIntent=1
    )
    assert min(shown.getpixel((0, 0))) >= 254


def test_a_profile_does_not_say_when_it_was_made(monkeypatch):
    """Two files of one picture are the same, whatever the hour."""
    assert icc_profile(Colour(12, 13), gray=False)[24:36] == bytes((7, 228, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))


def test_saturated_p3_red_is_more_than_srgb_has():
    """Display P3's red lies at x 0.68 and y 0.32, as a reader finds it in the profile."""
    opened = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile(Colour(12, 13), gray=False))).profile
    x, y = opened.chromaticity[0][:2]
    assert (x, y) == (pytest.approx(0.68, abs=1e-3), pytest.approx(0.32, abs=1e-3))


def test_the_closest_curve_of_a_table():
    """Powers and sRGB's own curve are recognised; what is neither is not known."""
    value = np.linspace(0, 1, 256)
    assert closest(P3, value**2.4).gamma == pytest.approx(2.4, abs=0.01)
    assert closest(None, colours.light_of(value, 13)) == Colour(transfer=13)
    assert not closest(None, np.ones(256)).is_known
    assert not closest(None, np.zeros(0)).is_known
