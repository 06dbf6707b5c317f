"""What is particular to PNG."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from shaded.publishing.reading import decode
from shaded.publishing.walking import PNG_SIGNATURE, png_chunk, png_chunks
from shaded.publishing.writing import encode
from shaded.settings import Metadata
from tests.publishing.samples import ICC_RGB, THUMBNAIL, nudged, raw_profile, saved, smooth


def _with_chunks(data, *added):
    """The chunks put right after the header."""
    at = 8 + 25
    return data[:at] + b"".join(png_chunk(kind, content) for kind, content in added) + data[at:]


def _kinds(data):
    return [part.kind for part in png_chunks(data)]


@pytest.mark.parametrize(("channels", "mode"), [(1, "I;16"), (2, "LA;16"), (3, "RGB;16"), (4, "RGBA;16")])
def test_sixteen_bits_stay_sixteen(channels, mode):
    """Every 16-bit mode comes out bit for bit as it was shaded."""
    picture = decode(imagecodecs.png_encode(smooth(channels=channels, kind=np.uint16)))
    assert picture.container.mode == mode
    assert picture.colour.dtype == np.uint16
    shaded = nudged(picture)
    result = decode(encode(picture, shaded).data)
    assert result.container.mode == mode
    seen = np.ones(shaded.shape[:2], bool) if picture.alpha is None else picture.alpha > 0
    assert np.array_equal(result.colour[seen], shaded[seen])


def test_a_palette_becomes_a_mode_that_holds_new_colours():
    """A palette picture comes out as RGB and looks the same before it is shaded."""
    image = Image.fromarray(smooth()).quantize(32)
    picture = decode(saved(image, "PNG"))
    assert picture.container.mode == "P"
    assert np.array_equal(picture.colour, np.array(image.convert("RGB")))
    assert decode(encode(picture, picture.colour).data).container.mode == "RGB"


def test_a_palette_with_transparency_becomes_rgba():
    """A palette's alpha values are kept exactly."""
    image = Image.fromarray(smooth()).quantize(16)
    picture = decode(saved(image, "PNG", transparency=bytes(range(0, 256, 16))))
    expected = np.array(range(0, 256, 16), np.uint8)[np.array(image)]
    assert np.array_equal(picture.alpha, expected)
    assert decode(encode(picture, picture.colour).data).container.mode == "RGBA"


