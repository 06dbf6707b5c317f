"""WebP through libwebp: without loss where the source was, and colours under full transparency are not touched."""

from __future__ import annotations

import io

import numpy as np
from PIL import WebPImagePlugin

from shaded.publishing.containers.pixels import Planes, as_colour, split
from shaded.publishing.containers.webp_strict import insist_on_whole
from shaded.publishing.exif import block_of
from shaded.publishing.metadata import Carried
from shaded.publishing.picture import Container, Kind, Picture, arranged
from shaded.publishing.walking import riff_chunks

_QUALITY = 90
LONGEST_SIDE = 16383


def decode(data: bytes) -> Picture:
    """RGB or RGBA, 8 bits. EXIF and XMP are found also where the header forgot to announce them."""
    chunks = [(kind, content) for kind, _, content in riff_chunks(data)]
    blocks: list[tuple[Kind, bytes]] = [
        ("exif", block_of(content)) for kind, content in chunks if kind.upper() == b"EXIF"
    ]
    blocks += [("xmp", content) for kind, content in chunks if kind in (b"XMP ", b"XMP\0")]
    with WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as image:
        image.load()
        pixels = np.array(image)
        insist_on_whole(data, pixels)
        colour, alpha = split(pixels)
        container = Container(
            "webp",
            image.mode,
            icc=next((content for kind, content in chunks if kind == b"ICCP" and content), None),  # announced or not
            **arranged(blocks),
            lossless=any(kind == b"VP8L" for kind, _ in chunks),
        )
    return Picture(colour, alpha, container)


def encode(planes: Planes, source: Container, carried: Carried, quality: int | None) -> bytes:
    """8 bits, with or without alpha (which is always stored without loss).

    From a WebP or a lossless source without ``quality``, the same kind; a lossy one has quality 90, and 100 means
    without loss, since lossy WebP always halves chroma.
    """
    out = io.BytesIO()
    lossless = quality == 100 or (source.lossless and quality is None)
    as_colour(planes).image().save(
        out, "WEBP", lossless=lossless, quality=100 if lossless else quality or _QUALITY, method=4, exact=True,
        icc_profile=carried.icc, exif=carried.exif_block or b"", xmp=carried.xmp or b"",
    )  # fmt: skip
    return out.getvalue()
