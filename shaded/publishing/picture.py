"""A decoded picture: its colour values as they are in the file, and the container to put them back into."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shaded.publishing.colour import Colour
from shaded.publishing.formats import Format

__all__ = ["Container", "Format", "Kind", "Picture", "Pixels", "arranged"]

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Kind = Literal["exif", "iptc", "xmp"]


@dataclass(frozen=True)
class Container:
    """Everything about a file that is not its pixels.

    Attributes:
        format: The container, from the content and not from the name.
        mode: The stored mode in Pillow's words, such as ``RGB``, ``P``, ``1`` or ``LA``; 16-bit modes are ``I;16``,
            ``LA;16``, ``RGB;16`` and ``RGBA;16``.
        icc: The ICC profile's bytes; shading happens in the picture's own colour values, so it stays true.
        exif: The EXIF block from its TIFF header on (orientation included; pixels are never turned).
        xmp: The XMP packet.
        iptc: The IPTC-IIM records (of a JPEG's APP13 or a TIFF's tag 33723).
        further: More blocks of these kinds, which count where the first says nothing: a second EXIF segment, a JPEG's
            extended XMP, what programs store in a PNG's texts or a Photoshop block.
        texts: A PNG's texts, and further comments of a JPEG: keyword and text of each.
        comment: A JPEG's comment, the last of several; those before it are among the texts.
        unreadable: What of the metadata was there and could not be read, by name.
        unknown: What was there, is not understood and may name somebody, by name.
        orientation: How a viewer turns the picture where the container itself says so (AVIF, HEIC), 1 to 8; where it is
            ``None`` EXIF and XMP decide. Everybody asks :func:`shaded.publishing.orientation.orientation_of`.
        reframed: Whether decoding cropped the pixels, or turned them: what counts the pixels of the camera's picture is
            true no more.
        full_size: Width and height before the picture was reduced, where it was.
        dpi: Dots per inch, horizontal and vertical.
        jpeg_tables: A JPEG's quantisation tables, one per component in their order.
        jpeg_subsampling: A JPEG's chroma subsampling as Pillow numbers it: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0.
        jpeg_progressive: Whether a JPEG was stored in several scans.
        jpeg_rgb: Whether a JPEG stores red, green and blue instead of luminance and chroma.
        lossless: Whether a WebP was stored without loss.
        png_chunks: A PNG's chunks on colour that are written back as they are.
        tiff_compression: A TIFF's compression scheme and predictor, by their TIFF numbers.
        colour: The colour space where it is stated in another way than by a profile, and counts before one; ``None``
            where the file says nothing, or its profile counts.
        warnings: What decoding could not keep, in sentences for a person.
    """

    format: Format
    mode: str
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    further: tuple[tuple[Kind, bytes], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    comment: bytes | None = None
    unreadable: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    orientation: int | None = None
    reframed: bool = False
    full_size: tuple[int, int] | None = None
    dpi: tuple[float, float] | None = None
    jpeg_tables: tuple[tuple[int, ...], ...] | None = None
    jpeg_subsampling: int | None = None
    jpeg_progressive: bool = False
    jpeg_rgb: bool = False
    lossless: bool = False
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    tiff_compression: tuple[int, int] | None = None
    colour: Colour | None = None
    warnings: tuple[str, ...] = ()


def arranged(found: Iterable[tuple[Kind, bytes]]) -> dict[str, Any]:
    """Metadata blocks as the container's fields: the first of each kind, and ``further`` ones. Empty ones are none."""
    first: dict[str, bytes] = {}
    further: list[tuple[Kind, bytes]] = []
    for kind, block in found:
        if block and kind in first:
            further.append((kind, block))
        elif block:
            first[kind] = block
    return {**first, "further": tuple(further)}


@dataclass(frozen=True)
class Picture:
    """Colour and transparency in the file's own values.

    Attributes:
        colour: ``(H, W, 3)`` for colour, ``(H, W, 1)`` for gray; ``uint8`` 0..255 or ``uint16`` 0..65535.
        alpha: ``(H, W)`` of the same type, or ``None`` for an opaque picture.
        container: What the file carries besides.
    """

    colour: Pixels
    alpha: Pixels | None
    container: Container

    @property
    def is_gray(self) -> bool:
        """Whether there is one channel of colour only."""
        return bool(self.colour.shape[2] == 1)

    @property
    def peak(self) -> int:
        """The value of full white: 255 or 65535."""
        return int(np.iinfo(self.colour.dtype).max)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as stored (before any EXIF orientation)."""
        return int(self.colour.shape[1]), int(self.colour.shape[0])
