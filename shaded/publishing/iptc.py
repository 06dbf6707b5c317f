"""IPTC-IIM records and the Photoshop resource block that carries them in a JPEG.

Only the descriptive records are published: the preview (datasets 2:200 to 2:202), the object data (records 7 to 9) and
all other Photoshop resources, thumbnails among them, are left out.
(IPTC-IIM 4.2; Photoshop File Formats, "Image Resources".)
"""

from __future__ import annotations

from collections.abc import Iterator

_RESOURCE = b"8BIM"
_IPTC_RESOURCE = 0x0404
_APP13 = b"Photoshop 3.0\0"
_PREVIEW = range(200, 203)
OBJECT_NAME, KEYWORDS, BYLINE, COPYRIGHT = 5, 25, 80, 116


def resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    """The resources of a Photoshop block (without its ``Photoshop 3.0`` heading): number and content."""
    at = 0
    while block[at : at + 4] == _RESOURCE and at + 12 <= len(block):
        number = int.from_bytes(block[at + 4 : at + 6], "big")
        name = 1 + block[at + 6]
        at += 6 + name + (name & 1)
        size = int.from_bytes(block[at : at + 4], "big")
        at += 4
        yield number, block[at : at + size]
        at += size + (size & 1)


def records_of(block: bytes) -> bytes | None:
    """The IPTC records inside a Photoshop block, or ``None``."""
    for number, content in resources(block):
        if number == _IPTC_RESOURCE and content:
            return content
    return None


def records_of_segments(segments: list[bytes]) -> bytes | None:
    """The IPTC records of a JPEG's APP13 segments, which continue each other."""
    block = b"".join(part.removeprefix(_APP13) for part in segments if part.startswith(_APP13))
    return records_of(block)


def datasets(records: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Record number, dataset number and value of each entry, up to the first that is damaged."""
    at = 0
    while at + 5 <= len(records) and records[at] == 0x1C:
        size = int.from_bytes(records[at + 3 : at + 5], "big")
        if size & 0x8000 or at + 5 + size > len(records):
            return
        yield records[at + 1], records[at + 2], records[at + 5 : at + 5 + size]
        at += 5 + size


def publishable(records: bytes) -> bytes:
    """The envelope and application records without the preview."""
    return b"".join(
        bytes([0x1C, record, number]) + len(value).to_bytes(2, "big") + value
        for record, number, value in datasets(records)
        if record in (1, 2) and number not in _PREVIEW
    )


def app13(records: bytes) -> bytes:
    """A JPEG APP13 segment, marker included, that carries the records; empty when they are too long for one."""
    content = (
        _APP13 + _RESOURCE + _IPTC_RESOURCE.to_bytes(2, "big") + b"\0\0" + len(records).to_bytes(4, "big") + records
    )
    content += b"\0" * (len(records) & 1)
    if len(content) > 65533:
        return b""
    return b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content


def texts(records: bytes, number: int) -> list[str]:
    """The texts of a dataset of the application record (2:``number``)."""
    found = []
    for record, dataset, value in datasets(records):
        if record == 2 and dataset == number:
            try:
                text = value.decode("utf-8")
            except UnicodeDecodeError:
                text = value.decode("latin-1")
            if text.strip("\0 "):
                found.append(text.strip("\0 "))
    return found
