"""The metadata of an ISO base media picture (AVIF, HEIC) as it lies in the file.

Libraries hand metadata on rewritten, or fail on them: Pillow's AVIF plugin replaces letters that are not ASCII, and
does not read a picture whose EXIF block is odd.
(ISO/IEC 14496-12, 8.11; ISO/IEC 23008-12, annex A.2 for the offset before an EXIF block.)
"""

from __future__ import annotations

from shaded.publishing.boxes import read_items
from shaded.publishing.exif import block_of
from shaded.publishing.picture import Kind

_LARGEST = 32_000_000
_RDF = b"rdf"


def metadata_items(data: bytes) -> tuple[list[tuple[Kind, bytes]], bool]:
    """The EXIF blocks and XMP packets of a file, and whether all metadata that it lists could be found in it."""
    try:
        items = read_items(data).all.values()
    except ValueError:
        return [], False
    found: list[tuple[Kind, bytes]] = []
    whole = True
    for item in items:
        if item.kind not in (b"Exif", b"mime"):
            continue
        content = b"".join(data[start:end] for start, end in item.extents)[:_LARGEST]
        whole = whole and bool(content)
        if item.kind == b"Exif":
            offset = 4 + int.from_bytes(content[:4], "big")
            found.append(("exif", block_of(content[offset:] if offset < len(content) else content)))
        elif _RDF in content.replace(b"\0", b""):
            found.append(("xmp", content))
    return found, whole


def without_exif(data: bytes) -> bytes:
    """The file with its EXIF items under a type that nobody reads."""
    changed = bytearray(data)
    try:
        items = read_items(data).all.values()
    except ValueError:
        return data
    for item in items:
        if item.kind == b"Exif":
            changed[item.named_at : item.named_at + 4] = b"skip"
    return bytes(changed)
