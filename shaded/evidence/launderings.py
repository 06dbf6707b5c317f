"""The audit's launderings: what sites, scrapers and cleaners do to a published picture, by real codecs.

Every step takes and gives a picture ``(H, W, 3)`` of 8 bits. A laundering is data: its steps with their strengths.
The engine's own launderings (:mod:`shaded.shading.laundering`) are differentiable likenesses of a few of these.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from shaded.evidence.filters import adverse_cleaner, bilateral
from shaded.shading.laundering import gaussian_blur

__all__ = ["Laundering", "Pixels", "Reconstruct", "Skipped", "from_tensor", "suite", "to_tensor"]

Pixels = NDArray[np.uint8]
Step = Callable[[Pixels], Pixels]

#: An autoencoder's way there and back: ``(1, 3, H, W)`` in ``[0, 1]``, sides multiples of 32, to the same.
Reconstruct = Callable[[Tensor], Tensor]

_FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_LONGEST_SIDES = (2048, 1024, 768, 512)


@dataclass(frozen=True)
class Laundering:
    """What happens to a picture on its way.

    Attributes:
        name: Short and stable.
        group: A key of :data:`shaded.evidence.findings.GROUPS`.
        description: In plain words.
        steps: One after the other.
        moves: Whether content moves, so that latents before and after cannot be compared place by place.
    """

    name: str
    group: str
    description: str
    steps: tuple[Step, ...]
    moves: bool = False

    def apply(self, picture: Pixels) -> Pixels:
        """The laundered picture, brought back (bicubic) to its size."""
        height, width = picture.shape[:2]
        for step in self.steps:
            picture = step(picture)
        return _resized(picture, width, height, "bicubic")


@dataclass(frozen=True)
class Skipped:
    """A laundering that does not apply to a picture, and why."""

    name: str
    reason: str


def to_tensor(picture: Pixels) -> Tensor:
    """``(H, W, 3)`` of 8 bits as ``(1, 3, H, W)`` in ``[0, 1]``."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1).unsqueeze(0).float().div_(255)


