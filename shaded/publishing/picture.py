"""A decoded picture: its colour values as they are in the file, and the container to put them back into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Format = Literal["jpeg", "png", "webp", "tiff", "avif"]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Container:
    """Everything about a file that is not its pixels.

    Attributes:
        format: The container, from the content and not from the name.
        mode: Pillow's name of the stored mode, such as ``RGB``, ``P``, ``I;16`` or ``LA``.
        icc: The ICC profile's bytes; shading happens in the picture's own colour values, so it stays true.
        exif: The EXIF block as Pillow gives it (orientation included; pixels are never turned).
        xmp: The XMP packet.
        dpi: Dots per inch, horizontal and vertical.
        jpeg_tables: A JPEG's quantisation tables, and its chroma subsampling as Pillow numbers it (0 is 4:4:4).
        lossless: Whether a WebP or AVIF was stored without loss.
        extra: What else the same format can carry back (PNG text, TIFF compression, ...), by name.
    """

    format: Format
    mode: str
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    jpeg_tables: tuple[tuple[int, ...], ...] | None = None
    jpeg_subsampling: int | None = None
    lossless: bool = False
    extra: dict[str, object] = field(default_factory=dict)


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
