"""From the full-size picture to the canvas on which the shading is found, and back.

A picture that fits is only padded to a multiple of 32, so that every pixel of the shading lands where it was found. A
larger one is reduced as trainers do it (antialiased bicubic), and the shading found there is enlarged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

#: Every surrogate's stride divides this.
MULTIPLE = 32

#: Encoders see nothing sensible below this side.
SMALLEST = 64


@dataclass(frozen=True)
class Canvas:
    """Sizes in pixels, each ``(height, width)``.

    Attributes:
        full: The picture's own size.
        inner: The picture's size on the canvas.
        outer: The canvas: ``inner``, padded at the right and at the bottom.
    """

    full: tuple[int, int]
    inner: tuple[int, int]
    outer: tuple[int, int]

    @property
    def reduced(self) -> bool:
        """Whether the canvas is smaller than the picture."""
        return self.inner != self.full

    @property
    def enlargement(self) -> float:
        """How many times as long the picture's sides are as on the canvas."""
        return math.sqrt(self.full[0] * self.full[1] / (self.inner[0] * self.inner[1]))


def plan_canvas(height: int, width: int, most_pixels: int) -> Canvas:
    """The canvas of at most about ``most_pixels`` pixels for a picture of any size and aspect ratio."""
    scale = min(1.0, math.sqrt(most_pixels / (height * width)))
    inner = (max(1, round(height * scale)), max(1, round(width * scale)))
    outer = tuple(max(SMALLEST, math.ceil(side / MULTIPLE) * MULTIPLE) for side in inner)
    return Canvas(full=(height, width), inner=inner, outer=(outer[0], outer[1]))


def resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bicubic ``(B, C, H, W)`` to ``(B, C, *size)``; the same tensor when nothing changes."""
    if picture.shape[-2:] == torch.Size(size):
        return picture
    return F.interpolate(picture, size=size, mode="bicubic", antialias=True, align_corners=False)


def to_canvas(picture: Tensor, canvas: Canvas) -> Tensor:
    """``(B, C, *full)`` in ``[0, 1]`` to ``(B, C, *outer)``, edges repeated into the padding."""
    inner = resize(picture, canvas.inner).clamp(0, 1)
    down, right = (outer - inner_ for outer, inner_ in zip(canvas.outer, canvas.inner, strict=True))
    return F.pad(inner, (0, right, 0, down), mode="replicate")


def from_canvas(delta: Tensor, limits: Tensor, canvas: Canvas) -> Tensor:
    """A shading ``(B, C, *outer)`` at full size ``(B, C, *full)``, within the enlarged ``limits`` ``(B, 1, *outer)``.

    Channels do not mix, so a large picture can be enlarged one channel at a time, to the same values.

    Enlarging and reducing again blurs; one Landweber step beforehand gives back most of what the blur takes.
    """
    height, width = canvas.inner
    inner, inner_limits = delta[..., :height, :width], limits[..., :height, :width]
    if not canvas.reduced:
        return inner
    sharpened = inner + (inner - resize(resize(inner, canvas.full), canvas.inner))
    full = resize(sharpened, canvas.full)
    bound = resize(inner_limits, canvas.full).clamp_min_(0)
    torch.minimum(full, bound, out=full)  # in place: at full size every further copy counts
    return torch.maximum(full, bound.neg_(), out=full)
