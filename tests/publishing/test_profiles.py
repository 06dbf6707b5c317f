"""What of a colour profile is published: colours, what it calls itself, and nothing else."""

from __future__ import annotations

import hashlib
import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from shaded.publishing.profiles import publishable
from shaded.publishing.reading import decode
from shaded.publishing.writing import encode
from shaded.settings import Metadata
from tests.publishing.profiles import build, table, tags, with_tag, words
from tests.publishing.samples import ICC_GRAY, ICC_RGB, THUMBNAIL, saved, smooth

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
P3 = imagecodecs.cms_profile(
    "rgb", whitepoint=[0.3127, 0.329, 1], primaries=[0.68, 0.32, 1, 0.265, 0.69, 1, 0.15, 0.06, 1], gamma=2.2
)


def _curve(gamma=2.0):
    return b"para\0\0\0\0\0\0\0\0" + struct.pack(">i", int(gamma * 65536))


def _elements(kind=b"mAB "):
    """B curves, matrix, M curves, table of eight points and A curves."""
    curves = _curve() * 3
    matrix = struct.pack(">12i", *(65536 if place in (0, 4, 8) else 0 for place in range(12)))
    grid = bytes((2, 2, 2)) + bytes(13) + b"\1\0\0\0" + bytes(range(0, 240, 10))
    at = (32, 32 + len(curves), 32 + len(curves) + 48, 80 + 2 * len(curves), 80 + 2 * len(curves) + len(grid))
    return kind + bytes(4) + b"\3\3\0\0" + struct.pack(">5I", *at) + curves + matrix + curves + grid + curves


