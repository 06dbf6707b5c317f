"""Pairs of a picture's window and its shaded self, made once and kept in a folder; for ``detectability.py``.

Pictures are divided before windows are cut, neighbours in the corpus together, since they often are of one series.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shaded import __version__
from shaded.models.bundle import bundled_models
from shaded.scheduling.subject import place_anchor
from shaded.scheduling.toolbox import Toolbox
from shaded.shading.anchors import ground_of
from shaded.shading.engine import CanvasWork, as_saved, shade_canvas
from shaded.shading.presets import STEPS, VISIBILITIES

SHARES = {"wallpaper": 0.2, "painting": 0.35, "photo": 0.35, "object": 0.1}  # as far as a corpus has them
NEIGHBOURS = 12  # pictures of one series, most often
TEST_BLOCKS = 0.4


@dataclass(frozen=True)
class Crop:
    """A window to be cut from a picture: its name in FOLDER, its picture, and the seed of all that is random."""

    name: str
    group: str
    path: Path
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Windows ``(N, 3, side, side)``: clean, and shaded at each intensity; the anchors; which crops they are."""

    crops: tuple[Crop, ...]
    clean: Tensor
    anchors: Tensor
    shaded: Mapping[str, Tensor]

    def of(self, wanted: Callable[[str], bool]) -> Windows:
        """Those whose group is wanted."""
        chosen = [index for index, crop in enumerate(self.crops) if wanted(crop.group)]
        shaded = {name: pictures[chosen] for name, pictures in self.shaded.items()}
        return Windows(tuple(self.crops[i] for i in chosen), self.clean[chosen], self.anchors[chosen], shaded)


