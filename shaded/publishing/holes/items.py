"""Runs of zeros in the coded pictures of an AVIF or HEIC."""

from __future__ import annotations

from shaded.publishing.boxes import Item, read_items
from shaded.publishing.holes.runs import Hole, zero_runs
from shaded.publishing.walking import Cut, iso_places

#: How an HEVC stream goes on where three zeros would be: the decoder's configuration says how long lengths are.
_LENGTH_AT = 21
#: AV1's arithmetic code comes out as zeros only while the first symbol of each table repeats itself. Each block has
#: some that are others, flat ones too: 9 zeros in a row are the most that were seen in 1,100 files of every speed and
#: quality, large flat ones among them.
_MOST_ZEROS = 64


def insist_on_data(data: bytes) -> None:
    """Check the pictures that decoding the shown one decodes: its tiles, its transparency.

    Raises:
        Hole: There are zeros where no encoder writes them.
        ValueError: A part is cut off.
    """
    for item in read_items(data).coded():
        coded = b"".join(data[start:end] for start, end in item.extents)
        if item.kind == b"av01":
            _no_long_run(coded)
        elif item.kind in (b"hvc1", b"hev1"):
            _no_emptied_unit(coded, item)
    for start, end in _inside(data):
        _no_long_run(data[start:end])


def _inside(data: bytes) -> list[tuple[int, int]]:
    """Where the ``idat`` box of the ``meta`` box is, which small pictures may lie in (ISO/IEC 14496-12, 8.11.11)."""
    metas = [(start, end) for kind, start, end in iso_places(data) if kind == b"meta"]
    return [(at, to) for start, end in metas for kind, at, to in iso_places(data, start + 4, end) if kind == b"idat"]


def _no_long_run(coded: bytes) -> None:
    if next(zero_runs(coded, 0, len(coded), _MOST_ZEROS), None) is not None:
        raise Hole


def _no_emptied_unit(coded: bytes, item: Item) -> None:
    """In an HEVC stream three zeros in a row never occur within a unit (ITU-T H.265, 7.4.2); each has its length ahead.

    (ISO/IEC 14496-15, 8.3.3.1: the configuration states how many bytes a length has.)
    """
    configuration = item.stated(b"hvcC")
    if configuration is None or len(configuration) <= _LENGTH_AT:
        raise ValueError("it is not said how its data are to be read")
    wide = (configuration[_LENGTH_AT] & 3) + 1
    at = 0
    while at < len(coded):
        size = int.from_bytes(coded[at : at + wide], "big")
        at += wide
        if size < 2:
            raise Hole
        if at + size > len(coded):
            raise Cut("a part of the picture is cut off")
        if coded.find(b"\0\0\0", at, at + size) >= 0:
            raise Hole
        at += size
