"""WebP through libwebp: without loss where the source was, and colours under full transparency are not touched."""

from __future__ import annotations

import io

import numpy as np
from PIL import WebPImagePlugin

from shaded.publishing.claims import credentials_may_name, may_hold_words, shown
from shaded.publishing.containers.pixels import Planes, as_colour, split
from shaded.publishing.containers.webp_strict import insist_on_whole
from shaded.publishing.exif import block_of
from shaded.publishing.metadata import Carried
from shaded.publishing.picture import Container, Kind, Picture, arranged
from shaded.publishing.walking import riff_chunks

_QUALITY = 90
LONGEST_SIDE = 16383
_XMP = (b"XMP ", b"XMP\0")
_SILENT_CHUNKS = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})


def _may_name(kind: bytes, content: bytes) -> bool:
    """Whether a chunk is not understood and may name somebody."""
    if kind == b"C2PA":
        return credentials_may_name(content)
    read = kind in _XMP or kind.upper() == b"EXIF"
    return not read and kind not in _SILENT_CHUNKS and may_hold_words(content)


def _appended(data: bytes) -> tuple[str, ...]:
    """The metadata chunk that stands behind the file's stated end, where readers do not look."""
    size = int.from_bytes(data[4:8], "little")
    kind = data[8 + size + (size & 1) :][:4].upper()
    return ("chunk behind the end",) if kind in (*_XMP, b"EXIF") else ()


def _named(kind: bytes) -> str:
    return f"chunk {shown(kind.decode('latin-1'))}"


def decode(data: bytes) -> Picture:
    """RGB or RGBA, 8 bits. EXIF and XMP are found also where the header forgot to announce them."""
    chunks = [(kind, content) for kind, _, content in riff_chunks(data)]
    blocks: list[tuple[Kind, bytes]] = [
        ("exif", block_of(content)) for kind, content in chunks if kind.upper() == b"EXIF"
    ]
    blocks += [("xmp", content) for kind, content in chunks if kind in _XMP]
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
            unknown=(*(_named(kind) for kind, content in chunks if _may_name(kind, content)), *_appended(data)),
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
