"""The colour space that an AV1 stream states itself, which counts where an AVIF has no box that does.

(AV1 Bitstream & Decoding Process Specification, 5.3 to 5.5: OBU header, sequence header, colour configuration.)
"""

from __future__ import annotations

_SEQUENCE_HEADER = 1
#: A sequence header stands first and has some dozens of bytes.
_LONGEST = 4096
_UNSPECIFIED = (2, 2)


class _Bits:
    """Numbers of any width, the most significant bit first; zeros beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __call__(self, width: int) -> int:
        value = 0
        for _ in range(width):
            byte, bit = divmod(self._at, 8)
            value = value << 1 | (self._data[byte] >> (7 - bit) & 1 if byte < len(self._data) else 0)
            self._at += 1
        return value


def _units(stream: bytes) -> list[tuple[int, bytes]]:
    """Type and content of each OBU at the beginning of a stream."""
    units, at = [], 0
    while at < len(stream):
        head = stream[at]
        at += 2 if head & 4 else 1
        size = len(stream) - at
        if head & 2:
            size = 0
            for n in range(8):
                byte = stream[at] if at < len(stream) else 0
                at += 1
                size |= (byte & 0x7F) << 7 * n
                if not byte & 0x80:
                    break
        units.append((head >> 3 & 15, stream[at : at + size]))
        at += max(size, 0)
    return units


def stated_colour(stream: bytes) -> tuple[int, int]:
    """Primaries and transfer function by their H.273 numbers; (2, 2) where the stream does not state them."""
    header = next((content for kind, content in _units(stream[:_LONGEST]) if kind == _SEQUENCE_HEADER), None)
    return _UNSPECIFIED if header is None else _colour_of(_Bits(header))


def _operating_points(read: _Bits) -> None:
    """Skip timing and levels, of a stream that is not marked as one still picture."""
    model_bits = 0
    if read(1):  # timing_info
        read(64)
        if read(1):  # equal_picture_interval: a number in Exp-Golomb code
            zeros = 0
            while zeros < 32 and not read(1):
                zeros += 1
            read(zeros)
        if read(1):  # decoder_model_info
            model_bits = read(5) + 1
            read(42)
    initial_delay = read(1)
    for _ in range(read(5) + 1):
        read(12)
        if read(5) > 7:
            read(1)
        if model_bits and read(1):
            read(2 * model_bits + 1)
        if initial_delay and read(1):
            read(4)


def _tools(read: _Bits) -> None:
    """Skip what a stream that is not marked as one still picture says about its coding tools."""
    read(4)
    order_hint = read(1)
    if order_hint:
        read(2)
    screen_content = 2 if read(1) else read(1)
    if screen_content and not read(1):
        read(1)
    if order_hint:
        read(3)


def _colour_of(read: _Bits) -> tuple[int, int]:
    profile = read(3)
    read(1)
    reduced = read(1)
    if reduced:
        read(5)
    else:
        _operating_points(read)
    across, down = read(4) + 1, read(4) + 1
    read(across + down)
    if not reduced and read(1):
        read(7)
    read(3)
    if not reduced:
        _tools(read)
    read(3)
    if read(1) and profile == 2:  # high_bitdepth, twelve_bit
        read(1)
    if profile != 1:  # mono_chrome
        read(1)
    return (read(8), read(8)) if read(1) else _UNSPECIFIED
