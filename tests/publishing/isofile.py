"""HEIC and AVIF files put together by hand, box by box, around coded pictures that libraries made."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from shaded.publishing.boxes import read_items

#: Properties without which a picture must not be shown.
ESSENTIAL = (b"irot", b"imir", b"clap")
XMP = b"application/rdf+xml\0"
HEIC = (b"heic", b"mif1", b"heic")


def box(kind, *contents):
    """A box around the contents."""
    content = b"".join(contents)
    return struct.pack(">I", len(content) + 8) + kind + content


def full(kind, *contents, version=0, flags=0):
    """A box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *contents)


def ispe(width, height):
    """The size of a picture."""
    return full(b"ispe", struct.pack(">II", width, height))


def irot(quarters):
    """Turned anticlockwise by so many quarters."""
    return box(b"irot", bytes((quarters,)))


def imir(axis):
    """Mirrored: 0 exchanges top and bottom, 1 left and right (ISO/IEC 23008-12:2022, 6.5.12)."""
    return box(b"imir", bytes((axis,)))


def clap(width, height, across=0, down=0):
    """Cropped to this size, its middle so far from the picture's; numbers, or numerator and denominator."""
    numbers = (one if isinstance(one, tuple) else (one, 1) for one in (width, height, across, down))
    return box(b"clap", *(struct.pack(">iI", *pair) for pair in numbers))


def nclx(primaries, transfer):
    """The colour box."""
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 6, 0x80))


def prof(icc, kind=b"prof"):
    """The colour box with a profile."""
    return box(b"colr", kind, icc)


def grid(rows, columns, width, height):
    """The data of a grid item."""
    return struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)


@dataclass
class Part:
    """One item: its type, data, property boxes, and what it refers to."""

    kind: bytes
    data: bytes
    boxes: tuple[bytes, ...] = ()
    refers: tuple[tuple[bytes, tuple[int, ...]], ...] = field(default=())
    place: tuple[int, int] | None = None


def part_of(data, *boxes, refers=(), without=()):
    """The coded picture that a library wrote into a file, as an item with further property boxes."""
    item = read_items(data).shown
    (start, end), *_ = item.extents
    own = tuple(box(kind, content) for kind, content in item.properties if kind not in without)
    return Part(item.kind, data[start:end], (*own, *boxes), tuple(refers))


def assembled(parts, primary=1, brands=HEIC, before=b"", after=b""):
    """A file of these parts, numbered from 1; a part with a ``place`` has that extent of the file instead of its own.

    ``before`` stands between ``ftyp`` and ``meta``, ``after`` at the end.
    """
    boxes = [one for part in parts for one in part.boxes]
    entries, at = b"", 1
    for number, part in enumerate(parts, 1):
        places = range(at, at + len(part.boxes))
        marks = (place | 0x8000 * (own[4:8] in ESSENTIAL) for place, own in zip(places, part.boxes, strict=True))
        entries += struct.pack(">HB", number, len(places)) + b"".join(struct.pack(">H", mark) for mark in marks)
        at += len(part.boxes)
    infos = b"".join(
        full(b"infe", struct.pack(">HH", n, 0), part.kind, b"\0", XMP * (part.kind == b"mime"), version=2)
        for n, part in enumerate(parts, 1)
    )
    references = b"".join(
        box(kind, struct.pack(">HH", n, len(others)), *(struct.pack(">H", one) for one in others))
        for n, part in enumerate(parts, 1)
        for kind, others in part.refers
    )
    head = box(b"ftyp", brands[0], bytes(4), *brands[1:]) + before

    def meta(first):
        located, place = b"", first
        for number, part in enumerate(parts, 1):
            start, length = part.place or (place, len(part.data))
            located += struct.pack(">HHHII", number, 0, 1, start, length)
            place += len(part.data)
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">H", primary)),
            full(b"iloc", struct.pack(">HH", 0x4400, len(parts)), located),
            full(b"iinf", struct.pack(">H", len(parts)), infos),
            full(b"iref", references) if references else b"",
            box(b"iprp", box(b"ipco", *boxes), full(b"ipma", struct.pack(">I", len(parts)), entries, flags=1)),
        )

    first = len(head) + len(meta(0)) + 8
    return head + meta(first) + box(b"mdat", *(part.data for part in parts)) + after
