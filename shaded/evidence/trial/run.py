"""The trial itself: one model for each arm and seed, each result kept as soon as it is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shaded.evidence.trial.arms import (
    Arm,
    lpips_between,
    noisy_like,
    pulls,
    relabelled,
    shade_all,
    treated_places,
)
from shaded.evidence.trial.autoencoder import encode
from shaded.evidence.trial.generator import build_network, draw, train
from shaded.evidence.trial.materials import Materials, Progress, sheet
from shaded.evidence.trial.pictures import Captioned, with_article
from shaded.evidence.trial.plan import Plan
from shaded.evidence.trial.storage import (
    halfway_in,
    read_json,
    read_pixels,
    read_state,
    write_json,
    write_pixels,
    write_state,
    write_whole,
)

#: Pictures that are shaded before they are written down.
_CHUNK = 16

#: Drawings of each prompt on a contact sheet.
COLUMNS = 10


def shadings(materials: Materials, plan: Plan, budget: float, progress: Progress) -> dict[str, NDArray[np.uint8]]:
    """The source's pictures, shaded within a budget (``pixels``), and their ``anchors``; goes on where it was left."""
    path = materials.folder / f"shaded-{budget:g}.npz"
    source = _source_pixels(materials, plan)
    empty = np.empty((0, *source.shape[1:]), np.uint8)
    done = read_pixels(path) or {"pixels": empty, "anchors": empty}
    for first in range(len(done["pixels"]), len(source), _CHUNK):
        some = shade_all(
            source[first : first + _CHUNK],
            materials.stock.cutout.to(materials.autoencoder.device),
            materials.autoencoder,
            materials.lpips,
            budget,
            steps=plan.shading_steps,
            laundered=plan.laundered,
            first_seed=plan.data_seed + first,
            progress=lambda count, first=first: progress(  # type: ignore[misc]
                f"shading at LPIPS {budget:g}", first + count, len(source)
            ),
        )
        done = {
            "pixels": np.concatenate([done["pixels"], some.pixels]),
            "anchors": np.concatenate([done["anchors"], some.anchors]),
        }
        write_pixels(path, done)
    return done


def _source_pixels(materials: Materials, plan: Plan) -> NDArray[np.uint8]:
    trained = materials.stock.trained
    return trained.pixels[trained.places(plan.source)]


def treated(materials: Materials, plan: Plan, arm: Arm, progress: Progress) -> tuple[Captioned, dict[str, Any]]:
    """What stands in the place of all the source's pictures in an arm at full dose, and what was measured on it."""
    trained = materials.stock.trained
    source = trained.subset(trained.places(plan.source))
    if arm.kind == "clean":
        return source, {}
    if arm.kind == "dirty label":
        spare, kinds = materials.stock.spare, materials.stock.kinds
        if not kinds:  # Of the user's own captions nobody knows which words to exchange.
            return Captioned(spare.pixels, source.concepts, source.captions), {}
        words = [(plan.target, plan.source), (kinds[plan.target], kinds[plan.source])]
        return Captioned(spare.pixels, source.concepts, relabelled(spare.captions, words)), {}
    shaded = shadings(materials, plan, arm.lpips, progress)
    pixels, device = shaded["pixels"], materials.autoencoder.device
    if arm.kind == "noise":
        wanted = lpips_between(materials.lpips, pixels, source.pixels, device)
        pixels = noisy_like(source.pixels, wanted, materials.lpips, device, plan.data_seed)
    lpips = lpips_between(materials.lpips, pixels, source.pixels, device)
    way = pulls(materials.autoencoder, pixels, source.pixels, shaded["anchors"])
    measured = {
        "pull": {"mean": round(float(way.mean()), 4), "least": round(float(way.min()), 4)},
        "lpips": {"mean": round(float(lpips.mean()), 4), "most": round(float(lpips.max()), 4)},
    }
    return Captioned(pixels, source.concepts, source.captions), measured


def prompts(materials: Materials, plan: Plan) -> dict[str, str]:
    """What each model is asked for: every concept, and the kind of thing that the source is."""
    asked = {concept: with_article(concept) for concept in materials.stock.concepts}
    kind = materials.stock.kinds.get(plan.source)
    return asked | ({kind: with_article(kind)} if kind else {})


