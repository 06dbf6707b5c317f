"""Runs of zeros in the strips and tiles of a TIFF.

In fax codes no row of zeros means anything. Zeros that are stored without compression may be black: see ``rows``. Other
compressions are judged when they are decoded. (TIFF revision 6.0, sections 3, 9 to 11, 13, 15 and 22.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from shaded.publishing.holes import jpeg
from shaded.publishing.holes.rows import Rows, has_hole, torn_runs
from shaded.publishing.holes.runs import Hole, zero_runs
from shaded.publishing.holes.tiles import has_lost_tile, is_beside_pictures
from shaded.publishing.ifd import Directory, Header
from shaded.publishing.walking import Cut

_PLAIN, JPEG, PACKBITS, ZSTANDARD = 1, 7, 32773, 50000
_JPEG_TABLES = 347
_CHUNKY = 1
#: The longest runs of zeros that an encoder writes, in bytes, by compression. Fax codes (2 to 4) have a few bits, and
#: fill bits. LZW (5) has a code for what repeats as soon as it was there once. PackBits (32773) has up to 128 bytes as
#: they are, then a length, which is 0 for a single one. Zstandard stores a block of 128 KB as it is, unless compressing
#: it saves a 64th.
_LONGEST = {2: 32, 3: 32, 4: 32, 5: 32, PACKBITS: 192, ZSTANDARD: 2304}

#: PackBits' length for nothing; below it are bytes as they are, above it one that is repeated.
_NOTHING = 128
_SPELLED = 8


@dataclass(frozen=True)
class Layout:
    """Where the pixels of a page lie.

    Attributes:
        compression: TIFF's number for it.
        pieces: Start and end of each strip or tile in the file.
        rows: How the bytes of a piece, decoded, make rows.
        height: Rows of a piece, decoded.
        last: Rows of the lowest pieces that are a part of the picture.
        per_plane: Pieces of the picture, or of each of its planes.
        columns: Pieces beside each other.
        shown: Bytes of a row of the last of them that are a part of the picture.
        tables: What its JPEG pieces share, as a JPEG without a picture; empty for nothing.
        tiled: Whether the pieces are tiles.
        differences: Whether pixels are stored as what they differ from the one before.
    """

    compression: int
    pieces: tuple[tuple[int, int], ...]
    rows: Rows
    height: int
    last: int
    per_plane: int
    columns: int
    shown: int
    tables: bytes
    tiled: bool
    differences: bool

    def size(self, number: int) -> int:
        """How many bytes a piece decodes to at the least."""
        return self.rows.row * (self.height if self.tiled else self._shown_rows(number))

    def has_hole(self, data: bytes, number: int, start: int) -> bool:
        """Whether the pixels of a piece have a hole in what is a part of the picture.

        Args:
            data: The file, or the piece alone, decoded.
            number: Of the piece.
            start: Where it begins in the data.
        """
        return has_hole(*self._shown_part(data, number, start), differences=self.differences)

    def torn_runs(self, data: bytes, number: int) -> Iterator[tuple[int, int]]:
        """Start and end of each run of zeros in a piece, stored without compression, that has the shape of a hole."""
        start = self.pieces[number][0]
        part, begin, end, rows = self._shown_part(data, number, start)

        def place(at: int) -> int:
            line, column = divmod(at - begin, rows.row)
            return start + line * self.rows.row + column

        for first, last in torn_runs(part, begin, end, rows, differences=self.differences):
            yield place(first), place(last)

    def _shown_part(self, data: bytes, number: int, start: int) -> tuple[bytes, int, int, Rows]:
        """The rows of a piece without the zeros that fill up the tiles at the right and at the bottom."""
        row = self.rows.row
        end = min(len(data), start + row * self._shown_rows(number))
        if self.shown == row or (number + 1) % self.columns:
            return data, start, end, self.rows
        shown = b"".join(data[at : at + self.shown] for at in range(start, end, row))
        return shown, 0, len(shown), self.rows._replace(row=self.shown)

    def _shown_rows(self, number: int) -> int:
        is_lowest = number % self.per_plane >= self.per_plane - self.columns
        return self.last if is_lowest else self.height

    def whole_jpeg(self, data: bytes, start: int, end: int) -> bytes:
        """A strip or tile that is a JPEG, with the tables that all of them share."""
        return self.tables[:-2] + data[start + 2 : end] if self.tables else data[start:end]


def layout(page: Directory, header: Header) -> Layout:
    """Where the pixels of a page lie.

    Raises:
        Cut: Some are nowhere.
    """
    order = header.order
    tiled = 324 in page.entries
    width, height = page.number(256, order), page.number(257, order)
    across = page.number(322, order) if tiled else width
    down = page.number(323, order) if tiled else min(page.number(278, order) or height, height)
    if across < 1 or down < 1:
        raise Cut("the pixels are nowhere")
    samples, bits = max(1, page.number(277, order, 1)), page.number(258, order, 1)
    planes = 1 if page.number(284, order, _CHUNKY) == _CHUNKY else samples
    together = samples // planes
    rows = Rows(-(-across * together * bits // 8), max(1, together * bits // 8), max(1, bits // 8))
    columns = -(-width // across)
    per_plane = -(-height // down) * columns
    compression = page.number(259, order, 1)
    tables = page.entries.get(_JPEG_TABLES)
    places, counts = (page.entries[tag].integers(order) if tag in page.entries else () for tag in _tags(tiled))
    if not counts and compression == _PLAIN:  # left out by some old programs
        counts = (rows.row * down,) * len(places)
    pieces = tuple((at, at + count) for at, count in zip(places, counts, strict=False) if at and count)
    if len(pieces) < planes * per_plane:
        raise Cut("a part of the pixels is missing")
    return Layout(
        compression, pieces, rows, down, height - (height - 1) // down * down, per_plane,
        columns, -(-(width - (columns - 1) * across) * together * bits // 8),
        tables.raw if tables is not None else b"", tiled, page.number(317, order, 1) != 1,
    )  # fmt: skip


def _tags(tiled: bool) -> tuple[int, int]:
    """Where the offsets and the sizes of the pieces stand."""
    return (324, 325) if tiled else (273, 279)


def doubtful_pieces(data: bytes, found: Layout) -> Iterator[int]:
    """The numbers of the strips and tiles with runs of zeros that only decoding can judge.

    Raises:
        Hole: There is a run that no encoder writes.
        ValueError: A part is cut off.
    """
    if found.compression == _PLAIN:
        if any(start + found.size(number) > len(data) for number, (start, _) in enumerate(found.pieces)):
            raise Cut("the pixels are cut off")
        if _has_hole(data, found):
            raise Hole
        return
    for number, (start, end) in enumerate(found.pieces):
        longest = max((last - first for first, last in zero_runs(data, start, end)), default=0)
        if not longest:
            continue
        if longest > _LONGEST.get(found.compression, longest):
            raise Hole
        if found.compression == JPEG:
            next(jpeg.doubts(found.whole_jpeg(data, start, end)), None)
        yield number


def _has_hole(data: bytes, found: Layout) -> bool:
    """Whether pixels that are stored without compression have a hole."""
    if not found.tiled:
        return any(has_hole(data, start, end, found.rows) for start, end in _stretches(found.pieces))
    for at in range(0, len(found.pieces), found.per_plane):
        tiles = found.pieces[at : at + found.per_plane]
        if has_lost_tile(data, tiles, found.columns, found.shown, found.rows):
            return True
        for number in range(len(tiles)):
            for first, last in found.torn_runs(data, at + number):
                beside = is_beside_pictures(data, tiles, found.columns, found.rows, number, first, last)
                if found.has_hole(data, at + number, tiles[number][0]) if beside is None else beside:
                    return True
    return False


def _stretches(strips: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, int]]:
    """Strips that follow each other in the file, together."""
    begin = strips[0][0]
    for (_, end), (start, _) in pairwise(strips):
        if start != end:
            yield begin, end
            begin = start
    yield begin, strips[-1][1]


def spells_zeros(data: bytes, start: int, end: int) -> bool:
    """Whether PackBits data have zeros one by one: a length of one, then a zero, many times. Encoders count them."""
    at, times = start, 0
    while at + 1 < end and times < _SPELLED:
        length = data[at]
        times = times + 1 if not length and not data[at + 1] else 0
        at += length + 2 if length < _NOTHING else 2 if length > _NOTHING else 1
    return times == _SPELLED
