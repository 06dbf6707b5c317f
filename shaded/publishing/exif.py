"""EXIF blocks: what of them is read, and what is published.

A block is built anew from the entries that are kept, so that nothing unreferenced can hide in it. Kept is what
:mod:`shaded.publishing.exif_tags` lists as harmless, and the place only where the settings keep it.
(CIPA DC-008-2023, "Exif 3.0", 4.6; a block goes from the TIFF header on.)
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from shaded.publishing import exif_tags as tags
from shaded.publishing.embedded import Objection, holds_picture, lacks_words, left_out, objection
from shaded.publishing.exif_naming import NAMING, NUMBERS, TEXT_TYPES, fits, odd, unknown_in, unread_in
from shaded.publishing.exif_texts import decode_text, readings, settled, text_of, trimmed
from shaded.publishing.ifd import ByteOrder, Directory, Entry, Header, read_directory, read_header, write_directory

_PER_UNIT = {2: 1.0, 3: 2.54}
_LONGEST, _FEW = 60_000, 64
_GEOTIFF = frozenset({3, 12})
_SHORT, _LONG, _DOUBLE = 3, 4, 12
_OWNER = tags.CAMERA_OWNER
#: Stands for an orientation that is there and whose value is not.
_UNREAD = Entry(_SHORT, 1, b"\xff\xff")
#: Where further directories are, and how many are looked at; they describe thumbnails and the like.
_SUB, _MOST_FURTHER = 330, 8
#: Where a block begins, behind what various writers put before it: ``Exif`` once or twice, an offset, zeros.
_BEGIN = re.compile(rb"(?:II|MM|ii|mm)(?:[*+]\0|\0[*+])")
_FURTHEST = 64
#: Descriptions that scientific programs write for themselves: sizes and layout of the file, no longer true.
_STRUCTURAL = re.compile(rb'\s*(?:\{"shape"|ImageJ=|<\?xml|<OME)')


@dataclass(frozen=True)
class Exif:
    """A block.

    Attributes:
        order: Its byte order.
        main: What is known of the first directory.
        photo: Of the photo data.
        gps: Of the place.
        interoperability: Of that directory.
        lost: The tags that may name somebody and cannot be read.
        owner: Whom the camera belongs to.
        unknown: The tags, by name, that are not understood and may name somebody.
    """

    order: ByteOrder
    main: Mapping[int, Entry] = field(default_factory=dict)
    photo: Mapping[int, Entry] = field(default_factory=dict)
    gps: Mapping[int, Entry] = field(default_factory=dict)
    interoperability: Mapping[int, Entry] = field(default_factory=dict)
    lost: frozenset[int] = frozenset()
    owner: str = ""
    unknown: tuple[str, ...] = ()

    @property
    def orientation(self) -> int | None:
        """How a viewer turns the picture: 1 (not at all) to 8; ``None`` when that is not stated, or not understood.

        Of 0, which some cameras write, it is 1.
        """
        entry = self.main.get(tags.ORIENTATION)
        return None if entry is None else _turn_in(entry, self.order)

    @property
    def states_orientation(self) -> bool:
        """Whether there is an orientation, understood or not."""
        return tags.ORIENTATION in self.main

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Dots per inch by the resolution tags."""
        across, down, unit = (
            next(iter(self.main[tag].numbers(self.order)), math.nan) if tag in self.main else math.nan
            for tag in tags.RESOLUTION
        )
        scale = 1.0 if math.isnan(unit) else _PER_UNIT.get(int(unit), math.nan)
        found = across * scale, down * scale
        return found if all(0 < value < math.inf for value in found) else None

    def text(self, tag: int) -> str:
        """A text tag, such as 315 (artist) or 33432 (copyright); empty when it is absent or no text."""
        entries = (entry for part in (self.main, self.photo) if (entry := part.get(tag)) is not None)
        found = (text_of(tag, entry, self.order) for entry in entries if entry.type in TEXT_TYPES)
        return next(filter(None, found), "")


def _turn_in(entry: Entry, order: ByteOrder) -> int | None:
    """A tag's value as an orientation: a number of any type, a digit as a text, or bytes of which one is not zero."""
    if entry.type in TEXT_TYPES:
        plain = entry.raw.strip(b"\0 \t\r\n") or b"\0"
        number: float = math.nan if len(plain) > 1 else int(plain) if plain.isdigit() else plain[0]
    else:
        number = next(iter(entry.numbers(order)), math.nan)
    return max(int(number), 1) if number in range(9) else None


def block_of(data: bytes) -> bytes:
    """The block in what a container holds as EXIF, without whatever stands before its TIFF header."""
    found = _BEGIN.search(data, 0, _FURTHEST)
    return data[found.start() :] if found is not None else data


