"""The metadata items of an ISO base media picture (AVIF, HEIC): their bytes as they lie in the file.

Libraries hand them on rewritten: Pillow's AVIF plugin replaces letters of a name that are not ASCII.
(ISO/IEC 14496-12, 8.11; ISO/IEC 23008-12, annex A.2 for the offset before an EXIF block.)
"""

from __future__ import annotations

from collections.abc import Iterator

from shaded.publishing.picture import Kind
from shaded.publishing.walking import Cut, Part, iso_boxes

_XMP = b"application/rdf+xml"
_MOST_ITEMS = 1000
_LARGEST = 32_000_000


class _Fields:
    """Big-endian whole numbers one after the other; reading beyond the end raises ``Cut``."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> int:
        self._at += size
        if self._at > len(self._data):
            raise Cut("a box is cut off")
        return int.from_bytes(self._data[self._at - size : self._at], "big")

    def text(self) -> bytes:
        text = self._data[self._at :].split(b"\0", 1)[0]
        self._at += len(text) + 1
        return text


def metadata_items(data: bytes) -> tuple[list[tuple[Kind, bytes]], bool]:
    """The EXIF and XMP items of a file, in its order, and whether all that it lists could be found."""
    found: list[tuple[Kind, bytes]] = []
    try:
        for item in _items(data):
            found.append(item)  # noqa: PERF402 - what was found before the damage counts
    except Cut:
        return found, False
    return found, all(block for _, block in found)


def without_exif(data: bytes) -> bytes:
    """The file with its EXIF items under a type that nobody reads, for libraries that fail on an odd block."""
    changed = bytearray(data)
    try:
        inner = _meta_boxes(data)
        listed = list(_kinds(data, inner[b"iinf"])) if b"iinf" in inner else []
    except Cut:
        return data
    for _, kind, at in listed:
        if kind == "exif":
            changed[at : at + 4] = b"skip"
    return bytes(changed)


def _meta_boxes(data: bytes) -> dict[bytes, Part]:
    meta = next((part for part in iso_boxes(data) if part.kind == b"meta"), None)
    if meta is None:
        return {}
    return {part.kind: part for part in iso_boxes(data, meta.at + 4, meta.at + len(meta.content))}


def _items(data: bytes) -> Iterator[tuple[Kind, bytes]]:
    inner = _meta_boxes(data)
    if b"iinf" not in inner or b"iloc" not in inner:
        return
    places = _places(inner[b"iloc"].content)
    own = inner[b"idat"].content if b"idat" in inner else b""
    for number, kind, _ in _kinds(data, inner[b"iinf"]):
        construction, extents = places.get(number, (0, []))
        whole = data if construction == 0 else own if construction == 1 else b""
        content = b"".join(whole[at : at + size if size else None] for at, size in extents)[:_LARGEST]
        if kind == "exif" and len(content) > 4:
            offset = 4 + int.from_bytes(content[:4], "big")
            content = content[offset:] if offset < len(content) else content
        yield kind, content


def _kinds(data: bytes, iinf: Part) -> Iterator[tuple[int, Kind, int]]:
    """Number and kind of each metadata item, and where its type stands in the file."""
    wide = iinf.content[:1] != b"\0"
    for part in list(iso_boxes(data, iinf.at + (8 if wide else 6), iinf.at + len(iinf.content)))[:_MOST_ITEMS]:
        fields = _Fields(part.content)
        version = fields.take(4) >> 24
        if part.kind != b"infe" or version < 2:
            continue
        number = fields.take(2 if version == 2 else 4)
        fields.take(2)
        kind = fields.take(4).to_bytes(4, "big")
        fields.text()
        if kind == b"Exif":
            yield number, "exif", part.at + (8 if version == 2 else 10)
        elif kind == b"mime" and fields.text().lower() == _XMP:
            yield number, "xmp", part.at + (8 if version == 2 else 10)


def _places(iloc: bytes) -> dict[int, tuple[int, list[tuple[int, int]]]]:
    """Of each item: how its extents are to be read (0: in the file, 1: in ``idat``), and where they are."""
    fields = _Fields(iloc)
    version = fields.take(4) >> 24
    sizes, more = fields.take(1), fields.take(1)
    offset_size, length_size, base_size, index_size = sizes >> 4, sizes & 15, more >> 4, more & 15
    found: dict[int, tuple[int, list[tuple[int, int]]]] = {}
    for _ in range(min(fields.take(2 if version < 2 else 4), _MOST_ITEMS)):
        number = fields.take(2 if version < 2 else 4)
        construction = fields.take(2) & 15 if version else 0
        fields.take(2)
        base = fields.take(base_size)
        extents = []
        for _ in range(min(fields.take(2), _MOST_ITEMS)):
            if version and index_size:
                fields.take(index_size)
            at = base + fields.take(offset_size)
            extents.append((at, fields.take(length_size)))
        found[number] = (construction, extents)
    return found
