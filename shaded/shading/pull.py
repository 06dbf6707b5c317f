"""Pull: how far a picture's latents went from its own toward the anchor's."""

from __future__ import annotations

import torch
from torch import Tensor


def _norm(latents: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(latents.flatten(1), dim=1)
    return norm


def remaining(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """``|E(x') - E(t)| / |E(x) - E(t)|`` ``(B,)`` from latents ``(B, C, h, w)``: 1 nothing done, 0 at the anchor."""
    return _norm(shaded - anchor) / _norm(original - anchor).clamp_min(1e-8)


def pull(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """``1 - |E(x') - E(t)| / |E(x) - E(t)|`` ``(B,)``, L2 norms of encoder means: 0 nothing, 1 fully at the anchor."""
    return 1 - remaining(shaded, original, anchor)


def direction(shaded: Tensor, original: Tensor, anchor: Tensor) -> Tensor:
    """The cosine ``(B,)`` between the way gone, ``E(x') - E(x)``, and the way to the anchor, ``E(t) - E(x)``."""
    gone, way = (shaded - original).flatten(1), (anchor - original).flatten(1)
    norms = _norm(gone) * _norm(way)
    return (gone * way).sum(dim=1) / norms.clamp_min(1e-12)
