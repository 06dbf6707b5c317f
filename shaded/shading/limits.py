"""How much each pixel may change: little in flat areas, more in busy ones (perceptual masking)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

__all__ = ["HARDEST", "hard_limits", "texture_limits"]

_WINDOW = 7
_EROSION = 9
_SMOOTHING = 5
_BUSY_DEVIATION = 0.09
_STEEPNESS = 1.2


def _box_mean(plane: Tensor, window: int) -> Tensor:
    padded = F.pad(plane, [window // 2] * 4, mode="replicate")
    return F.avg_pool2d(padded, window, stride=1)


def _local_deviation(luma: Tensor) -> Tensor:
    """Standard deviation in a square window, (B, 1, H, W); computed around the window's own mean."""
    centred = luma - luma.mean(dim=(2, 3), keepdim=True)
    variance = _box_mean(centred.square(), _WINDOW) - _box_mean(centred, _WINDOW).square()
    return variance.clamp_min(0).sqrt()


def texture_limits(picture: Tensor, flat: float | Tensor, busy: float | Tensor) -> Tensor:
    """The largest change allowed per pixel: `flat` where nothing masks it, toward `busy` where texture does.

    `picture` is (B, 3, H, W) in [0, 1], at least 8 pixels a side; `flat` and `busy` are numbers or (B,) tensors in
    the same units (2 / 255 for two grey levels). Returns (B, 1, H, W) between `flat` and `busy`, detached.

    Masking is read from the standard deviation of luma in a 7-pixel window. It is eroded over 9 pixels before the
    map is smoothed, so that lone edges and outlines (a roof before the sky) count as flat and stay clean. A
    deviation of 0.09 (23 grey levels) opens 63 % of the way, the grain of a painted sky (0.02) a seventh, banding
    (0.005) a thirtieth: lines of two grey levels can be followed through grain of five.
    """
    with torch.no_grad():
        red, green, blue = picture.detach().float().unbind(1)
        luma = (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)
        deviation = _local_deviation(luma)
        eroded = -F.max_pool2d(-deviation, _EROSION, stride=1, padding=_EROSION // 2)
        busyness = 1 - torch.exp(-((eroded / _BUSY_DEVIATION) ** _STEEPNESS))
        busyness = _box_mean(_box_mean(busyness, _SMOOTHING), _SMOOTHING)
        low = torch.as_tensor(flat, dtype=luma.dtype, device=luma.device).view(-1, 1, 1, 1)
        high = torch.as_tensor(busy, dtype=luma.dtype, device=luma.device).view(-1, 1, 1, 1)
        return low + (high - low) * busyness


#: No pixel changes by more than this many of its visible units, whatever the encoders gain by it: in flat areas, where
#: single pixels can be followed into lines, and in busy ones.
HARDEST = (1.5, 3.0)


def hard_limits(units: Tensor, flat: float | Tensor, busy: float | Tensor) -> Tensor:
    """The largest change of a single pixel, in the units' own scale; `units` is from `texture_limits` with these ends.

    `flat` and `busy` are numbers, or (B, 1, 1, 1) tensors.
    """
    share = (units - flat) / (busy - flat)
    return units * (HARDEST[0] + (HARDEST[1] - HARDEST[0]) * share)
