"""How the boxes of an AVIF or HEIC frame its picture: what is cropped away, how it is turned and mirrored.

Each property works on what the ones before it left, in the order in which the item names them. So a crop behind a turn
is one of the turned picture. (ISO/IEC 23008-12, 6.5.9 to 6.5.13; ISO/IEC 14496-12, 12.1.4 for ``clap``.)
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import NamedTuple

from shaded.publishing.boxes import Item, Items

_HALF = Fraction(1, 2)
_CLAP = struct.Struct(">iIiIiIiI")
#: EXIF's numbers (4.6.5.1.6) by where in the stored pixels a step to the right and a step down lead in the shown ones.
_ORIENTATIONS = {
    ((1, 0), (0, 1)): 1, ((-1, 0), (0, 1)): 2, ((-1, 0), (0, -1)): 3, ((1, 0), (0, -1)): 4,
    ((0, 1), (1, 0)): 5, ((0, -1), (1, 0)): 6, ((0, -1), (-1, 0)): 7, ((0, 1), (-1, 0)): 8,
}  # fmt: skip


class Frame(NamedTuple):
    """The part of the stored pixels that is shown, and its orientation, 1 (upright) to 8 as EXIF numbers them."""

    left: int
    top: int
    width: int
    height: int
    orientation: int = 1

    @property
    def part(self) -> tuple[slice, slice]:
        """Rows and columns of the stored pixels."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def crops(self, size: tuple[int, int]) -> bool:
        """Whether it leaves out something of a picture of this width and height."""
        return self[:4] != (0, 0, *size)


class _Shown:
    """What is shown so far: its size, where its first pixel is stored, and where steps right and down lead there."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.width, self.height = size
        self._x = self._y = 0
        self._right, self._down = (1, 0), (0, 1)

    def _stored(self, x: int, y: int) -> tuple[int, int]:
        return (self._x + x * self._right[0] + y * self._down[0], self._y + x * self._right[1] + y * self._down[1])

    def crop(self, content: bytes) -> bool:
        """Apply a clean aperture; whether it leaves anything."""
        if len(content) < _CLAP.size:
            return False
        numbers = _CLAP.unpack_from(content)
        if not all(numbers[1::2]):
            return False
        wide, high, across, along = (Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
        left, right = _span(self.width, wide, across)
        top, bottom = _span(self.height, high, along)
        if left >= right or top >= bottom:
            return False
        self._x, self._y = self._stored(left, top)
        self.width, self.height = right - left, bottom - top
        return True

    def turn(self, quarters: int) -> None:
        """Turn it to the left."""
        for _ in range(quarters):
            self._x, self._y = self._stored(self.width - 1, 0)
            self._right, self._down = self._down, (-self._right[0], -self._right[1])
            self.width, self.height = self.height, self.width

    def mirror(self, axis: int) -> None:
        """Mirror it: 0 exchanges top and bottom, 1 left and right."""
        if axis:
            self._x, self._y = self._stored(self.width - 1, 0)
            self._right = -self._right[0], -self._right[1]
        else:
            self._x, self._y = self._stored(0, self.height - 1)
            self._down = -self._down[0], -self._down[1]

    def frame(self) -> Frame:
        """What that is in the stored pixels."""
        x, y = self._stored(self.width - 1, self.height - 1)
        return Frame(
            min(x, self._x), min(y, self._y), abs(x - self._x) + 1, abs(y - self._y) + 1,
            _ORIENTATIONS[self._right, self._down],
        )  # fmt: skip


def _span(size: int, aperture: Fraction, offset: Fraction) -> tuple[int, int]:
    """The first pixel of an aperture in a row, and the one behind its last, rounded as libheif does.

    The offset is from middle to middle. Nothing is outside of the picture.
    """
    start = math.floor(offset + (size - aperture) / 2 + _HALF)
    return max(0, start), min(size, math.floor(start + aperture + _HALF)) if aperture > 0 else 0


def frame_of(item: Item) -> Frame | None:
    """How the item's own properties frame it; ``None`` where they crop it in a way that is not understood."""
    kinds = [kind for kind, _ in item.properties]
    if b"clap" in kinds and (b"iscl" in kinds or 0 in item.size):
        return None
    shown = _Shown(item.size)
    for kind, content in item.properties:
        if kind == b"clap" and not shown.crop(content):
            return None
        if kind == b"irot":
            shown.turn(content[0] & 3 if content else 0)
        elif kind == b"imir":
            shown.mirror(content[0] & 1 if content else 0)
    frame = shown.frame()
    return frame if b"clap" in kinds else Frame(0, 0, *item.size, frame.orientation)


def framed(items: Items) -> Frame | None:
    """How the shown picture is framed; ``None`` where a crop is not understood.

    Transparency that is cropped must be cropped as its picture is. Where it is not, an AVIF's is cropped with the
    picture, and a HEIC's would be stretched by libheif. Tiles that are cropped themselves are what no program writes.
    """
    if items.shown is None:
        return Frame(0, 0, 0, 0)
    frame = frame_of(items.shown)
    if frame is None:
        return None
    whole_is_well = items.coding() == b"av01" or not frame.crops(items.shown.size)
    for number in items.decoded()[1:]:
        part = items.all.get(number, Item(b""))
        own, alpha = frame_of(part), items.is_alpha(number)
        alike = own is not None and own[:4] == frame[:4] and part.size == items.shown.size
        uncropped = own is not None and not own.crops(part.size)
        if not (uncropped and (whole_is_well or not alpha)) and not (alike and alpha):
            return None
    return frame
