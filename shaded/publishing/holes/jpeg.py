"""Runs of zeros in the coded data of a JPEG.

JPEG has no check sums, and zeros are valid codes: a decoder draws something for them and goes on. But the code words of
nothing but zeros are known from the file's own Huffman tables (JPEG, annex C: the first symbol of a table has the code
of zeros), and so is what a run of them draws. Where that is no picture (all 63 frequencies of a block equal, or a
brightness outside its range), the run is a hole. Where it is one, a flat area, only decoding tells.
(ITU-T T.81: annexes B, F and G.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from shaded.publishing.holes.runs import Hole, zero_runs
from shaded.publishing.walking import Part, Scan, jpeg_scans

_COEFFICIENTS = 63
#: How far apart the brightest and the darkest mean of a block can be, times eight (T.81, A.3.3).
_RANGE = 2048
_ARITHMETIC = frozenset({0xC9, 0xCA})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
#: Bits between two code words of a scan that refines frequencies. libjpeg collects at most 1000, and what it writes
#: between them says how many blocks they are for: no row of zeros, but by rare chance.
_MOST_REFINED = 2 * 1000
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
#: Fewer frequencies than this may honestly be equal in block after block, in a pattern that repeats every 8 pixels.
_FEW = 4


class _Code(NamedTuple):
    """The code word of zeros in a Huffman table: its length in bits, and what it means."""

    length: int
    symbol: int


#: Of files without tables, as some cameras' moving pictures have them (T.81, annex K.3).
_USUAL = {0x00: _Code(2, 0), 0x01: _Code(2, 0), 0x10: _Code(2, 1), 0x11: _Code(2, 0)}


class _Component(NamedTuple):
    """One component: blocks of it in a unit of an interleaved scan, and its quantisation table."""

    across: int
    down: int
    table: int


@dataclass
class _State:
    """What the segments before a scan have said."""

    codes: dict[int, _Code] = field(default_factory=_USUAL.copy)
    steps: dict[int, int] = field(default_factory=dict)  # of the mean of a block, by table
    components: dict[int, _Component] = field(default_factory=dict)
    frame: int = 0
    interval: int = 0  # units between two restart markers

    def take(self, part: Part) -> None:
        """Read one segment."""
        marker, content = part.kind[0], part.content
        if marker == 0xC4:
            self._huffman(content)
        elif marker == 0xDB:
            self._quantisation(content)
        elif marker == 0xDD:
            self.interval = int.from_bytes(content[:2], "big")
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC8, 0xCC) and len(content) >= 6:
            self.frame = marker
            for at in range(6, len(content) - 2, 3):
                number, sampling, table = content[at : at + 3]
                self.components[number] = _Component(max(1, sampling >> 4), max(1, sampling & 15), table)

    def _huffman(self, content: bytes) -> None:
        while len(content) > 17:
            lengths = content[1:17]
            shortest = next((bits for bits, count in enumerate(lengths, 1) if count), 16)
            self.codes[content[0]] = _Code(shortest, content[17])
            content = content[17 + sum(lengths) :]

    def _quantisation(self, content: bytes) -> None:
        while len(content) > 2:
            wide = content[0] >> 4 != 0
            self.steps[content[0] & 15] = max(1, int.from_bytes(content[1 : 3 if wide else 2], "big"))
            content = content[129 if wide else 65 :]


class Means(NamedTuple):
    """Units of an interleaved scan, row by row, whose first blocks had the last bit of their means from zeros.

    Attributes:
        first: The number of the first unit.
        last: The number of the unit after the last.
        across: Blocks of luminance in a unit, from left to right.
        down: From top to bottom.
        ones: The share of ones among the other bits of the scan.
    """

    first: int
    last: int
    across: int
    down: int
    ones: float


class Doubt(NamedTuple):
    """A run of zeros that may be honest.

    Attributes:
        start: Where it begins in the file.
        end: Where it ends.
        scan: The scan that it lies in.
        reading: How that is to be read.
        explained: Whether it may be a part of the picture; else it can only be padding.
    """

    start: int
    end: int
    scan: Scan
    reading: Reading
    explained: bool

    @property
    def closes(self) -> bool:
        """Whether its scan ends there, too: then it may be padding."""
        return self.end == self.scan.end

    def means(self, data: bytes) -> Means | None:
        """The means that it stands for, where it lies in a scan that refines them."""
        return self.reading.means(data, self.scan, self.start, self.end)


def doubts(data: bytes) -> Iterator[Doubt]:
    """The runs of zeros in the scans that only decoding can judge.

    Raises:
        Hole: There is one that no picture explains.
        ValueError: The file is cut off.
    """
    state = _State()
    for scan in jpeg_scans(data):
        for part in scan.ahead:
            state.take(part)
        reading = Reading(scan.header, state)
        most = reading.longest()
        for start, end in zero_runs(data, scan.start, scan.end):
            explained = 8 * (end - start) <= most
            if not explained and end < scan.end:
                raise Hole
            yield Doubt(start, end, scan, reading, explained)


class Reading:
    """How a scan's coded data are to be read (T.81, B.2.3)."""

    def __init__(self, header: bytes, state: _State) -> None:
        count = header[0] if header else 0
        if len(header) < 1 + 2 * count + 3:
            raise ValueError("a scan's header is cut off")
        self._state = state
        self._parts = [
            (state.components.get(header[at], _Component(1, 1, 0)), header[at + 1]) for at in range(1, 1 + 2 * count, 2)
        ]
        self._progressive = state.frame in _PROGRESSIVE
        first, last, steps = header[1 + 2 * count : 4 + 2 * count]
        # Sequential files are read whole, whatever stands there: some cameras write something else.
        self._band = (first, min(last, _COEFFICIENTS)) if self._progressive else (0, _COEFFICIENTS)
        self._refines = self._progressive and steps >> 4 != 0
        self._shift = steps & 15 if self._progressive else 0

    def _blocks(self, part: _Component) -> int:
        return part.across * part.down if len(self._parts) > 1 else 1

    def longest(self) -> float:
        """The longest run of zeros, in bits, that a picture can have in this scan; infinite where there is no limit."""
        if self._state.frame in _ARITHMETIC or not self._parts:
            return math.inf
        if self._refines:
            return math.inf if self._band[0] == 0 else _MOST_REFINED
        if self._band[0] > 0:
            return self._equal_frequencies()
        frequencies = math.inf if self._progressive else self._equal_frequencies()
        return min(frequencies, self._falling_means())

    def _code(self, kind: int, selector: int) -> _Code:
        number = selector >> 4 if kind == 0 else selector & 15
        return self._state.codes.get(kind << 4 | number, _Code(16, 0))

    def _block(self, selector: int) -> tuple[int, int]:
        """How many frequencies of a block zeros set, and how many bits that takes; none where they end the block."""
        code = self._code(1, selector)
        skipped, size = code.symbol >> 4, code.symbol & 15
        if size == 0 and skipped < 15:
            return 0, code.length
        width = self._band[1] - max(1, self._band[0]) + 1
        count = -(-width // (skipped + 1))
        return count, count * (code.length + size)

    def _equal_frequencies(self) -> float:
        """Twice what a block with all its frequencies alike takes: a longer run has a whole one in it."""
        longest, others = 0, 0
        for part, selector in self._parts:
            means = self._code(0, selector) if self._band[0] == 0 else _Code(0, 0)
            count, bits = self._block(selector)
            bits += means.length + means.symbol
            if count >= _FEW:
                longest = max(longest, bits)
            else:
                others += self._blocks(part) * bits
        return 2 * longest + others if longest else math.inf

    def _falling_means(self) -> float:
        """What it takes for the mean, which falls by as much in every block, to leave its range."""
        unit, units = 0, math.inf
        for part, selector in self._parts:
            code = self._code(0, selector)
            bits = code.length + code.symbol + (0 if self._progressive else self._block(selector)[1])
            unit += self._blocks(part) * bits
            if code.symbol:
                step = self._state.steps.get(part.table, 1) << self._shift
                fall = ((1 << code.symbol) - 1) * self._blocks(part)
                units = min(units, _RANGE // step // fall + 2)
        return units * unit

    def means(self, data: bytes, scan: Scan, start: int, end: int) -> Means | None:
        """The units that a run stands for, in a scan that refines means and begins with luminance."""
        first = next(iter(self._state.components.values()), None)
        if self._band[0] > 0 or not self._refines or not self._parts or self._parts[0][0] is not first:
            return None
        restarts = list(_RESTART.finditer(data, scan.start, start))
        begin = restarts[-1].end() if restarts else scan.start
        skipped = len(restarts) * self._state.interval
        per_unit = sum(self._blocks(part) for part, _ in self._parts)
        before = start - begin - data.count(b"\xff\0", begin, start)
        alone = len(self._parts) == 1
        others = data[scan.start : start] + data[end : scan.end]
        ones = int.from_bytes(others, "big").bit_count() / (8 * len(others) or 1)
        return Means(
            skipped + -(-8 * before // per_unit), skipped + 8 * (before + end - start) // per_unit,
            1 if alone else first.across, 1 if alone else first.down, ones,
        )  # fmt: skip
