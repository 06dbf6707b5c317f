"""Whether the coded data of a WebP with runs of zeros are whole.

libwebp says when data are missing, and not when some are left over. So it is given the file once more with a few bytes
less: an honest file is another picture then, or none. Lossless data can come back into step after a hole; so where a
run of zeros stands, the pixels must be of one colour, or repeat or continue what was there before.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import WebPImagePlugin

from shaded.publishing.holes.runs import Hole
from shaded.publishing.holes.webp import Piece, changed, doubtful_pieces, filled, shortened
from shaded.publishing.walking import riff_chunks

#: Of the runs in one piece the longest are looked at; each costs a decoding.
_MOST_RUNS = 3
#: A pixel takes no more than so many bytes: four code words of 8 bits.
_BYTES_PER_PIXEL = 4
#: Pixels that share a byte (palettes), at most; what repeats does so in this distance.
_BUNDLE = 8
_MOSTLY = 0.9
#: What is tried in the place of zeros; not everything can be read.
_PATTERNS = (0x55, 0xAA, 0x33, 0xFF)


def insist_on_whole(data: bytes, pixels: NDArray[np.uint8]) -> None:
    """Check the coded data of a WebP.

    Args:
        data: The file.
        pixels: What it decodes to, ``(H, W, channels)``.

    Raises:
        Hole: A run of zeros is none that an encoder wrote.
        ValueError: The file is cut off.
    """
    contents = [content for _, _, content in riff_chunks(data)]
    for piece in doubtful_pieces(data):
        content = contents[piece.chunk]
        shorter = shortened(content, piece)
        if shorter is not None and np.array_equal(pixels, _pixels(changed(data, piece, shorter))):
            raise Hole
        if piece.kind != b"VP8 ":
            plane = pixels[..., 3:] if piece.kind == b"ALPH" and pixels.shape[2] == 4 else pixels
            for start, end in sorted(piece.runs, key=lambda run: run[0] - run[1])[:_MOST_RUNS]:
                if not _continues(data, piece, content, plane, start, end):
                    raise Hole


def _pixels(data: bytes) -> NDArray[np.uint8]:
    """What it decodes to; no pixels where it cannot be read."""
    try:
        with WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as image:
            return np.array(image)
    except (OSError, ValueError, SyntaxError, EOFError):
        return np.empty((0, 0, 3), np.uint8)


def _continues(data: bytes, piece: Piece, content: bytes, plane: NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether the pixels that a run of zeros stands for repeat or continue the ones before or above them."""
    last = _first_change(data, piece, plane, [filled(content, piece, end)])
    if last is None:
        last = plane.shape[0] * plane.shape[1]
    least = max(1, (end - start) // _BYTES_PER_PIXEL)
    first = _first_change(data, piece, plane, [filled(content, piece, start, pattern) for pattern in _PATTERNS])
    at = np.arange(max(0, last - least) if first is None else min(first, last), last)
    wide = plane.shape[1]
    flat = plane.reshape(-1, plane.shape[2]).astype(np.int16)
    beside = at[at % wide >= _BUNDLE]
    if _is_constant(flat[beside] - flat[beside - _BUNDLE]):
        return True
    below = at[at >= wide]
    return _is_constant(flat[below] - flat[below - wide]) and _is_one_of_many_rows(flat, at, wide)


def _is_one_of_many_rows(flat: NDArray[np.int16], at: NDArray[np.int64], wide: int) -> bool:
    """Whether pixels that repeat the row above do so to a row's end, or the rows above or below do so as well."""
    if not len(at) or min((at[-1] + 1) % wide, -(at[-1] + 1) % wide) < _BUNDLE:
        return True
    above, below = at[at >= 2 * wide], at[at < len(flat) - wide]
    return _is_constant(flat[above - wide] - flat[above - 2 * wide]) or _is_constant(flat[below + wide] - flat[below])


def _first_change(data: bytes, piece: Piece, plane: NDArray[np.uint8], contents: list[bytes]) -> int | None:
    """The number of the first pixel, row by row, that another content changes; the first that can be read counts."""
    for content in contents:
        other = _pixels(changed(data, piece, content))[..., -plane.shape[2] :]
        if other.shape == plane.shape:
            differs = np.flatnonzero((plane != other).any(axis=2))
            return int(differs[0]) if differs.size else None
    return None


def _is_constant(changes: NDArray[np.int16]) -> bool:
    """Whether nearly all rows are the same, modulo 256; none are."""
    if not len(changes):
        return True
    wrapped = (changes & 255).astype(np.uint8)
    usual = np.median(wrapped, axis=0).astype(np.uint8)
    return float((wrapped == usual).all(axis=1).mean()) >= _MOSTLY