def test_a_gray_palette_becomes_gray_unless_a_colour_profile_says_otherwise():
    """Gray palettes give one channel; with an RGB profile they stay three, where the profile is valid."""
    image = Image.fromarray(smooth(channels=1)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert decode(saved(image, "PNG")).is_gray
    assert not decode(saved(image, "PNG", icc_profile=ICC_RGB)).is_gray


def test_one_bit_becomes_eight():
    """Black and white line art comes as gray of 0 and 255."""
    picture = decode(saved(Image.fromarray(smooth(channels=1) > 128), "PNG"))
    assert picture.container.mode == "1"
    assert set(np.unique(picture.colour)) == {0, 255}
    assert decode(encode(picture, picture.colour).data).container.mode == "L"


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_key_colour_of_a_shallow_picture_is_found(depth):
    """The transparent gray of a 1, 2 or 4-bit picture is compared at its own depth."""
    levels = 1 << depth
    indices = np.arange(16 * levels, dtype=np.uint8).reshape(16, levels) % levels
    rows = np.zeros((16, max(1, levels * depth // 8 + (levels * depth % 8 > 0))), np.uint8)
    bits = ((indices[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(16, -1)
    rows = np.packbits(bits, axis=1)
    header = struct.pack(">IIBBBBB", levels, 16, depth, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    data = PNG_SIGNATURE + b"".join(
        png_chunk(kind, content)
        for kind, content in ((b"IHDR", header), (b"tRNS", struct.pack(">H", 1)), (b"IDAT", body), (b"IEND", b""))
    )
    picture = decode(data)
    assert np.array_equal(picture.alpha == 0, indices == 1)
    assert np.array_equal(picture.colour[..., 0], indices * (255 // (levels - 1)))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_key_colour_becomes_alpha(kind):
    """One transparent colour of an RGB picture is an alpha channel afterwards, and its pixels are untouched."""
    array = smooth(kind=kind)
    array[5:9, 5:9] = array[0, 0]
    key = b"".join(int(value).to_bytes(2, "big") for value in array[0, 0])
    picture = decode(_with_chunks(imagecodecs.png_encode(array), (b"tRNS", key)))
    hidden = (array == array[0, 0]).all(axis=2)
    assert np.array_equal(picture.alpha == 0, hidden)
    result = decode(encode(picture, nudged(picture)).data)
    assert np.array_equal(result.colour[hidden], array[hidden])
    assert result.alpha is not None


def test_colour_chunks_and_texts_are_kept():
    """Gamma, chromaticities, the coded colour space, the resolution and text chunks come out as they were."""
    chunks = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", bytes(32)),
        (b"cICP", bytes([12, 13, 0, 1])),
        (b"tEXt", b"Author\0Ada"),
        (b"pHYs", struct.pack(">IIB", 3000, 2000, 1)),
    ]
    picture = decode(_with_chunks(saved(smooth(), "PNG"), *chunks))
    parts = {part.kind: part.content for part in png_chunks(encode(picture, picture.colour).data)}
    for kind, content in chunks:
        assert parts[kind] == content


def test_texts_are_written_anew():
    """A compressed or international text comes out as a plain one; the time of the last change does not."""
    chunks = [
        (b"zTXt", b"comment\0\0" + zlib.compress(b"by hand")),
        (b"iTXt", "Title\0\0\0de\0Titel\0Kühe".encode()),
        (b"iTXt", "Description\0\0\0\0\0牛".encode()),
        (b"tEXt", b"parameters\0a cow, masterpiece"),
        (b"tIME", bytes(7)),
    ]
    picture = decode(_with_chunks(saved(smooth(), "PNG"), *chunks))
    parts = [
        part for part in png_chunks(encode(picture, picture.colour).data) if part.kind[1:] in (b"EXt", b"TXt", b"IME")
    ]
    assert [(part.kind, part.content) for part in parts][:3] == [
        (b"tEXt", b"Comment\0by hand"),
        (b"tEXt", "Title\0Kühe".encode("latin-1")),
        (b"iTXt", "Description\0\0\0\0\0牛".encode()),
    ]
    assert [part.content[:17] for part in parts[3:]] == [b"XML:com.adobe.xmp"]
    without = encode(picture, picture.colour, metadata=Metadata(xmp=False)).data
    assert b"by hand" not in without


@pytest.mark.parametrize("kind", [b"gAMA", b"cHRM", b"cICP", b"sRGB", b"mDCV", b"cLLI"])
def test_a_chunk_on_colour_of_another_size_is_left_out(kind):
    """It would be a hiding place."""
    picture = decode(_with_chunks(saved(smooth(), "PNG"), (kind, THUMBNAIL)))
    assert b"UNSHADED" not in encode(picture, picture.colour).data


def test_a_raw_colour_profile_stands_in_for_a_chunk():
    """ImageMagick's hexadecimal profile is the picture's where there is no other."""
    raw = (b"zTXt", b"Raw profile type icc\0\0" + zlib.compress(raw_profile("icc", ICC_RGB)))
    assert decode(_with_chunks(saved(smooth(), "PNG"), raw)).container.icc == ICC_RGB
    other = saved(smooth(), "PNG", icc_profile=ICC_RGB[:-1])
    assert decode(_with_chunks(other, raw)).container.icc == ICC_RGB[:-1]


def test_nothing_unshaded_hides_in_the_chunks():
    """Copies of the picture in text, private chunks, raw profiles and behind the end are left out."""
    import base64

    encoded = base64.b64encode(THUMBNAIL)
    source = _with_chunks(
        saved(smooth(), "PNG"),
        (b"prVt", THUMBNAIL), (b"tEXt", b"Preview\0" + encoded), (b"zTXt", b"Preview\0\0" + zlib.compress(THUMBNAIL)),
        (b"tEXt", b"Preview\0data:image/jpeg;base64," + encoded), (b"caBX", THUMBNAIL),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(THUMBNAIL.hex().encode())),
        (b"iTXt", b"Preview\0\x01\0\0\0" + zlib.compress(encoded)),
    ) + THUMBNAIL  # fmt: skip
    picture = decode(source)
    assert any("C2PA" in one for one in picture.container.warnings)
    result = encode(picture, nudged(picture)).data
    assert b"UNSHADED" not in result
    assert not {b"tEXt", b"zTXt", b"prVt", b"caBX"}.intersection(_kinds(result))
    assert result.endswith(png_chunk(b"IEND", b""))


def test_a_text_that_would_inflate_without_end_is_left_out():
    """A small compressed text of a hundred megabytes costs nothing and is not published."""
    bomb = zlib.compress(b"a" * 100_000_000)
    picture = decode(_with_chunks(saved(smooth(), "PNG"), (b"zTXt", b"Comment\0\0" + bomb), (b"iCCP", b"p\0\0" + bomb)))
    assert picture.container.png_chunks == ()
    assert picture.container.icc is None


def test_an_interlaced_png_is_read():
    """Adam7 pictures decode to the same pixels."""
    array = smooth()
    info = PngImagePlugin.PngInfo()
    plain = decode(saved(array, "PNG", pnginfo=info))
    rows = bytearray()
    for first_row, step_row, first_column, step_column in (
        (0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1),
    ):  # fmt: skip
        for row in array[first_row::step_row, first_column::step_column]:
            rows += b"\0" + row.tobytes()
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 8, 2, 0, 0, 1)
    data = (
        PNG_SIGNATURE
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(bytes(rows)))
        + png_chunk(b"IEND", b"")
    )
    assert np.array_equal(decode(data).colour, plain.colour)
