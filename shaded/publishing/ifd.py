"""Reading and writing TIFF directories: the structure of a TIFF file, and of an EXIF block inside any other file.

Entries keep their value as raw bytes in the block's own byte order, so that copying a tag can never change it.
(TIFF revision 6.0, section 2; BigTIFF for files over 4 GB is read as well.)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

ByteOrder = Literal["<", ">"]

#: Bytes of one value per TIFF type; 0 for unknown types, whose entries are skipped. 129: UTF-8 (EXIF 3.0, 4.6.2).
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1,
}  # fmt: skip
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_RATIONAL_CODES = {5: "I", 10: "i"}
_REAL_CODES = {11: "f", 12: "d"}
_MOST_ENTRIES = 4096
#: Values may share bytes, but a small file must not fill the memory: all together are at most so often its size.
_MOST_TIMES = 2


@dataclass(frozen=True)
class Entry:
    """One tag: its TIFF type, how many values, and their bytes in the block's byte order."""

    type: int
    count: int
    raw: bytes

    def integers(self, order: ByteOrder) -> tuple[int, ...]:
        """The values as whole numbers; empty when the type holds none."""
        code = _CODES.get(self.type)
        return () if code is None else struct.unpack(f"{order}{self.count}{code}", self.raw)

    def numbers(self, order: ByteOrder) -> tuple[float, ...]:
        """The values as numbers, fractions divided out (``nan`` where that is impossible); empty for no numbers."""
        if self.type in _REAL_CODES:
            return struct.unpack(f"{order}{self.count}{_REAL_CODES[self.type]}", self.raw)
        if self.type not in _RATIONAL_CODES:
            return self.integers(order)
        halves = struct.unpack(f"{order}{2 * self.count}{_RATIONAL_CODES[self.type]}", self.raw)
        return tuple(
            top / bottom if bottom else math.nan for top, bottom in zip(halves[::2], halves[1::2], strict=True)
        )


@dataclass(frozen=True)
class Header:
    """Byte order, where the first directory is, and whether it is BigTIFF."""

    order: ByteOrder
    first: int
    big: bool


@dataclass(frozen=True)
class Directory:
    """The entries of one directory by tag, where the next one is (0: none), and the tags that could not be read.

    ``cut`` says that the data end inside of it, or that some of it holds only zeros. ``places`` are where values begin
    in the data, and ``outside`` the tags whose values would lie behind their end.
    """

    entries: Mapping[int, Entry] = field(default_factory=dict)
    following: int = 0
    lost: frozenset[int] = frozenset()
    cut: bool = False
    places: Mapping[int, int] = field(default_factory=dict)
    outside: frozenset[int] = frozenset()

    def number(self, tag: int, order: ByteOrder, default: int = 0) -> int:
        """The first whole number of a tag."""
        entry = self.entries.get(tag)
        values = entry.integers(order) if entry is not None else ()
        return values[0] if values else default


def read_header(data: bytes) -> Header:
    """The first bytes of a TIFF block. A magic number in the other byte order is forgiven, as other readers do.

    Raises:
        ValueError: It is not one.
    """
    order: ByteOrder
    mark = data[:2].upper()
    if mark == b"II":
        order = "<"
    elif mark == b"MM":
        order = ">"
    else:
        raise ValueError("not a TIFF block")
    if len(data) < 8:
        raise ValueError("the TIFF block is cut off")
    magic = max(data[2:4]) if 0 in data[2:4] else 0
    if magic == 42:
        return Header(order, struct.unpack(f"{order}I", data[4:8])[0], big=False)
    if magic == 43 and len(data) >= 16:
        return Header(order, struct.unpack(f"{order}Q", data[8:16])[0], big=True)
    raise ValueError("not a TIFF block")


def read_directory(data: bytes, at: int, header: Header, *, forgiving: bool = False) -> Directory:
    """The directory at an offset. Entries of unknown type, or whose value lies outside the data, are left out.

    Args:
        data: The whole block.
        at: Where the directory begins.
        header: The block's.
        forgiving: Read the entries that are there where the data end inside of the directory.

    Raises:
        ValueError: The directory itself lies outside the data or is absurdly large, or its values overlap.
    """
    order = header.order
    count_code, size, inline, offset_code = ("Q", 20, 8, "Q") if header.big else ("H", 12, 4, "I")
    lead = struct.calcsize(count_code)
    if at < 8 or at + lead > len(data):
        raise ValueError("a directory lies outside the file")
    count = struct.unpack_from(f"{order}{count_code}", data, at)[0]
    end = at + lead + count * size
    cut = end > len(data)
    if forgiving and cut:
        end -= -(-(end - len(data)) // size) * size
    if count > _MOST_ENTRIES or end > len(data):
        raise ValueError("a directory is cut off")
    found = _read_entries(data, range(at + lead, end, size), size, inline, header)
    following = 0
    if end + inline <= len(data):
        following = struct.unpack_from(f"{order}{offset_code}", data, end)[0]
    emptied = end + size <= len(data) and not any(data[at : end + size]) and not count
    return replace(found, following=following, cut=found.cut or cut or emptied)


def _read_entries(data: bytes, spots: range, size: int, inline: int, header: Header) -> Directory:
    """The entries that begin at some places, of so many bytes, the last ``inline`` of which are a value or its place.

    Raises:
        ValueError: Their values overlap.
    """
    order, offset_code = header.order, "Q" if header.big else "I"
    entries: dict[int, Entry] = {}
    places: dict[int, int] = {}
    lost: set[int] = set()
    outside: set[int] = set()
    emptied = False
    left = _MOST_TIMES * len(data)
    for place in spots:
        tag, kind, values = struct.unpack_from(f"{order}HH{offset_code}", data, place)
        length = _SIZES.get(kind, 0) * values
        start = place + size - inline
        if length > inline:
            start = struct.unpack_from(f"{order}{offset_code}", data, start)[0]
        if length and start + length <= len(data) and tag not in entries:
            left -= length
            if left < 0:
                raise ValueError("the values of a directory overlap")
            entries[tag] = Entry(kind, values, data[start : start + length])
            places[tag] = start
        elif values and tag not in entries:
            lost.add(tag)
            outside.update((tag,) if length else ())
        emptied = emptied or not any(data[place : place + size])
    known = entries.keys()
    return Directory(entries, 0, frozenset(lost - known), emptied, places, frozenset(outside - known))


def write_directory(entries: Mapping[int, Entry], at: int, order: ByteOrder) -> bytes:
    """A classic directory that is to stand at an (even) offset, followed by its longer values; no next directory."""
    head = bytearray(struct.pack(f"{order}H", len(entries)))
    tail = bytearray()
    place = at + 2 + 12 * len(entries) + 4
    for tag in sorted(entries):
        entry = entries[tag]
        head += struct.pack(f"{order}HHI", tag, entry.type, entry.count)
        if len(entry.raw) <= 4:
            head += entry.raw.ljust(4, b"\0")
        else:
            head += struct.pack(f"{order}I", place + len(tail))
            tail += entry.raw + b"\0" * (len(entry.raw) & 1)
    return bytes(head + b"\0\0\0\0" + tail)
