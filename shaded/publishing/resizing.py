"""Reducing a picture before it is shaded, so that what is published is what was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shaded.publishing.picture import Picture, Pixels


def fit_side(picture: Picture, max_side: int) -> Picture:
    """The picture with its longer side at most ``max_side`` pixels; itself when it fits or ``max_side`` is 0.

    Lanczos, in the file's own values; colours are reduced together with their alpha, so that what lies under
    transparency does not bleed into the rim.
    """
    width, height = picture.size
    if max_side == 0 or max(width, height) <= max_side:
        return picture
    picture = replace(picture, container=replace(picture.container, full_size=(width, height)))
    scale = max_side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if picture.alpha is None:
        return replace(picture, colour=_as_stored(_reduced(picture.colour, size), picture))
    share = picture.alpha[..., None].astype(np.float32) / picture.peak
    alpha = _reduced(share, size)
    premultiplied = _reduced(picture.colour * share, size)
    colour = np.where(alpha > 0, premultiplied / np.maximum(alpha, 1e-6), _reduced(picture.colour, size))
    return replace(
        picture,
        colour=_as_stored(colour, picture),
        alpha=_as_stored(alpha[..., 0] * picture.peak, picture),
    )


def _as_stored(values: NDArray[np.floating[Any]], picture: Picture) -> Pixels:
    return cast(Pixels, np.clip(np.rint(values), 0, picture.peak).astype(picture.colour.dtype))


def _reduced(planes: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """``(H, W, C)`` of any numbers to ``(*size reversed, C)`` as float."""
    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(planes[..., c], dtype=np.float32)).resize(
                size, Image.Resampling.LANCZOS
            )
        )
        for c in range(planes.shape[2])
    ]
    return np.stack(channels, axis=-1)
