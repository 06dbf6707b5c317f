"""The head of lossless WebP data, as far as it tells how much effort the encoder took.

An encoder that takes none has one predictor for the whole picture, and repeats code words where areas are flat: it
writes zeros by the thousand. One that chooses predictors area by area also points back to what was there before instead
of repeating it (libwebp: 12 zeros in a row at the most, over 5,000 files of methods 1 to 6).
(RFC 9649, sections 4 to 6.)
"""

from __future__ import annotations

TRANSFORMS = 4
SUBTRACT_GREEN, PALETTE = 2, 3
_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
GREEN, OTHERS, LENGTHS = 256, (256, 256, 256), 24
DISTANCES = 40
_LONGEST = 15
#: A prefix code: the symbol of each length and code word; one symbol alone has length 0.
Code = dict[tuple[int, int], int]


def chose_by_area(data: bytes) -> bool:
    """Whether predictors or colour transforms differ from area to area.

    Args:
        data: From the first transform on, after the size of the picture.

    Raises:
        ValueError: It is no such data.
    """
    bits = Bits(data)
    for _ in range(TRANSFORMS):
        if not bits.number(1):
            return False
        kind = bits.number(2)
        if kind == PALETTE:
            pass_over(bits, bits.number(8) + 1)
        elif kind != SUBTRACT_GREEN:
            bits.number(3)
            if not is_of_one_value(bits):
                return True
    return False


class Bits:
    """Numbers with their lowest bit first (RFC 9649, 3)."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, size: int) -> int:
        """The next number of so many bits."""
        place = self._at >> 3
        found = int.from_bytes(self._data[place : place + 4], "little") >> (self._at & 7) & (1 << size) - 1
        self._at += size
        if self._at > 8 * len(self._data):
            raise ValueError("the head of the lossless data is damaged")
        return found

    def symbol(self, code: Code) -> int:
        """The symbol of the next code word."""
        word = length = 0
        while (length, word) not in code:
            if length == _LONGEST:
                raise ValueError("the head of the lossless data is damaged")
            word, length = word << 1 | self.number(1), length + 1
        return code[length, word]


def is_of_one_value(bits: Bits) -> bool:
    """Whether an image has one value only; it is read to its end then."""
    if bits.number(1):
        return False
    codes = [read_code(bits, size) for size in (GREEN + LENGTHS, *OTHERS, DISTANCES)]
    return all(len(code) == 1 for code in codes)


def pass_over(bits: Bits, pixels: int) -> None:
    """Read an image of so many pixels to its end: a palette."""
    cache = 1 << bits.number(4) if bits.number(1) else 0
    green, red, blue, alpha, distance = (
        read_code(bits, size) for size in (GREEN + LENGTHS + cache, *OTHERS, DISTANCES)
    )
    while pixels > 0:
        symbol = bits.symbol(green)
        pixels -= 1
        if symbol < GREEN:
            for code in (red, blue, alpha):
                bits.symbol(code)
        elif symbol < GREEN + LENGTHS:  # a copy; else it is a colour from the cache
            pixels -= prefixed(bits, symbol - GREEN) - 1
            prefixed(bits, bits.symbol(distance))


def prefixed(bits: Bits, prefix: int) -> int:
    """A length or distance (RFC 9649, 5.2.2)."""
    if prefix < 4:
        return prefix + 1
    extra = (prefix - 2) >> 1
    return ((2 + (prefix & 1)) << extra) + bits.number(extra) + 1


def read_code(bits: Bits, size: int) -> Code:
    """One prefix code (RFC 9649, 6.2.1)."""
    if bits.number(1):
        two = bits.number(1)
        symbols = [bits.number(8 if bits.number(1) else 1), *([bits.number(8)] if two else [])]
        return _canonical({symbol: len(symbols) - 1 for symbol in symbols})
    lengths = [0] * len(_ORDER)
    for place in _ORDER[: 4 + bits.number(4)]:
        lengths[place] = bits.number(3)
    code = _canonical({symbol: length for symbol, length in enumerate(lengths) if length})
    most = 2 + bits.number(2 + 2 * bits.number(3)) if bits.number(1) else size
    return _canonical({symbol: length for symbol, length in enumerate(_read_lengths(bits, code, size, most)) if length})


def _read_lengths(bits: Bits, code: Code, size: int, most: int) -> list[int]:
    """The lengths of the code words of a code, which are coded themselves."""
    lengths: list[int] = []
    before = 8
    while len(lengths) < size and most > 0:
        most -= 1
        symbol = bits.symbol(code)
        if symbol < 16:
            lengths.append(symbol)
            before = symbol or before
        else:
            times = {16: (3, 2), 17: (3, 3), 18: (11, 7)}[symbol]
            lengths += [before if symbol == 16 else 0] * (times[0] + bits.number(times[1]))
    return lengths


def _canonical(lengths: dict[int, int]) -> Code:
    """Code words in the order of their lengths, then of their symbols; a single symbol takes no bits."""
    if len(lengths) == 1:
        return {(0, 0): next(iter(lengths))}
    code: Code = {}
    word = last = 0
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        word <<= length - last
        code[length, word] = symbol
        word, last = word + 1, length
    return code
