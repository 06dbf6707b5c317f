"""What of an ICC profile is published: what colours need, and what the profile calls itself.

The tags that are kept are listed with the types that they may have. Everything else stays behind: private tags, bytes
between tags, bytes behind the last, and fields of the header that say nothing about colours. A profile without any of
that is published byte for byte. (ICC.1:2022, clauses 7 to 10.)
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from shaded.publishing.embedded import Objection, objection
from shaded.publishing.profile_types import emptied, meaningful, texts_in

_HEADER = 128
_MOST_TAGS = 200
_LONGEST_TEXT, _MOST_TEXT = 4_000, 40_000
_D50 = bytes.fromhex("0000f6d6000100000000d32d")
_SIGNATURE = re.compile(rb"\0{4}|(?=.{0,3}[A-Za-z])[A-Za-z0-9 *]{4}", re.DOTALL)
#: The largest value of the illuminant that can be one, in 65,536ths.
_BRIGHTEST = 2 * 65536
_ID = slice(84, 100)

_CURVES, _COLOURS, _TEXTS = frozenset({b"curv", b"para"}), frozenset({b"XYZ "}), frozenset({b"text", b"desc", b"mluc"})
_TO_PCS, _FROM_PCS = frozenset({b"mft1", b"mft2", b"mAB "}), frozenset({b"mft1", b"mft2", b"mBA "})
#: What conversions are made from: a profile in which one of these is damaged is damaged.
_COLOUR: Mapping[bytes, frozenset[bytes]] = MappingProxyType({
    **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC", b"kTRC"), _CURVES),
    **dict.fromkeys((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"bkpt"), _COLOURS),
    **dict.fromkeys((b"A2B0", b"A2B1", b"A2B2"), _TO_PCS),
    **dict.fromkeys((b"B2A0", b"B2A1", b"B2A2", b"gamt", b"pre0", b"pre1", b"pre2"), _FROM_PCS),
    **dict.fromkeys((b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3"), frozenset({b"mpet"})),
    b"chad": frozenset({b"sf32"}), b"cicp": frozenset({b"cicp"}),
})  # fmt: skip
#: What describes the profile, and is left out alone where it is damaged.
_ABOUT: Mapping[bytes, frozenset[bytes]] = MappingProxyType({
    **dict.fromkeys((b"desc", b"cprt", b"dmnd", b"dmdd", b"vued"), _TEXTS),
    **dict.fromkeys((b"tech", b"rig0", b"rig2", b"ciis"), frozenset({b"sig "})),
    b"lumi": _COLOURS, b"chrm": frozenset({b"chrm"}), b"meas": frozenset({b"meas"}), b"view": frozenset({b"view"}),
})  # fmt: skip


class Kept(NamedTuple):
    """A profile to publish, or ``None`` where it is damaged; and what spoke against some of its texts."""

    icc: bytes | None
    against: Objection | None = None


def publishable(icc: bytes, *, gps: bool) -> Kept:
    """What of a profile is published; colours are converted with it as with the whole one.

    Args:
        icc: The source's profile.
        gps: Whether its texts may hold a position.
    """
    try:
        return _rebuilt(icc, gps=gps)
    except ValueError:
        return Kept(None)


def _rebuilt(icc: bytes, *, gps: bool) -> Kept:
    count = int.from_bytes(icc[_HEADER : _HEADER + 4], "big")
    start = _HEADER + 4 + 12 * count
    if icc[36:40] != b"acsp" or count > _MOST_TAGS or start > len(icc):
        raise ValueError("this is no profile")
    tags: dict[bytes, tuple[int, int]] = {}
    against: Objection | None = None
    parts: dict[tuple[int, int], bytes] = {}
    for at in range(_HEADER + 4, start, 12):
        name, place, size = struct.unpack(">4sII", icc[at : at + 12])
        if name in tags or (name not in _COLOUR and name not in _ABOUT):
            continue
        try:
            part, said = _tag(name, icc[place : place + size] if place + size <= len(icc) else b"", gps=gps)
        except ValueError:
            if name in _COLOUR:
                raise
            continue
        tags[name], parts[place, size], against = (place, size), part, said or against
        if sum(map(len, parts.values())) > 2 * len(icc):
            raise ValueError("the tags overlap")
    if _is_clean(icc, count, tags, parts):
        return Kept(icc)
    return Kept(_written(icc[:_HEADER], tags, parts), against)


def _tag(name: bytes, data: bytes, *, gps: bool) -> tuple[bytes, Objection | None]:
    """The data of a listed tag, and what spoke against its text, which is then empty.

    Raises:
        ValueError: They are of another type than the tag's, or cut off.
    """
    if data[:4] not in (_COLOUR.get(name) or _ABOUT[name]):
        raise ValueError("a tag is of a type that it cannot have")
    kept = meaningful(data)
    if kept[:4] == b"sig " and not _SIGNATURE.fullmatch(kept[8:12]):
        raise ValueError("a signature is none")
    if kept[:4] not in _TEXTS:
        return kept, None
    texts = texts_in(kept)
    lengths = [len(text) for text in texts]
    long = sum(lengths) > _MOST_TEXT or max(lengths, default=0) > _LONGEST_TEXT
    against: Objection | None = "too much" if long else objection(" ".join(dict.fromkeys(texts)), gps=gps)
    return (kept, None) if against is None else (emptied(kept[:4]), against)


def _is_clean(
    icc: bytes, count: int, tags: Mapping[bytes, tuple[int, int]], parts: Mapping[tuple[int, int], bytes]
) -> bool:
    """Whether there is nothing in a profile but what is kept, and zeros between."""
    if len(tags) != count or len(icc) != int.from_bytes(icc[:4], "big") or _header(icc[:_HEADER]) != icc[:_HEADER]:
        return False
    if any(icc[_ID]) and icc[_ID] != _identity(icc):
        return False
    alike = bytearray(len(icc))
    end = _HEADER + 4 + 12 * count
    alike[:end] = icc[:end]
    for (place, size), part in parts.items():
        if len(part) != size:
            return False
        alike[place : place + size] = part
    return alike == icc


def _header(head: bytes) -> bytes:
    """The header without makers' flags, and without fields that hold what they cannot."""
    kept = bytearray(head)
    for at in (4, 40, 48, 52, 80):
        if not _SIGNATURE.fullmatch(kept[at : at + 4]):
            kept[at : at + 4] = bytes(4)
    date = struct.unpack(">6H", head[24:36])
    if any(value > most for value, most in zip(date, (2999, 12, 31, 23, 59, 60), strict=True)):
        kept[24:36] = bytes(12)
    kept[44:48] = (int.from_bytes(head[44:48], "big") & 3).to_bytes(4, "big")
    kept[56:64] = (int.from_bytes(head[56:64], "big") & 15).to_bytes(8, "big")
    if any(not 0 <= value < _BRIGHTEST for value in struct.unpack(">3i", head[68:80])):
        kept[68:80] = _D50
    kept[100:] = bytes(_HEADER - 100)
    return bytes(kept)


def _identity(icc: bytes) -> bytes:
    """The profile's ID: its MD5 without flags, rendering intent and the ID itself (7.2.18)."""
    hashed = icc[:44] + bytes(4) + icc[48:64] + bytes(4) + icc[68:84] + bytes(16) + icc[100:]
    return hashlib.md5(hashed, usedforsecurity=False).digest()


def _written(head: bytes, tags: Mapping[bytes, tuple[int, int]], parts: Mapping[tuple[int, int], bytes]) -> bytes:
    """A profile of these tags in their order; those that shared their data do so again."""
    at = _HEADER + 4 + 12 * len(tags)
    places: dict[tuple[int, int], int] = {}
    body = b""
    for key in dict.fromkeys(tags.values()):
        places[key] = at + len(body)
        body += parts[key] + bytes(-len(parts[key]) % 4)
    rows = b"".join(struct.pack(">4sII", name, places[key], len(parts[key])) for name, key in tags.items())
    icc = struct.pack(">I", at + len(body)) + _header(head)[4:] + struct.pack(">I", len(tags)) + rows + body
    return icc[:84] + _identity(icc) + icc[100:] if any(head[_ID]) else icc
