"""Finding runs of zeros in the coded pixels of a file, fast: pure Python, at the speed of ``bytes.find``."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Shorter runs of zeros are not looked at. File systems leave holes of whole sectors (512 bytes and more).
SHORTEST = 64
#: For a person, after "the file is damaged or incomplete".
HOLE = "a part of it holds only zeros: it was never written to its end"

_SECTOR = 512
#: A value of a directory that is no longer stands in its entry.
_INSIDE = 4
_ZEROS = re.compile(rb"\0*")


class Hole(ValueError):  # noqa: N818 - says what is in the file
    """Zeros stand where no encoder writes them, as in a copy whose space was reserved and that was never finished."""

    def __init__(self) -> None:
        super().__init__(HOLE)


def zero_runs(data: bytes, start: int, end: int, shortest: int = SHORTEST) -> Iterator[tuple[int, int]]:
    """Start and end of each run of at least ``shortest`` zero bytes between two places of a file."""
    needle = bytes(shortest)
    while (at := data.find(needle, start, end)) >= 0:
        found = _ZEROS.match(data, at, end)
        start = at + shortest if found is None else found.end()
        yield at, start


def is_lost(data: bytes, start: int, end: int) -> bool:
    """Whether a value holds only zeros, and they are a part of a hole: of a whole sector, or to the end of the data.

    Cameras have fields of zeros for names that nobody set.
    """
    if end - start <= _INSIDE or any(data[start:end]):
        return False
    first = start
    while first > 0 and not data[first - 1] and start - first < _SECTOR:
        first -= 1
    found = _ZEROS.match(data, end)
    last = end if found is None else found.end()
    return last - first >= _SECTOR or (last == len(data) and end < last)
