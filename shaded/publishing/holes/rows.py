"""Runs of zeros in pixels that are stored without compression, where zeros are black, or see-through.

What gives a hole away is its shape. It begins or ends in the middle of a row, and there what is beside, above and below
it is a picture; black areas of pictures have outlines of other shapes. Only in short rows may a slanted line look
like a low hole. A run that is shorter than a row looks like a thin black line, unless it cuts pixels in two at both
ends, or fills whole sectors of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from shaded.publishing.holes.runs import zero_runs

#: How far from the edges of a picture, in pixels, a row has to break off: black bars begin near an edge.
_MARGIN = 3
#: How many pixels beside a slit have to be a picture.
_BESIDE = 8
#: The share of the bytes beside a hole that are not zero.
_MOSTLY = 0.75
_SECTOR = 512
#: Lines and edges that rise by one pixel over so many are rare, and where rows are shorter few are as thick as that.
_LONG_ROW = 256
_THICK = 4


class Rows(NamedTuple):
    """How bytes make rows: the bytes of a row, of a pixel (at least one), and of a sample (at least one)."""

    row: int
    pixel: int = 1
    sample: int = 1


def has_hole(data: bytes, start: int, end: int, rows: Rows, *, differences: bool = False) -> bool:
    """Whether rows of pixels between two places of a file have a hole.

    Args:
        data: The file, or decoded rows.
        start: Where the first row begins.
        end: Where the last one ends.
        rows: Their make.
        differences: The pixels are stored as what they differ from the one before. Thin runs of zeros say nothing then.
    """
    least = 1 if rows.row >= _LONG_ROW * rows.pixel else _THICK
    return any(
        last - first < rows.row or last - first >= least * rows.row
        for first, last in torn_runs(data, start, end, rows, differences=differences)
    )


def torn_runs(data: bytes, start: int, end: int, rows: Rows, *, differences: bool = False) -> Iterator[tuple[int, int]]:
    """Start and end of each run of zeros that has the shape of a hole; see :func:`has_hole`."""
    for first, last in zero_runs(data, start, end):
        if last - first >= rows.row:
            if _breaks_off(data, first, start, rows) or _begins_again(data, last, start, end, rows):
                yield first, last
        elif not differences and _is_slit(data, first, last, start, end, rows):
            yield first, last


def _breaks_off(data: bytes, first: int, start: int, rows: Rows) -> bool:
    """Whether a picture turns to zeros in the middle of a row."""
    number, column = divmod(first - start, rows.row)
    line = first - column
    return (
        number > 0
        and _is_inside(column, rows)
        and is_picture(data, first - rows.row, line, rows.sample)
        and is_picture(data, line, first, rows.sample)
    )


def _begins_again(data: bytes, last: int, start: int, end: int, rows: Rows) -> bool:
    """Whether zeros turn to a picture in the middle of a row."""
    column = (last - start) % rows.row
    line = last - column + rows.row
    return (
        line + rows.row <= end
        and _is_inside(column, rows)
        and is_picture(data, last, line, rows.sample)
        and is_picture(data, line, line + column, rows.sample)
    )


def _is_inside(column: int, rows: Rows) -> bool:
    return _MARGIN * rows.pixel <= column <= rows.row - _MARGIN * rows.pixel


def _is_slit(data: bytes, first: int, last: int, start: int, end: int, rows: Rows) -> bool:
    """Whether a run that is shorter than a row has a picture all around and ends where no drawing does."""
    cuts_pixels = (first - start) % rows.row % rows.pixel and (last - start) % rows.row % rows.pixel
    beside = _BESIDE * rows.pixel
    return (
        bool(cuts_pixels or (first % _SECTOR == 0 and last % _SECTOR == 0))
        and first - rows.row >= start
        and last + rows.row <= end
        and all(
            is_picture(data, at, to, rows.sample)
            for at, to in (
                (first - beside, first),
                (last, last + beside),
                (first - rows.row, last - rows.row),
                (first + rows.row, last + rows.row),
            )
        )
    )


def is_picture(data: bytes, start: int, end: int, sample: int) -> bool:
    """Whether most samples between two places are not zero, by their lower or their higher bytes."""
    lanes = (data[start + lane : end : sample] for lane in range(sample))
    return any(lane.count(0) <= (1 - _MOSTLY) * len(lane) for lane in lanes)
