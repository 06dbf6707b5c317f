"""The views of a picture that the tagger is shown, so that a small thing in a wide picture is recognised.

Every function takes and gives pictures of shape (3, H, W), RGB, values in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: A ground counts as plain where this share of the picture's border belongs to it ...
PLAIN_BORDER = 0.95
#: ... and the thing on it covers a share of the picture between these.
THING_SHARE = (0.02, 0.6)
#: Distance from the ground's colour (largest channel) where a pixel begins to be the thing, and where it is.
GROUND_DISTANCE = (0.06, 0.14)
_MARGINS = (0.0, 0.05, 0.1)


def resize(picture: Tensor, side: int) -> Tensor:
    """Squash a picture to a square of `side` pixels."""
    size = (side, side)
    sized = functional.interpolate(picture[None], size, mode="bicubic", antialias=True, align_corners=False)
    return sized[0].clamp(0.0, 1.0)


def cut_outs(picture: Tensor) -> list[Tensor]:
    """Lay the one thing that stands on a plain ground on white, cropped closely with several margins.

    The ground may change its colour from row to row (a sky above a meadow) and, linearly, along a row.

    Returns:
        The cropped cut-outs, or an empty list where the ground is not plain or nothing stands on it.
    """
    thing = _apart_from_ground(picture)
    edge = max(4, picture.shape[2] // 24)
    sides = (thing[:, :edge], thing[:, -edge:], thing[:edge], thing[-edge:])
    border = torch.cat([side.flatten() for side in sides])
    share = float((thing > 0.5).float().mean())
    plain = float((border < 0.5).float().mean()) >= PLAIN_BORDER
    if not plain or not THING_SHARE[0] < share < THING_SHARE[1]:
        return []
    top, bottom, left, right = _box(thing > 0.5, fill=0.01)
    crop = (picture * thing + (1.0 - thing))[:, top:bottom, left:right]
    return [_with_margin(crop, margin) for margin in _MARGINS]


def busiest_part(picture: Tensor, features: Tensor, threshold: float) -> Tensor:
    """Crop a picture to where a network's features are strong.

    Args:
        picture: (3, H, W).
        features: (C, h, w), the network's last features of the whole picture.
        threshold: share of the greatest strength that still counts, 0-1.
    """
    height, width = picture.shape[1:]
    strength = features.clamp(min=0.0).sum(dim=0)
    size = (height, width)
    fine = functional.interpolate(strength[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    top, bottom, left, right = _box(fine >= threshold * fine.max(), fill=0.0)
    return picture[:, top:bottom, left:right]


def _apart_from_ground(picture: Tensor) -> Tensor:
    """Tell how surely each pixel is not ground, (H, W) in [0, 1], by its distance from its row's two ends."""
    width = picture.shape[2]
    edge = max(4, width // 24)
    smooth = functional.avg_pool2d(picture[None], 9, stride=1, padding=4, count_include_pad=False)[0]
    left, right = (ends.mean(dim=2, keepdim=True) for ends in (smooth[:, :, :edge], smooth[:, :, -edge:]))
    along = torch.linspace(0.0, 1.0, width, device=picture.device)
    distance = (smooth - (left * (1.0 - along) + right * along)).abs().amax(dim=0)
    near, far = GROUND_DISTANCE
    return ((distance - near) / (far - near)).clamp(0.0, 1.0)


def _box(mask: Tensor, fill: float) -> tuple[int, int, int, int]:
    """Give top, bottom, left, right of the rows and columns that are filled more than `fill`."""
    rows = torch.where(mask.float().mean(dim=1) > fill)[0]
    columns = torch.where(mask.float().mean(dim=0) > fill)[0]
    if len(rows) == 0 or len(columns) == 0:
        return 0, mask.shape[0], 0, mask.shape[1]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _with_margin(picture: Tensor, margin: float) -> Tensor:
    height, width = picture.shape[1:]
    y, x = int(height * margin), int(width * margin)
    return functional.pad(picture, (x, x, y, y), value=1.0)
