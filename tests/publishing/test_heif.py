"""HEIC as phones write it: what is read, how it stands, and what is refused."""

from __future__ import annotations

import logging
import struct
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shaded.errors import PictureError, Refusal, Transient, Unreadable
from shaded.outbox.screening import screen
from shaded.publishing import exif, xmp
from shaded.publishing.reading import decode
from shaded.publishing.stills import still_facts
from shaded.publishing.writing import encode
from tests.publishing.colours import heic
from tests.publishing.isofile import (
    Part,
    assembled,
    box,
    full,
    grid,
    imir,
    irot,
    ispe,
    nclx,
    part_of,
    prof,
)
from tests.publishing.samples import ICC_RGB, SUBJECTS, exif_block, saved, smooth, xmp_packet

GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap\0"
ALPHA = b"urn:mpeg:hevc:2015:auxid:1\0"
DEPTH = b"urn:mpeg:hevc:2015:auxid:2\0"
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def _corners(height=64, width=128):
    """A picture whose four quarters tell how it stands."""
    array = np.zeros((height, width, 3), np.uint8)
    array[: height // 2, : width // 2] = (250, 30, 30)
    array[: height // 2, width // 2 :] = (30, 250, 30)
    array[height // 2 :, : width // 2] = (30, 30, 250)
    array[height // 2 :, width // 2 :] = (250, 250, 250)
    return array


def _upright(array, orientation):
    """An array as EXIF's orientation shows it (CIPA DC-008, 4.6.4)."""
    return {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: np.rot90,
    }[orientation](array)  # fmt: skip


#: The properties with which a phone says each EXIF orientation.
TURNS = {
    1: (), 2: (imir(1),), 3: (irot(2),), 4: (imir(0),), 5: (irot(1), imir(0)), 6: (irot(3),), 7: (irot(1), imir(1)),
    8: (irot(1),),
}  # fmt: skip


def _exif_item(block, target=1):
    return Part(b"Exif", struct.pack(">I", 6) + b"Exif\0\0" + block, (), ((b"cdsc", (target,)),))


def _near(one, other, most=12):
    return one.shape == other.shape and np.abs(one.astype(int) - other).max() <= most


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("named", [True, False], ids=["EXIF too", "boxes alone"])
def test_a_phone_picture_stands_upright(orientation, named):
    """Turned and mirrored by its boxes, a HEIC comes upright, and the orientation in its EXIF counts no more."""
    stored = heic(_corners())
    parts = [part_of(stored, *TURNS[orientation])]
    if named:
        parts.append(_exif_item(exif_block(orientation)))
    picture = decode(assembled(parts))
    assert _near(picture.colour, _upright(_corners(), orientation))
    published = decode(encode(picture, picture.colour).data)
    assert published.container.format == "jpeg"
    assert _near(published.colour, _upright(_corners(), orientation), 25)
    if named:
        tree = exif.parse(published.container.exif)
        assert tree.orientation in (None, 1)
        assert tree.text(315) == "Ada Painter"


def test_exif_alone_does_not_turn_a_heic():
    """An orientation that no box repeats is not followed: HEIC readers show the picture as its boxes say."""
    packet = xmp_packet(attributes='xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"')
    parts = [
        part_of(heic(_corners())),
        _exif_item(exif_block(6)),
        Part(b"mime", packet, (), ((b"cdsc", (1,)),)),
    ]
    picture = decode(assembled(parts))
    assert _near(picture.colour, _corners())
    published = decode(encode(picture, picture.colour).data)
    assert _near(published.colour, _corners(), 25)
    assert exif.parse(published.container.exif).orientation in (None, 1)
    assert b"Orientation" not in published.container.xmp


def test_a_heic_is_published_as_a_jpeg_of_good_quality():
    """Without another format it becomes a JPEG with full chroma, and its metadata go along."""
    data = heic(smooth(), exif=b"Exif\0\0" + exif_block(1), xmp=xmp_packet(SUBJECTS))
    assert screen(data, None, 10_000).format == "heic"
    picture = decode(data)
    assert picture.container.format == "heic"
    assert picture.container.mode == "RGB"
    encoded = encode(picture, picture.colour)
    assert encoded.format == "jpeg"
    assert encoded.data.startswith(b"\xff\xd8\xff")
    result = decode(encoded.data)
    assert result.size == picture.size == (64, 48)
    assert result.container.jpeg_subsampling == 0
    assert np.abs(result.colour.astype(int) - picture.colour).mean() < 2
    assert exif.parse(result.container.exif).text(315) == "Ada Painter"
    assert xmp.values(xmp.parse(result.container.xmp), xmp.DC, "subject") == ["cow", "meadow"]


@pytest.mark.parametrize("output", ["png", "webp", "tiff", "avif", "jpeg"])
def test_a_heic_goes_into_every_format(output):
    """With an output format it becomes that, transparency included."""
    picture = decode(heic(smooth(channels=4)))
    assert picture.alpha is not None
    encoded = encode(picture, picture.colour, output)
    result = decode(encoded.data)
    assert result.container.format == encoded.format == output
    if output != "jpeg":
        assert np.array_equal(result.alpha, picture.alpha)


def test_a_grid_of_tiles_is_one_picture():
    """The tiles of a phone's picture come together, cut to the size of the grid."""
    array = smooth(100, 130)
    padded = np.pad(array, ((0, 28), (0, 62), (0, 0)), mode="edge")
    tiles = [part_of(heic(padded[y : y + 64, x : x + 64])) for y in (0, 64) for x in (0, 64, 128)]
    whole = Part(b"grid", grid(2, 3, 130, 100), (ispe(130, 100), irot(3)), ((b"dimg", (2, 3, 4, 5, 6, 7)),))
    data = assembled([whole, *tiles])
    screened = screen(data, None, 10**6)
    assert (screened.width, screened.height) == (130, 100)
    picture = decode(data)
    assert _near(picture.colour, np.rot90(array, -1), 16)
    assert not picture.container.warnings


@pytest.mark.parametrize(("kind", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("wide", [False, True])
def test_modes_and_depths(kind, mode, wide):
    """Gray, colour and transparency, with 8 bits or with 10, which a warning says."""
    array = smooth(64, 64, channels=kind)
    name = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[kind]
    data = heic(array.astype(np.uint16) * 257, mode=f"{name};16") if wide else heic(array, mode=name)
    picture = decode(data)
    assert picture.container.mode == mode
    assert picture.colour.dtype == np.uint8
    colour, alpha = (array[..., None], None) if kind == 1 else (array, None)
    if kind in (2, 4):
        colour, alpha = array[..., :-1], array[..., -1]
        assert np.abs(picture.alpha.astype(int) - alpha).max() <= 16
    assert np.abs(picture.colour.astype(int) - colour).mean() < 4
    assert still_facts(data).bits == (10 if wide else 8)
    assert any("10 bits" in one for one in picture.container.warnings) is wide


def test_premultiplied_colours_are_made_straight():
    """Colour that was stored multiplied with its transparency is divided by it, as in a TIFF, with a warning."""
    array = np.full((64, 64, 4), (60, 40, 20, 128), np.uint8)
    picture = decode(heic(array, mode="RGBa"))
    assert np.abs(picture.colour.astype(int) - (120, 80, 40)).max() <= 6
    assert any("multiplied" in one for one in picture.container.warnings)


def _auxiliary(kind, size=64):
    return part_of(heic(np.zeros((size, size), np.uint8)), full(b"auxC", kind), refers=[(b"auxl", (1,))])


@pytest.mark.parametrize(
    ("further", "told"),
    [
        ([_auxiliary(GAIN_MAP)], True),
        ([_auxiliary(DEPTH)], True),
        ([part_of(heic(smooth(64, 64, seed=5)))], True),
        ([part_of(heic(smooth(64, 64)), refers=[(b"thmb", (1,))])], False),
        ([_auxiliary(ALPHA)], False),
        ([_exif_item(exif_block())], False),
        ([Part(b"tmap", bytes(60), (ispe(64, 64), nclx(9, 16)), ((b"dimg", (1, 3)),)), _auxiliary(GAIN_MAP)], True),
    ],
    ids=["gain map", "depth", "series", "thumbnail", "alpha", "exif", "tone map"],
)
def test_further_pictures_are_left_out_with_a_warning(further, told):
    """A gain map, a depth map or a series is not published, and said; a thumbnail is nothing to tell."""
    picture = decode(assembled([part_of(heic(smooth(64, 64, seed=2))), *further]))
    assert any("further pictures" in one for one in picture.container.warnings) is told
    assert np.abs(picture.colour.astype(int) - smooth(64, 64, seed=2)).mean() < 4
    assert (picture.alpha is not None) == any(full(b"auxC", ALPHA) in part.boxes for part in further)


def test_the_tone_mapped_twin_does_not_make_a_picture_hdr():
    """What counts is the picture that is shown, not another item's colours."""
    parts = [part_of(heic(smooth(64, 64))), Part(b"tmap", bytes(60), (ispe(64, 64), nclx(9, 16)), ((b"dimg", (1,)),))]
    assert screen(assembled(parts), None, 10**6).format == "heic"
    hdr = [part_of(heic(smooth(64, 64)), nclx(9, 16), without=(b"colr",))]
    with pytest.raises(Refusal, match="high-dynamic-range"):
        screen(assembled(hdr), None, 10**6)


def test_content_credentials_are_left_out_with_a_warning():
    """They do not hold for a changed picture."""
    data = assembled([part_of(heic(smooth(64, 64)))], before=box(b"uuid", C2PA, bytes(40)))
    assert any("C2PA" in one for one in decode(data).container.warnings)


@pytest.mark.parametrize("kind", [b"prof", b"rICC"])
@pytest.mark.parametrize("numbers_first", [True, False])
def test_a_profile_counts_before_the_numbers(kind, numbers_first):
    """With both in a HEIC, the ICC profile is passed on, whichever stands first and whatever its kind."""
    icc = imagecodecs.cms_profile("adobergb")
    boxes = (nclx(12, 13), prof(icc, kind))
    data = assembled([part_of(heic(smooth(64, 64)), *boxes[:: 1 if numbers_first else -1], without=(b"colr",))])
    picture = decode(data)
    assert picture.container.icc == icc
    assert picture.container.colour is None
    assert decode(encode(picture, picture.colour).data).container.icc == icc


def test_the_profile_of_a_grid_may_be_at_its_tiles():
    """Some phones describe the colours of each tile and not those of the grid."""
    tiles = [part_of(heic(smooth(64, 64)), nclx(12, 13), without=(b"colr",)) for _ in range(2)]
    whole = Part(b"grid", grid(1, 2, 128, 64), (ispe(128, 64),), ((b"dimg", (2, 3)),))
    picture = decode(assembled([whole, *tiles]))
    assert decode(encode(picture, picture.colour).data).container.icc is not None


# -- brands, sequences and what is no HEIC ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [(b"heic", b"mif1", b"heic"), (b"heix", b"heic", b"mif1"), (b"mif1", b"heic", b"miaf"), (b"mif1", b"mif1", b"miaf"),
     (b"heim", b"heim", b"heic"), (b"mif1", b"avif", b"heic"), (b"MiHB", b"mif1", b"heic")],
)  # fmt: skip
def test_a_heic_is_known_by_its_picture(names):
    """Whatever brands it has, a HEIF file whose picture is HEVC is a HEIC."""
    data = assembled([part_of(heic(smooth(64, 64)))], brands=names)
    assert screen(data, None, 10**6).format == "heic"


@pytest.mark.parametrize("names", [(b"mif1", b"avif", b"miaf"), (b"mif1", b"miaf"), (b"avif", b"mif1", b"heic")])
def test_an_avif_is_known_by_its_picture(names):
    """An AVIF stays one when its major brand is that of any HEIF file."""
    data = assembled([part_of(saved(smooth(64, 64), "AVIF"))], brands=names)
    assert screen(data, None, 10**6).format == "avif"
    assert decode(data).container.format == "avif"


@pytest.mark.parametrize("names", [(b"hevc", b"hevc", b"msf1"), (b"msf1", b"hevc", b"mif1"), (b"hevx", b"msf1")])
def test_a_sequence_is_refused_as_one(names):
    """A burst that is stored as a film of HEVC pictures is an animation, with or without a picture beside it."""
    for data in (
        assembled([part_of(heic(smooth(64, 64)))], brands=names),
        box(b"ftyp", names[0], bytes(4), *names[1:]) + box(b"moov", bytes(100)) + box(b"mdat", bytes(100)),
    ):
        with pytest.raises(Refusal, match="animation"):
            screen(data, None, 10**6)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(b"avc1", "H.264"), (b"jpeg", "JPEG inside"), (b"vvc1", "VVC"), (b"unci", "uncompressed"), (b"j2k1", "JPEG 2000"),
     (b"abcd", "not.*a video|without a picture that is read here")],
)  # fmt: skip
def test_a_heif_file_of_another_coding_is_called_what_it_is(kind, words):
    """What HEIF can hold besides HEVC and AV1 is refused by its name, and never as a video."""
    part = part_of(heic(smooth(64, 64)))
    data = assembled([Part(kind, part.data, part.boxes)], brands=(b"mif1", b"mif1", b"miaf"))
    with pytest.raises(Refusal, match=words) as caught:
        screen(data, None, 10**6)
    assert "video" not in caught.value.what


@pytest.mark.parametrize(
    ("names", "words"),
    [((b"isom", b"iso2", b"avc1"), "a video"), ((b"qt  ", b"qt  "), "a video"), ((b"3gp5", b"isom"), "a video"),
     ((b"M4V ", b"mp42"), "a video"), ((b"XAVC", b"mp42"), "a video"), ((b"mp42", b"mp41"), "a video"),
     ((b"M4A ", b"mp42", b"isom"), "a sound file"), ((b"crx ", b"crx ", b"isom"), "camera raw"),
     ((b"jp2 ", b"jp2 "), "JPEG 2000"), ((b"jxl ", b"jxl "), "JPEG XL"), ((b"wxyz", b"wxyz"), "not known here"),
     ((b"\x1b[2J", b"wxyz"), "not known here")],
)  # fmt: skip
def test_only_a_video_is_called_one(names, words):
    """Other files of the same structure are called what they are, or unknown."""
    data = box(b"ftyp", names[0], bytes(4), *names[1:]) + box(b"free", bytes(20))
    with pytest.raises(Refusal, match=words) as caught:
        screen(data, None, 10**6)
    assert caught.value.remedy
    assert "\x1b" not in caught.value.what


@pytest.mark.parametrize(
    ("error", "outcome", "words"),
    [
        (RuntimeError("Support for this compression format has not been built in"), Refusal, "libheif cannot read"),
        (SyntaxError("Unsupported feature: Unsupported data version"), Refusal, "libheif cannot read"),
        (RuntimeError("Security limit exceeded: Image size 40000x40000"), Refusal, "40000"),
        (RuntimeError("Decoder plugin generated an error"), Unreadable, "damaged"),
        (OSError("Out of Memory"), Transient, "not enough memory"),
    ],
)
def test_what_libheif_cannot_do_is_not_called_damage(monkeypatch, error, outcome, words):
    """A missing decoder and a limit of the library are refusals, and want of memory passes."""
    import pillow_heif

    def unable(*_):
        raise error

    monkeypatch.setattr(pillow_heif, "open_heif", unable)
    with pytest.raises(outcome, match=words):
        decode(heic(smooth(64, 64)))


def _beside_a_good_tile(other):
    """A grid of two tiles, of which the second is another one."""
    whole = Part(b"grid", grid(1, 2, 128, 64), (ispe(128, 64),), ((b"dimg", (2, 3)),))
    return assembled([whole, part_of(heic(smooth(64, 64))), other])


def test_a_tile_of_another_coding_is_not_called_damage():
    """A grid whose second tile is AV1 cannot be decoded here, and the refusal says what is missing."""
    with pytest.raises(Refusal, match="libheif cannot read"):
        decode(_beside_a_good_tile(part_of(saved(smooth(64, 64), "AVIF"))))


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: d[: len(d) // 2], lambda d: bytes(len(d))])
def test_a_broken_tile_is_no_picture(damage):
    """Libheif leaves a tile that it cannot decode green; here the whole file is unreadable."""
    tile = part_of(heic(smooth(64, 64)))
    assert decode(_beside_a_good_tile(tile)).size == (128, 64)
    with pytest.raises(Unreadable):
        decode(_beside_a_good_tile(Part(tile.kind, damage(tile.data), tile.boxes)))
    with pytest.raises(Unreadable):
        decode(_beside_a_good_tile(Part(tile.kind, tile.data, tile.boxes[1:])))


def test_broken_transparency_is_no_picture():
    """The alpha picture is decoded for itself as well."""
    alpha = _auxiliary(ALPHA)
    broken = Part(alpha.kind, alpha.data[: len(alpha.data) // 2], alpha.boxes, alpha.refers)
    with pytest.raises(Unreadable):
        decode(assembled([part_of(heic(smooth(64, 64))), broken]))


def test_reading_a_heic_registers_nothing_with_pillow():
    """Pillow opens no HEIC afterwards: the library is used for its own."""
    code = (
        "from tests.publishing.colours import heic; from tests.publishing.samples import smooth\n"
        "from shaded.publishing.reading import decode; decode(heic(smooth(64, 64)))\n"
        "from PIL import Image; Image.init(); print('HEIF' in Image.OPEN, 'HEIF' in Image.SAVE)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# -- damage and bombs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(100_000, 100_000), (2**32 - 1, 2**32 - 1), (1001, 1000)])
def test_a_huge_size_is_refused_before_decoding(size):
    """The stated size is held to the limit on pixels."""
    data = assembled([part_of(heic(smooth(64, 64)), ispe(*size), without=(b"ispe",))])
    with pytest.raises(Refusal, match="the limit is 1,000,000"):
        screen(data, None, 10**6)


def _many_tiles(count, side):
    tile = part_of(heic(np.zeros((side, side, 3), np.uint8)))
    return [Part(b"grid", grid(1, min(count, 256), 64, 64), (ispe(64, 64),), ((b"dimg", (2,) * count),)), tile]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (_many_tiles(1100, 64), "more than 1,000 parts"),
        (_many_tiles(900, 64), "far larger than the picture"),
        (_many_tiles(1, 1600), "far larger than the picture"),
        ([Part(b"grid", grid(1, 1, 64, 64), (ispe(64, 64),), ((b"dimg", (1,)),))], "more than 1,000 parts"),
        ([part_of(heic(smooth(64, 64))), *[Part(b"mime", b"x")] * 1001], "more than 1,000 parts"),
        ([part_of(heic(smooth(64, 64))), *[Part(b"mime", b"", place=(0, 2**31 - 1))] * 9], "overlap"),
        ([part_of(heic(smooth(64, 64))),
          part_of(heic(np.zeros((3000, 3000), np.uint8)), full(b"auxC", ALPHA), refers=[(b"auxl", (1,))])],
         "far larger than the picture"),
    ],
    ids=["tiles", "one tile many times", "a huge tile", "a circle", "items", "overlapping", "huge transparency"],
)  # fmt: skip
def test_bombs_are_known_by_their_boxes(parts, words):
    """Thousands of parts, parts that are far larger than the picture, and circles are refused at screening."""
    with pytest.raises(PictureError, match=words):
        screen(assembled(parts), None, 10**6)


def test_a_picture_that_is_larger_than_it_says_is_unreadable():
    """The coded picture must have the stated size, or libheif does not decode it."""
    for size in ((16, 16), (63, 64), (640, 640)):
        data = assembled([part_of(heic(smooth(64, 64)), ispe(*size), without=(b"ispe",))])
        with pytest.raises(Unreadable):
            decode(data)


def _sources():
    whole = heic(smooth(64, 64), exif=b"Exif\0\0" + exif_block(), xmp=xmp_packet(SUBJECTS))
    tile = part_of(heic(smooth(64, 64)))
    tiled = assembled(
        [Part(b"grid", grid(1, 2, 100, 64), (ispe(100, 64), irot(1), prof(ICC_RGB)), ((b"dimg", (2, 3)),)), tile, tile]
    )
    return {"whole": whole, "tiled": tiled, "see-through": heic(smooth(64, 64, channels=4))}


SOURCES = _sources()


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_heic_is_unreadable(name, share):
    """Wherever it is cut, a half-written HEIC is never taken for a picture."""
    data = SOURCES[name][: int(len(SOURCES[name]) * share)]

    def read():
        screen(data, None, 10**6)
        return decode(data)

    with pytest.raises(Unreadable):
        read()


@given(st.sampled_from(sorted(SOURCES)), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damage_anywhere_is_survived(name, data):
    """Bytes changed at random give a picture, or this project's error."""
    logging.disable(logging.CRITICAL)
    broken = bytearray(SOURCES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        screened = screen(bytes(broken), None, 10**6)
        picture = decode(bytes(broken))
        assert picture.size[0] * picture.size[1] <= 10**6
        assert screened.format == picture.container.format
        encode(picture, picture.colour)
    except PictureError:
        pass
    finally:
        logging.disable(logging.NOTSET)
