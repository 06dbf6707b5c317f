"""IPTC-IIM records and the Photoshop resource block that carries them in a JPEG.

Published are the datasets that are listed here as harmless, and the names of places only where the settings keep the
place. Everything else is left out: previews, object data, identifiers, and all other Photoshop resources.
(IPTC-IIM 4.2; Photoshop File Formats, "Image Resources".)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from shaded.publishing.claims import may_hold_words
from shaded.publishing.embedded import left_out, objection, together
from shaded.publishing.exif_texts import decode_text

Resource = Literal["iptc", "exif", "xmp", "icc"]

_SIGNATURES = frozenset({b"8BIM", b"PHUT", b"AgHg", b"DCSR", b"MeSa"})
_APP13 = b"Photoshop 3.0\0"
#: As Photoshop 2.5 began the segment.
_OLD_APP13 = b"Adobe_Photoshop2.5:"
_MARK = 0x1C
_CHARSET = (1, 90)
_MOST_DATASETS = 10_000
_MOST_PADDING = 16
OBJECT_NAME, KEYWORDS, BYLINE, CREDIT, COPYRIGHT, CAPTION = 5, 25, 80, 110, 116, 120
#: Credit, source, contact and writer: whoever stands there, makers and owners among them.
NAMING = (110, 115, 118, 122)
#: Instructions and headline; titles, keywords and captions are read on their own.
DESCRIBING = (40, 105)

#: Datasets of the application record that are published: titles, subjects, dates, people, notices, descriptions.
_HARMLESS = frozenset({
    0, 3, 4, OBJECT_NAME, 7, 8, 10, 12, 15, 20, KEYWORDS, 30, 35, 37, 38, 40, 42, 55, 60, 62, 63, 65, 70, 75, BYLINE,
    85, 103, 105, 110, 115, COPYRIGHT, 118, CAPTION, 121, 122, 135,
})  # fmt: skip
#: Content location (code and name), city, sublocation, province, country (code and name).
_PLACES = frozenset({26, 27, 90, 92, 95, 100, 101})
#: Of those and of the rest, what names no maker and no owner: codes, dates, programs, job titles, previews.
_SILENT = frozenset({
    0, 3, 4, 7, 8, 10, 12, 15, 20, 22, 30, 35, 37, 38, 42, 45, 47, 50, 55, 60, 62, 63, 65, 70, 75, 85, 103, 121,
    125, 130, 131, 135, 150, 151, 152, 153, 154, 200, 201, 202,
})  # fmt: skip
_SILENT_ENVELOPE = frozenset({0, 20, 22, 40, 60, 70, 80, 90, 100, 120, 122})
#: The escape sequences that are met in dataset 1:90 (ISO 2022).
_ENCODINGS = {
    b"%G": "utf-8", b"%/G": "utf-8", b"%/H": "utf-8", b"%/I": "utf-8", b"%/@": "utf-16-be", b"%/C": "utf-16-be",
    b"%/E": "utf-16-be", b"%/J": "utf-16-be", b"%/K": "utf-16-be", b"%/L": "utf-16-be",
    b".A": "latin-1", b"-A": "latin-1", b".B": "iso8859-2", b"-B": "iso8859-2", b"-F": "iso8859-7",
    b".F": "iso8859-7", b"-L": "iso8859-5", b"-M": "iso8859-9", b"-b": "iso8859-15",
}  # fmt: skip

#: Photoshop resources that are metadata of a kind that other containers hold on their own.
_RESOURCES: dict[int, Resource] = {
    0x0404: "iptc", 0x0422: "exif", 0x0424: "xmp", 0x040F: "icc",
}  # fmt: skip
#: Photoshop's resources on its own settings: print, grid, paths, channels, thumbnails, versions, digests, slices.
_SILENT_RESOURCES = frozenset({
    *range(0x03E8, 0x03F0), *range(0x03F1, 0x0400), *range(0x0400, 0x0404), *range(0x0405, 0x040B), 0x040C, 0x040D,
    *range(0x0410, 0x041E), 0x041F, 0x0420, 0x0421, 0x0425, 0x0426, 0x0428, *range(0x042A, 0x0444),
    *range(0x07D0, 0x0BB8), 0x1B58, 0x1B59, 0x1F40, 0x2710,
})  # fmt: skip


class Dataset(NamedTuple):
    """One entry: record, number and value."""

    record: int
    number: int
    value: bytes


def resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    """The resources of a Photoshop block (without its ``Photoshop 3.0`` heading): number and content.

    Raises:
        ValueError: The block is damaged; what stands before the damage was given.
    """
    at = 0
    while len(block) - at >= 12:
        if block[at : at + 4] not in _SIGNATURES:
            break
        number = int.from_bytes(block[at + 4 : at + 6], "big")
        name = 1 + block[at + 6]
        at += 6 + name + (name & 1)
        size = int.from_bytes(block[at : at + 4], "big")
        at += 4
        if at + size > len(block):
            raise ValueError("a Photoshop resource is cut off")
        yield number, block[at : at + size]
        at += size
        if size & 1 and block[at : at + 4] not in _SIGNATURES:  # a byte of padding, which some writers forget
            at += 1
    if not _is_padding(block[at:]):
        raise ValueError("the Photoshop resources are damaged")


def blocks_of(block: bytes) -> tuple[list[tuple[Resource, bytes]], bool]:
    """The metadata in a Photoshop block by kind, and whether all of it could be read. Bare records are forgiven."""
    if block[:1] == bytes([_MARK]):
        return [("iptc", block)], True
    found: list[tuple[Resource, bytes]] = []
    try:
        for number, content in resources(block):
            if number in _RESOURCES and content:
                found.append((_RESOURCES[number], content))
    except ValueError:
        return found, False
    return found, True


def unknown_resources(block: bytes) -> list[str]:
    """The resources of a Photoshop block that are not understood, and may name somebody."""
    found: list[str] = []
    with suppress(ValueError):
        for number, content in resources(block) if block[:1] != bytes([_MARK]) else ():
            if number not in _RESOURCES and number not in _SILENT_RESOURCES and may_hold_words(content):
                found.append(f"Photoshop resource {number}")
    return found


def photoshop_block(segments: list[bytes]) -> bytes:
    """The Photoshop block of a JPEG's APP13 segments, which continue each other; empty without any."""
    return b"".join(
        part.removeprefix(_APP13).removeprefix(_OLD_APP13)
        for part in segments
        if part.startswith((_APP13, _OLD_APP13, bytes([_MARK])))
    )