def from_tensor(picture: Tensor) -> Pixels:
    """``(1, 3, H, W)`` in ``[0, 1]``, rounded to ``(H, W, 3)`` of 8 bits."""
    levels: Pixels = (picture[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().contiguous().numpy()
    return levels


def _coded(picture: Pixels, form: str, options: Mapping[str, int]) -> Pixels:
    """Through a file of this format, written with Pillow's ``options``."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    with Image.open(buffer) as opened:
        return np.asarray(opened.convert("RGB"))


def _resized(picture: Pixels, width: int, height: int, kernel: str) -> Pixels:
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), _FILTERS[kernel]))


def _scaled(picture: Pixels, scale: float, kernel: str) -> Pixels:
    height, width = picture.shape[:2]
    return _resized(picture, max(1, round(width * scale)), max(1, round(height * scale)), kernel)


def _back(picture: Pixels, scale: float, kernel: str, back: str) -> Pixels:
    """Resized by ``scale`` and back to the same size."""
    height, width = picture.shape[:2]
    return _resized(_scaled(picture, scale, kernel), width, height, back)


def _cropped(picture: Pixels, share: float) -> Pixels:
    """The middle, less ``share`` of each side."""
    height, width = picture.shape[:2]
    top, left = (max(0, round(side * share / 2)) for side in (height, width))
    return picture[top : height - top, left : width - left]


def _rotated(picture: Pixels, degrees: float) -> Pixels:
    """Turned about its middle, and cut to the largest part of its shape without empty corners, less a pixel."""
    height, width = picture.shape[:2]
    angle = math.radians(abs(degrees))
    kept = 1 / (math.cos(angle) + math.sin(angle) * max(width / height, height / width))
    turned = Image.fromarray(picture).rotate(degrees, Image.Resampling.BICUBIC)
    return _cropped(np.asarray(turned), 1 - kept + 2 / min(height, width))


def _filtered(picture: Pixels, through: Callable[[Tensor], Tensor]) -> Pixels:
    """Through a filter on grey levels."""
    return from_tensor(through(to_tensor(picture) * 255) / 255)


def _blurred(picture: Pixels, sigma: float) -> Pixels:
    return _filtered(picture, lambda levels: gaussian_blur(levels, sigma))


def _median(picture: Pixels, size: int) -> Pixels:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.MedianFilter(size)))


def _noisy(picture: Pixels, sigma: float, seed: int) -> Pixels:
    """Gaussian noise of ``sigma`` grey levels; the same for every picture of one size."""
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    noisy: Pixels = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    return noisy


def _bilateral_twice(levels: Tensor) -> Tensor:
    return bilateral(bilateral(levels, 5, 24, 3), 5, 24, 3)


def _reconstructed(picture: Pixels, reconstruct: Reconstruct) -> Pixels:
    return from_tensor(reconstruct(to_tensor(picture)))


def suite(
    longest: int, seed: int, autoencoders: Mapping[str, Reconstruct] | None = None
) -> tuple[tuple[Laundering, ...], tuple[Skipped, ...]]:
    """Every laundering for one picture, and those that do not apply to it.

    Args:
        longest: The longest side of the picture on its canvas, in pixels. What is laundered may be a part of the
            canvas: sizes of sites and screens are taken as shares of this side.
        seed: For noise.
        autoencoders: By name; pictures go through each once and three times.
    """
    chosen = [
        *_codecs(),
        *_resizes(longest),
        *_moving(),
        *_filters(seed),
        *_cleaners(seed, autoencoders or {}),
        *_screenshots(),
        *_sites(longest),
    ]
    reason = f"the picture has no more than that on its canvas, whose longest side is {longest}"
    skipped = [Skipped(_resize_name(side, kernel), reason) for side, kernel in _sides() if side >= longest]
    return tuple(chosen), tuple(skipped)


def _codecs() -> Iterator[Laundering]:
    chroma = {"4:4:4": (0, "colour at full size"), "4:2:0": (2, "colour at half size")}
    for quality in (95, 85, 75, 60, 50, 40, 30):
        for name, (subsampling, words) in chroma.items():
            step = partial(_coded, form="JPEG", options={"quality": quality, "subsampling": subsampling})
            description = f"saved as JPEG of quality {quality}, {words}"
            yield Laundering(f"JPEG q{quality} {name}", "jpeg", description, (step,))
    for form, qualities in (("WebP", (90, 75, 50)), ("AVIF", (75, 50))):
        for quality in qualities:
            step = partial(_coded, form=form.upper(), options={"quality": quality})
            yield Laundering(f"{form} q{quality}", "codec", f"saved as {form} of quality {quality}", (step,))


def _sides() -> Iterable[tuple[int, str]]:
    return [(side, kernel) for side in _LONGEST_SIDES for kernel in _FILTERS]


def _resize_name(side: int, kernel: str) -> str:
    return f"resize {side} {kernel}"


def _resizes(longest: int) -> Iterator[Laundering]:
    for side, kernel in _sides():
        if side < longest:
            step = partial(_scaled, scale=side / longest, kernel=kernel)
            description = f"reduced to {side} pixels on the longest side ({kernel}) and enlarged again"
            yield Laundering(_resize_name(side, kernel), "resize", description, (step,))


def _moving() -> Iterator[Laundering]:
    for percent in (5, 10, 15, 25):
        description = f"{percent} % of width and height cut off, half on each side, the rest enlarged"
        yield Laundering(
            f"crop {percent} %", "crop", description, (partial(_cropped, share=percent / 100),), moves=True
        )
    for degrees in (1, 2, 3):
        description = f"turned by {degrees} degree{'s' * (degrees > 1)}, its empty corners cut off"
        step = partial(_rotated, degrees=degrees)
        yield Laundering(f"rotate {degrees}°", "crop", description, (step,), moves=True)


def _filters(seed: int) -> Iterator[Laundering]:
    for sigma in (0.5, 1.0, 2.0):
        words = f"blurred by a Gaussian of {sigma:g} pixels"
        yield Laundering(f"blur {sigma:g}", "filter", words, (partial(_blurred, sigma=sigma),))
    for size in (3, 5):
        words = f"each pixel replaced by the median of {size} x {size}"
        yield Laundering(f"median {size}", "filter", words, (partial(_median, size=size),))
    noise = partial(_noisy, sigma=8, seed=seed)
    yield Laundering(
        "noise, median", "filter", "noise of 8 grey levels added and taken off by a median of 3 x 3",
        (noise, partial(_median, size=3)),
    )  # fmt: skip
    yield Laundering(
        "noise, bilateral", "filter", "noise of 8 grey levels added and taken off by a bilateral filter",
        (noise, partial(_filtered, through=_bilateral_twice)),
    )  # fmt: skip


def _cleaners(seed: int, autoencoders: Mapping[str, Reconstruct]) -> Iterator[Laundering]:
    yield Laundering(
        "AdverseCleaner", "cleaner", "cleaned by AdverseCleaner's 64 bilateral and 4 guided filters",
        (partial(_filtered, through=adverse_cleaner),),
    )  # fmt: skip
    yield Laundering(
        "noise, upscale", "cleaner", "noise of 6 grey levels added, reduced to half, enlarged again (lanczos)",
        (partial(_noisy, sigma=6, seed=seed), partial(_back, scale=0.5, kernel="bicubic", back="lanczos")),
    )  # fmt: skip
    for name, reconstruct in autoencoders.items():
        step = partial(_reconstructed, reconstruct=reconstruct)
        for times, words in ((1, "once"), (3, "three times")):
            description = f"encoded and decoded {words} by an autoencoder ({name})"
            yield Laundering(f"autoencoder {name} x{times}", "cleaner", description, (step,) * times)


def _screenshots() -> Iterator[Laundering]:
    zoomed = partial(_back, scale=1.25, kernel="bilinear", back="bicubic")
    yield Laundering(
        "screenshot 125 %, twice", "screenshot", "a screenshot at 125 % zoom, reduced again, and that once more",
        (zoomed, zoomed),
    )  # fmt: skip
    yield Laundering(
        "screenshot 150 % display", "screenshot", "a screenshot of a display scaled by 150 %, reduced again",
        (partial(_back, scale=1.5, kernel="bilinear", back="bilinear"),),
    )  # fmt: skip
    yield Laundering(
        "screenshot 80 %", "screenshot", "a screenshot of the picture shown at 80 % of its size",
        (partial(_scaled, scale=0.8, kernel="bilinear"),),
    )  # fmt: skip


def _sites(longest: int) -> Iterator[Laundering]:
    kinds: tuple[tuple[str, int, str, str, dict[str, int]], ...] = (
        ("gallery site", 1280, "lanczos", "JPEG", {"quality": 85, "subsampling": 0}),
        ("social site", 1080, "bicubic", "JPEG", {"quality": 72, "subsampling": 2}),
        ("chat app", 800, "bilinear", "JPEG", {"quality": 60, "subsampling": 2}),
        ("forum thumbnail", 512, "box", "WEBP", {"quality": 75}),
        ("pin board", 736, "lanczos", "JPEG", {"quality": 80, "subsampling": 2}),
    )
    for name, side, kernel, form, options in kinds:
        steps: list[Step] = [partial(_coded, form=form, options=options)]
        words = f"sent through a {name}: "
        if side < longest:
            steps.insert(0, partial(_scaled, scale=side / longest, kernel=kernel))
            words += f"reduced to {side} pixels ({kernel}), then "
        label = {"JPEG": "JPEG", "WEBP": "WebP"}[form]
        words += f"{label} of quality {options['quality']}"
        yield Laundering(name, "site", words, tuple(steps))
