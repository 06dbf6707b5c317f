"""What a change counts: how many visible units it has, and which step gives most for them.

A pixel's limit (see `limits.py`) is the unit of its change in luma; a change of colour at equal luma counts
`COLOUR_COST` times as much. Fine colour noise is what metrics that follow people's eyes punish first (at the same pull,
SSIMULACRA2 rises by more than ten points when it is taken out), and JPEG throws it away.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["COLOUR_COST", "steepest", "visible_size"]

#: How many times as much a change of colour (Cb, Cr) counts as one of luma.
COLOUR_COST = 2.0

# ITU-T T.871 (JFIF), section 7: RGB to YCbCr without offsets.
_TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)


def _costs(like: Tensor) -> Tensor:
    """Visible units per RGB change, as a 3 x 3 matrix: the rows are luma and the two weighted chroma parts."""
    weights = like.new_tensor([1.0, COLOUR_COST, COLOUR_COST])
    return weights[:, None] * like.new_tensor(_TO_YCBCR)


def steepest(gradient: Tensor, limits: Tensor) -> Tensor:
    """The step ``(B, 3, H, W)`` of steepest ascent in the visible metric, of no particular size.

    Args:
        gradient: With respect to RGB, ``(B, 3, H, W)``.
        limits: Visible units, ``(B, 1, H, W)``.
    """
    costs = _costs(gradient)
    metric = torch.linalg.inv(costs.T @ costs)
    return limits.square() * torch.einsum("ij,bjhw->bihw", metric, gradient)


def visible_size(change: Tensor, limits: Tensor) -> Tensor:
    """Root mean square ``()`` over pixels of a change ``(1, 3, H, W)`` in visible units; never 0."""
    units = torch.einsum("ij,bjhw->bihw", _costs(change), change / limits)
    size: Tensor = units.square().sum(dim=1).mean().sqrt().clamp_min(1e-12)
    return size