def model_folder(materials: Materials, arm: Arm, seed: int) -> Path:
    """Where a model's result, weights and contact sheet lie."""
    return materials.folder / "models" / f"{arm.name}-seed{seed}"


def run_model(materials: Materials, plan: Plan, arm: Arm, seed: int, progress: Progress) -> dict[str, Any]:
    """Train one model, let it draw, and read what it drew; what an earlier run has finished is not done again.

    It draws with the weights that are kept, so that its drawings can be made again from the folder.
    """
    folder, name = model_folder(materials, arm, seed), f"{arm.name}, seed {seed}"
    result = read_json(folder / "result.json") or _trained(materials, plan, arm, seed, progress)
    drawings = read_pixels(folder / "drawings.npz")
    if drawings is None:
        began = time.monotonic()
        drawings = _drawn(materials, plan, folder, seed, lambda done, count: progress(f"drawing, {name}", done, count))
        result["seconds"]["drawing"] = round(time.monotonic() - began, 1)
        write_json(folder / "result.json", result)
    return result | {
        "read": {label: _counted(materials.judge.read(some)) for label, some in drawings.items()},
        "nearest": {label: _counted(materials.judge.nearest(some)) for label, some in drawings.items()},
    }


def _counted(said: list[str]) -> dict[str, int]:
    return {word: said.count(word) for word in sorted(set(said))}


def _trained(materials: Materials, plan: Plan, arm: Arm, seed: int, progress: Progress) -> dict[str, Any]:
    """Train a model and keep its weights; which arm it is, what was treated, and how long it took."""
    folder, began = model_folder(materials, arm, seed), time.monotonic()
    latents, captions, facts = _training_set(materials, plan, arm, seed, progress)
    prepared = time.monotonic()
    network = train(
        latents, captions, materials.text, plan.recipe, seed=seed, halfway=halfway_in(folder / "unfinished.pt"),
        progress=lambda done, count: progress(f"training {arm.name}, seed {seed}", done, count),
    )  # fmt: skip
    seconds = {"pictures": round(prepared - began, 1), "training": round(time.monotonic() - prepared, 1)}
    result = {"arm": arm.name, "seed": seed, "treated": facts, "seconds": seconds}
    write_state(folder / "model.safetensors", network.state_dict(), torch.float16)
    write_json(folder / "result.json", result)
    (folder / "unfinished.pt").unlink(missing_ok=True)
    return result


def _training_set(
    materials: Materials, plan: Plan, arm: Arm, seed: int, progress: Progress
) -> tuple[Tensor, list[str], dict[str, Any]]:
    """Scaled latents and captions of an arm, and what was done to how many pictures."""
    trained = materials.stock.trained
    instead, measured = treated(materials, plan, arm, progress)
    order = {place: number for number, place in enumerate(trained.places(plan.source))}
    places = treated_places(trained, plan.source, arm.dose, seed)
    latents, captions = materials.latents.clone(), list(trained.captions)
    if places:
        chosen = instead.subset([order[place] for place in places])
        latents[places] = encode(materials.autoencoder, chosen.pixels)
        for place, caption in zip(places, chosen.captions, strict=True):
            captions[place] = caption
    return materials.scale.scaled(latents), captions, {"pictures": len(places), **measured}


def _drawn(
    materials: Materials, plan: Plan, folder: Path, seed: int, progress: Callable[[int, int], None]
) -> dict[str, NDArray[np.uint8]]:
    """What a trained model draws for each prompt ``(drawings, H, W, 3)``; kept, with a contact sheet of the first."""
    asked = prompts(materials, plan)
    network = build_network(materials.latents, materials.text.places.shape[1], plan.recipe.channels)
    network.load_state_dict(read_state(folder / "model.safetensors"))
    network.to(materials.autoencoder.device).eval().requires_grad_(requires_grad=False)
    drawings = {}
    for number, (label, caption) in enumerate(asked.items()):
        drawings[label] = draw(
            network, materials.text, [caption] * plan.drawings, plan.recipe, materials.scale, materials.autoencoder,
            seed=1000 * seed + number,
        )  # fmt: skip
        progress(number + 1, len(asked))
    picture = Image.fromarray(sheet(np.stack([some[:COLUMNS] for some in drawings.values()])))
    write_whole(folder / "drawings.webp", lambda place: picture.save(place, "WEBP", quality=92))
    write_pixels(folder / "drawings.npz", drawings)
    return drawings