def _described(directory: Directory) -> dict[int, Entry]:
    return {
        tag: settled(tag, entry) if tag in tags.TEXTS or tag in tags.WIDE_TEXTS else entry
        for tag, entry in directory.entries.items()
        if fits(tag, entry)
    }


def _placed(directory: Directory, allowed: frozenset[int], *, many: frozenset[int] = frozenset()) -> dict[int, Entry]:
    """What tells the place: texts and numbers that hold no picture; of many numbers those of the types ``many``."""
    return {
        tag: entry
        for tag, entry in directory.entries.items()
        if tag in allowed and len(entry.raw) <= _LONGEST
        and not holds_picture(entry.raw) and not holds_picture(entry.raw.replace(b"\0", b""))
        and not (entry.type in TEXT_TYPES and lacks_words(decode_text(entry.raw.replace(b"\0", b""))))
        and (entry.type in TEXT_TYPES or entry.type in many or len(entry.raw) <= _FEW)
    }  # fmt: skip


def _interoperating(directory: Directory) -> dict[int, Entry]:
    return {
        tag: entry
        for tag, entry in directory.entries.items()
        if tag in (tags.INTEROPERABILITY_TEXT, tags.INTEROPERABILITY_VERSION) and len(entry.raw) <= 4
    }


def _pointed(data: bytes, directory: Directory, tag: int, header: Header) -> Directory:
    """The directory that a tag points at; one that cannot be read is empty, and the tag is lost."""
    at = directory.number(tag, header.order)
    if not at:
        return Directory()
    try:
        return read_directory(data, at, header, forgiving=True)
    except ValueError:
        return Directory(lost=frozenset({tag}))


def read_tree(data: bytes, main: Directory, header: Header, read: frozenset[int] = frozenset()) -> Exif:
    """Everything publishable that hangs on a main directory (a TIFF's page, or the first of an EXIF block).

    ``read`` are the tags of the main directory that the caller reads.
    """
    order = header.order
    photo = _pointed(data, main, tags.EXIF_POINTER, header)
    place = _pointed(data, main, tags.GPS_POINTER, header)
    interoperability = _pointed(data, photo, tags.INTEROPERABILITY_POINTER, header)
    shown = _described(photo)
    shown.pop(tags.ORIENTATION, None)
    strange = odd(data, main, order) | odd(data, photo, order)
    unread = {tags.ORIENTATION: _UNREAD} if tags.ORIENTATION in main.lost else {}
    return Exif(
        order,
        {**unread, **_described(main), **_placed(main, tags.GEOTIFF, many=_GEOTIFF)},
        shown,
        _placed(place, tags.GPS),
        _interoperating(interoperability),
        NAMING if main.cut or photo.cut else ((main.lost | photo.lost) & NAMING) | strange,
        next((decode_text(one.raw).strip("\0 ") for part in (photo, main) if (one := part.entries.get(_OWNER))), ""),
        (
            *unknown_in(main, read | tags.GEOTIFF - {tags.GDAL_METADATA}),
            *unknown_in(photo),
            *unread_in(place, tags.GPS, "the place"),
            *unread_in(interoperability, tags.SILENT | {1, 2}, "the interoperability directory"),
        ),
    )


def parse(block: bytes) -> Exif:
    """Read a block. Of a directory that is cut off the entries that are there count, as with other readers.

    Raises:
        ValueError: It is damaged.
    """
    header = read_header(block)
    main = read_directory(block, header.first, header, forgiving=True)
    tree = read_tree(block, main, header)
    further = [main.following, *(main.entries[_SUB].integers(header.order) if _SUB in main.entries else ())]
    for at in filter(None, further[:_MOST_FURTHER]):
        with suppress(ValueError):  # readers pass it over
            other = read_directory(block, at, header, forgiving=True)
            found = unread_in(other, tags.SILENT | NUMBERS, "a further directory")
            tree = replace(tree, unknown=(*tree.unknown, *found))
    return tree


def _pointer(order: ByteOrder, at: int) -> Entry:
    return Entry(_LONG, 1, struct.pack(f"{order}I", at))


def write_tree(exif: Exif, at: int) -> tuple[bytes, dict[int, Entry]]:
    """The directories that hang on the main one, to stand at an even offset, and the pointers that lead to them."""
    out = bytearray()
    pointers: dict[int, Entry] = {}
    photo = dict(exif.photo)
    if exif.interoperability:
        photo[tags.INTEROPERABILITY_POINTER] = _pointer(exif.order, at)
        out += write_directory(exif.interoperability, at, exif.order)
    if photo:
        pointers[tags.EXIF_POINTER] = _pointer(exif.order, at + len(out))
        out += write_directory(photo, at + len(out), exif.order)
    if exif.gps:
        pointers[tags.GPS_POINTER] = _pointer(exif.order, at + len(out))
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


