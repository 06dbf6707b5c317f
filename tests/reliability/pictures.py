"""Small real pictures of every format and mode that is shaded, each another content."""

from __future__ import annotations

import io

import numpy as np
import tifffile
from PIL import Image

from tests.publishing.colours import heic
from tests.publishing.isofile import Part, assembled, grid, irot, ispe, part_of, prof
from tests.publishing.samples import (
    ICC_RGB,
    SUBJECTS,
    exif_block,
    exif_with_thumbnail,
    iptc_records,
    saved,
    smooth,
    xmp_packet,
)


def _tiff(array, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, array, metadata=None, **options)
    return out.getvalue()


def _wide_png(seed):
    import imagecodecs

    return imagecodecs.png_encode(smooth(channels=3, kind=np.uint16, seed=seed))


def _palette(seed):
    return Image.fromarray(smooth(seed=seed)).quantize(16)


#: Makers of one picture each, by file name: another seed gives another content.
KINDS = {
    "plain.jpg": lambda seed: saved(smooth(seed=seed), "JPEG", quality=88),
    "described.jpg": lambda seed: saved(
        smooth(seed=seed), "JPEG", quality=80, exif=b"Exif\0\0" + exif_with_thumbnail(), icc_profile=ICC_RGB,
        xmp=xmp_packet(SUBJECTS),
    ),
    "gray progressive.jpeg": lambda seed: saved(smooth(channels=1, seed=seed), "JPEG", progressive=True),
    "plain.png": lambda seed: saved(smooth(seed=seed), "PNG", dpi=(300, 300)),
    "see-through.png": lambda seed: saved(smooth(channels=4, seed=seed), "PNG", exif=exif_block()),
    "palette.png": lambda seed: saved(_palette(seed), "PNG", transparency=3),
    "wide.png": _wide_png,
    "lossy.webp": lambda seed: saved(smooth(seed=seed), "WEBP", exif=exif_block(), icc_profile=ICC_RGB),
    "lossless.webp": lambda seed: saved(smooth(channels=4, seed=seed), "WEBP", lossless=True, exact=True),
    "plain.tif": lambda seed: _tiff(smooth(seed=seed), photometric="rgb", compression="zlib", predictor=True),
    "wide.tiff": lambda seed: _tiff(smooth(kind=np.uint16, seed=seed), photometric="rgb", compression="lzw"),
    "big-endian.tif": lambda seed: _tiff(
        smooth(channels=1, seed=seed), photometric="minisblack", byteorder=">", bigtiff=True,
        extratags=[(700, 1, None, xmp_packet(SUBJECTS), True), (33723, 7, None, iptc_records((2, 25, b"cow")), True)],
    ),
    "plain.avif": lambda seed: saved(smooth(seed=seed), "AVIF", exif=exif_block(), speed=10),
    "see-through.avif": lambda seed: saved(smooth(channels=4, seed=seed), "AVIF", speed=10),
}  # fmt: skip


def _phone(seed):
    """As phones write it: a grid of tiles that is to be turned, with EXIF that says so too, and a thumbnail."""
    array = smooth(64, 128, seed=seed)
    tiles = [part_of(heic(array[:, x : x + 64])) for x in (0, 64)]
    whole = Part(b"grid", grid(1, 2, 120, 60), (ispe(120, 60), irot(3), prof(ICC_RGB)), ((b"dimg", (2, 3)),))
    described = Part(b"Exif", bytes(4) + exif_block(6), (), ((b"cdsc", (1,)),))
    return assembled([whole, *tiles, part_of(heic(array[:48:2, ::2]), refers=[(b"thmb", (1,))]), described])


#: Those that are only read.
READ_ONLY = {
    "plain.heic": lambda seed: heic(smooth(seed=seed), exif=b"Exif\0\0" + exif_block(), xmp=xmp_packet(SUBJECTS)),
    "phone.heic": _phone,
}


def picture(number):
    """The name and the bytes of the ``number``-th picture: kinds take turns, contents never repeat."""
    kind = list(KINDS)[number % len(KINDS)]
    return f"{number:04} {kind}", KINDS[kind](number)
