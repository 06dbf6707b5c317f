"""The model under trial: a small text-to-image latent diffusion model (Rombach et al. 2022) of diffusers' parts."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from shaded.evidence.trial.autoencoder import Autoencoder, decode
from shaded.evidence.trial.text import TextEncoder

#: The share of captions that are left out in training, so that drawing can be guided (Ho and Salimans 2022).
DROPPED = 0.1

#: Steps after which an unfinished training is kept.
KEPT_EVERY = 250

_NOISE_STEPS = 1000
_HEAD_CHANNELS = 32  # of one attention head


@dataclass(frozen=True)
class Recipe:
    """How a model is built, trained and asked to draw; the same for every arm.

    Attributes:
        channels: Of the network at 8 x 8 and 4 x 4 latents; each a multiple of 32.
        steps: Of training.
        batch: Latents at a time.
        rate: The highest learning rate.
        drawing_steps: Of DDIM (Song et al. 2021).
        guidance: How far the words lead, 1 is not at all more than they do (Ho and Salimans 2022, eq. 6 with 1 + w).
    """

    channels: tuple[int, int] = (64, 128)
    steps: int = 1400
    batch: int = 32
    rate: float = 2e-3
    drawing_steps: int = 12
    guidance: float = 3.0


@dataclass(frozen=True)
class LatentScale:
    """Brings latents to mean 0 and deviation 1, channel by channel; measured on clean ones ``(N, C, h, w)``."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, latents: Tensor) -> LatentScale:
        """The scale of these latents."""
        return cls(latents.mean(dim=(0, 2, 3), keepdim=True), latents.std(dim=(0, 2, 3), keepdim=True))

    def scaled(self, latents: Tensor) -> Tensor:
        """As the model sees them."""
        return (latents - self.mean) / self.deviation

    def unscaled(self, latents: Tensor) -> Tensor:
        """As the autoencoder has them."""
        return latents * self.deviation + self.mean


