"""The arms of the trial: what becomes of the source concept's pictures before a model is trained on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shaded.evidence.trial.autoencoder import Autoencoder, encode, to_pixels, to_tensor
from shaded.evidence.trial.pictures import Captioned, with_article
from shaded.shading.anchors import Placement, compose_anchor, cover_anchor, ground_of, nearest_placement
from shaded.shading.engine import CanvasWork, shade_canvas
from shaded.shading.perceptibility import ReferenceDistance
from shaded.shading.presets import Visibility
from shaded.shading.pull import pull
from shaded.shading.surrogates import autoencoder_kl

Kind = Literal["clean", "shaded", "noise", "dirty label"]

_BATCH = 64
_HALVINGS = 16
_LOUDEST = 0.6  # deviation of the noise arm's noise at most, in [0, 1] units


@dataclass(frozen=True)
class Arm:
    """One way of treating the source concept's pictures.

    Attributes:
        kind: ``clean`` leaves them; ``shaded`` shades them toward the target; ``noise`` adds noise of the shading's
            LPIPS; ``dirty label`` puts pictures of the target with the source's captions in their place.
        dose: The share of them that is treated.
        lpips: Budget of the shading; for noise, of the shading whose LPIPS it has.
    """

    kind: Kind
    dose: float = 0.0
    lpips: float = 0.0

    @property
    def name(self) -> str:
        """As files and tables have it."""
        parts = [self.kind.replace(" ", "-")]
        parts += [f"lpips{self.lpips:g}"] if self.lpips else []
        parts += [f"dose{self.dose:g}"] if self.dose else []
        return "-".join(parts)


def arms_of(doses: Sequence[float], budgets: Sequence[float]) -> tuple[Arm, ...]:
    """All arms: the controls, every dose at the first budget, and the other budgets at the largest dose."""
    main, most = budgets[0], max(doses)
    return (
        Arm("clean"),
        Arm("shaded", most, main),
        Arm("dirty label", most),
        Arm("noise", most, main),
        *(Arm("shaded", dose, main) for dose in sorted(set(doses) - {most}, reverse=True)),
        *(Arm("shaded", most, budget) for budget in sorted(set(budgets) - {main})),
    )


def visibility_for(lpips: float) -> Visibility:
    """A budget on small pictures that LPIPS binds: the other limits are so wide that they hardly do.

    The engine's own presets are for pictures of full size, where 64 pixels are a detail. Here they are all of it, and
    nearly everything counts as flat. `flat` is 11 grey levels for an LPIPS of 0.07 and 24 from 0.15 on: eight cows
    then had an LPIPS of 0.057 and a pull of 0.47 for 0.07, 0.127 and 0.65 for 0.15, 0.169 and 0.63 for 0.3 (16 steps):
    beyond 0.15 the engine finds nothing more.
    """
    flat = min(160 * lpips, 24)
    return Visibility(
        flat=flat,
        busy=4 * flat,
        reach=1.2,
        lpips=lpips,
        local_lpips=4 * lpips,
        psnr_db=12,
        delta_e=60,
        faint_lines=False,
    )


def place_anchor(cutout: Tensor, picture: Tensor, encode_one: Callable[[Tensor], Tensor]) -> Tensor:
    """The anchor ``(1, 3, H, W)`` as the daemon places it on a canvas ``(1, 3, H, W)``.

    Args:
        cutout: The target ``(1, 4, h, w)``: with alpha over the picture's own soft colours, without it alone.
        picture: The canvas.
        encode_one: To latents.
    """
    height, width = picture.shape[-2:]
    ground = ground_of(picture)

    def drawn(placement: Placement) -> Tensor:
        if bool((cutout[:, 3] == 1).all()):
            return cover_anchor(cutout[:, :3], height, width, placement)
        return compose_anchor(cutout, ground, height, width, placement)

    return drawn(nearest_placement(drawn, picture, encode_one))


@dataclass(frozen=True)
class Shaded:
    """Pictures ``(N, H, W, 3)`` after rounding to 8 bits, and the anchors each was moved toward, same shape."""

    pixels: NDArray[np.uint8]
    anchors: NDArray[np.uint8]


def shade_all(
    pixels: NDArray[np.uint8],
    cutout: Tensor,
    autoencoder: Autoencoder,
    lpips: Any,
    budget: float,
    *,
    steps: int,
    laundered: bool,
    first_seed: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> Shaded:
    """Shade pictures ``(N, H, W, 3)``, one after the other, with the engine as it is.

    Args:
        pixels: Each side a multiple of 32.
        cutout: The target ``(1, 4, h, w)`` in ``[0, 1]``.
        autoencoder: The one surrogate.
        lpips: From ``build_lpips``, on the autoencoder's device.
        budget: LPIPS, at most.
        steps: The optimiser's.
        laundered: Whether its steps see launderings.
        first_seed: Of the first picture; the next ones count on.
        progress: Told how many are done.
    """
    surrogate = autoencoder_kl(autoencoder.name, autoencoder.module)
    shaded, anchors = [], []
    for number, picture in enumerate(torch.split(to_tensor(pixels, autoencoder.device), 1)):
        # Rounded, so that pull can be measured again from what is kept.
        anchor = to_tensor(to_pixels(place_anchor(cutout, picture, surrogate.encode)), autoencoder.device)
        work = CanvasWork(
            original=picture,
            anchor=anchor,
            mask=torch.ones_like(picture[:, :1]),
            gray=False,
            visibility=visibility_for(budget),
            steps=steps,
            seed=first_seed + number,
            laundered=laundered,
        )
        shaded.append(to_pixels(picture + shade_canvas(work, [surrogate], lpips).delta))
        anchors.append(to_pixels(anchor))
        progress(number + 1)
    return Shaded(np.concatenate(shaded), np.concatenate(anchors))


@torch.no_grad()
def lpips_between(lpips: Any, changed: NDArray[np.uint8], pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """LPIPS ``(N,)`` of each of ``(N, H, W, 3)`` to its original."""
    parts = []
    for first in range(0, len(pixels), _BATCH):
        part = slice(first, first + _BATCH)
        parts.append(ReferenceDistance(lpips, to_tensor(pixels[part], device))(to_tensor(changed[part], device)))
    return torch.cat(parts)


def pulls(
    autoencoder: Autoencoder, changed: NDArray[np.uint8], pixels: NDArray[np.uint8], anchors: NDArray[np.uint8]
) -> Tensor:
    """Pull ``(N,)`` of each of ``(N, H, W, 3)`` from its original to its anchor, in the autoencoder."""
    return pull(*(encode(autoencoder, some) for some in (changed, pixels, anchors)))


@torch.no_grad()
def noisy_like(
    pixels: NDArray[np.uint8], wanted: Tensor, lpips: Any, device: torch.device, seed: int
) -> NDArray[np.uint8]:
    """Pictures ``(N, H, W, 3)`` with Gaussian noise, each so strong that its LPIPS is ``wanted`` ``(N,)``.

    LPIPS is measured after rounding to 8 bits, and the strength found by halving.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for first in range(0, len(pixels), _BATCH):
        pictures = to_tensor(pixels[first : first + _BATCH], device)
        goal = wanted[first : first + _BATCH].to(device)
        distance = ReferenceDistance(lpips, pictures)
        noise = torch.randn(pictures.shape, generator=generator).to(device)
        low, high = torch.zeros_like(goal), torch.full_like(goal, _LOUDEST)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            rounded = ((pictures + middle.view(-1, 1, 1, 1) * noise).clamp(0, 1) * 255).round() / 255
            over = distance(rounded) > goal
            low, high = torch.where(over, low, middle), torch.where(over, middle, high)
        parts.append(to_pixels(pictures + low.view(-1, 1, 1, 1) * noise))
    return np.concatenate(parts)


def relabelled(captions: Iterable[str], words: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Captions that say another thing.

    Args:
        captions: True ones.
        words: What is said instead of what: the concept, and perhaps its kind.
    """
    changed = []
    for caption in captions:
        for old, new in words:
            caption = caption.replace(with_article(old), with_article(new)).replace(old, new)  # noqa: PLW2901
        changed.append(caption)
    return tuple(changed)


def treated_places(pictures: Captioned, source: str, dose: float, seed: int) -> list[int]:
    """Which of the source concept's pictures are treated: more at a larger dose, and still the same ones."""
    places = pictures.places(source)
    order = np.random.default_rng([seed, 3]).permutation(len(places))
    return [places[number] for number in order[: round(dose * len(places))]]
