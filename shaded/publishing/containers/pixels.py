"""Between arrays with channels and the arrays that codecs want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image

from shaded.publishing.picture import Pixels

_NAMES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_WIDE_NAMES = {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}


@dataclass(frozen=True)
class Planes:
    """What is to be written: colour ``(H, W, 1 or 3)`` and, where there is transparency, alpha ``(H, W)``."""

    colour: Pixels
    alpha: Pixels | None

    @property
    def channels(self) -> int:
        """1 to 4: L, LA, RGB, RGBA."""
        return int(self.colour.shape[2]) + (self.alpha is not None)

    @property
    def is_gray(self) -> bool:
        """Whether there is one channel of colour only."""
        return int(self.colour.shape[2]) == 1

    @property
    def mode(self) -> str:
        """The mode's name, in Pillow's words."""
        return mode_name(self.channels, wide=self.colour.dtype == np.uint16)

    def interleaved(self) -> Pixels:
        """``(H, W)`` for gray alone, ``(H, W, channels)`` otherwise."""
        if self.channels == 1:
            return cast(Pixels, np.ascontiguousarray(self.colour[..., 0]))
        if self.alpha is None:
            return cast(Pixels, np.ascontiguousarray(self.colour))
        return np.concatenate([self.colour, self.alpha[..., None]], axis=2)

    def image(self) -> Image.Image:
        """A Pillow image of 8-bit planes."""
        return Image.fromarray(self.interleaved())


def mode_name(channels: int, *, wide: bool) -> str:
    """Pillow's name of a mode, with ``;16`` where Pillow has none."""
    return (_WIDE_NAMES if wide else _NAMES)[channels]


def split(array: Pixels) -> tuple[Pixels, Pixels | None]:
    """Colour and alpha of an interleaved array of 1 to 4 channels."""
    if array.ndim == 2:
        return array[..., None], None
    channels = array.shape[2]
    if channels in (1, 3):
        return array, None
    return (
        cast(Pixels, np.ascontiguousarray(array[..., : channels - 1])),
        cast(Pixels, np.ascontiguousarray(array[..., -1])),
    )


def to_eight_bits(pixels: Pixels) -> Pixels:
    """16-bit values to the nearest 8-bit ones: 65535 to 255."""
    return pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def straight(colour: Pixels, alpha: Pixels) -> Pixels:
    """Colour that was multiplied with its alpha, divided by it; under full transparency it stays as it is."""
    peak = np.iinfo(colour.dtype).max
    share = np.where(alpha == 0, peak, alpha)[..., None].astype(np.float64)
    return cast(Pixels, np.clip(np.rint(colour * (peak / share)), 0, peak).astype(colour.dtype))


def on_white(planes: Planes) -> Planes:
    """The picture without transparency, as it looks on white paper."""
    if planes.alpha is None:
        return planes
    peak = np.iinfo(planes.colour.dtype).max
    share = planes.alpha[..., None].astype(np.float32) / peak
    blended = planes.colour * share + peak * (1 - share)
    return Planes(cast(Pixels, np.rint(blended).astype(planes.colour.dtype)), None)


def as_colour(planes: Planes) -> Planes:
    """Gray as three equal channels, for containers that know no gray."""
    return Planes(cast(Pixels, np.repeat(planes.colour, 3, axis=2)), planes.alpha) if planes.is_gray else planes
