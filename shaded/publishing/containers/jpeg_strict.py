"""Whether the coded data of a JPEG are whole: libjpeg-turbo decodes them once more and is taken at its word.

libjpeg warns of damaged data, draws something in their place and goes on; Pillow passes the warnings over. Here the
warnings that tell of missing or wrong pixels are errors. What cameras do without harm stays allowed: a few bytes too
many before a marker, padding, odd numbers in a scan's header.
"""

from __future__ import annotations

import re
from itertools import chain

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from shaded.publishing.holes.jpeg import Doubt, Means, doubts
from shaded.publishing.holes.runs import Hole
from shaded.publishing.walking import Part, Scan, jpeg_scans

_WARNING = re.compile(r"corrupt JPEG data|premature end|inconsistent progression", re.IGNORECASE)
_BROKEN = re.compile(r"premature end|bad (Huffman|arithmetic) code|found marker", re.IGNORECASE)
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes")
#: As many bytes before a marker that nothing reads are no padding.
_MOST_EXTRANEOUS = 512
#: What tells that bits of means were lost: the other bits are about as often 1 as 0, the means go up and down as no
#: flat colour and no gradient does, and the pixels are not black and white. (Of all those the means can be even.)
_ONES, _IRREGULAR, _MIDTONES = 0.35, 0.5, 0.6
_BEND = 2.0
_BLACK, _WHITE = 32, 223


def insist_on_whole(data: bytes, pixels: NDArray[np.uint8] | None = None) -> None:
    """Check the scans of a JPEG of one or three components.

    Args:
        data: The file.
        pixels: What it decodes to, ``(H, W)`` or ``(H, W, 3)``. Without them the bits that refine the means of blocks
            in a progressive file are not checked; those change a gray value by a few levels at the most.

    Raises:
        Hole: A run of zeros is none that the picture explains.
        ValueError: Coded data are missing or wrong.
    """
    found = list(doubts(data))
    scans = list(jpeg_scans(data))
    trouble = _warning(_bare(data, scans))
    if found and (trouble or not all(doubt.explained for doubt in found)):
        # Encoders that pad a scan with zeros are honest: without them the data are complete.
        padding = [doubt for doubt in found if doubt.closes]
        if not padding or _warning(_bare(data, [_trimmed(scan, padding) for scan in scans])):
            raise Hole
    elif _BROKEN.search(trouble) or _extraneous(trouble) > _MOST_EXTRANEOUS:
        raise ValueError(trouble)
    longest = {doubt.scan.start: doubt for doubt in sorted(found, key=lambda doubt: doubt.end - doubt.start)}
    for doubt in longest.values():
        means = doubt.means(data)
        if means is not None and pixels is not None and means.ones >= _ONES and _are_lost(pixels, means):
            raise Hole


def _segment(part: Part) -> bytes:
    return b"\xff" + part.kind + (len(part.content) + 2).to_bytes(2, "big") + part.content


def _is_needed(part: Part) -> bool:
    """Whether a segment is neither application data nor a comment."""
    return not (0xE0 <= part.kind[0] <= 0xEF or part.kind == b"\xfe")


def _header(scan: Scan, *, progressive: bool) -> bytes:
    """In a sequential file the last three numbers say nothing, and some cameras fill in others than the standard."""
    header = scan.header if progressive else scan.header[:-3] + b"\0\x3f\0"
    return _segment(Part(b"\xda", 0, header))


def _bare(data: bytes, scans: list[Scan]) -> bytes:
    """The picture without what libjpeg might warn of that is no pixels."""
    kinds = {part.kind[0] for part in scans[0].ahead}
    progressive = bool(kinds & {0xC2, 0xCA})
    pieces = (
        (*(_segment(part) for part in scan.ahead if _is_needed(part)), _header(scan, progressive=progressive),
         data[scan.start : scan.end])
        for scan in scans
    )  # fmt: skip
    return b"".join((b"\xff\xd8", *chain.from_iterable(pieces), b"\xff\xd9"))


def _trimmed(scan: Scan, padding: list[Doubt]) -> Scan:
    return next((scan._replace(end=doubt.start) for doubt in padding if doubt.end == scan.end), scan)


def _warning(data: bytes) -> str:
    """What libjpeg-turbo warns of; empty for nothing."""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        # What it cannot do at all, such as a rare chroma subsampling, says nothing about the file.
        return str(error) if _WARNING.search(str(error)) else ""
    return ""


def _extraneous(trouble: str) -> int:
    found = _EXTRANEOUS.search(trouble)
    return int(found[1]) if found else 0


def _are_lost(pixels: NDArray[np.uint8], run: Means) -> bool:
    """Whether the means that a run of zeros stands for are those of a picture with tones."""
    gray = pixels if pixels.ndim == 2 else pixels[..., pixels.shape[2] // 2]
    height, width = 8 * run.down, 8 * run.across
    gray = np.pad(gray, ((0, -gray.shape[0] % height), (0, -gray.shape[1] % width)), "edge")
    shape = (gray.shape[0] // height, height, gray.shape[1] // width, width)
    units = gray.reshape(shape).swapaxes(1, 2).reshape(-1, height, width)[run.first : run.last]
    if not len(units):
        return False
    blocks = units[:, :8, :8]
    midtones = ((blocks > _BLACK) & (blocks < _WHITE)).mean()
    bends = np.abs(np.diff(blocks.mean(axis=(1, 2)), 2))
    return len(bends) > 0 and float((bends >= _BEND).mean()) >= _IRREGULAR and float(midtones) >= _MIDTONES
