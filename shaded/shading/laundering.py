"""What happens to pictures on their way to a trainer, as differentiable transforms.

Every function takes a picture (B, 3, H, W) in [0, 1] and returns (B, 3, H', W') in [0, 1]. All of them keep the size,
except `crop_and_resize` when asked for another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

__all__ = [
    "LAUNDERINGS",
    "Laundering",
    "add_noise",
    "crop_and_resize",
    "gaussian_blur",
    "jpeg",
    "launderings",
    "random_laundering",
    "resize_and_back",
]

# Tables K.1 and K.2 of ITU-T T.81 (the JPEG standard), the quantisation that "quality" scales.
_LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
# ITU-T T.871 (JFIF): RGB to YCbCr, both in [0, 1], chroma centred on 0.
_TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)


@lru_cache(maxsize=1)
def _dct_matrix() -> tuple[tuple[float, ...], ...]:
    """The orthonormal 8-point DCT-II (T.81, A.3.3) as rows of basis vectors."""
    return tuple(
        tuple(
            math.sqrt((1 if frequency == 0 else 2) / 8) * math.cos((2 * place + 1) * frequency * math.pi / 16)
            for place in range(8)
        )
        for frequency in range(8)
    )


def _rounded(values: Tensor) -> Tensor:
    """Round, with the gradient of the identity (straight through)."""
    return values + (values.round() - values).detach()


def _clipped(values: Tensor) -> Tensor:
    """Held to [0, 1], with the gradient of the identity: pure white must still feel what draws it inside."""
    return values + (values.clamp(0, 1) - values).detach()


def _table(table: tuple[tuple[int, ...], ...], quality: float, like: Tensor) -> Tensor:
    """A quantisation table at `quality`, by the scaling that the Independent JPEG Group's library uses."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    steps = ((torch.tensor(table, dtype=torch.float32) * scale + 50) / 100).floor().clamp(1, 255)
    return steps.to(like)


