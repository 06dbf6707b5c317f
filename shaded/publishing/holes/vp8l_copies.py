"""Copies in lossless WebP data, which tell how the encoder writes what is flat.

Pictures of few colours have no predictors that would tell (see ``vp8l``). libwebp's lowest effort never copies the
pixel to the left over and over: it writes the same code word as often as the pixel is there. All other efforts copy it,
and have no long runs of zeros. (RFC 9649, sections 4 to 6.)
"""

from __future__ import annotations

from typing import NamedTuple

from shaded.publishing.holes.vp8l import (
    DISTANCES,
    GREEN,
    LENGTHS,
    OTHERS,
    PALETTE,
    SUBTRACT_GREEN,
    TRANSFORMS,
    Bits,
    Code,
    is_of_one_value,
    pass_over,
    prefixed,
    read_code,
)  # fmt: skip

#: Pixels. The lowest effort has no such copies at all, over 500 files.
_LONG = 4
#: So many code words are looked at. Where anything is flat a copy comes sooner.
_MOST_SYMBOLS = 200_000
#: Distances up to this stand for neighbours, the nearest first: columns to the left, and rows above (RFC 9649, 5.2.2).
_NEIGHBOURS = sorted(
    ((left, up) for up in range(8) for left in range(-7, 9) if up or left > 0),
    key=lambda place: (place[0] ** 2 + place[1] ** 2, abs(place[0]), -place[0]),
)
_MULTIPLIER = 0x1E35A7BD


class _Codes(NamedTuple):
    green: Code
    red: Code
    blue: Code
    alpha: Code
    distance: Code


def copies_its_neighbour(data: bytes, width: int, height: int) -> bool:
    """Whether pixels are copied to their right, again and again.

    Args:
        data: From the first transform on, after the size of the picture.
        width: Of the picture, in pixels.
        height: The same.

    Raises:
        ValueError: It is no such data.
    """
    bits = Bits(data)
    for _ in range(TRANSFORMS):
        if not bits.number(1):
            break
        kind = bits.number(2)
        if kind == PALETTE:
            colours = bits.number(8) + 1
            pass_over(bits, colours)
            width = -(-width >> (3 if colours <= 2 else 2 if colours <= 4 else 1 if colours <= 16 else 0))
        elif kind != SUBTRACT_GREEN:
            bits.number(3)
            if not is_of_one_value(bits):
                return True
    return _has_long_copy(bits, width, height)


def _read_codes(bits: Bits, cache: int) -> _Codes:
    green, *others = (read_code(bits, size) for size in (GREEN + LENGTHS + cache, *OTHERS, DISTANCES))
    return _Codes(green, *others)


def _copy(bits: Bits, symbol: int, codes: _Codes, width: int) -> tuple[int, int]:
    """How many pixels are copied, from so many pixels before."""
    length, distance = prefixed(bits, symbol - GREEN), prefixed(bits, bits.symbol(codes.distance))
    if distance > len(_NEIGHBOURS):
        return length, distance - len(_NEIGHBOURS)
    left, up = _NEIGHBOURS[distance - 1]
    return length, max(1, left + up * width)


def _has_long_copy(bits: Bits, width: int, height: int) -> bool:
    """Whether the main image has a long copy of the pixel to the left.

    Its codes may differ from block to block: an image of a pixel for each says which ones count (RFC 9649, 6.2.2).
    """
    cache = 1 << bits.number(4) if bits.number(1) else 0
    block, across, chosen = 32, 1, [0]  # one block, larger than any picture
    if bits.number(1):
        block = bits.number(3) + 2
        across = -(-width >> block)
        chosen = _numbers(bits, across, -(-height >> block))
    groups = [_read_codes(bits, cache) for _ in range(max(chosen) + 1)]
    at = 0
    for _ in range(_MOST_SYMBOLS):
        if at >= width * height:
            break
        codes = groups[chosen[(at // width >> block) * across + (at % width >> block)]]
        symbol = bits.symbol(codes.green)
        at += 1
        if symbol < GREEN:
            for code in (codes.red, codes.blue, codes.alpha):
                bits.symbol(code)
        elif symbol < GREEN + LENGTHS:
            length, distance = _copy(bits, symbol, codes, width)
            if length >= _LONG and distance == 1:
                return True
            at += length - 1
    return False


def _numbers(bits: Bits, width: int, height: int) -> list[int]:
    """The red and green values of a small image, as numbers."""
    size = bits.number(4) if bits.number(1) else 0
    cache = [0] * (1 << size if size else 0)
    codes = _read_codes(bits, len(cache))
    pixels: list[int] = []
    while len(pixels) < width * height:
        symbol = bits.symbol(codes.green)
        if symbol >= GREEN + LENGTHS:
            found = [cache[symbol - GREEN - LENGTHS]]
        elif symbol >= GREEN:
            length, distance = _copy(bits, symbol, codes, width)
            if distance > len(pixels):
                raise ValueError("the lossless data are damaged")
            found = [pixels[-distance + at % distance] for at in range(min(length, width * height - len(pixels)))]
        else:
            red, blue, alpha = (bits.symbol(code) for code in (codes.red, codes.blue, codes.alpha))
            found = [alpha << 24 | red << 16 | symbol << 8 | blue]
        for pixel in found if cache else ():
            cache[(_MULTIPLIER * pixel & 0xFFFFFFFF) >> (32 - size)] = pixel
        pixels += found
    return [pixel >> 8 & 0xFFFF for pixel in pixels]
