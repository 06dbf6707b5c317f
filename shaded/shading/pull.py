"""Pull: how far a picture went from its own place toward the anchor's.

The same formulas serve for what an encoder gives of pictures (latent pull) and for what its decoder then shows (decoded
pull): all functions take any three tensors of one shape ``(B, ...)``.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _norm(latents: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(latents.flatten(1), dim=1)
    return norm


def remaining(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """``|x' - t| / |x - t|`` ``(B,)``, L2 norms: 1 nothing done, 0 at the anchor."""
    return _norm(shaded - anchor) / _norm(original - anchor).clamp_min(1e-8)


def pull(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """``1 - |x' - t| / |x - t|`` ``(B,)``, L2 norms: 0 nothing, 1 fully at the anchor; sideways moves lower it."""
    return 1 - remaining(shaded, original, anchor)


def direction(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """The cosine ``(B,)`` between the way gone, ``x' - x``, and the way to the anchor, ``t - x``."""
    gone, way = (shaded - original).flatten(1), (anchor - original).flatten(1)
    norms = _norm(gone) * _norm(way)
    return (gone * way).sum(dim=1) / norms.clamp_min(1e-12)
