r"""EXIF blocks: what of them is published.

A block is built anew from the entries that are kept, so that nothing unreferenced can hide in it. Always left out: the
thumbnail directory and every other stored preview (an unshaded copy of the picture) and the maker note, which holds
previews, serial numbers and absolute offsets. Left out by default: the place (GPS).
(CIPA DC-008 "Exif 2.32", 4.6; block: from the TIFF header on, without a JPEG's ``Exif\0\0``.)
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shaded.publishing.embedded import holds_picture
from shaded.publishing.ifd import ByteOrder, Directory, Entry, Header, read_directory, read_header, write_directory

ORIENTATION = 274
_EXIF, _GPS, _INTEROPERABILITY = 34665, 34853, 40965
_RESOLUTION = (282, 283, 296)
_PER_UNIT = {2: 1.0, 3: 2.54}
#: Tags of the file's structure, of previews, and of metadata that has its own place. 50706 on: camera raw (DNG).
_STRUCTURE = frozenset({
    254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292, 293, 301,
    317, 318, 319, 320, 322, 323, 324, 325, 330, 332, 334, 338, 339, 340, 341, 347, 512, 513, 514, 515, 517, 518, 519,
    520, 521, 529, 530, 532, 559, 700, 33723, 34377, 34675, 37724, _EXIF, _GPS, _INTEROPERABILITY,
})  # fmt: skip
_MAKER_NOTE = 37500
_LONGEST = 60_000


@dataclass(frozen=True)
class Exif:
    """The directories of a block that can be published, and its byte order."""

    order: ByteOrder
    main: Mapping[int, Entry] = field(default_factory=dict)
    photo: Mapping[int, Entry] = field(default_factory=dict)
    gps: Mapping[int, Entry] = field(default_factory=dict)
    interoperability: Mapping[int, Entry] = field(default_factory=dict)

    @property
    def orientation(self) -> int:
        """How a viewer turns the picture: 1 (not at all) to 8."""
        value = Directory(self.main).number(ORIENTATION, self.order, 1)
        return value if 1 <= value <= 8 else 1

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Dots per inch by the resolution tags."""
        across, down, unit = (self.main.get(tag) for tag in _RESOLUTION)
        scale = _PER_UNIT.get(unit.integers(self.order)[0] if unit and unit.type == 3 else 2)
        if across is None or down is None or across.type != 5 or down.type != 5 or scale is None:
            return None
        found = [
            top / bottom * scale if bottom else 0.0
            for top, bottom in (struct.unpack(f"{self.order}II", entry.raw[:8]) for entry in (across, down))
        ]
        return (found[0], found[1]) if min(found) > 0 else None

    def text(self, tag: int) -> str:
        """A text tag of the main directory, such as 315 (artist) or 33432 (copyright); empty when it is absent."""
        entry = self.main.get(tag)
        return entry.text() if entry is not None and entry.type == 2 else ""


def _kept(directory: Directory) -> dict[int, Entry]:
    return {
        tag: entry
        for tag, entry in directory.entries.items()
        if tag not in _STRUCTURE and tag != _MAKER_NOTE and not 50706 <= tag <= 52600
        and len(entry.raw) <= _LONGEST and not holds_picture(entry.raw)
    }  # fmt: skip


def _pointed(data: bytes, directory: Directory, tag: int, header: Header) -> Directory:
    at = directory.number(tag, header.order)
    if not at:
        return Directory()
    try:
        return read_directory(data, at, header)
    except ValueError:
        return Directory()


def read_tree(data: bytes, main: Directory, header: Header) -> Exif:
    """Everything publishable that hangs on a main directory (a TIFF's page, or the first of an EXIF block)."""
    photo = _pointed(data, main, _EXIF, header)
    return Exif(
        header.order,
        _kept(main),
        _kept(photo),
        _kept(_pointed(data, main, _GPS, header)),
        _kept(_pointed(data, photo, _INTEROPERABILITY, header)),
    )


def parse(block: bytes) -> Exif:
    """Read a block.

    Raises:
        ValueError: It is damaged.
    """
    header = read_header(block)
    return read_tree(block, read_directory(block, header.first, header), header)


def _pointer(order: ByteOrder, at: int) -> Entry:
    return Entry(4, 1, struct.pack(f"{order}I", at))


def write_tree(exif: Exif, at: int) -> tuple[bytes, dict[int, Entry]]:
    """The directories that hang on the main one, to stand at an even offset, and the pointers that lead to them."""
    out = bytearray()
    pointers: dict[int, Entry] = {}
    photo = dict(exif.photo)
    if exif.interoperability:
        photo[_INTEROPERABILITY] = _pointer(exif.order, at)
        out += write_directory(exif.interoperability, at, exif.order)
    if photo:
        pointers[_EXIF] = _pointer(exif.order, at + len(out))
        out += write_directory(photo, at + len(out), exif.order)
    if exif.gps:
        pointers[_GPS] = _pointer(exif.order, at + len(out))
        out += write_directory(exif.gps, at + len(out), exif.order)
    return bytes(out), pointers


def build(exif: Exif) -> bytes | None:
    """A block of a tree, or ``None`` when there is nothing in it."""
    pointers = write_tree(exif, 0)[1]
    main = {**exif.main, **pointers}
    if not main:
        return None
    start = 8 + len(write_directory(main, 8, exif.order))
    branches, pointers = write_tree(exif, start)
    mark = b"II*\0" if exif.order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{exif.order}I", 8)
    return head + write_directory({**main, **pointers}, 8, exif.order) + branches


def publishable(exif: Exif, *, keep: bool, gps: bool) -> Exif:
    """What of a tree is published.

    Args:
        exif: The source's.
        keep: Keep it at all; without it only the orientation stays, since pixels are never turned.
        gps: Keep the place as well.
    """
    if not keep:
        turned = exif.orientation != 1
        return Exif(exif.order, {ORIENTATION: exif.main[ORIENTATION]} if turned else {})
    return exif if gps else replace(exif, gps={})