def _quantised(plane: Tensor, table: Tensor) -> Tensor:
    """Quantise one plane (B, C, H, W), sides multiples of 8, values in grey levels, block by block."""
    batch, channels, height, width = plane.shape
    dct = torch.tensor(_dct_matrix(), dtype=plane.dtype, device=plane.device)
    blocks = plane.reshape(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    spectrum = dct @ blocks @ dct.T
    restored = dct.T @ (_rounded(spectrum / table) * table) @ dct
    return restored.transpose(3, 4).reshape(plane.shape)


def jpeg(picture: Tensor, quality: float, subsample: bool = True) -> Tensor:
    """Compress and decompress as baseline JPEG (ITU-T T.81) would; rounding lets gradients straight through.

    `quality` is 1 to 100 on the Independent JPEG Group's scale; `subsample` halves chroma in both directions (4:2:0).
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"JPEG quality must be 1 to 100, got {quality}")
    height, width = picture.shape[-2:]
    padded = F.pad(picture, (0, -width % 16, 0, -height % 16), mode="replicate")
    matrix = torch.tensor(_TO_YCBCR, dtype=picture.dtype, device=picture.device)
    ycbcr = torch.einsum("ij,bjhw->bihw", matrix, padded) * 255
    luma = _quantised(ycbcr[:, :1] - 128, _table(_LUMA_TABLE, quality, picture)) + 128
    chroma = F.avg_pool2d(ycbcr[:, 1:], 2) if subsample else ycbcr[:, 1:]
    chroma = _quantised(chroma, _table(_CHROMA_TABLE, quality, picture))
    if subsample:
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    rgb = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(matrix.float()).to(matrix), torch.cat([luma, chroma], 1))
    return _clipped(rgb / 255)[..., :height, :width]


def _resized(picture: Tensor, height: int, width: int, kernel: str) -> Tensor:
    if kernel == "area":
        return _clipped(F.interpolate(picture, size=(height, width), mode="area"))
    if kernel not in ("bilinear", "bicubic"):
        raise ValueError(f"unknown resize filter {kernel!r}; known: area, bilinear, bicubic")
    resized = F.interpolate(picture, size=(height, width), mode=kernel, align_corners=False, antialias=True)
    return _clipped(resized)


def resize_and_back(picture: Tensor, scale: float, kernel: str = "bilinear") -> Tensor:
    """Resize by `scale` with a trainer's filter ("area", "bilinear" or "bicubic", antialiased) and back (bicubic)."""
    height, width = picture.shape[-2:]
    small = _resized(picture, max(1, round(height * scale)), max(1, round(width * scale)), kernel)
    return _resized(small, height, width, "bicubic")


def crop_and_resize(
    picture: Tensor, top: float, left: float, height: float, width: float, size: tuple[int, int] | None = None
) -> Tensor:
    """Cut a window, given in fractions of the sides, and resize it (bicubic) to `size`, by default the full size."""
    rows, columns = picture.shape[-2:]
    first_row, first_column = round(top * rows), round(left * columns)
    window = picture[
        ...,
        first_row : first_row + max(1, round(height * rows)),
        first_column : first_column + max(1, round(width * columns)),
    ]
    return _resized(window, *(size or (rows, columns)), "bicubic")


def gaussian_blur(picture: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of `sigma` pixels, cut off at 3 sigma, edges replicated."""
    radius = max(1, math.ceil(3 * sigma))
    places = torch.arange(-radius, radius + 1, dtype=picture.dtype, device=picture.device)
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    weights = weights / weights.sum()
    channels = picture.shape[1]
    padded = F.pad(picture, [radius] * 4, mode="replicate")
    rows = F.conv2d(padded, weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(rows, weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def add_noise(picture: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise with standard deviation `sigma` (in [0, 1] units)."""
    noise = torch.randn(picture.shape, generator=generator, dtype=picture.dtype, device=picture.device)
    return _clipped(picture + sigma * noise)


@dataclass(frozen=True)
class Laundering:
    """One laundering with its strength fixed: the same for every picture that it is applied to.

    Attributes:
        name: The kind.
        apply: (B, 3, H, W) in [0, 1] to the same shape, differentiable.
        moves: Whether content moves; two pictures can then only be compared when both went through it.
    """

    name: str
    apply: Callable[[Tensor], Tensor]
    moves: bool = False


#: What is drawn from. The last one moves content.
_KINDS = ("jpeg", "resize", "blur", "noise", "crop")

#: What the steps of a shading go through, in a new random order each round. None of them sees the picture as it is: one
#: in eight that did gained nothing at the fainter intensities, a twentieth at the strongest, and less of it lasted
#: (docs/engine.md). What lives through these lives through noise too.
_ROUND = ("jpeg", "resize", "blur", "crop", "jpeg", "resize", "blur")


def launderings(generator: torch.Generator) -> Iterator[Laundering]:
    """Launderings for one step after the other, without end. `generator` may be on any device.

    Drawn like cards rather than dice: with few steps, chance would decide what a shading survives.
    """
    while True:
        for place in torch.randperm(len(_ROUND), generator=generator, device=generator.device).tolist():
            yield _laundering(_ROUND[place], generator)


def random_laundering(generator: torch.Generator, *, moving: bool = True) -> Laundering:
    """A laundering of random kind and strength; with `moving` also crops. `generator` may be on any device."""
    kinds = _KINDS if moving else _KINDS[:-1]
    chosen = int(torch.randint(len(kinds), (), generator=generator, device=generator.device))
    return _laundering(kinds[chosen], generator)


def _laundering(kind: str, generator: torch.Generator) -> Laundering:
    """A laundering of this kind and random strength."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator, device=generator.device))

    if kind == "jpeg":
        quality, subsample = round(uniform(60, 95)), uniform(0, 1) < 0.7
        return Laundering("jpeg", lambda picture: jpeg(picture, quality, subsample))
    if kind == "resize":
        scale, kernel = uniform(0.4, 0.95), ("area", "bilinear", "bicubic")[int(uniform(0, 2.999))]
        return Laundering("resize", lambda picture: resize_and_back(picture, scale, kernel))
    if kind == "blur":
        sigma = uniform(0.4, 1.2)
        return Laundering("blur", lambda picture: gaussian_blur(picture, sigma))
    if kind == "noise":
        sigma, seed = uniform(0.5, 4.0) / 255, int(uniform(0, 2**31 - 1))

        def noisy(picture: Tensor) -> Tensor:
            return add_noise(picture, sigma, torch.Generator(picture.device).manual_seed(seed))

        return Laundering("noise", noisy)
    side = uniform(0.8, 0.97)
    top, left = uniform(0, 1 - side), uniform(0, 1 - side)
    return Laundering("crop", lambda picture: crop_and_resize(picture, top, left, side, side), moves=True)


def _crop_tenth(picture: Tensor) -> Tensor:
    return crop_and_resize(picture, 0.05, 0.05, 0.9, 0.9)


LAUNDERINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "jpeg_q75": lambda picture: jpeg(picture, 75),
    "resize_half": lambda picture: resize_and_back(picture, 0.5),
    "blur_1": lambda picture: gaussian_blur(picture, 1.0),
    "crop_10": _crop_tenth,
}
"""The fixed launderings that survival is stated for. `crop_10` moves content: apply it to every picture compared."""
