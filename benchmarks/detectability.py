"""Can shadings be found, and taken out again? Two detectors, trained on pairs of our own, on pictures unseen.

    python benchmarks/detectability.py --cache CORPUS --pairs FOLDER --out FILE.json [--train 300] [--test 150]
        [--clean 1000] [--side 192] [--intensities low default high] [--quality balanced] [--steps 1500] [--width 16]
        [--encoders DIR] [--unseen-source painting] [--minutes 60] [--threads 2] [--seed 0]

CORPUS is a folder of pictures as ``python -m shaded.training.corpus`` makes it (``GROUP-NUMBER-NAME.npy``, RGBA).
Windows of its pictures are shaded as installed, with the bundled models, toward anchors of the gallery. Pictures are
divided before windows are cut, neighbours in the corpus together, since they often are of one series: no detector is
tested on a picture that it was trained on. The threshold comes from ``--clean`` more windows of test pictures, which
cost nothing.

Pairs and trained networks are kept in FOLDER: an interrupted run goes on where it was. ``--minutes`` ends the making of
pairs, and what is there is used. ``--encoders`` holds real encoders (``*-encoder.safetensors``) to measure pull on;
without it the bundled meters do. ``--unseen-source`` repeats everything for a group that only the test has.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from shaded import __version__
from shaded.evidence.detection import area_under_curve, share_above, threshold_for, true_positive_rate
from shaded.evidence.detectors import (
    ShadingEstimator,
    estimate,
    fit_spectral,
    pull_left,
    spectral_features,
    subtracted,
    train_estimator,
)
from shaded.models.local_surrogates import load_local
from shaded.scheduling.subject import place_anchor
from shaded.scheduling.toolbox import Toolbox, has_fast_bfloat16, local_surrogate, open_toolbox
from shaded.settings import Shading
from shaded.shading.anchors import ground_of
from shaded.shading.engine import CanvasWork, as_saved, largest_scale, shade_canvas
from shaded.shading.perceptibility import ReferenceDistance, psnr
from shaded.shading.presets import STEPS, VISIBILITIES
from shaded.shading.surrogates import Surrogate

SHARES = {"wallpaper": 0.2, "painting": 0.35, "photo": 0.35, "object": 0.1}  # as far as a corpus has them
NEIGHBOURS = 12  # pictures of one series, most often
TEST_BLOCKS = 0.4
LOUDEST_NOISE = 48 / 255
BATCH = 16
FEWEST_CLEAN = 99  # for a threshold that one in a hundred may pass


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


# Pictures and windows


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


# Making pairs


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


def kept_levels(path: Path) -> Tensor | None:
    """What was kept under a name, ``(N, 3, side, side)``, if it was."""
    if not path.exists():
        return None
    return torch.from_numpy(np.load(path)["levels"]).float() / 255


def keep_levels(path: Path, pictures: Tensor) -> None:
    """Keep pictures as 8 bits hold them; a file that is there is complete."""
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, levels=(pictures * 255).round().byte().cpu().numpy())
    os.replace(unfinished, path)  # noqa: PTH105 - replaces in one step


def shade(crop: Crop, folder: Path, options: argparse.Namespace, toolbox: Toolbox) -> None:
    """Make what is missing of a crop: the window with its anchor, and the window shaded at each intensity."""
    start = folder / f"{crop.name}.npz"
    kept = kept_levels(start)
    if kept is None:
        view = cut(crop, options.side).to(toolbox.device)
        anchor = toolbox.anchors[np.random.default_rng(crop.seed).integers(len(toolbox.anchors))]
        kept = torch.cat([view, as_saved(place_anchor(anchor, ground_of(view), view, toolbox)[0])])
        keep_levels(start, kept)
    view, destination = kept.to(toolbox.device).split(1)
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
    starts = torch.stack([one for one in (kept_levels(folder / f"{c.name}.npz") for c in whole) if one is not None])
    shaded = {
        name: torch.cat(
            [one for one in (kept_levels(folder / f"{c.name}-{name}.npz") for c in whole) if one is not None]
        )
        for name in intensities
    }
    return Windows(tuple(whole), starts[:, 0], starts[:, 1], shaded)


def claim(folder: Path, facts: Mapping[str, object]) -> None:
    """Note how the pairs in a folder are made; refuse to add others to them."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "made.json"
    if note.exists() and json.loads(note.read_text()) != facts:
        raise SystemExit(f"{folder} holds pairs that were made otherwise ({note}): name another folder")
    note.write_text(json.dumps(facts, indent=1))


