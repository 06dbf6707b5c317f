"""Runs of zeros in the colour table of a TIFF.

All red values come first, then all green ones, then all blue ones, each of 16 bits. Zeros are black there, or a colour
without red, green or blue, and honest tables have long runs of them: of colours that no pixel has, or of a channel that
no colour has. A hole begins and ends where sectors do. (TIFF revision 6.0, section 5.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from shaded.publishing.holes.runs import SHORTEST, zero_runs
from shaded.publishing.ifd import Directory

COLOUR_TABLE = 320
_SECTOR = 512
#: So many zeros beside a hole may belong to its neighbours.
_NEAR = 4
_CHANNELS, _WIDE = 3, 2


def doubtful_zeros(data: bytes, page: Directory) -> bool:
    """Whether a colour table has zeros that only the pixels can tell from a hole."""
    table = page.entries.get(COLOUR_TABLE)
    if table is None:
        return False
    return not any(table.raw) or next(_sectors(data, page), None) is not None


def has_hole(data: bytes, page: Directory, used: Collection[int]) -> bool:
    """Whether colours that a picture uses were lost.

    Args:
        data: The file.
        page: A page with a colour table.
        used: The indices of all its pixels.
    """
    table = page.entries[COLOUR_TABLE]
    size = table.count // _CHANNELS
    if not any(table.raw):
        return len(used) > 1
    if len(used) == 1:  # as where the pixels were lost as well
        return next(_sectors(data, page), None) is not None
    for first, last in _sectors(data, page):
        entries = range(-(-first // _WIDE), last // _WIDE)
        if sum(channel * size + index in entries for channel in range(_CHANNELS) for index in used) > 1:
            return True
    return False


def _sectors(data: bytes, page: Directory) -> Iterator[tuple[int, int]]:
    """Start and end, in the table, of the zeros that begin and end with sectors of the file, or with the file.

    Zeros that begin and end with channels are a colour that is not there.
    """
    start = page.places[COLOUR_TABLE]
    end = start + len(page.entries[COLOUR_TABLE].raw)
    channel = (end - start) // _CHANNELS
    for at, to in zero_runs(data, start, end, SHORTEST):
        first, last = _widened(data, at, to)
        begins = -first % _SECTOR <= _NEAR and -(-first // _SECTOR) * _SECTOR <= at + _NEAR
        ends = last == len(data) or last % _SECTOR <= _NEAR
        lacking = all((place - start + _NEAR) % channel <= 2 * _NEAR for place in (max(first, start), min(last, end)))
        if begins and ends and last - first >= _SECTOR and not lacking:
            yield at - start, to - start


def _widened(data: bytes, at: int, to: int) -> tuple[int, int]:
    """A run of zeros with those before and behind it."""
    return len(data[:at].rstrip(b"\0")), len(data) - len(data[to:].lstrip(b"\0"))
