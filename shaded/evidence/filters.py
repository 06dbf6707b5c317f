"""Filters that published cleaning tools are made of, on pictures ``(B, 3, H, W)`` in grey levels, 0 to 255."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

__all__ = ["adverse_cleaner", "bilateral", "guided"]


def bilateral(picture: Tensor, diameter: int, sigma_colour: float, sigma_space: float) -> Tensor:
    """Every pixel becomes the mean of those around it that look alike (Tomasi and Manduchi 1998, eq. 5).

    As OpenCV does it: neighbours in a disc, the distance of two colours is the sum over their channels.

    Args:
        picture: ``(B, 3, H, W)``, sides larger than half the diameter.
        diameter: Of the disc, in pixels; odd.
        sigma_colour: How far colours may differ, in grey levels.
        sigma_space: How fast weights fall with distance, in pixels.
    """
    radius = diameter // 2
    height, width = picture.shape[-2:]
    padded = F.pad(picture, [radius] * 4, mode="reflect")
    total, weights = picture.clone(), torch.ones_like(picture[:, :1])
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            squared = down * down + right * right
            if squared == 0 or squared > radius * radius:
                continue
            top, left = radius + down, radius + right
            neighbour = padded[..., top : top + height, left : left + width]
            unlike = (neighbour - picture).abs_().sum(dim=1, keepdim=True).square_()
            weight = unlike.mul_(-0.5 / sigma_colour**2).sub_(0.5 * squared / sigma_space**2).exp_()
            total.addcmul_(neighbour, weight)
            weights.add_(weight)
    return total / weights


def guided(guide: Tensor, picture: Tensor, radius: int, epsilon: float) -> Tensor:
    """The picture, as a line of the guide's colours in every window (He, Sun and Tang 2013, eq. 5 to 8).

    The guide is in colour, so that a slope is a vector and the guide's variance a matrix: per window,
    ``a = (cov(I, I) + epsilon U)^-1 cov(I, p)`` and ``b = mean(p) - a mean(I)`` (eq. 5, 6), of whose means over all
    windows around a pixel the result is ``mean(a) I + mean(b)`` (eq. 8).

    Args:
        guide: ``(B, 3, H, W)``.
        picture: The same shape.
        radius: Windows have ``2 radius + 1`` pixels on a side, and no side of the picture fewer than ``radius + 1``.
        epsilon: What variance counts as flat, in squared grey levels.
    """

    def mean(values: Tensor) -> Tensor:
        side = 2 * radius + 1
        rows = F.avg_pool2d(F.pad(values, (radius, radius, 0, 0), mode="reflect"), (1, side), stride=1)
        return F.avg_pool2d(F.pad(rows, (0, 0, radius, radius), mode="reflect"), (side, 1), stride=1)

    def as_matrices(values: Tensor) -> Tensor:
        return values.reshape(values.shape[0], 3, 3, *values.shape[-2:])

    def products(left: Tensor, right: Tensor) -> Tensor:
        """The mean of each channel of ``left`` times each of ``right``: ``(B, H, W, 3, 3)``."""
        both = (left.unsqueeze(2) * right.unsqueeze(1)).flatten(1, 2)
        return as_matrices(mean(both)).permute(0, 3, 4, 1, 2)

    mean_guide, mean_picture = (mean(one).permute(0, 2, 3, 1) for one in (guide, picture))
    spread = products(guide, guide) - mean_guide.unsqueeze(-1) * mean_guide.unsqueeze(-2)
    shared = products(guide, picture) - mean_guide.unsqueeze(-1) * mean_picture.unsqueeze(-2)
    flat = epsilon * torch.eye(3, dtype=guide.dtype, device=guide.device)
    slopes = torch.linalg.solve(spread + flat, shared)
    starts = mean_picture - (slopes * mean_guide.unsqueeze(-1)).sum(dim=-2)
    slopes = as_matrices(mean(slopes.flatten(-2).permute(0, 3, 1, 2)))
    starts = mean(starts.permute(0, 3, 1, 2))
    result: Tensor = (slopes * guide.unsqueeze(2)).sum(dim=1) + starts
    return result


def adverse_cleaner(picture: Tensor) -> Tensor:
    """What AdverseCleaner does: 64 bilateral passes, then 4 guided ones that take the picture itself as the guide."""
    cleaned = picture
    for _ in range(64):
        cleaned = bilateral(cleaned, 5, 8, 8)
    for _ in range(4):
        cleaned = guided(picture, cleaned, 4, 16)
    return cleaned.clamp(0, 255)
