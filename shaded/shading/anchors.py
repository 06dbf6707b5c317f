"""The anchor on the canvas: a drawn object over a ground that suits the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from shaded.shading.canvas import resize

#: The object's side as a share of the canvas' shorter side.
OBJECT_SHARE = 0.9


def compose_anchor(cutout: Tensor, picture: Tensor) -> Tensor:
    """The destination ``(1, 3, H, W)`` in ``[0, 1]`` for a canvas ``picture`` of the same shape.

    The object stands in the middle, over the picture's own colours blurred beyond recognition: what is moved is what
    the picture shows, not its light.

    Args:
        cutout: ``(1, 4, h, w)`` in ``[0, 1]``, straight alpha in the fourth channel.
        picture: The canvas ``(1, 3, H, W)``.
    """
    height, width = picture.shape[-2:]
    scale = OBJECT_SHARE * min(height, width) / max(cutout.shape[-2:])
    size = (max(1, round(cutout.shape[-2] * scale)), max(1, round(cutout.shape[-1] * scale)))
    alpha = cutout[:, 3:]
    # Colours are reduced together with their alpha, or what lies under transparency would bleed into the rim.
    premultiplied = resize(torch.cat([cutout[:, :3] * alpha, alpha], dim=1), size).clamp(0, 1)
    anchor = blurred_ground(picture)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    window = anchor[..., top : top + size[0], left : left + size[1]]
    window.mul_(1 - premultiplied[:, 3:]).add_(premultiplied[:, :3])
    return anchor.clamp_(0, 1)


def cover_anchor(picture: Tensor, height: int, width: int) -> Tensor:
    """An opaque picture ``(1, 3, h, w)`` as destination ``(1, 3, height, width)``: enlarged to cover, then cropped."""
    scale = max(height / picture.shape[-2], width / picture.shape[-1])
    size = (max(height, round(picture.shape[-2] * scale)), max(width, round(picture.shape[-1] * scale)))
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return resize(picture, size).clamp(0, 1)[..., top : top + height, left : left + width]


def blurred_ground(picture: Tensor) -> Tensor:
    """The picture's colours at four cells across, smoothly enlarged again: ``(1, 3, H, W)``, a fresh tensor."""
    cells = F.adaptive_avg_pool2d(picture, (4, 4))
    return F.interpolate(cells, size=picture.shape[-2:], mode="bicubic", align_corners=False).clamp(0, 1)
