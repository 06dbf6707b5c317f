"""Two detectors of shadings, trained on pairs of a picture and its shaded self, and what they tell.

- **Spectral**: how much power a picture has in each frequency, and a logistic regression on that.
- **Convolutional**, in the manner of LightShed (Foerster et al., USENIX Security 2025): a network that estimates the
  shading itself from the picture, nothing where there is none. The estimate's energy gives it away, and the estimate
  can be subtracted.

Both are what somebody with this program, some pictures and an hour can train. Pictures are ``(B, 3, H, W)`` in
``[0, 1]``; in a pair, the same place of two batches holds a picture and its shaded self.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from shaded.shading.engine import as_saved
from shaded.shading.laundering import gaussian_blur
from shaded.shading.pull import pull
from shaded.shading.surrogates import Surrogate

#: Side of the blocks of the cosine transform, as in JPEG.
BLOCK = 8

#: Rings of the radial power spectrum, from no frequency to the highest along an axis.
RINGS = 16

#: Blur, in pixels, that is taken from a picture to leave its fine structure.
RESIDUAL_SIGMA = 1.0

#: Strengths of the penalty that the spectral detector chooses from.
PENALTIES = (0.001, 0.01, 0.1, 1.0)

#: One grey level of 255; power below a tenth of its square is rounding.
LEVEL = 1 / 255
_FAINTEST = 0.1


def luma_and_chroma(pictures: Tensor) -> Tensor:
    """YCbCr as in JPEG (ITU-T T.871), ``(B, 3, H, W)``; chroma around 0."""
    matrix = pictures.new_tensor(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    )  # fmt: skip
    return torch.einsum("ij,bjhw->bihw", matrix, pictures)


def cosine_basis(side: int = BLOCK) -> Tensor:
    """The orthonormal basis of the two-dimensional DCT-II, ``(side * side, side, side)``, lowest frequency first."""
    places = torch.arange(side)
    waves = torch.cos(math.pi * (places[None] + 0.5) * places[:, None] / side) * math.sqrt(2 / side)
    waves[0] /= math.sqrt(2)
    return torch.einsum("ui,vj->uvij", waves, waves).reshape(side * side, side, side)


@torch.no_grad()
def spectral_features(pictures: Tensor) -> Tensor:
    """Log power by frequency, ``(B, 3 * (2 * 63 + RINGS))``, of luma and both chroma channels.

    Of each of the 63 varying coefficients of the 8 x 8 cosine transform, the logarithm of its mean power, and the mean
    of the logarithm of its power, which is that of the calmer blocks; and the radial power spectrum of what a blur
    leaves. Of logarithms a weighted sum can take ratios, so contrast needs no dividing out.

    Args:
        pictures: Sides of at least 32 pixels; what is left over of the last blocks is not looked at.
    """
    channels = luma_and_chroma(pictures) / LEVEL
    batch, _, height, width = channels.shape
    flat = channels.reshape(batch * 3, 1, height, width)
    basis = cosine_basis().to(flat)[1:, None]
    power = F.conv2d(flat, basis, stride=BLOCK).square().flatten(2)
    kinds = [
        (power.mean(dim=2) + _FAINTEST).log(),
        (power + _FAINTEST).log().mean(dim=2),
        _radial_spectrum(flat - gaussian_blur(flat, RESIDUAL_SIGMA)),
    ]
    return torch.cat(kinds, dim=1).reshape(batch, -1)


def _radial_spectrum(residual: Tensor) -> Tensor:
    """The logarithm of the mean power ``(B, RINGS)`` of ``(B, 1, H, W)`` in rings of equal width."""
    height, width = residual.shape[-2:]
    power = torch.fft.rfft2(residual[:, 0], norm="ortho").abs().square().flatten(1)
    down, across = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    radius = torch.sqrt(down[:, None] ** 2 + across[None] ** 2).flatten()
    ring = (radius * 2 * RINGS).long()
    means = [power[:, (ring == index).to(power.device)].mean(dim=1) for index in range(RINGS)]
    return (torch.stack(means, dim=1) + _FAINTEST).log()


@dataclass(frozen=True)
class Logistic:
    """A logistic regression: features are standardised, weighted, added up.

    Attributes:
        mean: Of each feature, ``(F,)``.
        deviation: Of each feature, ``(F,)``.
        weights: ``(F,)``, for standardised features.
        bias: ``()``.
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor
    bias: Tensor

    def score(self, features: Tensor) -> Tensor:
        """Log odds ``(B,)`` of being shaded, for features ``(B, F)``."""
        return (features - self.mean) / self.deviation @ self.weights + self.bias


