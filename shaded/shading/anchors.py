"""The anchor on the canvas: a drawn object over a ground that suits the picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from shaded.shading.canvas import resize

#: The object's side as a share of the canvas' shorter side.
OBJECT_SHARE = 0.9

#: The ground has this many cells of colour along each side.
GROUND_CELLS = 16

_CHANNELS = 3


@dataclass(frozen=True)
class Placement:
    """How an anchor lies on a canvas.

    Attributes:
        shift: Where along the longer side it is, 0 (left or top) to 1; one half is the middle.
        mirrored: Whether left and right are exchanged.
    """

    shift: float = 0.5
    mirrored: bool = False


#: What is tried for each picture.
PLACEMENTS = tuple(Placement(shift, mirrored) for shift in (0.5, 0.0, 1.0) for mirrored in (False, True))


@torch.no_grad()
def nearest_placement(
    draw: Callable[[Placement], Tensor], original: Tensor, encode: Callable[[Tensor], Tensor]
) -> Placement:
    """Of :data:`PLACEMENTS` the one whose latents are nearest to the picture's: the shortest way to the same object.

    Args:
        draw: Gives the destination ``(1, 3, H, W)``.
        original: The canvas, same shape.
        encode: To latents.
    """
    start = encode(original)
    return min(PLACEMENTS, key=lambda placement: float((encode(draw(placement)) - start).norm()))


def compose_anchor(
    cutout: Tensor, ground: Tensor, height: int, width: int, placement: Placement = PLACEMENTS[0]
) -> Tensor:
    """The destination ``(1, 3, height, width)`` in ``[0, 1]``: the object, large, over a smooth ground.

    Args:
        cutout: ``(1, 4, h, w)`` in ``[0, 1]``, straight alpha in the fourth channel.
        ground: ``(1, 3, GROUND_CELLS, GROUND_CELLS)`` from :func:`ground_of`.
        height: Of the canvas.
        width: Of the canvas.
        placement: Where the object stands.
    """
    cutout = cutout.flip(-1) if placement.mirrored else cutout
    scale = OBJECT_SHARE * min(height, width) / max(cutout.shape[-2:])
    size = (max(1, round(cutout.shape[-2] * scale)), max(1, round(cutout.shape[-1] * scale)))
    alpha = cutout[:, 3:]
    # Colours are reduced together with their alpha, or what lies under transparency would bleed into the rim.
    premultiplied = resize(torch.cat([cutout[:, :3] * alpha, alpha], dim=1), size).clamp(0, 1)
    anchor = F.interpolate(ground, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)
    top, left = _offsets((height - size[0], width - size[1]), placement)
    window = anchor[..., top : top + size[0], left : left + size[1]]
    window.mul_(1 - premultiplied[:, 3:]).add_(premultiplied[:, :3])
    return anchor.clamp_(0, 1)


def _offsets(room: tuple[int, int], placement: Placement) -> tuple[int, int]:
    """Top and left for the ``room`` (rows, columns) that is left: shifted where there is more of it."""
    shifts = (placement.shift, 0.5) if room[0] > room[1] else (0.5, placement.shift)
    return int(room[0] * shifts[0]), int(room[1] * shifts[1])


def cover_anchor(picture: Tensor, height: int, width: int, placement: Placement = PLACEMENTS[0]) -> Tensor:
    """An opaque picture ``(1, 3, h, w)`` as destination ``(1, 3, height, width)``: enlarged to cover, then cropped."""
    picture = picture.flip(-1) if placement.mirrored else picture
    scale = max(height / picture.shape[-2], width / picture.shape[-1])
    size = (max(height, round(picture.shape[-2] * scale)), max(width, round(picture.shape[-1] * scale)))
    top, left = _offsets((size[0] - height, size[1] - width), placement)
    return resize(picture, size).clamp(0, 1)[..., top : top + height, left : left + width]


def ground_of(canvas: Tensor) -> Tensor:
    """The canvas' own colours, blurred beyond recognition: ``(1, 3, GROUND_CELLS, GROUND_CELLS)`` in 8-bit steps.

    What is moved is what the picture shows, not its light: with a coarser ground more of the visible change goes into
    wiping out what stands around the object. And a ground of few numbers can be written down, so that the destination
    can be drawn again without the original.
    """
    return (F.adaptive_avg_pool2d(canvas, GROUND_CELLS) * 255).round() / 255


def ground_to_text(ground: Tensor) -> list[str]:
    """A ground, a string for each row, its cells from left to right as ``#rrggbb#rrggbb...``."""
    rows = (ground[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
    return ["".join(f"#{bytes(cell).hex()}" for cell in row.tolist()) for row in rows]


def ground_from_text(rows: list[str]) -> Tensor:
    """The inverse of :func:`ground_to_text`, for a ground of any size; its cells may also stand in a string each.

    Raises:
        ValueError: The colours are not those of a square.
    """
    cells = [bytes.fromhex(cell) for row in rows for cell in row.split("#")[1:]]
    side = math.isqrt(len(cells))
    if not cells or side**2 != len(cells) or any(len(cell) != _CHANNELS for cell in cells):
        raise ValueError(f"a ground is a square of colours, not {len(cells)} of them")
    values = torch.tensor([list(cell) for cell in cells], dtype=torch.float32)
    return values.T.reshape(1, _CHANNELS, side, side) / 255
