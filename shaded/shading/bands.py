"""A picture as a stack of bands, from fine grain to coarse shapes (Burt and Adelson 1983, the Laplacian pyramid).

Each band has half the sides of the one before. What masks a change is what the picture itself has in the same band and
place, so a change is judged band by band. All pictures are ``(B, C, H, W)``, of any size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

__all__ = ["bands_of", "joined"]


def bands_of(picture: Tensor, count: int) -> list[Tensor]:
    """The bands, the finest first; the last holds what is coarser than all others, the mean included.

    Args:
        picture: What is taken apart.
        count: How many bands there are to be; a side that has come down to one pixel stays one.

    Returns:
        ``count`` tensors ``(B, C, h, w)`` from which :func:`joined` makes the picture again.
    """
    found = []
    for _ in range(count - 1):
        coarser = F.avg_pool2d(picture, 2, ceil_mode=True, count_include_pad=False)
        found.append(picture - _enlarged(coarser, picture))
        picture = coarser
    return [*found, picture]


def joined(bands: Sequence[Tensor]) -> Tensor:
    """The picture whose bands these are: the exact inverse of :func:`bands_of`."""
    picture = bands[-1]
    for band in reversed(bands[:-1]):
        picture = band + _enlarged(picture, band)
    return picture


def _enlarged(picture: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(picture, size=like.shape[-2:], mode="bilinear", align_corners=False)