def fit_logistic(clean: Tensor, shaded: Tensor, penalty: float) -> Logistic:
    """Fit a logistic regression to features ``(N, F)`` of clean and of shaded pictures.

    Minimises the mean cross entropy plus ``penalty / 2`` times the squared length of the weights (Hastie et al. 2009,
    section 4.4.4, with an L2 penalty) by L-BFGS; the problem is convex.
    """
    features = torch.cat([clean, shaded]).double()
    labels = torch.cat([features.new_zeros(len(clean)), features.new_ones(len(shaded))])
    mean, deviation = features.mean(dim=0), features.std(dim=0, correction=0).clamp_min(1e-6)
    standard = (features - mean) / deviation
    parameters = features.new_zeros(features.shape[1] + 1).requires_grad_()
    optimizer = torch.optim.LBFGS([parameters], max_iter=500, tolerance_grad=1e-7, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        weights, bias = parameters[:-1], parameters[-1]
        entropy = F.binary_cross_entropy_with_logits(standard @ weights + bias, labels)
        value = entropy + penalty / 2 * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    fitted = parameters.detach().float()
    return Logistic(mean.float(), deviation.float(), fitted[:-1], fitted[-1])


def fit_spectral(clean: Tensor, shaded: Tensor) -> Logistic:
    """The spectral detector for features ``(N, F)`` of pairs, N at least 5.

    The penalty is the one of :data:`PENALTIES` that does best on the last fifth of the pairs when fitted to the rest;
    then all are fitted.
    """
    part = len(clean) - max(1, len(clean) // 5)

    def missed(penalty: float) -> float:
        model = fit_logistic(clean[:part], shaded[:part], penalty)
        wrong = [F.softplus(model.score(clean[part:])), F.softplus(-model.score(shaded[part:]))]
        return float(torch.cat(wrong).mean())

    return fit_logistic(clean, shaded, min(PENALTIES, key=missed))


class _Block(nn.Module):
    """``x + body(x)`` with two normalised convolutions; at first it changes nothing, so that no depth explodes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, last = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.body = nn.Sequential(nn.GroupNorm(4, width), first, nn.ReLU(), last)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, width, h, w)`` to the same shape."""
        moved: Tensor = self.body(features)
        return torch.relu(features + moved)


class ShadingEstimator(nn.Module):
    """Estimates the shading of a picture, and tells from the estimate and its deepest features whether there is one.

    An encoder and a decoder with short cuts between them (Ronneberger et al. 2015), on three sizes, with residual
    blocks. Of the picture it also sees, enlarged, what a blur leaves: a shading is a few levels, a picture hundreds.
    Sides of pictures are multiples of 4.

    Args:
        width: Channels at full size, a multiple of 4; twice and four times as many at half and a quarter. 16 makes 0.2,
            24 makes 0.4 million parameters.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.full_in = nn.Sequential(nn.Conv2d(6, width, 3, padding=1), nn.ReLU(), _Block(width))
        self.half_in = nn.Sequential(nn.Conv2d(width, 2 * width, 4, 2, padding=1), nn.ReLU(), _Block(2 * width))
        self.deep = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 4, 2, padding=1), nn.ReLU(), _Block(4 * width))
        self.to_half = nn.Conv2d(4 * width, 2 * width, 1)
        self.half_out = _Block(2 * width)
        self.to_full = nn.Conv2d(2 * width, width, 1)
        block, last = _Block(width), nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.full_out = nn.Sequential(block, last)
        self.head = nn.Sequential(nn.Linear(3 + 4 * width, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The estimated shading ``(B, 3, H, W)`` in ``[0, 1]`` units, and the log odds ``(B,)`` that there is one."""
        # In bfloat16 a blurred picture is rounded to whole grey levels, which would drown the shading.
        with torch.autocast(pictures.device.type, enabled=False):
            fine = (pictures - gaussian_blur(pictures, RESIDUAL_SIGMA)) / (8 * LEVEL)
        full = self.full_in(torch.cat([pictures - 0.5, fine], dim=1))
        half = self.half_in(full)
        deep = self.deep(half)
        half = self.half_out(half + _doubled(self.to_half(deep)))
        levels = self.full_out(full + _doubled(self.to_full(half)))
        energy = (levels.square().mean(dim=(2, 3)) + 1e-3).log()
        odds: Tensor = self.head(torch.cat([energy, deep.mean(dim=(2, 3))], dim=1))[:, 0]
        return levels * LEVEL, odds


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="nearest")


def _told_nobody(_step: int, _steps: int, _loss: float) -> None:
    """Tell nobody."""


def train_estimator(
    estimator: ShadingEstimator,
    clean: Tensor,
    shaded: Tensor,
    *,
    steps: int,
    seed: int,
    side: int = 96,
    pairs: int = 8,
    rate: float = 1e-3,
    half: bool = False,
    progress: Callable[[int, int, float], None] = _told_nobody,
) -> None:
    """Train in place on pairs ``(N, 3, H, W)``: the shading for shaded ones, nothing for clean ones.

    The loss is the squared error of the estimate as a share of the shadings' mean square, plus the cross entropy of the
    log odds. A picture and its shaded self are always in the same batch, so that what tells them apart is the shading
    and not the picture.

    Args:
        estimator: As it was made, or already trained on another intensity.
        clean: Pictures.
        shaded: The same, shaded.
        steps: Batches to see.
        seed: Of windows, turns and order.
        side: Of the windows that are cut out, at most; a multiple of 8, at which windows also begin, as latents do.
        pairs: In a batch.
        rate: Of AdamW at most: it rises for a twentieth of the steps, then falls to nothing along half a cosine.
        half: Whether the network computes in bfloat16.
        progress: Told the step, the number of steps and the loss.

    Raises:
        ArithmeticError: The training came apart: the loss is no number any more.
    """
    generator = torch.Generator().manual_seed(seed)
    side = min(side, *(length // BLOCK * BLOCK for length in clean.shape[-2:]))
    size = (shaded - clean).square().mean().clamp_min((0.1 * LEVEL) ** 2)
    optimizer = torch.optim.AdamW(estimator.parameters(), lr=rate, weight_decay=0.01)
    rising = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rising, 0.5 + 0.5 * math.cos(math.pi * step / steps))
    )
    labels = torch.cat([torch.zeros(pairs), torch.ones(pairs)]).to(clean)
    for step in range(steps):
        without, with_it = _windows(clean, shaded, pairs, side, generator)
        # Anew in every step, and without a cache: within one context autocast goes on using the weights that it
        # converted first.
        with torch.autocast(clean.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            estimate, odds = estimator(torch.cat([without, with_it]))
        truth = torch.cat([torch.zeros_like(without), with_it - without])
        loss = (estimate.float() - truth).square().mean() / size + F.binary_cross_entropy_with_logits(
            odds.float(), labels
        )
        if not bool(loss.isfinite()):
            raise ArithmeticError(f"the detector's training came apart at step {step} of {steps}")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(estimator.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, steps, loss.item())


def _windows(clean: Tensor, shaded: Tensor, pairs: int, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same random windows of random pairs, mirrored and turned the same way, ``(pairs, 3, side, side)`` each."""

    def drawn(count: int) -> int:
        return int(torch.randint(count, (1,), generator=generator))

    cut = []
    for _ in range(pairs):
        index = drawn(len(clean))
        top, left = (BLOCK * drawn((length - side) // BLOCK + 1) for length in clean.shape[-2:])
        pair = torch.stack([batch[index, :, top : top + side, left : left + side] for batch in (clean, shaded)])
        pair = pair.flip(-1) if drawn(2) else pair
        cut.append(pair.rot90(drawn(4), (-2, -1)))
    both = torch.stack(cut)
    return both[:, 0], both[:, 1]


@torch.no_grad()
def estimate(estimator: ShadingEstimator, pictures: Tensor, batch: int = 8) -> tuple[Tensor, Tensor]:
    """What a trained estimator says: shadings ``(N, 3, H, W)`` and log odds ``(N,)``, a few pictures at a time."""
    parts = [estimator(pictures[first : first + batch]) for first in range(0, len(pictures), batch)]
    found, odds = zip(*parts, strict=True)
    return torch.cat(found), torch.cat(odds)


def subtracted(pictures: Tensor, found: Tensor) -> Tensor:
    """Pictures without the shading that was found in them, as 8 bits hold them."""
    return as_saved(pictures - found)


@torch.no_grad()
def pull_left(
    encoders: Sequence[Surrogate], shaded: Tensor, cleaned: Tensor, original: Tensor, anchor: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """Pull in each encoder, ``(B,)``, before and after what a detector found was subtracted.

    Args:
        encoders: By whose latents it is measured.
        shaded: Shaded pictures.
        cleaned: The same after :func:`subtracted`.
        original: Pictures before shading.
        anchor: What they were moved toward.
    """
    left = {}
    for encoder in encoders:
        start, end = encoder.encode(original), encoder.encode(anchor)
        before, after = (pull(encoder.encode(pictures), start, end) for pictures in (shaded, cleaned))
        left[encoder.name] = (before, after)
    return left
