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
#: The next marker: fill bytes, and markers that stand alone, may come first.
_NEXT_MARKER = re.compile(rb"(?:\xff++[\x01\xd0-\xd7])*+\xff++([^\x01\xd0-\xd7\xff])", re.DOTALL)
_START, _END, _SCAN = b"\xd8", b"\xd9", b"\xda"


class Cut(ValueError):  # noqa: N818 - says what happened to the file
    """The file ends inside a part, or a part is not where it must be."""


class Part(NamedTuple):
    """One part: its kind, where its content begins in the file, and the content."""

    kind: bytes
    at: int
    content: bytes


def _jpeg_segment(data: bytes, at: int) -> tuple[Part, int]:
    """The marker segment that begins at a place, and where the next one begins. An end mark has no content."""
    found = _NEXT_MARKER.match(data, at)
    if found is None:
        raise Cut("a marker is missing")
    kind, at = found[1], found.end()
    if kind == _END:
        return Part(kind, at, b""), at
    if kind == _START:
        raise Cut("another picture begins before this one ends")
    size = int.from_bytes(data[at : at + 2], "big")
    if size < 2 or at + size > len(data):
        raise Cut("a segment is cut off")
    return Part(kind, at + 2, data[at + 2 : at + size]), at + size


def jpeg_segments(data: bytes) -> Iterator[Part]:
    """Marker segments up to and with the first start of scan; ``kind`` is the one-byte marker code (JPEG, B.1.1)."""
    at = 2
    while True:
        part, at = _jpeg_segment(data, at)
        if part.kind == _END:
            raise Cut("the picture ends before it begins")
        yield part
        if part.kind == _SCAN:
            return


def jpeg_parts(data: bytes) -> Iterator[Part]:
    """All marker segments up to and with the end mark, those between and behind the scans as well.

    Raises:
        Cut: There is no end mark.
    """
    at = 2
    while True:
        part, at = _jpeg_segment(data, at)
        yield part
        if part.kind == _END:
            return
        if part.kind == _SCAN:
            found = _MARKER.search(data, at)
            if found is None:
                raise Cut("the file ends before its end mark")
            at = found.start()


class Scan(NamedTuple):
    """One scan of a JPEG.

    Attributes:
        header: The content of its start-of-scan segment.
        start: Where its coded data begin in the file.
        end: Where they end.
        ahead: The segments since the scan before.
    """

    header: bytes
    start: int
    end: int
    ahead: tuple[Part, ...]


def jpeg_scans(data: bytes) -> Iterator[Scan]:
    """The scans of a JPEG up to its end mark; what follows that (a phone's film, say) is no part of it.

    In coded data a byte 0xFF is followed by 0 or a restart marker (JPEG, B.1.1.5); any other marker ends the scan.

    Raises:
        Cut: There is no end mark.
    """
    ahead: list[Part] = []
    at = 2
    while True:
        part, at = _jpeg_segment(data, at)
        if part.kind == _END:
            return
        if part.kind != _SCAN:
            ahead.append(part)
            continue
        found = _MARKER.search(data, at)
        if found is None:
            raise Cut("the file ends before its end mark")
        yield Scan(part.content, at, found.start(), tuple(ahead))
        ahead, at = [], found.start()


def png_chunks(data: bytes) -> Iterator[Part]:
    """The chunks of a PNG up to ``IEND``; what follows it is not part of the picture (PNG, 5.3)."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if at + 12 + size > len(data) or not kind.isalpha():
            break
        yield Part(kind, at + 8, data[at + 8 : at + 8 + size])
        if kind == b"IEND":
            return
        at += 12 + size
    raise Cut("the file ends before its end mark")


def png_is_sound(data: bytes, chunk: Part) -> bool:
    """Whether a chunk's check sum fits."""
    end = chunk.at + len(chunk.content)
    return zlib.crc32(chunk.content, zlib.crc32(chunk.kind)) == int.from_bytes(data[end : end + 4], "big")


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
        if data[at : at + 4] == b"\0\0\0\0":
            raise Cut("a chunk has no name")
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
