"""How a viewer turns a picture: the one decision in the program.

A container's own boxes come first (AVIF's ``irot`` and ``imir`` make EXIF's word void: ISO/IEC 23008-12, 6.5.10), then
EXIF, then XMP's ``tiff:Orientation``. Whoever says it in the source, the published file says it where most viewers
look: in an AVIF's boxes, and in the EXIF data of the others.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from shaded.publishing import exif, xmp
from shaded.publishing.picture import Container, Picture


class Turn(NamedTuple):
    """An orientation, 1 (upright) to 8 as EXIF numbers them (4.6.5.1.6), and whether all that counts was understood."""

    orientation: int
    understood: bool = True


def turn_of(container: Container) -> Turn:
    """What a decoded file says, wherever it says it. What cannot be read says nothing."""
    if container.orientation is not None:
        return Turn(container.orientation)
    understood = True
    for block in blocks(container, "exif"):
        with suppress(ValueError):
            tree = exif.parse(exif.block_of(block))
            if tree.orientation is not None:
                return Turn(tree.orientation, understood)
            understood = understood and not tree.states_orientation
    for packet in blocks(container, "xmp"):
        with suppress(xmp.BadPacket):
            stated = xmp.orientation(xmp.parse(packet))
            if stated is not None:
                return Turn(stated, understood)
    return Turn(1, understood)


def orientation_of(picture: Picture) -> int:
    """How a viewer turns the picture: 1 (not at all) to 8."""
    return turn_of(picture.container).orientation


def blocks(container: Container, kind: str) -> list[bytes]:
    """The blocks of a kind (``exif``, ``iptc``, ``xmp``), the container's own first."""
    own = {"exif": container.exif, "iptc": container.iptc, "xmp": container.xmp}[kind]
    return [block for block in (own, *(more for other, more in container.further if other == kind)) if block]
