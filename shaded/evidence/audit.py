"""How much of a shading survives each laundering, beside two controls: the original itself, and random noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from shaded.evidence.findings import AuditResult, Before, Kept, Laundered, NoiseControl, NotApplied
from shaded.evidence.launderings import Laundering, Pixels, Reconstruct, from_tensor, suite, to_tensor
from shaded.evidence.measure import LEAST_PULL, middle
from shaded.shading.perceptibility import ReferenceDistance
from shaded.shading.pull import direction, pull
from shaded.shading.surrogates import Surrogate

#: An audit looks at this many pixels of the canvas's middle, at most: ten pictures take less than five minutes then.
WINDOW_PIXELS = 256 * 256

#: Rounds of halving in the search for noise of the shading's LPIPS; the strongest noise, as a share of white.
_ROUNDS, _STRONGEST = 14, 0.5

#: Latents that differ by no more than this share of their length count as the same.
_SAME = 1e-6


@dataclass(frozen=True)
class Window:
    """The audited part of a canvas, and the control that was made for it.

    Attributes:
        shaded: Of the published file; like the others ``(H, W, 3)``, 8 bits.
        original: Of the original.
        anchor: Of what it was moved toward.
        noisy: The original with random noise of the shading's LPIPS.
        lpips: Of the shading, here.
        noise: What noise that is.
        canvas: Width and height of the whole canvas.
        longest: The longest side of the picture on the canvas, without padding.
    """

    shaded: Pixels
    original: Pixels
    anchor: Pixels
    noisy: Pixels
    lpips: float
    noise: NoiseControl
    canvas: tuple[int, int]
    longest: int

    @property
    def pictures(self) -> tuple[Pixels, Pixels, Pixels, Pixels]:
        """In the order in which they are encoded."""
        return self.shaded, self.original, self.anchor, self.noisy


def noise_like(original: Tensor, wanted: float, lpips: Any, seed: int) -> tuple[Tensor, NoiseControl]:
    """Gaussian noise on ``original`` whose LPIPS is ``wanted``, rounded to 8 bits.

    Args:
        original: ``(1, 3, H, W)`` in ``[0, 1]``; on one without colour the noise has none either.
        wanted: The LPIPS, found by halving the range of amplitudes.
        lpips: From :func:`shaded.shading.perceptibility.build_lpips`.
        seed: Of the noise.
    """
    gray = bool((original.amax(dim=1) == original.amin(dim=1)).all())
    shape = (1, 1 if gray else 3, *original.shape[-2:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(original.device)
    distance = ReferenceDistance(lpips, original)

    def noisy(sigma: float) -> Tensor:
        return ((original + sigma * noise).clamp(0, 1) * 255).round() / 255

    low, high = 0.0, _STRONGEST
    for _ in range(_ROUNDS):
        sigma = (low + high) / 2
        low, high = (sigma, high) if float(distance(noisy(sigma))) < wanted else (low, sigma)
    found = noisy((low + high) / 2)
    stated = NoiseControl(lpips=round(float(distance(found)), 5), sigma=round((low + high) / 2 * 255, 3), seed=seed)
    return found, stated


@torch.no_grad()
def cut_window(shaded: Tensor, original: Tensor, anchor: Tensor, *, longest: int, lpips: Any, seed: int) -> Window:
    """The middle of three canvases ``(1, 3, H, W)`` in ``[0, 1]``, with noise to compare.

    Args:
        shaded: Of the published file.
        original: Of the original.
        anchor: Of what it was moved toward.
        longest: The longest side of the picture on the canvas, without padding.
        lpips: From :func:`shaded.shading.perceptibility.build_lpips`.
        seed: Of the noise.
    """
    three = [from_tensor(middle(canvas, WINDOW_PIXELS)) for canvas in (shaded, original, anchor)]
    view, reference = (to_tensor(picture).to(original.device) for picture in three[:2])
    visible = float(ReferenceDistance(lpips, reference)(view))
    noisy, control = noise_like(reference, visible, lpips, seed)
    height, width = original.shape[-2:]
    return Window(
        shaded=three[0],
        original=three[1],
        anchor=three[2],
        noisy=from_tensor(noisy),
        lpips=round(visible, 5),
        noise=control,
        canvas=(width, height),
        longest=longest,
    )


@torch.no_grad()
def audit(
    encoders: Sequence[Surrogate],
    window: Window,
    sha256: str,
    *,
    device: torch.device,
    autoencoders: Sequence[Surrogate] = (),
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> AuditResult:
    """Pull and direction in each encoder before and after each laundering.

    All four pictures go through the laundering, so that what is stated is what it leaves of the shading and not what
    it does to latents by itself; that is the control ``original``.

    Args:
        encoders: What measures; those with a decoder also launder.
        window: The pictures, from :func:`cut_window`.
        sha256: Of the published file.
        device: Where the encoders are.
        autoencoders: More that launder, and do not measure.
        progress: Told how many launderings of how many are done.
    """
    launderers = (*encoders, *autoencoders)
    round_trips = {one.name: _on(device, one.reconstruct) for one in launderers if one.reconstruct is not None}
    launderings, skipped = suite(window.longest, window.noise.seed, round_trips)
    unwashed = {one.name: _encode(one, window.pictures, device) for one in encoders}
    before = {name: _before(*latents) for name, latents in unwashed.items()}
    rows = []
    for done, laundering in enumerate(launderings):
        progress(done, len(launderings))
        washed = tuple(laundering.apply(picture) for picture in window.pictures)
        kept = {
            one.name: _kept(laundering, _encode(one, washed, device), unwashed[one.name], before[one.name])
            for one in encoders
        }
        rows.append(_over_all(laundering, kept))
    progress(len(launderings), len(launderings))
    height, width = window.original.shape[:2]
    return AuditResult(
        sha256=sha256,
        canvas=window.canvas,
        window=(width, height),
        lpips=window.lpips,
        noise=window.noise,
        before=before,
        launderings=rows,
        not_applied=[NotApplied(name=one.name, reason=one.reason) for one in skipped],
    )


def _on(device: torch.device, reconstruct: Reconstruct) -> Reconstruct:
    return lambda picture: reconstruct(picture.to(device))


def _before(shaded: Tensor, original: Tensor, anchor: Tensor, noisy: Tensor) -> Before:
    return Before(
        pull=_pull(shaded, original, anchor),
        direction=_direction(shaded, original, anchor),
        noise=_pull(noisy, original, anchor),
    )


def _encode(encoder: Surrogate, pictures: Sequence[Pixels], device: torch.device) -> tuple[Tensor, ...]:
    """Each picture's latents ``(1, C, h, w)``; all pictures are encoded as one batch."""
    batch = torch.cat([to_tensor(picture) for picture in pictures]).to(device)
    latents = encoder.encode(batch)
    return tuple(latents[place : place + 1] for place in range(len(pictures)))


