"""AVIF through libavif: 8 bits, full chroma, alpha without loss, and the source's colour description.

What its boxes crop away (``clap``) is cropped when it is decoded, and no such box is written again. libavif leaves that
to whoever shows the picture, with the turning and mirroring, which stay an orientation.

Files with 10 or 12 bits come out with 8, which a warning says.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import AvifImagePlugin, Image

from shaded.errors import Refusal
from shaded.publishing.colour import Colour
from shaded.publishing.containers.pixels import Planes, split
from shaded.publishing.exif import Exif, build
from shaded.publishing.exif_tags import ORIENTATION
from shaded.publishing.formats import brands
from shaded.publishing.items import metadata_items, unknown_parts, without_exif
from shaded.publishing.metadata import Carried
from shaded.publishing.picture import Container, Picture, arranged
from shaded.publishing.remarks import UNKNOWN_CROP
from shaded.publishing.stills import still_facts

_QUALITY = 85
#: libavif reads no file without one of these, whatever is in it; libheif does, and writes some.
_BRANDS = frozenset({b"avif", b"avis"})
_COLOUR_BOX = b"colrnclx"


def decode(data: bytes) -> Picture:
    """L, LA, RGB or RGBA, 8 bits; only what the boxes show.

    Raises:
        Refusal: It is cropped in a way that is not understood.
    """
    facts = still_facts(data)
    if facts.frame is None:
        raise Refusal(UNKNOWN_CROP[0], remedy=UNKNOWN_CROP[1])
    items, whole = metadata_items(data)
    named = data if _BRANDS.intersection(brands(data)) else data[:8] + b"avif" + data[12:]
    with AvifImagePlugin.AvifImageFile(io.BytesIO(without_exif(named))) as image:
        if image.width * image.height > facts.width * facts.height or (
            facts.is_cropped and image.size != (facts.width, facts.height)
        ):
            raise ValueError("its parts disagree on its size")
        image.load()
        colour, alpha = split(np.ascontiguousarray(np.array(image)[facts.frame.part]))
        icc = image.info.get("icc_profile")
        container = Container(
            "avif",
            image.mode,
            icc=icc,
            colour=None if icc else facts.colour,
            **arranged(items),
            unreadable=() if whole else ("metadata items",),
            unknown=unknown_parts(data),
            reframed=facts.is_cropped,
            orientation=facts.frame.orientation,
            warnings=facts.remarks,
        )
    return Picture(colour, alpha, container)


class _Block(Image.Exif):
    """A block that Pillow writes as it is, once it has taken the orientation for ``irot`` and ``imir`` from it."""

    def __init__(self, tree: Exif | None) -> None:
        super().__init__()
        main = {} if tree is None else {tag: entry for tag, entry in tree.main.items() if tag != ORIENTATION}
        self._written = None if tree is None else build(replace(tree, main=main))
        if tree is not None and tree.orientation is not None:
            self[ORIENTATION] = tree.orientation

    def __bool__(self) -> bool:
        return True

    def tobytes(self, offset: int = 8) -> bytes:  # noqa: ARG002 - Pillow's own signature
        return self._written or b""


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
        icc_profile=carried.icc, exif=_Block(carried.exif), xmp=carried.xmp or b"", **options,
    )  # fmt: skip
    data = out.getvalue()
    colour = source.colour if carried.icc is None else None
    if colour is None or colour.is_srgb or not colour.is_numbered:
        return data
    return _with_colour(data, colour)
