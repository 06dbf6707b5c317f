"""How strong the shading is for what people may see of it, against the published recipe, on real encoders.

    python benchmarks/strength.py PICTURES ENCODERS [--canvas 1048576] [--only cow dune] [--recipe-steps 500]
        [--methods bundled real recipe] [--intensities low default high] [--qualities fast balanced thorough]
        [--survival] [--json rows.json] [--plot frontier.svg]

PICTURES is a folder of stills that no model was trained on; ENCODERS holds the real encoders' weights
(``flux2-tiny-encoder.safetensors``, ``sana-tiny-encoder.safetensors``), which are what pull is measured on: in
float32, on the canvas rounded to 8 bits. Methods:

- ``bundled``: ours, as installed: optimised against the bundled students alone;
- ``real``: ours, with the real encoders as surrogates;
- ``recipe``: the published research recipe on the real encoders: sign-gradient steps that shrink from the whole limit
  to a hundredth of it, L-infinity 0.04, nothing perceptual; and, as ``recipe-cut``, the same shading scaled down to the
  LPIPS of ours at the highest intensity.

The baseline of every ratio is the recipe of the same run. SSIMULACRA2 judges; nothing is optimised for it.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from shaded.errors import PictureError
from shaded.evidence.measure import LEAST_PULL
from shaded.publishing.reading import decode
from shaded.scheduling.subject import place_anchor
from shaded.scheduling.toolbox import Toolbox, open_toolbox
from shaded.scheduling.views import canvas_of, mask_of, shown_size, shows_no_colour
from shaded.settings import Shading
from shaded.shading.anchors import ground_of
from shaded.shading.canvas import plan_canvas, to_canvas
from shaded.shading.engine import CanvasWork, as_saved, largest_scale, shade_canvas
from shaded.shading.laundering import LAUNDERINGS
from shaded.shading.perceptibility import ReferenceDistance, psnr
from shaded.shading.presets import STEPS, VISIBILITIES
from shaded.shading.pull import pull, remaining
from shaded.shading.surrogates import Surrogate, plain_autoencoder
from shaded.shading.tiny_autoencoders import tiny_encoder

RECIPE_LIMIT = 0.04
RECIPE_LAST_STEP = 0.01  # as a share of the first


@dataclass(frozen=True)
class Row:
    """What one method made of one picture: pull by family, what the meter states, what people see, the time."""

    picture: str
    method: str
    intensity: str
    quality: str
    pull: dict[str, float]
    stated: dict[str, float]
    lpips: float
    psnr_db: float
    ssimulacra2: float
    seconds: float
    survival: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """A picture on its canvas with its anchor."""

    name: str
    work: CanvasWork
    distance: ReferenceDistance


@dataclass(frozen=True)
class Bench:
    """Everything that a row needs."""

    toolbox: Toolbox
    real: tuple[Surrogate, ...]
    survival: bool


def real_encoders(folder: Path) -> tuple[Surrogate, ...]:
    """The real encoders by their families' names."""
    return tuple(
        plain_autoencoder(family, tiny_encoder(load_file(folder / f"{family}-tiny-encoder.safetensors")), family=family)
        for family in ("flux2", "sana")
    )


def subjects(folder: Path, only: Sequence[str], pixels: int, toolbox: Toolbox) -> Iterator[Subject]:
    """Every still of the folder whose name contains one of ``only``; each has an anchor of its own."""
    for index, path in enumerate(sorted(folder.iterdir())):
        if only and not any(word in path.name for word in only):
            continue
        try:
            picture = decode(path.read_bytes(), path)
        except PictureError:
            continue
        canvas = plan_canvas(*shown_size(picture), pixels)
        view = canvas_of(picture, canvas, toolbox.device)
        anchor = toolbox.anchors[(7 * index) % len(toolbox.anchors)]
        work = CanvasWork(
            original=view,
            anchor=place_anchor(anchor, ground_of(view), view, toolbox)[0],
            mask=to_canvas(mask_of(picture, toolbox.device), canvas),
            gray=shows_no_colour(picture),
            visibility=VISIBILITIES["default"],
            steps=0,
            seed=index,
        )
        yield Subject(path.name, work, ReferenceDistance(toolbox.lpips, view))


