"""How trainers see a picture: reduced to about the area of a square of the family's side, its shape kept (buckets).

A picture that is smaller already is not enlarged. Its sides become multiples of 32, which every encoder's stride
divides. Every function takes ``(B, 3, H, W)`` in ``[0, 1]``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

__all__ = ["FILTERS", "MULTIPLE", "as_trained", "trained_size", "trained_sizes"]

#: Every encoder's stride divides this.
MULTIPLE = 32

#: What trainers' programs reduce with, all of them antialiased, by torch's names; Lanczos is nearest to bicubic.
FILTERS = ("bicubic", "bilinear", "area")


def trained_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width of a picture of this size among pictures of about ``side * side`` pixels."""
    scale = min(1.0, side / math.sqrt(height * width))
    rows, columns = (max(MULTIPLE, round(one * scale / MULTIPLE) * MULTIPLE) for one in (height, width))
    return rows, columns


def trained_sizes(height: int, width: int, sides: Sequence[int]) -> dict[int, tuple[int, int]]:
    """The size at each side; a side whose size equals that of a smaller one is left out."""
    found: dict[int, tuple[int, int]] = {}
    for side in sorted(sides):
        size = trained_size(height, width, side)
        if size not in found.values():
            found[side] = size
    return found


def as_trained(picture: Tensor, size: tuple[int, int], kernel: str = "bicubic") -> Tensor:
    """A picture at a size of :func:`trained_size`.

    Args:
        picture: ``(B, 3, H, W)`` in ``[0, 1]``.
        size: Height and width.
        kernel: One of :data:`FILTERS`.

    Returns:
        ``(B, 3, *size)`` in ``[0, 1]``; its gradient goes straight through the clipping.
    """
    if picture.shape[-2:] == size:
        return picture
    if kernel == "area":
        reduced = F.interpolate(picture, size=size, mode="area")
    else:
        reduced = F.interpolate(picture, size=size, mode=kernel, antialias=True, align_corners=False)
    return reduced + (reduced.clamp(0, 1) - reduced).detach()
