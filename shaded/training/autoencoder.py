"""Train the poison trial's autoencoders: small `AutoencoderKL`s of Stable Diffusion's architecture.

    python -m shaded.training.autoencoder --cache CACHE --work DIR --until 10:13 [--name NAME] [--export]

Half of what it sees are the trial's drawn pictures, half windows of all sizes of the training corpus
(`shaded.training.corpus`), all reduced to 64 pixels. The latents are 8 x 8, of four channels (48 to 1, as Stable
Diffusion's) or of sixteen (12 to 1, as FLUX.1's): the trial's verdict is not to hang on one lossy autoencoder. The loss
is that of latent diffusion (Rombach et al. 2022, section 3.1) without its discriminator: absolute error, LPIPS and a
little Kullback-Leibler divergence. It goes on from `checkpoint.pt` in the work folder where there is one; `--export`
writes the averaged weights into the package, and `shaded.training.pin` registers them.
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shaded.evidence.trial.grounds import GROUNDS
from shaded.evidence.trial.pictures import KINDS, SIDE, draw_picture, drawn_pictures
from shaded.models.bundle import load_state
from shaded.shading.perceptibility import build_lpips
from shaded.training.corpus import Corpus, flat_grounded, load_corpus
from shaded.training.muon import Muon
from shaded.training.rig import MODELS, Averages, Journal, Schedule, apply_gradients, today_at
from shaded.training.weights import recipe_hash, save_weights

__all__ = ["CHANNELS", "autoencoder_loss", "config_of", "new_autoencoder"]

#: Channels of the latents, by the name of the weight file.
CHANNELS = {"autoencoder-trial": 4, "autoencoder-trial-fine": 16}

#: The arguments of diffusers' `AutoencoderKL`: three halvings, a middle with attention; Stable Diffusion's, but narrow.
_CONFIG: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [16, 32, 64, 96],
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "sample_size": SIDE,
}

_BATCH = 24
#: Of orthogonalised steps (muon.py), which learn this much faster than AdamW did at 0.0015.
_RATE = 0.02
_WARM_UP = 100
_LPIPS_WEIGHT = 0.15
_DIVERGENCE_WEIGHT = 3e-4
_SAVED_EVERY = 250


def config_of(name: str) -> dict[str, Any]:
    """The arguments of `AutoencoderKL` for one of :data:`CHANNELS`."""
    return _CONFIG | {"latent_channels": CHANNELS[name]}


def new_autoencoder(name: str) -> Any:
    """The network with random weights; pictures in and out are in ``[-1, 1]``."""
    from diffusers import AutoencoderKL  # noqa: PLC0415 - heavy

    return AutoencoderKL(**config_of(name))


def autoencoder_loss(network: Any, pictures: Tensor, lpips: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The loss ``()`` and pictures ``(B, 3, H, W)`` in ``[0, 1]`` restored from a draw of their latents."""
    posterior = network.encode(2 * pictures - 1).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=generator, dtype=torch.float32)
    restored = (network.decode(posterior.mean + posterior.std * noise).sample.float() + 1) / 2
    divergence = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).float().mean()
    seen = lpips(2 * restored - 1, 2 * pictures - 1).mean()
    error = (restored - pictures).abs().mean()
    return error + _LPIPS_WEIGHT * seen + _DIVERGENCE_WEIGHT * divergence, restored


