"""How long the data of an ICC profile's tags are, by their type, and which of their bytes mean something.

A measure says which stretches of a tag's data hold what the specification puts there. Offsets inside a tag are
followed, so that what no offset points at is in no stretch. (ICC.1:2022, clause 10; ICC.1:2001-04 for ``desc``.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

#: Start and end, counted from the beginning of the tag's data.
Stretch = tuple[int, int]
Measure = Callable[[memoryview], list[Stretch]]

_PARAMETERS = (1, 3, 4, 5, 7)
_FORMULAS = (4, 5, 5)
_MOST_CHANNELS = 15
_MOST_ELEMENTS = 64
_MOST_TEXTS = 400


def _fixed(size: int) -> Measure:
    return lambda _data: [(0, size)]


def _number(data: memoryview, at: int, size: int = 4) -> int:
    if at < 0 or at + size > len(data):
        raise ValueError("a number lies outside of its tag")
    return int.from_bytes(data[at : at + size], "big")


def _kind(data: memoryview, at: int = 0) -> bytes:
    return bytes(data[at : at + 4])


def _channels(first: int, second: int) -> None:
    if not (0 < first <= _MOST_CHANNELS and 0 < second <= _MOST_CHANNELS):
        raise ValueError("a table has no such number of channels")


def _moved(stretches: list[Stretch], by: int) -> list[Stretch]:
    return [(start + by, end + by) for start, end in stretches]


def _curve(data: memoryview) -> list[Stretch]:
    return [(0, 12 + 2 * _number(data, 8))]


def _parametric(data: memoryview) -> list[Stretch]:
    kind = _number(data, 8, 2)
    if kind >= len(_PARAMETERS):
        raise ValueError("a curve is of no known kind")
    return [(0, 12 + 4 * _PARAMETERS[kind])]


def _table8(data: memoryview) -> list[Stretch]:
    ins, outs, grid = data[8:11]
    _channels(ins, outs)
    return [(0, 48 + 256 * (ins + outs) + grid**ins * outs)]


def _table16(data: memoryview) -> list[Stretch]:
    ins, outs, grid = data[8:11]
    _channels(ins, outs)
    steps_in, steps_out = _number(data, 48, 2), _number(data, 50, 2)
    return [(0, 52 + 2 * (ins * steps_in + grid**ins * outs + outs * steps_out))]


def _curves(data: memoryview, at: int, count: int) -> list[Stretch]:
    """Curves behind each other, each filled up to four bytes."""
    found: list[Stretch] = []
    for _ in range(count):
        measure = {b"curv": _curve, b"para": _parametric}.get(_kind(data, at))
        if measure is None:
            raise ValueError("a table has curves of no known type")
        found += _moved(measure(data[at:]), at)
        at = found[-1][1] + -found[-1][1] % 4
    return found


def _points(sizes: memoryview, most: int) -> int:
    count = 1
    for size in sizes:
        count *= size
        if not 0 < count <= most:
            raise ValueError("a table does not fit into its tag")
    return count


def _elements(data: memoryview) -> list[Stretch]:
    """``mAB `` and ``mBA ``: B curves, matrix, M curves, table, A curves, each where its offset says."""
    ins, outs = data[8], data[9]
    _channels(ins, outs)
    b_curves, matrix, m_curves, table, a_curves = (_number(data, at) for at in range(12, 32, 4))
    inside, outside = (ins, outs) if _kind(data) == b"mAB " else (outs, ins)
    found: list[Stretch] = [(0, 32)]
    if b_curves:
        found += _curves(data, b_curves, outside)
    if matrix:
        found.append((matrix, matrix + 48))
    if m_curves:
        found += _curves(data, m_curves, outside)
    if table:
        width = _number(data, table + 16, 1)
        if width not in (1, 2):
            raise ValueError("a table has values of no known width")
        count = _points(data[table : table + ins], len(data)) * outs * width
        found += [(table, table + ins), (table + 16, table + 17), (table + 20, table + 20 + count)]
    if a_curves:
        found += _curves(data, a_curves, inside)
    return found


def _segments(data: memoryview) -> list[Stretch]:
    """One curve of a set of curves of processing elements."""
    count = _number(data, 8, 2)
    at = 12 + 4 * (count - 1)
    if _kind(data) != b"curf" or not 0 < count <= _MOST_TEXTS:
        raise ValueError("a processing element has no curve where one ought to be")
    for _ in range(count):
        if _kind(data, at) == b"parf" and (kind := _number(data, at + 8, 2)) < len(_FORMULAS):
            at += 12 + 4 * _FORMULAS[kind]
        elif _kind(data, at) == b"samf":
            at += 12 + 4 * _number(data, at + 8)
        else:
            raise ValueError("a curve has a part of no known kind")
    return [(0, at)]


def _processing(data: memoryview) -> list[Stretch]:
    """``mpet``: elements where a list of positions says, which may be shared."""
    _channels(_number(data, 8, 2), _number(data, 10, 2))
    count = _number(data, 12)
    if count > _MOST_ELEMENTS:
        raise ValueError("there are too many processing elements")
    found: list[Stretch] = [(0, 16 + 8 * count)]
    for place in range(count):
        start, size = _number(data, 16 + 8 * place), _number(data, 20 + 8 * place)
        found += _moved(_element(data[start : start + size]), start)
    return found


def _element(data: memoryview) -> list[Stretch]:
    ins, outs = _number(data, 8, 2), _number(data, 10, 2)
    _channels(ins, outs)
    if _kind(data) == b"matf":
        return [(0, 12 + 4 * (ins * outs + outs))]
    if _kind(data) == b"clut":
        return [(0, 12 + ins), (28, 28 + 4 * outs * _points(data[12 : 12 + ins], len(data)))]
    if _kind(data) in (b"bACS", b"eACS"):
        return [(0, 16)]
    if _kind(data) != b"cvst":
        raise ValueError("a processing element is of no known type")
    found: list[Stretch] = [(0, 12 + 8 * ins)]
    for start in {_number(data, 12 + 8 * place) for place in range(ins)}:
        found += _moved(_segments(data[start:]), start)
    return found


def _languages(data: memoryview) -> list[Stretch]:
    """``mluc``: a text for each language, where its record says; languages may share one."""
    count, size = _number(data, 8), _number(data, 12)
    if size != 12 or count > _MOST_TEXTS:
        raise ValueError("a text has records of no known size")
    found: list[Stretch] = [(0, 16 + 12 * count)]
    for at in range(16, 16 + 12 * count, 12):
        length, start = _number(data, at + 4), _number(data, at + 8)
        found.append((start, start + length))
    return found


def _description(data: memoryview) -> list[Stretch]:
    """``desc``: one text in ASCII, in Unicode, and in an old encoding, of which nothing is taken."""
    ascii_end = 12 + _number(data, 8)
    if ascii_end > len(data):
        raise ValueError("a description is cut off")
    if ascii_end + 8 > len(data):  # some writers end here
        return [(0, ascii_end)]
    end = ascii_end + 8 + 2 * _number(data, ascii_end + 4)
    return [(0, end), (min(end + 70, len(data)),) * 2]


def _whole(data: memoryview) -> list[Stretch]:
    return [(0, len(data))]


_TYPES: Mapping[bytes, Measure] = MappingProxyType({
    b"curv": _curve, b"para": _parametric, b"XYZ ": _fixed(20), b"sf32": _fixed(44), b"mft1": _table8,
    b"mft2": _table16, b"mAB ": _elements, b"mBA ": _elements, b"mpet": _processing, b"cicp": _fixed(12),
    b"meas": _fixed(36), b"view": _fixed(36), b"sig ": _fixed(12),
    b"chrm": lambda data: [(0, 12 + 8 * _number(data, 8, 2))],
    b"text": _whole, b"desc": _description, b"mluc": _languages,
})  # fmt: skip


def meaningful(data: bytes) -> bytes:
    """A tag's data as long as its type says, with zeros where the type puts nothing.

    Args:
        data: All that the profile's list of tags counts to the tag, its type first.

    Returns:
        At most as many bytes; the same ones where nothing else was among them than zeros behind the end.

    Raises:
        ValueError: The type is not known, or the data are shorter than it says.
    """
    measure = _TYPES.get(data[:4])
    if measure is None or len(data) < 8:
        raise ValueError("a tag is of no known type")
    stretches = sorted(measure(memoryview(data)))
    end = max(last for _, last in stretches)
    if end > len(data) or any(first < 0 for first, _ in stretches):
        raise ValueError("a tag is cut off")
    kept, done = bytearray(len(data)), 0
    for first, last in stretches:
        done = max(done, first)
        kept[done:last] = data[done:last]
        done = max(done, last)
    kept[4:8] = bytes(4)
    return data if kept == data else bytes(kept[:end])


def texts_in(data: bytes) -> list[str]:
    """All texts of a ``text``, ``desc`` or ``mluc`` that :func:`meaningful` gave."""
    if data[:4] == b"mluc":
        return [_wide(data[first:last]) for first, last in _languages(memoryview(data))[1:]]
    if data[:4] == b"desc":
        end = 12 + int.from_bytes(data[8:12], "big")
        return [_plain(data[12:end]), _wide(data[end + 8 :])]
    return [_plain(data[8:])]


def _plain(raw: bytes) -> str:
    return raw.replace(b"\0", b" ").decode("latin-1").strip()


def _wide(raw: bytes) -> str:
    return raw.decode("utf-16-be", "replace").replace("\0", " ").strip()


def emptied(kind: bytes) -> bytes:
    """The data of a text type that say nothing."""
    if kind == b"mluc":
        return struct.pack(">4s4xII", kind, 0, 12)
    return struct.pack(">4s4xI79x", kind, 1) if kind == b"desc" else kind + bytes(5)