def _kept(laundering: Laundering, after: tuple[Tensor, ...], unwashed: tuple[Tensor, ...], before: Before) -> Kept:
    """What is left in one encoder; latents are those of the shaded picture, the original, the anchor and the noise."""
    shaded, original, anchor, noisy = after
    _, clean, destination, _ = unwashed
    left = _pull(shaded, original, anchor)
    return Kept(
        pull=left,
        direction=_direction(shaded, original, anchor),
        survival=round(left / before.pull, 4) if before.pull >= LEAST_PULL else None,
        noise=_pull(noisy, original, anchor),
        original=None if laundering.moves else _pull(original, clean, destination),
    )


def _over_all(laundering: Laundering, kept: dict[str, Kept]) -> Laundered:
    known = [(one.survival, name) for name, one in kept.items() if one.survival is not None]
    controls = [one.original for one in kept.values() if one.original is not None]
    worst = min(known) if known else (None, None)
    return Laundered(
        name=laundering.name,
        group=laundering.group,
        description=laundering.description,
        moves=laundering.moves,
        mean_survival=round(fmean(share for share, _ in known), 4) if known else None,
        worst_survival=worst[0],
        worst_encoder=worst[1],
        mean_pull=round(fmean(one.pull for one in kept.values()), 4),
        noise_pull=round(fmean(one.noise for one in kept.values()), 4),
        original_pull=round(fmean(controls), 4) if controls else None,
        encoders=kept,
    )


def _pull(shaded: Tensor, original: Tensor, anchor: Tensor) -> float:
    """Pull, or 0 where original and anchor have become the same: nothing is left to be told apart."""
    if float(torch.linalg.vector_norm(original - anchor)) <= _SAME * float(torch.linalg.vector_norm(anchor)):
        return 0.0
    return round(float(pull(shaded, original, anchor)), 4)


def _direction(shaded: Tensor, original: Tensor, anchor: Tensor) -> float:
    return round(float(direction(shaded, original, anchor)), 4)
