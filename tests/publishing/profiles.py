"""ICC profiles for the tests, put together from tags."""

from __future__ import annotations

import struct

import numpy as np


def tags(icc):
    """The signatures of a profile's tags and their data, in their order."""
    rows = [icc[at : at + 12] for at in range(132, 132 + 12 * int.from_bytes(icc[128:132], "big"), 12)]
    return {row[:4]: icc[(at := int.from_bytes(row[4:8], "big")) : at + int.from_bytes(row[8:], "big")] for row in rows}


def build(head, entries):
    """A profile of a header and of tags; equal data are written once."""
    at, rows, body, places = 132 + 12 * len(entries), b"", b"", {}
    for name, data in entries.items():
        if data not in places:
            places[data] = at + len(body)
            body += data + bytes(-len(data) % 4)
        rows += name + struct.pack(">II", places[data], len(data))
    return struct.pack(">I", at + len(body)) + head[4:128] + struct.pack(">I", len(entries)) + rows + body


def with_tag(icc, name, data):
    """A profile with one tag more, or another one."""
    return build(icc[:128], {**tags(icc), name: data})


def table(size, seed=0):
    """An ``mft2`` of three channels, at least so many bytes long."""
    grid = next(grid for grid in range(2, 256) if 6 * grid**3 >= size - 76)
    noise = np.random.default_rng(seed).bytes(6 * grid**3)
    ramp = struct.pack(">2H", 0, 65535) * 3
    matrix = struct.pack(">9i", *(65536 if place % 4 == 0 else 0 for place in range(9)))
    return b"mft2\0\0\0\0" + bytes((3, 3, grid, 0)) + matrix + struct.pack(">2H", 2, 2) + ramp + noise + ramp


def words(text, wide=True):
    """A text of a profile: ``mluc`` in English, or ``text``."""
    if not wide:
        return b"text\0\0\0\0" + text.encode() + b"\0"
    raw = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(raw), 28) + raw