def build_network(latents: Tensor, text_width: int, channels: tuple[int, int]) -> Any:
    """An untrained U-Net for latents like these ``(N, C, h, w)``, with cross attention to words of this width."""
    from diffusers import UNet2DConditionModel  # noqa: PLC0415 - heavy

    return UNet2DConditionModel(
        sample_size=latents.shape[-1],
        in_channels=latents.shape[1],
        out_channels=latents.shape[1],
        layers_per_block=1,
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=16,
        cross_attention_dim=text_width,
        # For all its name, how many heads there are.
        attention_head_dim=tuple(width // _HEAD_CHANNELS for width in channels),
    )


def noise_schedule() -> Any:
    """A thousand steps of noise on a squared-cosine schedule; the model predicts v (Salimans and Ho 2022)."""
    from diffusers import DDPMScheduler  # noqa: PLC0415 - heavy

    return DDPMScheduler(_NOISE_STEPS, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")


@dataclass
class Training:
    """A model that is being trained; everything that the next step depends on.

    Attributes:
        network: The U-Net.
        average: The running mean of its weights (EMA).
        optimiser: AdamW.
        pace: Of the learning rate.
        generator: Of batches, noise and left-out captions.
        steps: That were taken.
    """

    network: Any
    average: Any
    optimiser: torch.optim.Optimizer
    pace: torch.optim.lr_scheduler.LambdaLR
    generator: torch.Generator
    steps: int = 0

    def state(self) -> dict[str, Any]:
        """All of it, as ``torch.save`` takes it."""
        parts = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimiser", "pace")}
        return parts | {"generator": self.generator.get_state(), "steps": self.steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        for name in ("network", "average", "optimiser", "pace"):
            getattr(self, name).load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.steps = state["steps"]


@dataclass(frozen=True)
class Halfway:
    """Where an unfinished training is kept, so that it can be gone on with.

    Attributes:
        read: What was written last, ``None`` for nothing.
        write: Keeps a state.
    """

    read: Callable[[], Mapping[str, Any] | None] = lambda: None
    write: Callable[[dict[str, Any]], None] = lambda _state: None


NOWHERE = Halfway()


def begin(latents: Tensor, text_width: int, recipe: Recipe, seed: int) -> Training:
    """An untrained model on the latents' device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(latents, text_width, recipe.channels)
    network.to(latents.device).train()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    return Training(
        network=network,
        average=torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=_running_mean(recipe.steps)),
        optimiser=optimiser,
        pace=torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, recipe.steps)),
        generator=torch.Generator().manual_seed(seed),
    )


def train(
    latents: Tensor,
    captions: Sequence[str],
    text: TextEncoder,
    recipe: Recipe,
    *,
    seed: int,
    halfway: Halfway = NOWHERE,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Any:
    """A model trained from scratch; the running mean of its weights, ready to draw.

    Args:
        latents: Scaled, ``(N, C, h, w)``, on the device to train on.
        captions: One for each.
        text: The frozen text encoder.
        recipe: Size and length.
        seed: Of weights, batches, noise and left-out captions.
        halfway: Where to go on from; what is gone on with ends as if it had not been interrupted.
        progress: Told how many of the steps are done.
    """
    training = begin(latents, text.places.shape[1], recipe, seed)
    kept = halfway.read()
    if kept is not None:
        training.restore(kept)
    kinds = sorted({*captions, ""})
    with torch.no_grad():
        states = text(kinds)
    numbers = torch.tensor([kinds.index(caption) for caption in captions], device=latents.device)
    schedule = noise_schedule()
    while training.steps < recipe.steps:
        chosen = torch.randint(len(latents), (recipe.batch,), generator=training.generator).to(latents.device)
        unsaid = (torch.rand(recipe.batch, generator=training.generator) < DROPPED).to(latents.device)
        words = states[torch.where(unsaid, torch.full_like(chosen, kinds.index("")), numbers[chosen])]
        _step(training, latents[chosen], words, schedule)
        progress(training.steps, recipe.steps)
        if training.steps % KEPT_EVERY == 0 and training.steps < recipe.steps:
            halfway.write(training.state())
    return training.average.module.eval().requires_grad_(requires_grad=False)


def _step(training: Training, clean: Tensor, words: Tensor, schedule: Any) -> None:
    """One step of denoising latents ``(B, C, h, w)`` under words ``(B, L, D)``."""
    device, generator = clean.device, training.generator
    moments = torch.randint(_NOISE_STEPS, (len(clean),), generator=generator).to(device)
    noise = torch.randn(clean.shape, generator=generator).to(device)
    with _fast(device):
        said = training.network(schedule.add_noise(clean, noise, moments), moments, words).sample
    loss = F.mse_loss(said.float(), schedule.get_velocity(clean, noise, moments))
    training.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(training.network.parameters(), 1.0)
    training.optimiser.step()
    training.pace.step()
    training.average.update_parameters(training.network)
    training.steps += 1


def _pace(step: int, steps: int) -> float:
    """Of the learning rate: rising over the first steps, then falling as a cosine to a twentieth."""
    rising = min(1.0, (step + 1) / max(1, min(100, steps // 10)))
    return rising * (0.05 + 0.95 * (1 + math.cos(math.pi * step / max(1, steps))) / 2)


def _running_mean(steps: int) -> Callable[[Any, Any, Any], None]:
    """A mean over about the last twentieth of the steps; while they are few, over most of them."""
    longest = 1 - 1 / max(10.0, steps / 20)

    @torch.no_grad()
    def update(means: list[Tensor], news: list[Tensor], taken: Tensor) -> None:
        decay = min(longest, (1 + float(taken)) / (10 + float(taken)))
        torch._foreach_lerp_(means, news, 1 - decay)

    return update


@contextlib.contextmanager
def _fast(device: torch.device) -> Iterator[None]:
    """The quickest arithmetic that is good enough, for what is computed within.

    On a CPU attention is taken apart into plain products: over 64 places the fused kernel's backward pass alone took
    a third of a step of training (0.36 s with it, 0.24 s without, on two cores).
    """
    plain = sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else contextlib.nullcontext()
    with plain, torch.autocast(device.type, torch.bfloat16, enabled=_gains_by_half(device)):
        yield


def _gains_by_half(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - no public name


@torch.no_grad()
def draw(
    network: Any,
    text: TextEncoder,
    captions: Sequence[str],
    recipe: Recipe,
    scale: LatentScale,
    autoencoder: Autoencoder,
    *,
    seed: int,
) -> NDArray[np.uint8]:
    """What the model draws for each caption, ``(N, H, W, 3)``: DDIM with classifier-free guidance.

    Args:
        network: From :func:`train`.
        text: The frozen text encoder.
        captions: What it is asked for.
        recipe: Steps and guidance.
        scale: Of the latents it was trained on.
        autoencoder: To decode with.
        seed: Of the first noise.
    """
    from diffusers import DDIMScheduler  # noqa: PLC0415 - heavy

    schedule = DDIMScheduler.from_config(
        noise_schedule().config, clip_sample=False, timestep_spacing="trailing", rescale_betas_zero_snr=False
    )
    schedule.set_timesteps(recipe.drawing_steps)
    config = network.config
    shape = (len(captions), config.in_channels, config.sample_size, config.sample_size)
    device = autoencoder.device
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)
    words = torch.cat([text(list(captions)), text([""] * len(captions))])
    for moment in schedule.timesteps:
        with _fast(device):
            led, free = network(torch.cat([latents, latents]), moment, words).sample.float().chunk(2)
        latents = schedule.step(free + recipe.guidance * (led - free), moment, latents).prev_sample
    return decode(autoencoder, scale.unscaled(latents))