# Detectors


def features_of(pictures: Tensor) -> Tensor:
    """Spectral features, a few pictures at a time."""
    return torch.cat([spectral_features(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)])


def spectral(train: Windows, intensity: str) -> Callable[[Tensor], Tensor]:
    """The spectral detector for an intensity: from pictures to scores."""
    model = fit_spectral(features_of(train.clean), features_of(train.shaded[intensity]))
    return lambda pictures: model.score(features_of(pictures))


def convolutional(
    train: Windows, intensities: Sequence[str], options: argparse.Namespace
) -> Iterator[tuple[str, ShadingEstimator]]:
    """The convolutional detector for each intensity, strongest first; each goes on from the one before.

    What is hard to see is learned sooner by a network that knows what is easier to see.
    """
    torch.manual_seed(options.seed)
    estimator = ShadingEstimator(options.width)
    state = json.dumps([[c.name for c in train.crops], options.steps, options.width, options.seed, options.side])
    for intensity in sorted(intensities, key=list(VISIBILITIES).index, reverse=True):
        state = hashlib.sha256(f"{state} {intensity}".encode()).hexdigest()
        kept = options.pairs / f"estimator-{intensity}-{state[:12]}.safetensors"
        if kept.exists():
            estimator.load_state_dict(load_file(kept))
        else:
            tell = teller(f"training on {intensity}")
            with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16(torch.device("cpu"))):
                train_estimator(
                    estimator, train.clean, train.shaded[intensity], steps=options.steps, seed=options.seed,
                    progress=lambda step, steps, _loss, tell=tell: tell(step, steps),
                )  # fmt: skip
            save_file(estimator.state_dict(), kept)
        yield intensity, estimator


def noised(original: Tensor, shaded: Tensor, seed: int, lpips: Any) -> Tensor:
    """White noise ``(1, 3, H, W)`` on the original, as loud as LPIPS takes it for the same change as the shading."""
    distance = ReferenceDistance(lpips, original)
    noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(seed)).to(original) * LOUDEST_NOISE
    with torch.no_grad():
        wanted = float(distance(shaded))
        scale = largest_scale(lambda share: float(distance(as_saved(original + share * noise))) <= wanted, 10)
    return as_saved(original + scale * noise)


# Judging


def judged(
    score: Callable[[Tensor], Tensor], intensity: str, test: Windows, clean: Tensor, noise: Tensor
) -> dict[str, Any]:
    """What a detector for one intensity makes of unseen pictures."""
    clean_scores, twins = score(clean), score(test.clean)
    shaded_scores = {name: score(pictures) for name, pictures in test.shaded.items()}
    threshold = threshold_for(clean_scores)
    return {
        "threshold": threshold,
        "found": asdict(true_positive_rate(clean_scores, shaded_scores[intensity])),
        "auc": area_under_curve(clean_scores, shaded_scores[intensity]),
        "false_alarms_on_originals": asdict(share_above(twins, threshold)),
        "noise_taken_for_shading": asdict(share_above(score(noise), threshold)),
        "found_at_other_intensities": {
            name: asdict(share_above(scores, threshold)) for name, scores in shaded_scores.items() if name != intensity
        },
    }


def mean_and_error(values: Tensor) -> dict[str, float]:
    """The mean and its standard error."""
    return {
        "mean": float(values.mean()),
        "error": float(values.std() / math.sqrt(len(values))) if len(values) > 1 else 0,
    }


