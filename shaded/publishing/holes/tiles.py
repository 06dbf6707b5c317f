"""Zeros that keep to the grid of the tiles of an uncompressed TIFF.

Black areas of pictures seldom keep to the grid, and where they do, they fill whole rows of it. Tiles that are lost
follow each other in the file, and all around them there is a picture up to their very edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

from shaded.publishing.holes.rows import Rows, is_picture
from shaded.publishing.holes.runs import SHORTEST


def is_beside_pictures(
    data: bytes, tiles: Sequence[tuple[int, int]], columns: int, rows: Rows, number: int, first: int, last: int
) -> bool | None:
    """Whether the tiles at the left and at the right of a run of zeros are a picture where they meet it.

    A line or a black area goes on in the next tile. A hole goes on at most in the tile that is next in the file.

    Args:
        data: The file.
        tiles: Start and end of each, row by row.
        columns: How many there are beside each other.
        rows: The make of a tile.
        number: Of the tile with the run.
        first: Where the run begins.
        last: Where it ends.

    Returns:
        ``None`` where no tile beside it can tell.
    """
    start, end = tiles[number]
    first_row, last_row = first - start, last - start
    beside = [
        (number - 1, rows.row - rows.pixel, range(-(-first_row // rows.row), -(-last_row // rows.row))),
        (number + 1, 0, range(first_row // rows.row, last_row // rows.row)),
    ]
    goes_on = (
        first == start and _is_empty(data, tiles[number - 1][1] - SHORTEST),
        last == end and number + 1 < len(tiles) and _is_empty(data, tiles[number + 1][0]),
    )
    is_there = number % columns > 0 and not goes_on[0], (number + 1) % columns > 0 and not goes_on[1]
    found = []
    for other, place, lines in compress(beside, is_there):
        places = (tiles[other][0] + line * rows.row + place for line in lines)
        pixels = b"".join(data[at : at + rows.pixel] for at in places)
        found.append(is_picture(pixels, 0, len(pixels), rows.sample))
    return all(found) if found else None


def _is_empty(data: bytes, at: int) -> bool:
    return data.startswith(bytes(SHORTEST), at)


def has_lost_tile(data: bytes, tiles: Sequence[tuple[int, int]], columns: int, shown: int, rows: Rows) -> bool:
    """Whether tiles of one picture, or of one of its planes, were never written.

    Args:
        data: The file.
        tiles: Start and end of each, row by row.
        columns: How many there are beside each other.
        shown: Bytes of a row of the last of them that are a part of the picture; the rest only fills the tile.
        rows: The make of a tile.
    """
    empty = [data.count(0, start, end) == end - start for start, end in tiles]
    runs = list(_runs(empty))
    if len(runs) != 1:  # several are a pattern
        return False
    first, last = runs[0]
    if first % columns == 0 and last % columns == 0:  # whole rows are a black bar
        return False
    if last == first + 1 and (last % columns == 0 or last == len(tiles)):  # of one at the rim little may be seen
        return False
    edges = list(_edges(data, tiles, columns, shown, rows, first, last, empty))
    return bool(edges) and all(edges)


def _runs(empty: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """The number of the first tile of each run of empty ones, and of the one behind its last."""
    first = None
    for number, nothing in enumerate([*empty, False]):
        if nothing and first is None:
            first = number
        elif not nothing and first is not None:
            yield first, number
            first = None


def _edges(
    data: bytes, tiles: Sequence[tuple[int, int]], columns: int, shown: int, rows: Rows, first: int, last: int,
    empty: Sequence[bool],
) -> Iterator[bool]:  # fmt: skip
    """Of the tiles above and below a run whether they are a picture where they meet it.

    What is before and behind it in the file may have zeros of the same hole at its own end or beginning.
    """
    for number in range(first, last):
        for other, place in ((number - columns, -rows.row), (number + columns, 0)):
            if not 0 <= other < len(tiles) or first - 1 <= other <= last:
                continue
            start, end = tiles[other]
            wide = shown if (other + 1) % columns == 0 else rows.row
            at = end + place if place else start
            yield not empty[other] and is_picture(data, at, at + wide, rows.sample)
