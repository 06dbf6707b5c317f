"""Holes of zeros in coded pixels are refused in every container, and honest pictures full of zeros are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFile

from shaded.errors import Incomplete, Unreadable
from shaded.outbox.screening import screen
from shaded.publishing.reading import decode
from tests.publishing.holed import MOST_PIXELS, TEXTURED, coded, emptied, fax, heic, holes, read, tiff
from tests.publishing.samples import saved, smooth, textured


def passed_over(name, count, seed=0):
    """How many of so many holes changed pixels and were not refused."""
    data = TEXTURED[name]()
    whole = read(data)
    assert isinstance(whole, np.ndarray), whole
    results = [read(holed) for holed in holes(data, count, seed)]
    return sum(isinstance(result, np.ndarray) and not np.array_equal(result, whole) for result in results)


@pytest.mark.parametrize("name", TEXTURED)
def test_a_hole_in_a_textured_picture_is_refused(name):
    """Zeros at random places of the coded pixels are found at screening or at decoding, or change no pixel."""
    assert passed_over(name, 12) == 0


@pytest.mark.parametrize("name", TEXTURED)
def test_a_copy_that_was_not_finished_is_refused(name):
    """A file whose second half is zeros, as a copy is whose space was reserved, is refused with the reason."""
    data = TEXTURED[name]()
    result = read(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    assert isinstance(result, str)
    assert "damaged or incomplete" in result


@pytest.mark.parametrize("name", ["jpeg", "webp", "lossless webp", "avif", "heic", "tiff, packbits"])
def test_the_reason_says_what_is_in_the_file(name):
    """The words tell of the zeros, where a decoder alone would have gone on in silence."""
    data = TEXTURED[name]()
    start, end = max(coded(data), key=lambda place: place[1] - place[0])
    assert "holds only zeros: it was never written to its end" in read(emptied(data, start + 1000, end - start - 1200))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TEXTURED)
def test_very_many_holes(name):
    """The same with 150 holes in each; of a progressive JPEG the bits that refine means may be lost in silence."""
    assert passed_over(name, 150, seed=1) <= (2 if name.startswith("progressive") else 1)


# Uncompressed pixels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 16}, {"tile": (64, 64)}])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_an_uncompressed_tiff_that_breaks_off_in_a_row_is_refused(kind, options):
    """Zeros that begin or end in the middle of a row, with a picture all around, are no black area."""
    data = tiff(textured(kind=kind), **options)
    start, end = coded(data)[0]
    last = coded(data)[-1][1]
    row = (64 if options.get("tile") else 256) * 3 * np.dtype(kind).itemsize
    for at, to in (
        (start + 10 * row + row // 2, end),
        (start + 3 * row + row // 3, last),
        (start, start + 7 * row // 2),
    ):
        assert "only zeros" in str(read(emptied(data, at, to - at)))


def test_a_thin_hole_in_an_uncompressed_tiff_is_refused_where_it_cuts_pixels_or_fills_sectors():
    """What is shorter than a row looks like a black line, unless no drawing could have its ends."""
    data = tiff(textured(width=1024))
    start, _ = coded(data)[0]
    row = 3 * 1024
    cut = start + 40 * row + 301
    assert "only zeros" in str(read(emptied(data, cut, 700)))
    sector = -(-(start + 40 * row) // 512) * 512 + 512
    assert "only zeros" in str(read(emptied(data, sector, 1024)))
    assert isinstance(read(emptied(data, start + 40 * row + 300, 600)), np.ndarray)


def test_a_large_hole_in_a_zstandard_tiff_is_refused():
    """What is stored as it is has no longer runs of zeros than the format gains by compressing them."""
    data = tiff(textured(512, 512, kind=np.uint16), compression="zstd", predictor=True)
    start, end = coded(data)[0]
    for at in range(start + 1000, end - 9000, 40_000):
        assert isinstance(read(emptied(data, at, 8192)), str)


def test_a_strip_that_is_nowhere_is_refused():
    """A table of strips with zeros in it, or with too few of them, says that pixels are missing."""
    data = tiff(textured(), rowsperstrip=64)
    offsets = b"".join(start.to_bytes(4, "little") for start, _ in coded(data))
    for lost in (offsets[:8] + bytes(4), offsets[:4] + bytes(8)):
        with pytest.raises(Incomplete, match="a part of the pixels is missing"):
            screen(data.replace(offsets, lost), None, MOST_PIXELS)


def test_a_tiff_that_does_not_say_how_long_its_strips_are_is_read():
    """Old programs leave the sizes of uncompressed strips out."""
    data = tiff(textured(), rowsperstrip=64)
    at = data.index(b"\x17\x01\x03\x00\x03\x00\x00\x00")
    other = data[:at] + (65000).to_bytes(2, "little") + data[at + 2 :]
    assert screen(other, None, MOST_PIXELS).format == "tiff"
    with pytest.raises(Incomplete, match="cut off"):
        screen(other[:-2000], None, MOST_PIXELS)


@pytest.mark.parametrize("compression", ["group3", "group4", "packbits"])
def test_a_hole_of_less_than_a_sector_in_black_and_white_is_refused(compression):
    """In fax codes no run of zeros is that long, and PackBits never spells zeros one by one."""
    data = fax(compression)
    (start, end), *_ = coded(data)
    for at in range(start + 20, end - 160, (end - start) // 30):
        assert "only zeros" in str(read(emptied(data, at, 64))), at


# Honest pictures ------------------------------------------------------------------------------------------------------


def scenes(height, width, seed=0):
    """Honest pictures that encoders write zeros for: flat ones, halves, line art, gradients, patterns, stars."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)

    def gray(values):
        return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)

    found = {f"flat {value}": np.full((height, width, 3), value, np.uint8) for value in (0, 128, 255)}
    found["a colour"] = np.full((height, width, 3), (200, 31, 77), np.uint8)
    found["noise"] = noise
    for name, part in {
        "lower": np.s_[height // 2 :],
        "upper": np.s_[: height // 2],
        "right": np.s_[:, width // 2 :],
    }.items():
        for value in (0, 255):
            found[f"{name} half {value}"] = noise.copy()
            found[f"{name} half {value}"][part] = value
    found["letterbox"] = textured(height, width)
    found["letterbox"][: height // 8] = found["letterbox"][-height // 8 :] = 0
    found["island"] = np.zeros_like(noise)
    inner = np.s_[height // 3 : height // 2, width // 3 : width // 2]
    found["island"][inner] = noise[inner]
    found["gradient across"], found["gradient down"] = gray(columns * 255 // width), gray(rows * 255 // height)
    found["faint gradient"] = np.stack([100 + columns * 20 // width, 120 + rows * 9 // height, 90 + columns // 64], -1)
    found["faint gradient"] = found["faint gradient"].astype(np.uint8)
    found["soft"] = smooth(height, width)
    for size in (1, 5, 8):
        found[f"squares of {size}"] = gray(((columns // size + rows // size) & 1) * 255)
    found["dither"] = gray((rng.random((height, width)) < columns / width) * 255)
    tile = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    found["tiles"] = np.tile(tile, (height // 8 + 1, width // 8 + 1, 1))[:height, :width]
    colours = np.array([[0, 0, 0], [255, 255, 255], [200, 0, 0], [0, 0, 160]], np.uint8)
    blocks = colours[rng.integers(0, 4, (height // 8 + 1, width // 8 + 1))]
    found["pixel art"] = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    found["stars"] = np.zeros_like(noise)
    found["stars"].reshape(-1, 3)[rng.integers(0, height * width, max(1, height * width // 5000))] = 255
    for name, paper, ink in (("line art", "white", "black"), ("chalk", "black", "white")):
        image = Image.new("RGB", (width, height), paper)
        draw = ImageDraw.Draw(image)
        for _ in range(30):
            draw.line(
                [tuple(map(int, rng.integers(0, (width, height)))) for _ in range(2)], ink, int(rng.integers(1, 4))
            )
        for top in range(4, height, 40):
            draw.text((4, top), "The quick brown fox jumps over the lazy dog " * 3, ink)
        found[name] = np.array(image)
    return found


def with_transparency(array):
    """The same with none, half, a gradient and a hole in the middle of transparency."""
    height, width = array.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - height / 2, columns - width / 2)
    for alpha in (np.zeros_like(rows), (rows < height // 2) * 255, columns * 255 // width, np.clip(distance, 0, 255)):
        yield np.dstack([array, alpha.astype(np.uint8)])


def accepted(*files):
    """Insist that each file is screened and decoded, and that it decodes to its size."""
    for name, data in files:
        try:
            screened = screen(data, None, MOST_PIXELS)
            size = decode(data).size
            assert size == (screened.width, screened.height) or screened.format == "heic"  # which may be cropped
        except Unreadable as error:
            pytest.fail(f"{name}: {error}")


def in_all(name, array, *, wide=False):
    """An honest picture in every container, with settings that matter here; ``wide`` tries many more."""
    qualities = (1, 10, 25, 50, 75, 90, 100) if wide else (20, 90)
    for quality in qualities:
        for options in (
            [{}, {"optimize": True}, {"progressive": True}, {"optimize": True, "subsampling": 0},
             {"progressive": True, "subsampling": 0}, {"progressive": True, "subsampling": "4:1:1"},
             {"optimize": True, "restart_marker_rows": 1}, {"progressive": True, "restart_marker_blocks": 3},
             {"optimize": True, "keep_rgb": True}]
            if wide
            else [{"optimize": True}, {"progressive": True}]
        ):  # fmt: skip
            yield f"{name}, jpeg {quality} {options}", saved(array, "JPEG", quality=quality, **options)
            yield f"{name}, gray jpeg {quality} {options}", saved(
                np.ascontiguousarray(array[..., 0]), "JPEG", quality=quality,
                **{key: value for key, value in options.items() if key != "keep_rgb"},
            )  # fmt: skip
        for method in (0, 2, 4, 6) if wide else (0, 4):
            yield f"{name}, webp {quality} {method}", saved(array, "WEBP", quality=quality, method=method)
        yield f"{name}, avif {quality}", saved(array, "AVIF", quality=quality, speed=10)
        yield f"{name}, heic {quality}", heic(array, quality=quality)
    for method in (0, 1, 4) if wide else (0, 4):
        for quality in (0, 50, 100) if wide else (50,):
            yield (
                f"{name}, lossless webp {method} {quality}",
                saved(array, "WEBP", lossless=True, method=method, quality=quality),
            )
            for number, see_through in enumerate(with_transparency(array) if wide else ()):
                yield (
                    f"{name}, lossless webp {method} {quality} alpha {number}",
                    saved(see_through, "WEBP", lossless=True, method=method, quality=quality, exact=True),
                )
    for number, see_through in enumerate(with_transparency(array)):
        yield f"{name}, webp alpha {number}", saved(see_through, "WEBP", quality=60, method=0 if number % 2 else 4)
        if wide or number == 1:
            yield f"{name}, avif alpha {number}", saved(see_through, "AVIF", quality=60, speed=10)
            yield f"{name}, tiff alpha {number}", tiff(see_through, extrasamples=["unassalpha"])
    yield from _tiffs(name, array, wide=wide)
    yield f"{name}, png", saved(array, "PNG")


def _tiffs(name, array, *, wide):
    for compression in (None, "lzw", "zlib", "packbits", "zstd", "jpeg"):
        layouts = [{}, {"rowsperstrip": 16}, {"tile": (64, 64)}] if wide else [{"rowsperstrip": 16}]
        for options in layouts:
            yield f"{name}, tiff {compression} {options}", tiff(array, compression=compression, **options)
    for compression in ("group3", "group4", "packbits", "raw"):
        yield f"{name}, tiff {compression}", saved(Image.fromarray(array).convert("1"), "TIFF", compression=compression)


@pytest.fixture(autouse=True)
def large_buffers(monkeypatch):
    """Pillow's JPEG encoder wants a buffer for a whole picture of noise."""
    monkeypatch.setattr(ImageFile, "MAXBLOCK", 1 << 24)


@pytest.mark.parametrize(
    "name", ["flat 0", "flat 255", "lower half 0", "letterbox", "gradient down", "dither", "line art", "stars"]
)
def test_an_honest_picture_is_accepted(name):
    """Flat, black, half-flat pictures, line art and gradients are no holes, whatever they are saved as."""
    accepted(*in_all(name, scenes(120, 200)[name]))


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_a_tiny_picture_is_accepted(size):
    """One pixel, and a few."""
    accepted(*in_all("noise", np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)))


def test_a_large_flat_picture_is_accepted():
    """Twelve megapixels of one colour."""
    flat = np.full((3000, 4000, 3), 77, np.uint8)
    accepted(
        ("jpeg", saved(flat, "JPEG", optimize=True)), ("progressive", saved(flat, "JPEG", progressive=True)),
        ("webp", saved(flat, "WEBP", quality=50, method=0)), ("avif", saved(flat, "AVIF", quality=50, speed=10)),
        ("lossless", saved(flat, "WEBP", lossless=True, method=0)), ("tiff", tiff(flat)),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", scenes(8, 8))
def test_very_many_honest_pictures(name):
    """Every scene with every encoder setting that matters here."""
    accepted(*in_all(name, scenes(123, 200)[name], wide=True))


def test_a_scan_that_is_padded_with_zeros_is_accepted():
    """Some encoders fill a scan up with zeros before its end mark; the picture is whole."""
    for options in ({"optimize": True, "quality": 30}, {"progressive": True}):
        data = saved(smooth(channels=1), "JPEG", **options)
        accepted(("padded", data[:-2] + bytes(700) + data[-2:]))


def test_what_cameras_do_is_accepted():
    """A few bytes too many before the end mark, and odd numbers in the header of a sequential scan, do no harm."""
    data = saved(textured(), "JPEG", quality=90)
    assert isinstance(read(data[:-2] + b"\x12\x34\x56" + data[-2:]), np.ndarray)
    start, _ = coded(data)[0]
    odd = data[: start - 3] + b"\x00\x00\x00" + data[start:]
    assert np.array_equal(read(odd), read(data))


def test_a_jpeg_without_its_end_is_refused_also_with_a_thumbnail_that_has_one():
    """The end mark of a preview inside is not the picture's own."""
    thumbnail = saved(smooth(), "JPEG")
    app1 = b"Exif\0\0" + thumbnail
    data = saved(textured(), "JPEG", exif=app1)
    assert isinstance(read(data), np.ndarray)
    for cut in (data[:-2], data[: len(data) * 2 // 3], data[: len(data) // 2] + bytes(len(data) // 2)):
        with pytest.raises(Incomplete):
            screen(cut, None, MOST_PIXELS)


def test_half_a_jpeg_with_an_end_mark_is_refused():
    """A scan that ends early is a part of a picture with gray below it, and libjpeg says so."""
    data = saved(textured(), "JPEG")
    start, end = coded(data)[0]
    assert "premature end" in read(data[: (start + end) // 2] + b"\xff\xd9")


@pytest.mark.parametrize("value", [0x00, 0x55, 0xAA])
def test_lost_sectors_with_other_bytes_are_refused_where_the_decoder_notices(value):
    """Blocks of a constant byte in a JPEG leave a scan that does not end where it should."""
    data = saved(textured(), "JPEG", quality=60, optimize=True)
    start, end = coded(data)[0]
    at = (start + end) // 2
    assert isinstance(read(data[:at] + bytes([value]) * 4096 + data[at + 4096 :]), str)


def test_a_damaged_chunk_of_a_png_is_refused_when_it_says_what_the_picture_looks_like():
    """Check sums of pixels, palettes and colour chunks are looked at; a damaged text is no reason to refuse."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Title", "A fox in the snow")
    out = io.BytesIO()
    Image.fromarray(textured()).quantize(64).save(out, "PNG", transparency=3, pnginfo=info)
    data = out.getvalue()
    for kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT"):
        at = data.index(kind) + 6
        with pytest.raises(Incomplete, match=f"check sum of a {kind.decode()} chunk"):
            screen(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], None, MOST_PIXELS)
    at = data.index(b"A fox")
    assert isinstance(read(data[:at] + b"B" + data[at + 1 :]), np.ndarray)