def taken_out(
    estimator: ShadingEstimator, intensity: str, test: Windows, encoders: Sequence[Surrogate]
) -> dict[str, Any]:
    """How much of the shading, and of its pull, is left after what was found is subtracted."""
    shaded = test.shaded[intensity]
    cleaned = subtracted(shaded, estimate(estimator, shaded)[0])
    spoilt = subtracted(test.clean, estimate(estimator, test.clean)[0])
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for first in range(0, len(shaded), BATCH):
        four = (one[first : first + BATCH] for one in (shaded, cleaned, test.clean, test.anchors))
        for name, both in pull_left(encoders, *four).items():
            parts.setdefault(name, []).append(both)
    pulls = {}
    for name, both in parts.items():
        before, after = (torch.cat(one) for one in zip(*both, strict=True))
        pulls[name] = {"before": mean_and_error(before), "after": mean_and_error(after)}
        pulls[name]["share_left"] = float(after.mean() / before.mean())
    left, was = ((one - test.clean).square().mean() for one in (cleaned, shaded))
    return {
        "pull": pulls,
        "energy_left": float(left / was),
        "psnr_db": {
            "shaded": float(psnr(shaded, test.clean).mean()),
            "after_subtraction": float(psnr(cleaned, test.clean).mean()),
            "originals_after_subtraction": float(psnr(spoilt, test.clean).mean()),
        },
    }


def report(
    train: Windows, test: Windows, clean: Tensor, noise: Mapping[str, Tensor],
    encoders: Sequence[Surrogate], options: argparse.Namespace,
) -> dict[str, Any]:  # fmt: skip
    """Train both detectors for each intensity and judge them."""
    result: dict[str, Any] = {
        "pairs": {"train": len(train.crops), "test": len(test.crops)},
        "pictures": {
            part: len({c.path for c in windows.crops}) for part, windows in (("train", train), ("test", test))
        },
        "clean_windows": len(clean),
        "intensities": {},
    }
    for intensity, estimator in convolutional(train, options.intensities, options):
        score = spectral(train, intensity)
        result["intensities"][intensity] = {
            "spectral": judged(score, intensity, test, clean, noise[intensity]),
            "convolutional": judged(lambda p, e=estimator: estimate(e, p)[1], intensity, test, clean, noise[intensity]),
            "subtraction": taken_out(estimator, intensity, test, encoders),
        }
        print(f"{intensity}: judged", flush=True)
    return result


HEAD = """| intensity | detector | found at 1 % false alarms (95 %) | AUC | equal noise taken for it | pull left |
| --- | --- | --- | --- | --- | --- |"""


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The result as a Markdown table."""
    yield HEAD
    for intensity, both in result["intensities"].items():
        pulls = "; ".join(
            f"{name} {one['before']['mean']:.3f} to {one['after']['mean']:.3f} ({one['share_left']:.2f})"
            for name, one in both["subtraction"]["pull"].items()
        )
        for detector, left in (("spectral", ""), ("convolutional", pulls)):
            one = both[detector]
            found = "{rate:.2f} ({low:.2f} to {high:.2f})".format(**one["found"])
            noise = one["noise_taken_for_shading"]["rate"]
            yield f"| {intensity} | {detector} | {found} | {one['auc']:.3f} | {noise:.2f} | {left} |"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=300, help="windows to train on, shaded at each intensity")
    parser.add_argument("--test", type=int, default=150, help="windows to test on, shaded at each intensity")
    parser.add_argument(
        "--clean", type=int, default=1000, help="clean windows that the threshold comes from, 99 at least"
    )
    parser.add_argument("--side", type=int, default=192, help="of a window, a multiple of 32, 64 at least")
    parser.add_argument("--intensities", nargs="+", default=list(VISIBILITIES), choices=list(VISIBILITIES))
    parser.add_argument("--quality", default="balanced", choices=list(STEPS))
    parser.add_argument("--steps", type=int, default=1500, help="of training the convolutional detector")
    parser.add_argument("--width", type=int, default=16, help="of the convolutional detector")
    parser.add_argument("--encoders", type=Path, help="a folder of real encoders")
    parser.add_argument("--unseen-source", nargs="*", default=[], choices=list(SHARES), metavar="GROUP")
    parser.add_argument("--minutes", type=float, default=math.inf, help="for making pairs, at most")
    parser.add_argument("--threads", type=int, default=0, help="of the processor; 0 for as many as there are cores")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def facts_of(options: argparse.Namespace, toolbox: Toolbox) -> dict[str, object]:
    """Everything that the pairs depend on."""
    corpus = " ".join(sorted(path.name for path in options.cache.glob("*.npy")))
    return {
        "side": options.side,
        "seed": options.seed,
        "quality": options.quality,
        "version": __version__,
        "models": {model.name: model.sha256 for model in toolbox.models},
        "corpus": hashlib.sha256(corpus.encode()).hexdigest(),
    }


def all_noised(test: Windows, lpips: Any) -> dict[str, Tensor]:
    """The clean windows with noise as loud as each intensity's shading."""
    noise = {}
    for name, pictures in test.shaded.items():
        tell, made = teller(f"noise as loud as {name}"), []
        for index in range(len(pictures)):
            pair = (one[index : index + 1] for one in (test.clean, pictures))
            made.append(noised(*pair, index, lpips))
            tell(index + 1, len(pictures))
        noise[name] = torch.cat(made)
    return noise