def turned(exif: Exif, orientation: int) -> Exif:
    """The tree with an orientation, as the one type that every reader knows; upright is only stated where it was."""
    main = {tag: entry for tag, entry in exif.main.items() if tag != tags.ORIENTATION}
    if orientation != 1 or tags.ORIENTATION in exif.main:
        main[tags.ORIENTATION] = Entry(_SHORT, 1, struct.pack(f"{exif.order}H", orientation))
    return replace(exif, main=main)


def publishable(exif: Exif, *, gps: bool, notes: list[str]) -> Exif:
    """The tree without a place, unless ``gps`` keeps it, and without texts that hold what they must not.

    What was left out of the texts goes to ``notes``, in sentences for a person.
    """
    main = {tag: entry for tag, entry in exif.main.items() if gps or tag not in tags.GEOTIFF}
    return replace(
        exif,
        main=_checked(main, exif.order, gps=gps, notes=notes),
        photo=_checked(exif.photo, exif.order, gps=gps, notes=notes),
        gps=exif.gps if gps else {},
    )


def _checked(entries: Mapping[int, Entry], order: ByteOrder, *, gps: bool, notes: list[str]) -> dict[int, Entry]:
    kept: dict[int, Entry] = {}
    for tag, whole in entries.items():
        if tag not in tags.TEXTS and tag not in tags.WIDE_TEXTS:
            kept[tag] = whole
            continue
        entry = trimmed(tag, whole)
        if tag == tags.IMAGE_DESCRIPTION and _STRUCTURAL.match(entry.raw) is not None:
            continue
        against = _against(tag, entry, order, gps=gps)
        if against is not None:
            notes.append(left_out(f"EXIF's {tags.name_of(tag)}", against))
        elif text_of(tag, entry, order):
            kept[tag] = entry
    return kept


def _against(tag: int, entry: Entry, order: ByteOrder, *, gps: bool) -> Objection | None:
    """What speaks against a text, also where a reader mistakes its encoding."""
    if len(entry.raw) > _LONGEST:
        return "too much"
    found = [objection(text, gps=gps) for text in readings(tag, entry, order)]
    return found[0] or next((one for one in found[1:] if one not in (None, "no text")), None)


def resized(exif: Exif, size: tuple[int, int], full_size: tuple[int, int] | None) -> Exif:
    """The tree with true numbers of pixels.

    Args:
        exif: The source's.
        size: Width and height of the published picture.
        full_size: Those of the source, where the picture was reduced.
    """
    truth = {tags.PIXEL_WIDTH: size[0], tags.PIXEL_HEIGHT: size[1]}

    def true(entries: Mapping[int, Entry]) -> dict[int, Entry]:
        return {
            tag: Entry(_LONG, 1, struct.pack(f"{exif.order}I", truth[tag])) if tag in truth else entry
            for tag, entry in entries.items()
            if full_size is None or tag not in tags.OF_FULL_SIZE
        }

    main = true(exif.main)
    if full_size is not None:
        main = _rescaled(main, exif.order, full_size[0] / size[0], full_size[1] / size[1])
    return replace(exif, main=main, photo=true(exif.photo))


def _rescaled(main: dict[int, Entry], order: ByteOrder, across: float, down: float) -> dict[int, Entry]:
    """GeoTIFF's ties between pixels and places, where a pixel is now so many of the source's pixels wide and high."""
    factors = {
        tags.PIXEL_SCALE: (across, down, 1.0),
        tags.TIE_POINTS: (1 / across, 1 / down, 1.0, 1.0, 1.0, 1.0),
        tags.TRANSFORMATION: (across, down, 1.0, 1.0),
    }
    scaled: dict[int, Entry] = {}
    for tag, entry in main.items():
        if tag not in factors:
            scaled[tag] = entry
        elif entry.type == _DOUBLE and entry.count % len(factors[tag]) == 0:
            values = [
                value * factors[tag][place % len(factors[tag])] for place, value in enumerate(entry.numbers(order))
            ]
            scaled[tag] = Entry(_DOUBLE, entry.count, struct.pack(f"{order}{len(values)}d", *values))
    return scaled


def widely_read(exif: Exif) -> Exif:
    """What of the tree's words all programs read: not EXIF 3.0's UTF-8 and its new tags, nor Windows' own."""
    return Exif(exif.order, {
        tag: entry
        for tag, entry in exif.main.items()
        if tag in (tags.ARTIST, tags.COPYRIGHT, tags.IMAGE_DESCRIPTION) and entry.type != 129
    })  # fmt: skip


def as_ascii(exif: Exif) -> Exif:
    """The tree with its UTF-8 texts under the type that TIFF readers know."""

    def plain(entries: Mapping[int, Entry]) -> dict[int, Entry]:
        return {tag: replace(entry, type=2) if entry.type == 129 else entry for tag, entry in entries.items()}

    return replace(exif, main=plain(exif.main), photo=plain(exif.photo))
