"""Between a picture in its file's own values and what encoders see of it.

Encoders see colour upright, three channels in ``[0, 1]``, transparency over white. The shading found there goes back
into the file's own orientation, depth and channels.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shaded.evidence.measure import full_psnr, largest_spread
from shaded.publishing.orientation import orientation_of
from shaded.publishing.picture import Picture, Pixels
from shaded.shading.canvas import Canvas, to_canvas

#: A picture whose channels differ by no more than this share of full white counts as black and white.
_GRAY_SPREAD = 8 / 255
_STRIP = 512


def upright(stored: Tensor, orientation: int) -> Tensor:
    """``(..., H, W)`` as stored, turned as a viewer shows it."""
    flipped = stored.flip(-1) if orientation in (2, 4, 5, 7) else stored
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}[orientation]
    return torch.rot90(flipped, turns, dims=(-2, -1))


def as_stored(shown: Tensor, orientation: int) -> Tensor:
    """The inverse of :func:`upright`."""
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}[orientation]
    turned = torch.rot90(shown, -turns, dims=(-2, -1))
    return turned.flip(-1) if orientation in (2, 4, 5, 7) else turned


def plane_of(picture: Picture, channel: int, device: torch.device) -> Tensor:
    """One channel of what encoders see: ``(1, 1, H, W)`` in ``[0, 1]``, upright, transparency over white."""
    colour = torch.from_numpy(picture.colour[..., channel].astype(np.float32)).div_(picture.peak)
    if picture.alpha is not None:
        alpha = torch.from_numpy(picture.alpha.astype(np.float32)).div_(picture.peak)
        colour.sub_(1).mul_(alpha).add_(1)
    return upright(colour[None, None], orientation_of(picture)).to(device).contiguous()


def canvas_of(picture: Picture, canvas: Canvas, device: torch.device) -> Tensor:
    """The picture's canvas ``(1, 3, H, W)``, made channel by channel: at full size every copy counts."""
    planes = [to_canvas(plane_of(picture, channel, device), canvas) for channel in range(picture.colour.shape[2])]
    return torch.cat(planes, dim=1).expand(1, 3, -1, -1).contiguous()


def shown_size(picture: Picture) -> tuple[int, int]:
    """Height and width as a viewer shows the picture."""
    width, height = picture.size
    return (width, height) if orientation_of(picture) >= 5 else (height, width)


def mask_of(picture: Picture, device: torch.device) -> Tensor:
    """How much each pixel shows: ``(1, 1, H, W)`` in ``[0, 1]``, upright."""
    if picture.alpha is None:
        return torch.ones(1, 1, 1, 1, device=device).expand(1, 1, *shown_size(picture))
    alpha = torch.from_numpy(picture.alpha.astype(np.float32)).div_(picture.peak)
    return upright(alpha.unsqueeze(0).unsqueeze(0), orientation_of(picture)).to(device)


def shows_no_colour(picture: Picture) -> bool:
    """Whether the picture is black and white, in one channel or in three that agree."""
    return largest_spread(picture.colour) <= _GRAY_SPREAD * picture.peak


def gray_was_kept(published: Picture, original: Picture) -> bool:
    """Whether a black-and-white original is still one; a JPEG's faint tint may waver by two levels of 255."""
    before = largest_spread(original.colour) / original.peak
    allowed = before + 2 / 255 if before else 0.0
    return largest_spread(published.colour) / published.peak <= allowed


def with_shading(picture: Picture, planes: Iterable[Tensor], scale: float, dither: int | None = None) -> Pixels:
    """The picture's colour plus ``scale`` times a shading, rounded to the file's own depth.

    Args:
        picture: What is shaded; a gray one gets the mean of the planes.
        planes: The shading's red, green and blue, each ``(1, 1, H, W)``, upright; one is held at a time.
        scale: What each is multiplied with.
        dither: A seed, where pixels are rounded up or down by chance, so that their mean is what was to be added, and a
            soft change of less than one level draws no steps. The same for all channels, so that gray stays gray.

    Returns:
        An array like ``picture.colour``; equal to it wherever alpha is 0.
    """
    orientation = orientation_of(picture)
    wanted: Iterable[Tensor] = [_mean(planes)] if picture.is_gray else planes
    result = picture.colour.copy()
    for channel, plane in enumerate(wanted):
        stored = as_stored(plane, orientation)[0, 0]
        dice = None if dither is None else np.random.default_rng(dither)
        for top in range(0, result.shape[0], _STRIP):
            rows = slice(top, top + _STRIP)
            change = stored[rows].cpu().numpy() * np.float32(scale * picture.peak)
            if dice is not None:
                change += dice.random(change.shape, dtype=np.float32) - np.float32(0.5)
            if picture.alpha is not None:
                change[picture.alpha[rows] == 0] = 0
            result[rows, :, channel] = _added(result[rows, :, channel], change, picture.peak)
    return result


def _mean(planes: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(planes)).mean(dim=0)


def _added(colour: Pixels, change: NDArray[np.float32], peak: int) -> Pixels:
    summed: Pixels = np.clip(np.rint(colour.astype(np.float32) + change), 0, peak).astype(colour.dtype)
    return summed


def psnr_of(published: Picture, original: Picture) -> float:
    """PSNR in dB over full-size pixels: at 8 bits where depths differ, over white where transparency was given up."""
    mine, reference = published.colour, original.colour
    if published.alpha is None and original.alpha is not None:
        share = original.alpha[..., None].astype(np.float32) / original.peak
        reference = _whole(reference * share + original.peak * (1 - share), original)
    if mine.dtype != reference.dtype:
        mine, reference = _to_eight_bits(mine), _to_eight_bits(reference)
    if mine.shape != reference.shape:
        mine, reference = _three_channels(mine), _three_channels(reference)
    return full_psnr(mine, reference, original.alpha)


def _whole(values: NDArray[np.floating], like: Picture) -> Pixels:
    whole: Pixels = np.rint(values).astype(like.colour.dtype)
    return whole


def _to_eight_bits(colour: Pixels) -> Pixels:
    eight: Pixels = colour if colour.dtype == np.uint8 else np.rint(colour / 257.0).astype(np.uint8)
    return eight


def _three_channels(colour: Pixels) -> Pixels:
    if colour.shape[2] == 3:
        return colour
    three: Pixels = np.concatenate([colour] * 3, axis=2)
    return three