def corpus_window(corpus: Corpus, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A square window of a picture of the corpus, of any size from 64 pixels up, reduced to ``(64, 64, 3)``."""
    names = sorted(corpus.groups)
    group = corpus.groups[names[int(rng.integers(len(names)))]]
    source = flat_grounded(group[int(rng.integers(len(group)))], rng)
    shortest = min(source.size)
    side = round(float(np.exp(rng.uniform(np.log(min(SIDE, shortest)), np.log(shortest)))))
    left, top = (int(rng.integers(length - side + 1)) for length in source.size)
    small = source.resize((SIDE, SIDE), Image.Resampling.BOX, box=(left, top, left + side, top + side))
    return np.asarray(small, dtype=np.uint8)


def next_batch(corpus: Corpus, rng: np.random.Generator) -> Tensor:
    """Drawn pictures and windows of the corpus, half and half: ``(B, 3, 64, 64)`` in ``[0, 1]``."""
    concepts, grounds = [*KINDS], [*GROUNDS.values()]
    pixels = [
        draw_picture(concepts[int(rng.integers(len(concepts)))], grounds[int(rng.integers(len(grounds)))], rng)
        for _ in range(_BATCH // 2)
    ]
    pixels += [corpus_window(corpus, rng) for _ in range(_BATCH - len(pixels))]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255


def _served(cache: Path, seed: int) -> queue.Queue[Tensor]:
    """Batches from a thread of their own."""
    ready: queue.Queue[Tensor] = queue.Queue(maxsize=4)
    corpus, rng = load_corpus(cache), np.random.default_rng(seed)

    def work() -> None:
        while True:
            ready.put(next_batch(corpus, rng))

    threading.Thread(target=work, daemon=True).start()
    return ready


@torch.no_grad()
def validate(network: Any, lpips: Any, sheet: Path) -> dict[str, float]:
    """PSNR in dB and LPIPS of pictures that were never trained on, the means of their latents decoded; and a sheet."""
    drawn = drawn_pictures(dict.fromkeys(KINDS, 8), seed=977)
    pictures = torch.from_numpy(drawn.pixels).permute(0, 3, 1, 2).float() / 255
    means = network.encode(2 * pictures - 1).latent_dist.mean
    restored = ((network.decode(means).sample + 1) / 2).clamp(0, 1)
    rows = torch.cat([pictures[::4], restored[::4]])
    tiles = (rows.permute(0, 2, 3, 1) * 255).round().byte().numpy().reshape(2, -1, SIDE, SIDE, 3)
    Image.fromarray(tiles.transpose(0, 2, 1, 3, 4).reshape(2 * SIDE, -1, 3)).save(sheet)
    errors = (restored - pictures).square().mean(dim=(1, 2, 3))
    return {
        "psnr_db": float(-10 * errors.log10().mean()),
        "lpips": float(lpips(2 * restored - 1, 2 * pictures - 1).mean()),
        "deviation": float(means.std()),
    }


def _rate(steps: int, progress: float) -> float:
    return _RATE * min(1.0, (steps + 1) / _WARM_UP) * (1 + float(np.cos(np.pi * progress))) / 2 + 1e-5


def train(name: str, cache: Path, work: Path, until: float) -> Any:
    """Train until the wall clock says ``until`` (seconds since the epoch); the averaged network."""
    work.mkdir(parents=True, exist_ok=True)
    network = new_autoencoder(name).to(memory_format=torch.channels_last)
    averages, started, steps = Averages(network), time.time(), 0
    pixels = (network.encoder.conv_in.weight, network.decoder.conv_out.weight)
    optimiser = Muon(network.parameters(), pixels)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["weights"])
        optimiser.load_state_dict(saved["optimiser"])
        averages.state, averages.steps = saved["average"], saved["steps"]
        started, steps = saved["started"], saved["steps"]
    lpips = build_lpips(load_state("lpips-alexnet")).requires_grad_(requires_grad=False)
    schedule, journal = Schedule(started, until), Journal()
    batches, generator = _served(cache, steps), torch.Generator().manual_seed(steps)
    judged = new_autoencoder(name).eval()
    while True:
        over = time.time() >= until
        if over or (steps and steps % _SAVED_EVERY == 0):
            parts = {"weights": network.state_dict(), "average": averages.state, "optimiser": optimiser.state_dict()}
            torch.save({**parts, "steps": steps, "started": started}, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
            judged.load_state_dict(averages.state)
            print(steps, validate(judged, lpips, work / "sheet.png"), flush=True)
        if over:
            return judged
        pictures = batches.get().contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            loss, restored = autoencoder_loss(network, pictures, lpips, generator)
        loss.backward()  # type: ignore[no-untyped-call]
        rate = _rate(steps, schedule.progress())
        apply_gradients(optimiser, network, network, rate)
        averages.update(network)
        steps += 1
        error = float((restored.detach() - pictures).abs().mean())
        journal.note(steps, {"loss": float(loss.detach()), "error": error}, rate)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="made by shaded.training.corpus")
    parser.add_argument("--work", type=Path, required=True, help="for the checkpoint and a sheet to look at")
    parser.add_argument("--until", type=today_at, required=True, metavar="HH:MM")
    parser.add_argument("--name", choices=tuple(CHANNELS), default="autoencoder-trial", help="which one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--revision", default="1")
    parser.add_argument("--export", action="store_true", help="write the result into the package")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = train(options.name, options.cache, options.work, options.until)
    if options.export:
        metadata = {
            "name": options.name, "revision": options.revision, "licence": "Apache-2.0", "recipe": recipe_hash(),
            "config": json.dumps(config_of(options.name)),
        }  # fmt: skip
        save_weights(MODELS / f"{options.name}.safetensors", network.state_dict(), metadata)


if __name__ == "__main__":
    main()
