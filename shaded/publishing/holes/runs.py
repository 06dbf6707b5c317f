"""Finding runs of zeros in the coded pixels of a file, fast: pure Python, at the speed of ``bytes.find``."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Shorter runs of zeros are not looked at. File systems leave holes of whole sectors (512 bytes and more).
SHORTEST = 64
#: For a person, after "the file is damaged or incomplete".
HOLE = "a part of it holds only zeros: it was never written to its end"

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
