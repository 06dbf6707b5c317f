"""The boxes of a still picture in an ISO base media file: what AVIF and HEIC have in common.

A ``meta`` box lists items (coded pictures, grids of tiles, metadata blocks), their properties and what refers to what.
All of it is read in pure Python and bounded by the file's own size, before anything is decoded.
(ISO/IEC 14496-12, 8.11: ``meta``, ``iloc``, ``iinf``, ``iref``, ``iprp``; ISO/IEC 23008-12, HEIF: the properties.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shaded.publishing.walking import Cut, iso_places

#: libheif, too, reads no more; 200 megapixels in tiles of 512 x 512 are 768.
_MOST_ITEMS = 1000
_MOST_EXTENTS = 4096
#: Pieces may share bytes, but a small file must not fill the memory: all together are at most so often its size.
_MOST_TIMES = 2
_MOST_PROPERTIES = 64
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes:
        kind: What it is: ``hvc1``, ``av01``, ``grid``, ``Exif``, ``mime``.
        properties: Kind and content of each property, in the order in which they are to be applied.
        extents: Start and end of each piece of its data in the file; empty where they are parts of another item.
        named_at: Where in the file its kind is named.
    """

    kind: bytes
    properties: tuple[tuple[bytes, bytes], ...] = ()
    extents: tuple[tuple[int, int], ...] = ()
    named_at: int = 0

    def stated(self, kind: bytes) -> bytes | None:
        """The first property of a kind."""
        return next((content for found, content in self.properties if found == kind), None)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, before it is cropped and turned; (0, 0) where it is not stated."""
        content = self.stated(b"ispe")
        if content is None or len(content) < 12:
            return 0, 0
        return int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")


@dataclass(frozen=True)
class Items:
    """All items of a file by their numbers.

    Attributes:
        primary: The number of the picture that is shown; 0 where none is named.
        all: The items.
        references: Kind, the item that refers, and those that it refers to.
    """

    primary: int = 0
    all: Mapping[int, Item] = field(default_factory=dict)
    references: tuple[tuple[bytes, int, tuple[int, ...]], ...] = ()

    @property
    def shown(self) -> Item | None:
        """The picture that is shown."""
        return self.all.get(self.primary)

    def inputs(self, number: int) -> tuple[int, ...]:
        """What a derived picture is made of, such as the tiles of a grid."""
        return tuple(to for kind, at, others in self.references if kind == b"dimg" and at == number for to in others)

    def auxiliary(self) -> tuple[int, ...]:
        """The pictures that accompany the one that is shown: transparency, depth, gain maps."""
        return tuple(at for kind, at, others in self.references if kind == b"auxl" and self.primary in others)

    def is_alpha(self, number: int) -> bool:
        """Whether an auxiliary picture is the transparency."""
        kind = self.all[number].stated(b"auxC") if number in self.all else None
        return kind is not None and kind[4:].split(b"\0", 1)[0] in _ALPHA

    def decoded(self) -> tuple[int, ...]:
        """All pictures that decoding the shown one takes: itself, its transparency, and the tiles of both.

        Raises:
            ValueError: There are absurdly many, or they refer to each other in a circle.
        """
        found = [self.primary, *(number for number in self.auxiliary() if self.is_alpha(number))]
        for number in found:  # it grows meanwhile
            found += self.inputs(number)
            if len(found) > _MOST_ITEMS:
                raise ValueError(f"it has more than {_MOST_ITEMS:,} parts")
        return tuple(found)

    def coded(self) -> tuple[Item, ...]:
        """Those of them that are coded themselves, and not put together from others.

        Raises:
            ValueError: As above.
        """
        return tuple(self.all[one] for one in self.decoded() if one in self.all and not self.inputs(one))

    def coding(self) -> bytes:
        """How the shown picture is coded, as an item type (``av01``, ``hvc1``); empty where there is none."""
        found = self.coded()
        return found[0].kind if found else b""


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise Cut("a list of items is cut off")
    return int.from_bytes(data[at : at + size], "big")


class _Reader:
    """Numbers one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self.at = data, at

    def __call__(self, size: int) -> int:
        value = _number(self._data, self.at, size)
        self.at += size
        return value


def _kinds(data: bytes, start: int, end: int) -> dict[int, tuple[bytes, int]]:
    """``iinf``: the type of each item, and where it stands."""
    kinds: dict[int, tuple[bytes, int]] = {}
    first = start + (8 if _number(data, start, 1) else 6)
    for kind, at, stop in iso_places(data, first, end):
        version = _number(data, at, 1)
        if kind != b"infe" or version < 2:
            continue
        wide = 2 if version == 2 else 4
        number, place = _number(data, at + 4, wide), at + 6 + wide
        kinds.setdefault(number, (data[place : min(place + 4, stop)], place))
        if len(kinds) > _MOST_ITEMS:
            raise ValueError(f"it has more than {_MOST_ITEMS:,} parts")
    return kinds


