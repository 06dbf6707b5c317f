"""Whether the strips and tiles of a TIFF are whole, where their decoders pass over what is missing."""

from __future__ import annotations

from shaded.publishing.containers import jpeg_strict
from shaded.publishing.holes.runs import Hole
from shaded.publishing.holes.tiff import JPEG, PACKBITS, ZSTANDARD, doubtful_pieces, layout, spells_zeros
from shaded.publishing.ifd import Directory, Header


def insist_on_whole(data: bytes, page: Directory, header: Header) -> None:
    """Check the coded data of a page.

    Raises:
        Hole: A run of zeros is none that an encoder wrote.
        ValueError: Coded data are missing or wrong.
    """
    import imagecodecs  # noqa: PLC0415 - large, and only TIFF files need it

    found = layout(page, header)
    doubtful = set(doubtful_pieces(data, found))
    for number, (start, end) in enumerate(found.pieces):
        if found.compression == JPEG:
            jpeg_strict.insist_on_whole(found.whole_jpeg(data, start, end))
        elif found.compression == PACKBITS and number in doubtful:
            if spells_zeros(data, start, end):
                raise Hole
        elif found.compression == ZSTANDARD and number in doubtful:
            rows = bytes(imagecodecs.zstd_decode(data[start:end], out=found.rows.row * found.height))
            if found.has_hole(rows, number, 0):
                raise Hole