def ssimulacra2(original: Tensor, shaded: Tensor) -> float:
    """The judge's score: 90 and more is not to be told apart, 70 high quality, 50 medium."""
    from ssimulacra2 import compute_ssimulacra2  # noqa: PLC0415 - in the dev extra, and most of this needs no judge

    files = []
    for picture in (original, shaded):
        levels = (picture[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy()
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(levels)).save(buffer, "PNG", compress_level=1)
        files.append(buffer)
    return float(compute_ssimulacra2(*files))


@torch.no_grad()
def pulls(encoders: Sequence[Surrogate], subject: Subject, shaded: Tensor) -> dict[str, float]:
    """Pull in each encoder."""
    three = (shaded, as_saved(subject.work.original), subject.work.anchor)
    return {one.name.removesuffix("-meter"): float(pull(*(one.encode(p) for p in three))) for one in encoders}


@torch.no_grad()
def survival(bench: Bench, subject: Subject, shaded: Tensor, before: Mapping[str, float]) -> dict[str, float]:
    """The mean over families of pull after each laundering as a share of that before it; none where that was ~0."""
    if min(before.values()) < LEAST_PULL:
        return {}
    kept = {}
    for name, launder in LAUNDERINGS.items():
        three = [as_saved(launder(p)) for p in (shaded, subject.work.original, subject.work.anchor)]
        shares = [float(pull(*(one.encode(p) for p in three))) / before[one.name] for one in bench.real]
        kept[name] = statistics.mean(shares)
    return kept


def row(bench: Bench, subject: Subject, names: tuple[str, str, str], shaded: Tensor, seconds: float) -> Row:
    """Measure one shaded canvas."""
    with torch.no_grad():
        lpips = float(subject.distance(shaded))
    reached = pulls(bench.real, subject, shaded)
    return Row(
        subject.name, *names,
        pull=reached,
        stated=pulls(bench.toolbox.meters, subject, shaded),
        lpips=lpips,
        psnr_db=float(psnr(shaded, subject.work.original)),
        ssimulacra2=ssimulacra2(subject.work.original, shaded),
        seconds=seconds,
        survival=survival(bench, subject, shaded, reached) if bench.survival else {},
    )  # fmt: skip


def ours(bench: Bench, subject: Subject, method: str, intensity: str, quality: str) -> Row:
    """Our shading, optimised against the students or against the real encoders."""
    work = CanvasWork(**{**vars(subject.work), "visibility": VISIBILITIES[intensity], "steps": STEPS[quality]})
    begun = time.monotonic()
    shaded = shade_canvas(work, bench.real if method == "real" else bench.toolbox.students, bench.toolbox.lpips)
    seconds = time.monotonic() - begun
    return row(bench, subject, (method, intensity, quality), as_saved(work.original + shaded.delta), seconds)


def recipe(bench: Bench, subject: Subject, steps: int) -> tuple[Tensor, float]:
    """The published recipe's shading and its seconds."""
    begun = time.monotonic()
    original = subject.work.original
    with torch.no_grad():
        ends = [(one, one.encode(original), one.encode(subject.work.anchor)) for one in bench.real]
    delta = torch.zeros_like(original)
    for step in range(steps):
        delta.requires_grad_()
        seen = (original + delta).clamp(0, 1)
        rest = torch.stack([remaining(one.encode(seen), start, end).mean() for one, start, end in ends]).mean()
        (gradient,) = torch.autograd.grad(rest, delta)
        size = RECIPE_LIMIT * (1 - (1 - RECIPE_LAST_STEP) * step / steps)
        delta = (delta.detach() - size * gradient.sign()).clamp(-RECIPE_LIMIT, RECIPE_LIMIT)
    return delta, time.monotonic() - begun


def recipe_rows(bench: Bench, subject: Subject, steps: int, ceiling: float | None) -> Iterator[Row]:
    """The recipe, and the recipe scaled down to ``ceiling`` (LPIPS) where one is given."""
    delta, seconds = recipe(bench, subject, steps)
    original = subject.work.original
    yield row(bench, subject, ("recipe", "-", f"{steps} steps"), as_saved(original + delta), seconds)
    if ceiling is not None:
        with torch.no_grad():
            scale = largest_scale(
                lambda share: float(subject.distance(as_saved(original + share * delta))) <= ceiling, 7
            )
        yield row(bench, subject, ("recipe-cut", "-", f"{steps} steps"), as_saved(original + scale * delta), seconds)


HEAD = f"{'':34}{'FLUX.2 (stated)':>16}{'Sana (stated)':>16}{'LPIPS':>8}{'PSNR':>6}{'SSIM2':>7}{'seconds':>9}  survival"


def line(name: str, chosen: Sequence[Row], middle: Callable[[list[float]], float] = statistics.median) -> str:
    """One line of the table: the medians of some rows."""

    def of(value: Callable[[Row], float]) -> float:
        return middle([value(one) for one in chosen])

    families = "".join(
        f"{of(lambda r, f=f: r.pull[f]):8.3f} ({of(lambda r, f=f: r.stated[f]):5.3f})" for f in ("flux2", "sana")
    )
    survivors = [one.survival for one in chosen if one.survival]
    kept = "".join(f"  {name} {middle([one[name] for one in survivors]):.2f}" for name in LAUNDERINGS if survivors)
    return (
        f"{name:34}{families}{of(lambda r: r.lpips):8.3f}{of(lambda r: r.psnr_db):6.1f}"
        f"{of(lambda r: r.ssimulacra2):7.1f}{of(lambda r: r.seconds):9.1f}{kept}"
    )


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """The medians of each method, intensity and quality, how honest the meter is, and the ratios to the recipe."""
    yield HEAD
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for one in rows:
        groups.setdefault((one.method, one.intensity, one.quality), []).append(one)
    for key, chosen in groups.items():
        gaps = [abs(one.pull[f] - one.stated[f]) for one in chosen for f in one.pull]
        yield line(" ".join(key), chosen) + f"  meter gap {statistics.median(gaps):.3f}, worst {max(gaps):.3f}"
    baseline = {one.picture: one for one in rows if one.method == "recipe"}
    for key, chosen in groups.items():
        pairs = [(one, baseline[one.picture]) for one in chosen if one.picture in baseline and one.method != "recipe"]
        if pairs:
            mean = statistics.mean
            pull_share = statistics.median(mean(a.pull.values()) / mean(b.pull.values()) for a, b in pairs)
            lpips_share = statistics.median(a.lpips / b.lpips for a, b in pairs)
            time_share = statistics.median(b.seconds / a.seconds for a, b in pairs)
            yield (
                f"{' '.join(key)}: {pull_share:.2f} of the recipe's pull at {lpips_share:.2f} of its LPIPS, "
                f"{time_share:.0f} times as fast"
            )


def plot(rows: Sequence[Row], path: Path) -> None:
    """The frontier: mean pull against SSIMULACRA2, a line through the intensities of each method, medians."""
    import matplotlib as mpl  # noqa: PLC0415 - only for the plot

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 4.5))
    series: dict[str, dict[str, list[Row]]] = {}
    for one in rows:
        label = f"{one.method} {one.quality}"
        series.setdefault(label, {}).setdefault(one.intensity, []).append(one)
    for label, intensities in series.items():
        points = [
            (
                statistics.median(one.ssimulacra2 for one in chosen),
                statistics.median(statistics.mean(one.pull.values()) for one in chosen),
            )
            for chosen in intensities.values()
        ]
        axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set_xlabel("SSIMULACRA2 (higher is less visible)")
    axes.set_ylabel("pull on the real encoders, mean of both")
    axes.invert_xaxis()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, bbox_inches="tight")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("encoders", type=Path)
    parser.add_argument("--canvas", type=int, default=Shading().canvas_pixels, help="pixels of the canvas, at most")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--methods", nargs="*", default=["bundled", "real", "recipe"])
    parser.add_argument("--intensities", nargs="*", default=list(VISIBILITIES))
    parser.add_argument("--qualities", nargs="*", default=list(STEPS))
    parser.add_argument("--recipe-steps", type=int, default=500)
    parser.add_argument("--survival", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    toolbox = open_toolbox(Shading())
    bench = Bench(toolbox, real_encoders(options.encoders), options.survival)
    rows: list[Row] = []

    def tell(one: Row) -> None:
        rows.append(one)
        print(line(f"{one.picture[:14]:14} {one.method} {one.intensity} {one.quality}", [one]), flush=True)

    print(HEAD)
    for subject in subjects(options.pictures, options.only, options.canvas, toolbox):
        for method in (name for name in options.methods if name != "recipe"):
            for intensity in options.intensities:
                for quality in options.qualities:
                    tell(ours(bench, subject, method, intensity, quality))
        if "recipe" in options.methods:
            ceiling = max((one.lpips for one in rows if one.picture == subject.name), default=None)
            for one in recipe_rows(bench, subject, options.recipe_steps, ceiling):
                tell(one)
    print()
    print(*summary(rows), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in rows], indent=1))
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