def _processing():
    """One curve with a formula and one of samples, a matrix and a table."""
    formula = b"curf\0\0\0\0\0\1\0\0" + b"parf" + bytes(8) + struct.pack(">4f", 2, 1, 0, 0)
    samples = b"samf" + bytes(4) + struct.pack(">I2f", 2, 0.5, 1)
    parts = b"curf\0\0\0\0\0\2\0\0" + struct.pack(">f", 0) + formula[12:] + samples
    places = struct.pack(">6I", 36, len(formula), 36 + len(formula), len(parts), 36, len(formula))
    curves = b"cvst\0\0\0\0\0\3\0\3" + places + formula + parts
    matrix = b"matf\0\0\0\0\0\3\0\3" + struct.pack(">12f", 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    grid = b"clut\0\0\0\0\0\3\0\3" + b"\2\2\2" + bytes(13) + struct.pack(">24f", *range(24))
    at, rows = 16 + 3 * 8, b""
    for element in (curves, matrix, grid):
        rows += struct.pack(">II", at, len(element))
        at += len(element)
    return b"mpet\0\0\0\0\0\3\0\3\0\0\0\3" + rows + curves + matrix + grid


GOOD = {
    "sRGB": SRGB, "Display P3": P3, "Adobe RGB": ICC_RGB, "gray": ICC_GRAY,
    "table": with_tag(SRGB, b"A2B0", table(9_000)),
    "elements": with_tag(SRGB, b"A2B0", _elements()), "reverse": with_tag(SRGB, b"B2A0", _elements(b"mBA ")),
    "processing": with_tag(SRGB, b"D2B0", _processing()),
}  # fmt: skip
PRIVATE = {
    "jpeg": b"\xff\xd8\xff\xee\0\x0eAdobe" + THUMBNAIL, "tiff": saved(smooth(), "TIFF"), "raw": smooth().tobytes(),
    "doubles": struct.pack(">2d", 52.520008, 13.404954), "text": b"52.52,13.4",
    "wide": "52.52, 13.4".encode("utf-16-le"),
    "name": b"text\0\0\0\0Copyright Alice\0",
}  # fmt: skip


def _seen(icc, intent):
    gray = icc[16:20] == b"GRAY"
    values = np.random.default_rng(0).integers(0, 256, (40, 40) if gray else (40, 40, 3), np.uint8)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    made = ImageCms.profileToProfile(
        Image.fromarray(values), profile, ImageCms.createProfile("sRGB"), renderingIntent=intent, outputMode="RGB"
    )
    return np.asarray(made)


@pytest.mark.parametrize("name", GOOD)
def test_a_profile_of_colours_alone_stays_as_it_is(name):
    """Byte for byte: curves, tables of both kinds, processing elements."""
    assert publishable(GOOD[name], gps=False) == (GOOD[name], None)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("what", PRIVATE)
def test_private_tags_go_and_colours_stay(name, what):
    """Whatever a private tag holds, littlecms converts to the same values with what is left, by every intent."""
    icc = with_tag(GOOD[name], b"zzzz", b"data\0\0\0\1" + PRIVATE[what])
    kept = publishable(icc, gps=True)
    assert kept.against is None
    assert PRIVATE[what] not in kept.icc
    assert tags(kept.icc) == tags(GOOD[name])
    if name != "processing":  # littlecms takes its values for another space
        assert all((_seen(kept.icc, intent) == _seen(icc, intent)).all() for intent in range(4))


@pytest.mark.parametrize("name", GOOD)
def test_nothing_stands_behind_or_between_tags(name):
    """Bytes behind the profile, counted in its length or not, and bytes behind the data of a tag."""
    icc, extra = GOOD[name], PRIVATE["jpeg"] + bytes(3)
    counted = struct.pack(">I", len(icc) + len(extra)) + icc[4:] + extra
    padded = build(icc[:128], {tag: data + bytes(-len(data) % 4) + PRIVATE["text"] for tag, data in tags(icc).items()
                               if data[:4] not in (b"text", b"desc")})  # fmt: skip
    for one in (icc + extra, counted, padded):
        kept = publishable(one, gps=True).icc
        assert len(kept) == int.from_bytes(kept[:4], "big") < len(one)
        assert PRIVATE["text"] not in kept
        assert THUMBNAIL not in kept


@pytest.mark.parametrize("name", ["elements", "reverse", "processing"])
def test_holes_inside_of_a_table_are_emptied(name):
    """What no offset of a tag points at is not published."""
    tag = next(tag for tag in (b"A2B0", b"B2A0", b"D2B0") if tag in tags(GOOD[name]))
    data = tags(GOOD[name])[tag]
    hole = len(data) + -len(data) % 4
    moved = bytearray(data + bytes(-len(data) % 4) + PRIVATE["text"] + b"\0\0" + data[-36:])
    at = 28 if tag != b"D2B0" else None
    if at is None:
        assert PRIVATE["text"] not in publishable(with_tag(SRGB, tag, bytes(moved)), gps=True).icc
        return
    struct.pack_into(">I", moved, at, hole + len(PRIVATE["text"]) + 2)
    moved[hole + len(PRIVATE["text"]) + 2 :] = _curve() * 3
    kept = publishable(with_tag(SRGB, tag, bytes(moved)), gps=True).icc
    assert kept is not None
    assert PRIVATE["text"] not in kept


@pytest.mark.parametrize("wide", [True, False])
def test_texts_of_a_profile_are_looked_at_like_others(wide):
    """A position in its copyright is left out unless positions are kept; a thumbnail and a novel always are."""
    icc = with_tag(SRGB, b"cprt", words("Jane, 52.5200, 13.4050", wide))
    kept = publishable(icc, gps=False)
    assert kept.against == "a position"
    assert "52" not in kept.icc.decode("latin-1").replace("\0", "")
    assert tags(kept.icc).keys() == tags(icc).keys()
    ImageCms.ImageCmsProfile(io.BytesIO(kept.icc))
    assert publishable(icc, gps=True) == (icc, None)
    assert publishable(with_tag(SRGB, b"desc", words("Cows. " * 9_000, wide)), gps=True).against == "too much"
    spelled = words(np.random.default_rng(0).bytes(900).hex(), wide)
    assert publishable(with_tag(SRGB, b"dmdd", spelled), gps=True).against == "no text"


def test_the_header_says_what_colours_need():
    """Reserved bytes, an illuminant that is none, a maker's number and flags of others are emptied."""
    head = bytearray(SRGB[:128])
    head[100:110], head[52:56], head[44:48], head[68:80] = b"52.52,13.4", b"52.5", b"13.4", b"52.520,13.40"
    kept = publishable(bytes(head) + SRGB[128:], gps=True).icc
    assert b"52.5" not in kept
    assert b"13.4" not in kept
    assert kept[68:80] == SRGB[68:80]


def test_the_identity_is_true_or_empty():
    """A profile that had an ID gets the one of what is left, and a wrong one is set right; others get none."""
    icc = bytearray(with_tag(SRGB, b"zzzz", b"data\0\0\0\0secret12"))
    assert not any(publishable(bytes(icc), gps=True).icc[84:100])
    icc[84:100] = b"52.520008,13.404"
    kept = bytearray(publishable(bytes(icc), gps=True).icc)
    said = bytes(kept[84:100])
    kept[44:48], kept[64:68], kept[84:100] = bytes(4), bytes(4), bytes(16)
    assert said == hashlib.md5(kept).digest()
    kept[44:48], kept[64:68], kept[84:100] = SRGB[44:48], SRGB[64:68], said
    assert publishable(bytes(kept), gps=True) == (bytes(kept), None)


@pytest.mark.parametrize(
    "icc",
    [
        b"", SRGB[:100], SRGB[:200], SRGB[:132] + bytes(len(SRGB) - 132), with_tag(SRGB, b"A2B0", _curve()),
        with_tag(SRGB, b"rTRC", b"curv\0\0\0\0" + b"\xff" * 4), with_tag(SRGB, b"A2B0", table(9_000)[:-100]),
        with_tag(SRGB, b"rXYZ", bytes(20)), SRGB[:36] + b"none" + SRGB[40:], SRGB[:128] + b"\xff" * 200,
    ],
    ids=range(10),
)  # fmt: skip
def test_a_damaged_profile_is_none(icc):
    """Cut off, of zeros, or with colours of another type than theirs."""
    if icc == SRGB[:132] + bytes(len(SRGB) - 132):
        assert tags(publishable(icc, gps=True).icc or bytes(132)) == {}
    else:
        assert publishable(icc, gps=True).icc is None


def test_damage_to_what_only_describes_costs_nothing_else():
    """A text, a measurement or a technology that is none is left out alone."""
    broken = {b"cprt": b"mluc\0\0\0\0" + b"\xff" * 8, b"meas": b"meas\0\0\0\0", b"tech": b"sig \0\0\0\0\1\2\3\4"}
    kept = publishable(build(SRGB[:128], {**tags(SRGB), **broken}), gps=False).icc
    assert tags(kept) == {tag: data for tag, data in tags(SRGB).items() if tag not in broken}


def test_a_profile_that_counts_its_bytes_many_times_is_none():
    """Tags that overlap a large table cannot make a small file large."""
    data = table(200_000)
    icc = bytearray(with_tag(with_tag(with_tag(SRGB, b"A2B0", data), b"A2B1", data), b"A2B2", data))
    for place, name in enumerate((b"A2B0", b"A2B1", b"A2B2")):
        at = icc.index(name)
        icc[at + 8 : at + 12] = struct.pack(">I", len(data) - place)
    kept = publishable(bytes(icc), gps=True).icc
    assert kept is None or len(kept) <= len(icc)


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "tiff", "avif"])
def test_what_is_published_has_the_profile_that_is_left(output):
    """In every format; and a damaged one is left out with a warning."""
    icc = with_tag(ICC_RGB, b"zzzz", b"data\0\0\0\1" + PRIVATE["tiff"])
    picture = decode(saved(smooth(), "PNG", icc_profile=icc))
    encoded = encode(picture, picture.colour, output, metadata=Metadata(gps=True))
    assert tags(decode(encoded.data).container.icc) == tags(ICC_RGB)
    assert not any("profile" in one for one in encoded.warnings)
    broken = decode(saved(smooth(), "PNG", icc_profile=with_tag(ICC_RGB, b"rXYZ", bytes(20))))
    encoded = encode(broken, broken.colour, output)
    assert decode(encoded.data).container.icc is None
    assert "The colour profile is damaged and was left out." in broken.container.warnings
