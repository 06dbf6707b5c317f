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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pairs import SHARES, Windows, claim, cut, divided, facts_of, loaded, make_pairs, mixed, planned, teller
from safetensors.torch import load_file, save_file
from torch import Tensor

from shaded.evidence.audit import noise_like
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
from shaded.scheduling.toolbox import has_fast_bfloat16, local_surrogate, open_toolbox
from shaded.settings import Shading
from shaded.shading.perceptibility import ReferenceDistance, psnr
from shaded.shading.presets import STEPS, VISIBILITIES
from shaded.shading.surrogates import Surrogate

BATCH = 16
FEWEST_CLEAN = 99  # for a threshold that one in a hundred may pass


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
            train_estimator(
                estimator, train.clean, train.shaded[intensity], steps=options.steps, seed=options.seed,
                half=has_fast_bfloat16(torch.device("cpu")),
                progress=lambda step, steps, _loss, tell=tell: tell(step, steps),
            )  # fmt: skip
            unfinished = kept.with_suffix(".tmp")
            save_file(estimator.state_dict(), unfinished)
            os.replace(unfinished, kept)  # noqa: PTH105 - replaces in one step
        yield intensity, estimator


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


@torch.no_grad()
def all_noised(test: Windows, lpips: Any) -> dict[str, Tensor]:
    """The clean windows with noise of the LPIPS of each intensity's shading."""
    noise = {}
    for name, pictures in test.shaded.items():
        tell, made = teller(f"noise of the LPIPS of {name}"), []
        for index, (clean, shaded) in enumerate(zip(test.clean.split(1), pictures.split(1), strict=True)):
            wanted = float(ReferenceDistance(lpips, clean)(shaded))
            made.append(noise_like(clean, wanted, lpips, index)[0])
            tell(index + 1, len(pictures))
        noise[name] = torch.cat(made)
    return noise


def main() -> None:
    """Make pairs, train, judge, write."""
    options = arguments()
    parts, facts = divided(options.cache, options.side), facts_of(options)
    claim(options.pairs, facts)
    training = planned(parts["train"], "train", options.train, options.seed)
    testing = planned(parts["test"], "test", options.test, options.seed)
    unshaded = planned(parts["test"], "clean", options.clean, options.seed)
    for group in (None, *options.unseen_source):
        if sum(crop.group == group or group is None for crop in unshaded) < FEWEST_CLEAN:
            raise SystemExit(f"too few clean windows{f' of {group}' if group else ''} for a threshold: more --clean")
    toolbox = open_toolbox(Shading(device="cpu", threads=options.threads))
    make_pairs(mixed(training, testing), options, toolbox)
    train, test = (loaded(crops, options.pairs, options.intensities) for crops in (training, testing))
    clean, noise = torch.cat([cut(crop, options.side) for crop in unshaded]), all_noised(test, toolbox.lpips)
    found = sorted(options.encoders.glob("*-encoder.safetensors")) if options.encoders else []
    encoders = [local_surrogate(load_local(path), toolbox.device) for path in found] or list(toolbox.meters)
    sources = {"clean_pictures": len({crop.path for crop in unshaded})}
    result = {"made": facts, **sources, **report(train, test, clean, noise, encoders, options), "unseen_sources": {}}
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
