"""Whether a colour profile is whole: its structure, and the zeros in it.

(ICC.1:2022, 7.2, 7.3 and 10.)
"""

from __future__ import annotations

from collections.abc import Iterator

_MARK, _COUNT, _TABLE, _ENTRY = 36, 128, 132, 12
_MOST_TAGS = 1000
#: The last tag may be filled up to four bytes that are not there.
_SLACK = 3
_CURVES = frozenset({b"rTRC", b"gTRC", b"bTRC", b"kTRC"})
_COLOURS = frozenset({b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"})
#: Tables that lead from the picture's colours to light: black has colour values there that are not zero.
_TO_LIGHT = frozenset({b"A2B0", b"A2B1", b"A2B2"})
_CURVE_ZEROS, _TABLE_ZEROS = bytes(64), bytes(256)
#: How far a curve may rise at once behind zeros that it begins with, of 65535.
_STEP = 2048


def is_sound(icc: bytes) -> bool:
    """Whether a profile can be read, and nothing of it was lost that says what colours look like."""
    if icc[_MARK : _MARK + 4] != b"acsp" or int.from_bytes(icc[:4], "big") > len(icc) + _SLACK:
        return False
    count = int.from_bytes(icc[_COUNT:_TABLE], "big")
    if not 0 < count <= _MOST_TAGS or _TABLE + _ENTRY * count > len(icc):
        return False
    return all(
        at + size <= len(icc) + _SLACK and size >= 8 and any(icc[at : at + 4]) and _is_whole(name, icc[at : at + size])
        for name, at, size in _tags(icc, count)
    )


def _tags(icc: bytes, count: int) -> Iterator[tuple[bytes, int, int]]:
    for place in range(_TABLE, _TABLE + _ENTRY * count, _ENTRY):
        at, size = (int.from_bytes(icc[place + n : place + n + 4], "big") for n in (4, 8))
        yield icc[place : place + 4], at, size


def _is_whole(name: bytes, content: bytes) -> bool:
    if name in _COLOURS:
        return any(content[8:])
    if name in _CURVES and content.startswith(b"curv"):
        return not _breaks_off(content[12:])
    return name not in _TO_LIGHT or _TABLE_ZEROS not in content


def _breaks_off(curve: bytes) -> bool:
    """Whether a curve falls to zero and stays there, or rises from there at once."""
    at = curve.find(_CURVE_ZEROS)
    if at < 0:
        return False
    at += at & 1
    rest = curve[at:].lstrip(b"\0")
    behind = len(curve) - len(rest) & ~1
    return any(curve[:at]) or not rest or int.from_bytes(curve[behind : behind + 2], "big") > _STEP