def divided(cache: Path, side: int) -> dict[str, dict[str, list[Path]]]:
    """The pictures that hold a window, for ``train`` and ``test``, by group; neighbours stay together."""
    parts: dict[str, dict[str, list[Path]]] = {"train": {}, "test": {}}
    for group in SHARES:
        fitting = [p for p in sorted(cache.glob(f"{group}-*.npy")) if min(np.load(p, mmap_mode="r").shape[:2]) >= side]
        together = max(1, min(NEIGHBOURS, len(fitting) // 10))
        for index, path in enumerate(fitting):
            block = index // together
            # Two in five blocks are for the test, spread evenly.
            part = "test" if math.floor((block + 1) * TEST_BLOCKS) > math.floor(block * TEST_BLOCKS) else "train"
            parts[part].setdefault(group, []).append(path)
    return parts


def planned(groups: Mapping[str, Sequence[Path]], name: str, count: int, seed: int) -> list[Crop]:
    """The first ``count`` crops of a part: each picture once before any comes again, the groups by their shares."""
    rng = np.random.default_rng([seed, *name.encode()])
    names = [group for group in SHARES if groups.get(group)]
    if not names:
        raise SystemExit(f"no picture of the corpus is left for {name}: smaller --side, or more pictures")
    shares = np.array([SHARES[group] for group in names])
    order = {group: rng.permutation(len(groups[group])) for group in names}
    taken = dict.fromkeys(names, 0)
    crops = []
    for index in range(count):
        group = names[rng.choice(len(names), p=shares / shares.sum())]
        path = groups[group][order[group][taken[group] % len(order[group])]]
        taken[group] += 1
        crops.append(Crop(f"{name}-{index:05d}", group, path, (seed, index, *name.encode())))
    return crops


def cut(crop: Crop, side: int) -> Tensor:
    """The window ``(1, 3, side, side)``: half of them at the picture's own size, half of a reduced one; over white."""
    rng = np.random.default_rng(crop.seed)
    pixels = np.load(crop.path, mmap_mode="r")
    height, width = pixels.shape[:2]
    smallest = side / min(height, width)
    scale = 1.0 if rng.random() < 0.5 else float(np.exp(rng.uniform(np.log(smallest), 0)))
    span = min(round(side / scale), height, width)
    top, left = int(rng.integers(height - span + 1)), int(rng.integers(width - span + 1))
    part = Image.fromarray(np.ascontiguousarray(pixels[top : top + span, left : left + span]))
    part = Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("RGB")
    if span != side:
        part = part.resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(part).copy()).permute(2, 0, 1)[None].float() / 255


def teller(what: str) -> Callable[[int, int], None]:
    """Says how far something is, every ten seconds, when told what of how much is done."""
    begun = told = time.monotonic()

    def tell(done: int, all_of_it: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told > 10:
            left = (now - begun) / done * (all_of_it - done) / 60
            print(f"{what}: {done} of {all_of_it}, about {left:.0f} minutes left", flush=True)
            told = now

    return tell


def kept_levels(path: Path) -> Tensor:
    """What was kept in a file, ``(N, 3, side, side)``."""
    with np.load(path) as kept:
        return torch.from_numpy(kept["levels"]).float() / 255


def keep_levels(path: Path, pictures: Tensor) -> None:
    """Keep pictures as 8 bits hold them; a file that is there is complete."""
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, levels=(pictures * 255).round().byte().cpu().numpy())
    os.replace(unfinished, path)  # noqa: PTH105 - replaces in one step


def shade(crop: Crop, folder: Path, options: argparse.Namespace, toolbox: Toolbox) -> None:
    """Make what is missing of a crop: the window with its anchor, and the window shaded at each intensity."""
    start = folder / f"{crop.name}.npz"
    if not start.exists():
        view = cut(crop, options.side).to(toolbox.device)
        anchor = toolbox.anchors[np.random.default_rng(crop.seed).integers(len(toolbox.anchors))]
        keep_levels(start, torch.cat([view, as_saved(place_anchor(anchor, ground_of(view), view, toolbox)[0])]))
    view, destination = kept_levels(start).to(toolbox.device).split(1)
    for intensity in options.intensities:
        done = folder / f"{crop.name}-{intensity}.npz"
        if done.exists():
            continue
        work = CanvasWork(
            original=view,
            anchor=destination,
            mask=torch.ones_like(view[:, :1]),
            gray=bool((view.amax(dim=1) == view.amin(dim=1)).all()),
            visibility=VISIBILITIES[intensity],
            steps=STEPS[options.quality],
            seed=crop.seed[1],
        )
        keep_levels(done, as_saved(view + shade_canvas(work, toolbox.students, toolbox.lpips).delta))


def mixed(*lists: Sequence[Crop]) -> list[Crop]:
    """Several lists as one that has about the same share of each done wherever it is cut off."""
    placed = [((index + 0.5) / len(crops), crop) for crops in lists for index, crop in enumerate(crops)]
    return [crop for _, crop in sorted(placed, key=lambda pair: (pair[0], pair[1].name))]


def loaded(crops: Sequence[Crop], folder: Path, intensities: Sequence[str]) -> Windows:
    """The crops that are there at every intensity."""
    whole = [c for c in crops if all((folder / f"{c.name}-{intensity}.npz").exists() for intensity in intensities)]
    if not whole:
        raise SystemExit("no pairs were made in this time: more --minutes")
    starts = torch.stack([kept_levels(folder / f"{c.name}.npz") for c in whole])
    shaded = {name: torch.cat([kept_levels(folder / f"{c.name}-{name}.npz") for c in whole]) for name in intensities}
    return Windows(tuple(whole), starts[:, 0], starts[:, 1], shaded)


def claim(folder: Path, facts: Mapping[str, object]) -> None:
    """Note how the pairs in a folder are made; refuse to add others to them."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "made.json"
    if note.exists() and json.loads(note.read_text()) != facts:
        raise SystemExit(f"{folder} holds pairs that were made otherwise ({note}): name another folder")
    note.write_text(json.dumps(facts, indent=1))


def facts_of(options: argparse.Namespace) -> dict[str, object]:
    """Everything that the pairs depend on."""
    corpus = " ".join(sorted(path.name for path in options.cache.glob("*.npy")))
    return {
        "side": options.side,
        "seed": options.seed,
        "quality": options.quality,
        "optimiser_steps": STEPS[options.quality],
        "version": __version__,
        "presets": {name: asdict(limits) for name, limits in VISIBILITIES.items()},
        "models": {
            name: one.sha256 for name, one in bundled_models().items() if name.startswith(("student-", "lpips-"))
        },
        "corpus": hashlib.sha256(corpus.encode()).hexdigest(),
    }


def make_pairs(crops: Sequence[Crop], options: argparse.Namespace, toolbox: Toolbox) -> None:
    """Shade all crops, or as many as there is time for."""
    deadline, tell = time.monotonic() + 60 * options.minutes, teller("shading windows")
    for index, crop in enumerate(crops):
        if time.monotonic() > deadline:
            print(f"shading windows: stopped after {index} of {len(crops)}", flush=True)
            return
        shade(crop, options.pairs, options, toolbox)
        tell(index + 1, len(crops))
