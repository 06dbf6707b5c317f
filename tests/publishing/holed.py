"""Textured pictures in every container that is read, and holes of zeros in their coded pixels."""

from __future__ import annotations

import io
import logging
import random

import numpy as np
import pillow_heif
import tifffile
from PIL import Image

from shaded.errors import PictureError
from shaded.outbox.screening import screen
from shaded.publishing.boxes import read_items
from shaded.publishing.formats import sniff
from shaded.publishing.holes.tiff import layout
from shaded.publishing.probing import tiff_pages
from shaded.publishing.reading import decode
from shaded.publishing.walking import jpeg_scans, png_chunks, riff_chunks
from tests.publishing.samples import saved, textured

MOST_PIXELS = 50_000_000


def tiff(array, **options):
    """A TIFF by tifffile."""
    out = io.BytesIO()
    planes = 1 if array.ndim == 2 else array.shape[2]
    options.setdefault("photometric", "minisblack" if planes == 1 else "rgb")
    tifffile.imwrite(out, array, metadata=None, **options)
    return out.getvalue()


def heic(array, **options):
    """A HEIC by libheif and x265."""
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(array)).save(out, **options)
    return out.getvalue()


def fax(compression):
    """A 1-bit TIFF in a fax code."""
    return saved(Image.fromarray(textured(channels=1)).convert("1"), "TIFF", compression=compression)


def wide_png():
    """16 bits per channel."""
    import imagecodecs

    return imagecodecs.png_encode(textured(kind=np.uint16))


WIDE = {"kind": np.uint16}
#: Makers of one picture each. Uncompressed and Zstandard TIFFs, which can hide a thin hole, are tested by themselves.
TEXTURED = {
    "jpeg": lambda: saved(textured(), "JPEG", quality=80),
    "jpeg of high quality": lambda: saved(textured(), "JPEG", quality=97, subsampling=0),
    "jpeg, tables made for it": lambda: saved(textured(), "JPEG", quality=70, optimize=True),
    "jpeg, gray, tables made for it": lambda: saved(textured(channels=1), "JPEG", quality=50, optimize=True),
    "jpeg, restart markers": lambda: saved(textured(), "JPEG", quality=85, optimize=True, restart_marker_rows=2),
    "progressive jpeg": lambda: saved(textured(), "JPEG", quality=85, progressive=True),
    "progressive jpeg, gray": lambda: saved(textured(channels=1), "JPEG", quality=60, progressive=True),
    "webp": lambda: saved(textured(), "WEBP", quality=80),
    "webp, least effort": lambda: saved(textured(), "WEBP", quality=90, method=0),
    "webp with transparency": lambda: saved(textured(channels=4), "WEBP", quality=80),
    "lossless webp": lambda: saved(textured(), "WEBP", lossless=True),
    "lossless webp with transparency": lambda: saved(textured(channels=4), "WEBP", lossless=True, exact=True),
    "avif": lambda: saved(textured(), "AVIF", quality=75, speed=9),
    "avif with transparency": lambda: saved(textured(channels=4), "AVIF", quality=75, speed=9),
    "heic": lambda: heic(textured(), quality=70),
    "heic with transparency": lambda: heic(textured(channels=4), quality=70),
    "png": lambda: saved(textured(), "PNG"),
    "png, stored": lambda: saved(textured(), "PNG", compress_level=0),
    "png, palette": lambda: saved(Image.fromarray(textured()).quantize(200), "PNG"),
    "png, 16 bits": wide_png,
    "tiff, lzw": lambda: tiff(textured(), compression="lzw", predictor=True, rowsperstrip=40),
    "tiff, lzw, 16 bits": lambda: tiff(textured(**WIDE), compression="lzw", tile=(64, 64)),
    "tiff, deflate": lambda: tiff(textured(), compression="zlib", rowsperstrip=40),
    "tiff, deflate, 16 bits": lambda: tiff(textured(**WIDE), compression="zlib", predictor=True, tile=(64, 64)),
    "tiff, packbits": lambda: tiff(textured(), compression="packbits", rowsperstrip=40),
    "tiff, packbits, 1 bit": lambda: fax("packbits"),
    "tiff, jpeg strips": lambda: tiff(textured(), compression="jpeg", rowsperstrip=64),
    "tiff, jpeg tiles": lambda: tiff(textured(), compression="jpeg", tile=(96, 96)),
    "tiff, jpeg by libtiff": lambda: saved(textured(), "TIFF", compression="jpeg"),
    "tiff, lzma": lambda: tiff(textured(), compression="lzma"),
    "tiff, group 3": lambda: fax("group3"),
    "tiff, group 4": lambda: fax("group4"),
}  # fmt: skip


def coded(data):
    """Start and end of each range of coded pixels in a file."""
    form = sniff(data)
    if form == "jpeg":
        return [(scan.start, scan.end) for scan in jpeg_scans(data)]
    if form == "png":
        return [(at, at + len(content)) for kind, at, content in png_chunks(data) if kind == b"IDAT"]
    if form == "webp":
        kinds = (b"VP8 ", b"VP8L", b"ALPH")
        return [(at, at + len(content)) for kind, at, content in riff_chunks(data) if kind in kinds]
    if form == "tiff":
        header, pages = tiff_pages(data)
        return list(layout(pages[0], header).pieces)
    return [place for item in read_items(data).coded() for place in item.extents]


def emptied(data, start, length):
    """The file with zeros in the place of some bytes."""
    return data[:start] + bytes(length) + data[start + length :]


def holes(data, count, seed=0):
    """Copies of a file with one hole each, at random places and of random lengths, whole sectors among them."""
    rng = random.Random(seed)
    places = [(start, end) for start, end in coded(data) if end - start > 300]
    for _ in range(count):
        start, end = rng.choice(places)
        length = min(rng.choice((256, 300, 512, 1024, 4096, rng.randint(256, 9000))), (end - start) * 3 // 4)
        at = rng.randrange(start, end - length + 1)
        if length % 512 == 0 and at - at % 512 >= start:
            at -= at % 512
        yield emptied(data, at, length)


def read(data):
    """The whole picture, ``(H, W, channels)``, screened and decoded as the program does; or the error's words."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        screen(data, None, MOST_PIXELS)
        picture = decode(data)
    except PictureError as error:
        return str(error)
    return picture.colour if picture.alpha is None else np.dstack([picture.colour, picture.alpha])
