"""Walking the parts of a file without decoding pixels: JPEG segments, PNG and RIFF chunks, ISO boxes.

Pure Python over ``bytes``; nothing is allocated by what a length field claims, and a part that reaches beyond the file
ends the walk (:class:`Cut`), so that a truncated or hostile file costs no more than its size.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: A marker in coded data that is neither a stuffed zero, a fill byte nor a restart.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])", re.DOTALL)
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})


class Cut(ValueError):  # noqa: N818 - says what happened to the file
    """The file ends inside a part, or a part is not where it must be."""


class Part(NamedTuple):
    """One part: its kind, where its content begins in the file, and the content."""

    kind: bytes
    at: int
    content: bytes


def jpeg_segments(data: bytes) -> Iterator[Part]:
    """Marker segments up to and with the first start of scan; ``kind`` is the one-byte marker code (JPEG, B.1.1)."""
    at = 2
    while True:
        if at + 2 > len(data) or data[at] != 0xFF:
            raise Cut("a marker is missing")
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes may precede a marker
            at += 1
            continue
        at += 2
        if marker in _STANDALONE:
            continue
        if marker == 0xD9:
            raise Cut("the picture ends before it begins")
        if at + 2 > len(data):
            raise Cut("a segment is cut off")
        size = int.from_bytes(data[at : at + 2], "big")
        if size < 2 or at + size > len(data):
            raise Cut("a segment is cut off")
        yield Part(bytes([marker]), at + 2, data[at + 2 : at + size])
        if marker == 0xDA:
            return
        at += size


def jpeg_scans(data: bytes) -> int:
    """How many scans a JPEG has before its end mark; what follows that (a phone's film, say) is no part of it.

    In coded data a byte 0xFF is followed by 0 or a restart marker (JPEG, B.1.1.5); any other marker ends the scan.
    """
    scans, at = 0, next((part.at - 4 for part in jpeg_segments(data) if part.kind == b"\xda"), len(data))
    while (found := _MARKER.search(data, at)) is not None and found[1] != b"\xd9":
        scans += found[1] == b"\xda"
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return scans


def png_chunks(data: bytes) -> Iterator[Part]:
    """The chunks of a PNG up to ``IEND``; what follows it is not part of the picture (PNG, 5.3)."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if at + 12 + size > len(data):
            break
        yield Part(kind, at + 8, data[at + 8 : at + 8 + size])
        if kind == b"IEND":
            return
        at += 12 + size
    raise Cut("the file ends before its end mark")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk with its length and check sum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def riff_chunks(data: bytes) -> Iterator[Part]:
    """The chunks of a RIFF file within its stated size (WebP container, "RIFF file format")."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) + 1:
        raise Cut("the file is shorter than it says")
    at = 12
    while at + 8 <= min(end, len(data)):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > len(data):
            raise Cut("a chunk is cut off")
        yield Part(data[at : at + 4], at + 8, data[at + 8 : at + 8 + size])
        at += 8 + size + (size & 1)


def iso_places(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box between two places, without a copy (ISO/IEC 14496-12, 4.2)."""
    stop = len(data) if end is None else end
    at = start
    while at + 8 <= stop:
        size = int.from_bytes(data[at : at + 4], "big")
        head = 8
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
            head = 16
        elif size == 0:
            size = stop - at
        if size < head or at + size > stop:
            raise Cut("a box is cut off")
        yield data[at + 4 : at + 8], at + head, at + size
        at += size


def iso_boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Part]:
    """The same boxes with their content."""
    for kind, first, last in iso_places(data, start, end):
        yield Part(kind, first, data[first:last])
