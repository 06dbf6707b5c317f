"""Whether the coded data of a WebP with runs of zeros are whole.

libwebp says when data are missing, and not when some are left over. So it is given the file once more without the last
bytes: an honest file is another picture then, or none. Lossless data with copies have no long runs of zeros at all.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import WebPImagePlugin

from shaded.publishing.holes.runs import Hole
from shaded.publishing.holes.vp8l_copies import copies_its_neighbour
from shaded.publishing.holes.webp import changed, doubtful_pieces, shortened
from shaded.publishing.walking import riff_chunks


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
    height, width = pixels.shape[:2]
    for piece in doubtful_pieces(data):
        content = contents[piece.chunk]
        if piece.kind != b"VP8 " and copies_its_neighbour(content[piece.start :], width, height):
            raise Hole
        other = shortened(content, piece)
        if other is not None and np.array_equal(pixels, _pixels(changed(data, piece, other))):
            raise Hole


def _pixels(data: bytes) -> NDArray[np.uint8]:
    """What it decodes to; no pixels where it cannot be read."""
    try:
        with WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as image:
            return np.array(image)
    except (OSError, ValueError, SyntaxError, EOFError):
        return np.empty((0, 0, 3), np.uint8)
