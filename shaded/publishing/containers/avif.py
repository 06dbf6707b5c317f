"""AVIF through libavif: 8 bits, full chroma, alpha without loss, and the source's colour description.

Files with 10 or 12 bits come out with 8, which a warning says.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import AvifImagePlugin

from shaded.publishing.colour import Colour
from shaded.publishing.containers.pixels import Planes, split
from shaded.publishing.formats import brands
from shaded.publishing.metadata import Carried
from shaded.publishing.picture import Container, Picture
from shaded.publishing.stills import still_facts

_QUALITY = 85
_EXIF = b"Exif\0\0"
#: libavif reads no file without one of these, whatever is in it; libheif does, and writes some.
_BRANDS = frozenset({b"avif", b"avis"})
_COLOUR_BOX = b"colrnclx"


def decode(data: bytes) -> Picture:
    """L, LA, RGB or RGBA, 8 bits."""
    facts = still_facts(data)
    named = data if _BRANDS.intersection(brands(data)) else data[:8] + b"avif" + data[12:]
    with AvifImagePlugin.AvifImageFile(io.BytesIO(named)) as image:
        if image.width * image.height > facts.width * facts.height:
            raise ValueError("its parts disagree on its size")
        image.load()
        colour, alpha = split(np.array(image))
        icc = image.info.get("icc_profile")
        exif = image.info.get("exif")
        container = Container(
            "avif",
            image.mode,
            icc=icc,
            colour=None if icc else facts.colour,
            exif=exif.removeprefix(_EXIF) if exif else None,
            xmp=image.info.get("xmp"),
            warnings=facts.remarks,
        )
    return Picture(colour, alpha, container)


def _with_colour(data: bytes, colour: Colour) -> bytes:
    """Put primaries and transfer into the colour box, which counts before the coded stream's own (ISO/IEC 23000-22)."""
    at = data.find(_COLOUR_BOX)
    if at < 0:
        return data
    at += len(_COLOUR_BOX)
    return data[:at] + colour.primaries.to_bytes(2, "big") + colour.transfer.to_bytes(2, "big") + data[at + 4 :]


def encode(planes: Planes, source: Container, carried: Carried, quality: int | None) -> bytes:
    """8 bits, gray or RGB, with or without alpha."""
    out = io.BytesIO()
    options: dict[str, object] = {} if planes.channels == 1 else {"subsampling": "4:4:4"}
    planes.image().save(
        out, "AVIF", quality=quality or _QUALITY, speed=6, codec="aom", advanced={"a:lossless": "1"},
        icc_profile=carried.icc, exif=carried.exif_block or b"", xmp=carried.xmp or b"", **options,
    )  # fmt: skip
    data = out.getvalue()
    colour = source.colour if carried.icc is None else None
    if colour is None or colour.is_srgb or not colour.is_numbered:
        return data
    return _with_colour(data, colour)
