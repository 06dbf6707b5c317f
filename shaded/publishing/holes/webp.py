"""Runs of zeros in the coded data of a WebP.

The arithmetic code of lossy WebP and, at an encoder's lowest effort, the prefix codes of lossless WebP write long runs
of zeros for flat areas, so that a run alone proves nothing. What tells is how much of the data a decoder needs: an
honest file's are used up to the last bytes, and one with a hole has many left over or too few.
(RFC 6386: VP8; RFC 9649: the WebP container, VP8L and the alpha chunk.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from shaded.publishing.holes.rows import Rows, has_hole
from shaded.publishing.holes.runs import Hole, zero_runs
from shaded.publishing.holes.vp8l import chose_by_area
from shaded.publishing.walking import riff_chunks

_FRAME_HEADER = 10
#: Without so many bytes at its end no honest piece decodes to the same pixels. libwebp does not always notice that it
#: has too few: without 4 it still did, at the most, over 12,000 files.
_SPARE = 8
_SEGMENTS, _DELTAS = 4, 8


@dataclass(frozen=True)
class Piece:
    """A part of a chunk that is coded by itself, and the runs of zeros in it.

    Attributes:
        chunk: The number of the chunk in the file.
        kind: ``VP8 ``, ``VP8L`` or ``ALPH``.
        start: Where the piece begins in the chunk's content.
        end: Where it ends.
        runs: Start and end of each run of zeros in the chunk's content.
        size_at: Where the content states the piece's size, in three bytes; ``None`` where the chunk's own size does.
        unit: What one byte counts in that number.
    """

    chunk: int
    kind: bytes
    start: int
    end: int
    runs: tuple[tuple[int, int], ...] = field(default=())
    size_at: int | None = None
    unit: int = 1


def doubtful_pieces(data: bytes) -> Iterator[Piece]:
    """The pieces with runs of zeros, which only decoding can judge.

    Raises:
        Hole: There is a run in lossless data that were made with effort, or in uncompressed transparency.
        ValueError: The file is cut off.
    """
    width = 0
    for number, (kind, _, content) in enumerate(riff_chunks(data)):
        if kind == b"VP8X":
            width = 1 + int.from_bytes(content[4:7], "little")
        if kind not in (b"VP8 ", b"VP8L", b"ALPH") or next(zero_runs(content, 0, len(content)), None) is None:
            continue
        if kind == b"ALPH" and content[0] & 3 == 0:
            if width and has_hole(content, 1, len(content), Rows(width), differences=content[0] & 0xC != 0):
                raise Hole
            continue
        for piece in _pieces(number, kind, content):
            runs = tuple(zero_runs(content, piece.start, piece.end))
            if runs and kind != b"VP8 " and chose_by_area(content[piece.start :]):
                raise Hole
            if runs:
                yield Piece(number, kind, piece.start, piece.end, runs, piece.size_at, piece.unit)


def _pieces(number: int, kind: bytes, content: bytes) -> Iterator[Piece]:
    if kind != b"VP8 ":
        yield Piece(number, kind, 1 if kind == b"ALPH" else 5, len(content))
        return
    first = _FRAME_HEADER + (int.from_bytes(content[:3], "little") >> 5)
    yield Piece(number, kind, _FRAME_HEADER, first, size_at=0, unit=1 << 5)
    others = _partitions(content[_FRAME_HEADER:first]) - 1
    at = first + 3 * others
    for place in range(first, at, 3):
        size = int.from_bytes(content[place : place + 3], "little")
        yield Piece(number, kind, at, at + size, size_at=place)
        at += size
    if at > len(content):
        raise ValueError("a part of the picture is cut off")
    yield Piece(number, kind, at, len(content))


def changed(data: bytes, piece: Piece, content: bytes) -> bytes:
    """The file with another content of a piece's chunk."""
    parts = [(kind, content if at == piece.chunk else own) for at, (kind, _, own) in enumerate(riff_chunks(data))]
    body = b"".join(kind + len(own).to_bytes(4, "little") + own + b"\0" * (len(own) & 1) for kind, own in parts)
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def shortened(content: bytes, piece: Piece) -> bytes | None:
    """The content of a chunk without the last bytes of a piece; ``None`` where it has too few."""
    if piece.end - piece.start <= _SPARE:
        return None
    out = bytearray(content[: piece.end - _SPARE] + content[piece.end :])
    if piece.size_at is not None:
        place = slice(piece.size_at, piece.size_at + 3)
        out[place] = (int.from_bytes(out[place], "little") - _SPARE * piece.unit).to_bytes(3, "little")
    return bytes(out)


class _Bits:
    """The arithmetic decoder of VP8, for its header (RFC 6386, 7.3)."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 2
        self._value, self._range, self._shifted = int.from_bytes(data[:2].ljust(2, b"\0"), "big"), 255, 0

    def flag(self) -> bool:
        split = 1 + ((self._range - 1) >> 1)
        found = self._value >= split << 8
        self._range = self._range - split if found else split
        self._value -= split << 8 if found else 0
        while self._range < 128:
            self._range <<= 1
            self._value <<= 1
            self._shifted += 1
            if self._shifted == 8:
                self._shifted = 0
                self._value |= self._data[self._at] if self._at < len(self._data) else 0
                self._at += 1
        return found

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.flag()
        return value

    def optional(self, sizes: tuple[int, ...]) -> None:
        """Pass over numbers of so many bits, each with a flag ahead that says whether it is there."""
        for size in sizes:
            if self.flag():
                self.number(size)


def _partitions(first: bytes) -> int:
    """How many partitions of coefficients follow the first one (RFC 6386, 9.2 to 9.5 and 19.2)."""
    bits = _Bits(first)
    bits.number(2)
    if bits.flag():
        maps, values = bits.flag(), bits.flag()
        if values:
            bits.flag()
            bits.optional((8,) * _SEGMENTS + (7,) * _SEGMENTS)
        if maps:
            bits.optional((8,) * (_SEGMENTS - 1))
    bits.number(10)
    if bits.flag() and bits.flag():
        bits.optional((7,) * _DELTAS)
    return 1 << bits.number(2)