def make_pairs(crops: Sequence[Crop], options: argparse.Namespace, toolbox: Toolbox) -> None:
    """Shade all crops, or as many as there is time for."""
    deadline, tell = time.monotonic() + 60 * options.minutes, teller("shading windows")
    for index, crop in enumerate(crops):
        if time.monotonic() > deadline:
            print(f"shading windows: stopped after {index} of {len(crops)}", flush=True)
            return
        shade(crop, options.pairs, options, toolbox)
        tell(index + 1, len(crops))


def main() -> None:
    """Make pairs, train, judge, write."""
    options = arguments()
    toolbox = open_toolbox(Shading(device="cpu", threads=options.threads))
    parts = divided(options.cache, options.side)
    facts = facts_of(options, toolbox)
    claim(options.pairs, facts)
    training = planned(parts["train"], "train", options.train, options.seed)
    testing = planned(parts["test"], "test", options.test, options.seed)
    unshaded = planned(parts["test"], "clean", options.clean, options.seed)
    for group in (None, *options.unseen_source):
        if sum(crop.group == group or group is None for crop in unshaded) < FEWEST_CLEAN:
            raise SystemExit(f"too few clean windows{f' of {group}' if group else ''} for a threshold: more --clean")
    make_pairs(mixed(training, testing), options, toolbox)
    train, test = (loaded(crops, options.pairs, options.intensities) for crops in (training, testing))
    clean, noise = torch.cat([cut(crop, options.side) for crop in unshaded]), all_noised(test, toolbox.lpips)
    found = sorted(options.encoders.glob("*-encoder.safetensors")) if options.encoders else []
    encoders = [local_surrogate(load_local(path), toolbox.device) for path in found] or list(toolbox.meters)
    result = {"made": facts, **report(train, test, clean, noise, encoders, options), "unseen_sources": {}}
    for group in options.unseen_source:
        mine = [index for index, crop in enumerate(test.crops) if crop.group == group]
        strange = clean[[index for index, crop in enumerate(unshaded) if crop.group == group]]
        result["unseen_sources"][group] = report(
            train.of(lambda one, g=group: one != g), test.of(lambda one, g=group: one == g),
            strange, {name: pictures[mine] for name, pictures in noise.items()}, encoders, options,
        )  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1))
    print(*table(result), sep="\n")
    for group, other in result["unseen_sources"].items():
        print(f"\nTested on {group} alone, trained without it:\n", *table(other), sep="\n")


if __name__ == "__main__":
    main()