def _references(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """``iref``: kind, from where, to where."""
    wide = 4 if _number(data, start, 1) else 2
    for kind, at, _ in iso_places(data, start + 4, end):
        read = _Reader(data, at)
        source, count = read(wide), read(2)
        if read.at + count * wide > end:
            raise Cut("a list of items is cut off")
        yield kind, source, tuple(read(wide) for _ in range(count))


def _associations(data: bytes, start: int, end: int) -> Iterator[tuple[int, list[int]]]:
    """``ipma``: the item, and the places of its properties in the list, counted from 1."""
    version, flags = _number(data, start, 1), _number(data, start + 1, 3)
    read = _Reader(data, start + 4)
    for _ in range(read(4)):
        number, count = read(4 if version else 2), read(1)
        if read.at > end:
            raise Cut("a list of items is cut off")
        yield number, [read(2) & 0x7FFF if flags & 1 else read(1) & 0x7F for _ in range(count)]


def _properties(data: bytes, start: int, end: int) -> dict[int, tuple[tuple[bytes, bytes], ...]]:
    """``iprp``: the properties of each item."""
    stated: list[tuple[bytes, bytes]] = []
    found: dict[int, tuple[tuple[bytes, bytes], ...]] = {}
    for kind, at, stop in iso_places(data, start, end):
        if kind == b"ipco":
            stated += [(prop, data[first:last]) for prop, first, last in iso_places(data, at, stop)]
        elif kind == b"ipma":
            for number, places in _associations(data, at, stop):
                fitting = tuple(stated[place - 1] for place in places if 1 <= place <= len(stated))
                found[number] = found.get(number, ()) + fitting
                if len(found[number]) > _MOST_PROPERTIES:
                    raise ValueError(f"a part has more than {_MOST_PROPERTIES} properties")
    return found


def _extents(data: bytes, start: int, end: int, idat: tuple[int, int]) -> dict[int, tuple[tuple[int, int], ...]]:
    """``iloc``: where the data of each item lie in the file, or in its ``idat`` box (construction methods 0 and 1)."""
    version, sizes = _number(data, start, 1), _number(data, start + 4, 2)
    offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15 if version else 0
    wide = 4 if version == 2 else 2
    read = _Reader(data, start + 6)
    found: dict[int, tuple[tuple[int, int], ...]] = {}
    most, bytes_left = _MOST_EXTENTS, _MOST_TIMES * len(data)
    for _ in range(read(wide)):
        number = read(wide)
        method = read(2) & 15 if version else 0
        read(2)
        begin, count = read(base), read(2)
        most -= count
        if read.at > end or most < 0:
            raise Cut("a list of items is cut off")
        pieces = []
        for _ in range(count):
            read(index)
            first, last = idat if method == 1 else (0, len(data))
            at, size = first + begin + read(offset), read(length)
            pieces.append((min(at, last), min(at + size if size else last, last)))
            bytes_left -= pieces[-1][1] - pieces[-1][0]
            if bytes_left < 0:
                raise ValueError("its parts overlap")
        if method <= 1:
            found.setdefault(number, tuple(pieces))
    return found


def _box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def alone(item: Item, data: bytes) -> bytes:
    """A file of its own with one coded picture of ``data``, whose properties it keeps."""
    stream = b"".join(data[start:end] for start, end in item.extents)
    properties = [_box(kind, content) for kind, content in item.properties]
    count = len(properties)
    head = _box(b"ftyp", b"mif1", bytes(4), b"mif1", b"heic")

    def meta(at: int) -> bytes:
        place = at.to_bytes(4, "big") + len(stream).to_bytes(4, "big")
        return _box(
            b"meta", bytes(4),
            _box(b"hdlr", bytes(8), b"pict", bytes(13)),
            _box(b"pitm", bytes(4), b"\0\1"),
            _box(b"iloc", bytes(4), b"\x44\0\0\1", b"\0\1\0\0\0\1", place),
            _box(b"iinf", bytes(4), b"\0\1", _box(b"infe", b"\2\0\0\0", b"\0\1\0\0", item.kind, b"\0")),
            _box(b"iprp", _box(b"ipco", *properties),
                 _box(b"ipma", bytes(4), b"\0\0\0\1\0\1", bytes([count]), bytes(range(0x81, 0x81 + count)))),
        )  # fmt: skip

    return head + meta(len(head) + len(meta(0)) + 8) + _box(b"mdat", stream)


def read_items(data: bytes) -> Items:
    """The items of the file's ``meta`` box; none where it has no such box.

    Raises:
        ValueError: A box is cut off, or there are absurdly many items.
    """
    for kind, start, end in iso_places(data):
        if kind == b"meta":
            return _read_meta(data, start + 4, end)
    return Items()


def _read_meta(data: bytes, start: int, end: int) -> Items:
    primary = 0
    kinds: dict[int, tuple[bytes, int]] = {}
    extents: dict[int, tuple[tuple[int, int], ...]] = {}
    properties: dict[int, tuple[tuple[bytes, bytes], ...]] = {}
    references: list[tuple[bytes, int, tuple[int, ...]]] = []
    inner = list(iso_places(data, start, end))
    idat = next(((at, stop) for kind, at, stop in inner if kind == b"idat"), (0, 0))
    for kind, at, stop in inner:
        if kind == b"pitm":
            primary = _number(data, at + 4, 4 if _number(data, at, 1) else 2)
        elif kind == b"iinf":
            kinds = _kinds(data, at, stop)
        elif kind == b"iloc":
            extents = _extents(data, at, stop, idat)
        elif kind == b"iprp":
            properties = _properties(data, at, stop)
        elif kind == b"iref":
            references += _references(data, at, stop)
    items = {
        number: Item(found, properties.get(number, ()), extents.get(number, ()), place)
        for number, (found, place) in kinds.items()
    }
    return Items(primary, items, tuple(references))