def datasets(records: bytes) -> tuple[list[Dataset], bool]:
    """The entries up to the first that is damaged, and whether that is all of them."""
    found: list[Dataset] = []
    at = 0
    while at + 5 <= len(records) and records[at] == _MARK:
        size, start = int.from_bytes(records[at + 3 : at + 5], "big"), at + 5
        if size & 0x8000:  # an extended dataset: its length has a length
            start += size & 0x7FFF
            size = int.from_bytes(records[at + 5 : start], "big") if start - at <= 13 else len(records)
        if start + size > len(records) or len(found) == _MOST_DATASETS:
            return found, False
        found.append(Dataset(records[at + 1], records[at + 2], records[start : start + size]))
        at = start + size
    return found, _is_padding(records[at:])


def _is_padding(rest: bytes) -> bool:
    """Whether what follows the last part is nothing. More zeros than so many may stand where a name stood."""
    return not rest.strip(b"\0 ") and rest.count(0) <= _MOST_PADDING


def in_order(records: bytes) -> bytes:
    """The records of a TIFF's tag, whose writers may have turned the bytes of each group of four around."""
    if records[:1] == bytes([_MARK]) or records[3:4] != bytes([_MARK]):
        return records
    return b"".join(records[at : at + 4][::-1] for at in range(0, len(records), 4))


def build(entries: Sequence[Dataset]) -> bytes:
    """The entries as records."""
    return b"".join(
        bytes([_MARK, record, number]) + len(value).to_bytes(2, "big") + value for record, number, value in entries
    )


def publishable(entries: Sequence[Dataset], *, gps: bool, notes: list[str]) -> list[Dataset]:
    """What of the entries is published; what was left out of the texts goes to ``notes``, in sentences."""
    kept: list[Dataset] = []
    for entry in entries:
        if entry[:2] == _CHARSET and _escape(entry.value) in _ENCODINGS:
            kept.append(entry)
        if entry.record != 2 or entry.number not in (_HARMLESS | _PLACES if gps else _HARMLESS):
            continue
        against = None if entry.number == 0 and len(entry.value) == 2 else objection(_decoded(entry, entries), gps=gps)
        if against is None and len(entry.value) < 0x8000:
            kept.append(entry)
        else:
            notes.append(left_out(f"IPTC dataset 2:{entry.number}", against or "too much"))
    for number in sorted({entry.number for entry in kept if entry.record == 2 and entry.number}):
        against = together(texts(kept, number), gps=gps)
        if against is not None:
            notes.append(left_out(f"IPTC dataset 2:{number}", against))
            kept = [entry for entry in kept if entry[:2] != (2, number)]
    return kept if any(entry.record == 2 and entry.number for entry in kept) else []


def unknown(entries: Sequence[Dataset]) -> list[str]:
    """The datasets that are not understood, and may name somebody."""
    read = _SILENT | _PLACES | {OBJECT_NAME, KEYWORDS, BYLINE, COPYRIGHT, CAPTION, *NAMING, *DESCRIBING}
    silent = {1: _SILENT_ENVELOPE, 2: read}
    return [
        f"IPTC dataset {record}:{number}"
        for record, number, value in entries
        if number not in silent.get(record, ()) and may_hold_words(value)
    ]


def app13(records: bytes) -> bytes:
    """A JPEG APP13 segment, marker included, that carries the records; empty when they are too long for one."""
    content = _APP13 + b"8BIM\x04\x04\0\0" + len(records).to_bytes(4, "big") + records
    content += b"\0" * (len(records) & 1)
    if len(content) > 65533:
        return b""
    return b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content


def _escape(value: bytes) -> bytes:
    return value.strip(b"\x1b\0 ")


def _decoded(entry: Dataset, entries: Sequence[Dataset]) -> str:
    stated = next((one.value for one in entries if (one.record, one.number) == _CHARSET), b"")
    encoding = _ENCODINGS.get(_escape(stated))
    if encoding is not None:
        try:
            return entry.value.decode(encoding)
        except UnicodeDecodeError:
            pass
    return decode_text(entry.value)


def texts(entries: Sequence[Dataset], number: int) -> list[str]:
    """The texts of a dataset of the application record (2:``number``)."""
    found = [_decoded(entry, entries).strip("\0 ") for entry in entries if entry[:2] == (2, number)]
    return [text for text in found if text]
