"""The metadata of an ISO base media picture (AVIF, HEIC) as it lies in the file.

Libraries hand metadata on rewritten, or fail on them: Pillow's AVIF plugin replaces letters that are not ASCII, and
does not read a picture whose EXIF block is odd.
(ISO/IEC 14496-12, 8.11; ISO/IEC 23008-12, annex A.2 for the offset before an EXIF block.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from shaded.publishing.boxes import read_items
from shaded.publishing.claims import credentials_may_name, may_hold_words, shown
from shaded.publishing.exif import block_of
from shaded.publishing.picture import Kind
from shaded.publishing.stills import CREDENTIALS
from shaded.publishing.walking import iso_places

_LARGEST = 32_000_000
_RDF = b"rdf"
#: Boxes that hold no words on people, at the top, among the items' lists, and among the properties.
_SILENT_BOXES = frozenset({
    b"ftyp", b"meta", b"mdat", b"free", b"skip", b"wide", b"moov", b"moof", b"mfra", b"sidx", b"styp", b"pdin", b"mpvd",
    b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"idat", b"dinf", b"ipro", b"grpl",
    b"ispe", b"pixi", b"colr", b"av1C", b"hvcC", b"lhvC", b"vvcC", b"avcC", b"j2kH", b"jpgC", b"irot", b"imir", b"clap",
    b"pasp", b"auxC", b"rloc", b"lsel", b"tols", b"oinf", b"clli", b"mdcv", b"cclv", b"amve", b"reve", b"ndwt", b"a1op",
    b"a1lx", b"ccst", b"cmin", b"cmex", b"crtt", b"mdft", b"prdi", b"iscl", b"rref", b"wipr", b"fobr", b"afbr", b"aebr",
    b"wbbr", b"dobr", b"pano", b"subs",
})  # fmt: skip
_PICTURES = frozenset({
    b"av01", b"hvc1", b"hev1", b"lhv1", b"vvc1", b"avc1", b"jpeg", b"j2k1", b"grid", b"iden", b"iovl", b"tmap", b"mski",
    b"unci", b"sato",
})  # fmt: skip
#: Apple's cameras describe in items of their own how a picture is to be shown.
_PROPERTY_LIST = b"bplist00"


def unknown_parts(data: bytes) -> tuple[str, ...]:
    """The boxes, properties and items, by name, that are not understood and may name somebody."""
    found: list[str] = []
    with suppress(ValueError):
        for kind, start, end in _boxes(data):
            content = data[start:end]
            if (kind, content[:16]) == (b"uuid", CREDENTIALS):
                found += ["content credentials"] if credentials_may_name(content) else []
            elif kind not in _SILENT_BOXES and may_hold_words(content):
                found.append(f"box {shown(kind.decode('latin-1'))}")
        for item in read_items(data).all.values():
            content = b"".join(data[start:end] for start, end in item.extents)[:_LARGEST]
            read = item.kind == b"Exif" or (item.kind == b"mime" and _RDF in content.replace(b"\0", b""))
            silent = read or item.kind in _PICTURES or content.startswith(_PROPERTY_LIST)
            if not silent and may_hold_words(content):
                found.append(f"item of the type {shown(item.kind.decode('latin-1'))}")
    return tuple(dict.fromkeys(found))


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The boxes at the top, those in ``meta``, and the properties."""
    for kind, start, end in iso_places(data):
        yield kind, start, end
        for inner, first, last in iso_places(data, start + 4, end) if kind == b"meta" else ():
            yield inner, first, last
            for part, at, stop in iso_places(data, first, last) if inner == b"iprp" else ():
                if part == b"ipco":
                    yield from iso_places(data, at, stop)


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
