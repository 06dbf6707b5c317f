"""Measure shader and meter on pictures that were never trained on, against both real encoders; print a table.

python -m shaded.training.evaluate --pictures DIR --encoders DIR [--canvas 1024] [--checkpoint run/checkpoint.pt]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import Tensor

from shaded.shading.anchors import GROUND_CELLS, compose_anchor, ground_of
from shaded.shading.laundering import LAUNDERINGS, add_noise
from shaded.shading.limits import texture_limits
from shaded.shading.networks import ALIGNMENT, MeterNetwork, ShaderNetwork
from shaded.training.teachers import FAMILIES, Perceptual, Teacher, load_teachers, pull

__all__ = ["INTENSITIES", "Row", "main", "measure"]

MODELS = Path(__file__).resolve().parent.parent / "models"
INTENSITIES: Mapping[str, tuple[float, float, float]] = {
    "low": (1.0, 4.0, 0.03),
    "default": (2.0, 8.0, 0.05),
    "high": (3.0, 12.0, 0.07),
}
"""Flat and busy limits in grey levels, and the LPIPS ceiling."""


@dataclass(frozen=True)
class Row:
    """One picture at one intensity: what the real encoders say, what the meter says, what people may see."""

    picture: str
    intensity: str
    scale: float
    real: dict[str, float]
    stated: dict[str, float]
    survival: dict[str, float]
    lpips: float
    psnr: float


@dataclass(frozen=True)
class Bench:
    """Everything that a measurement needs."""

    shader: ShaderNetwork
    meter: MeterNetwork
    teachers: Mapping[str, Teacher]
    perceptual: Perceptual


def _canvas(path: Path, longest: int) -> Tensor | None:
    """A still picture as (1, 3, H, W) in [0, 1], over white, sides multiples of 32, at most `longest`."""
    with Image.open(path) as opened:
        if getattr(opened, "is_animated", False):
            return None
        opened.draft("RGB", (2 * longest, 2 * longest))
        rgba = ImageOps.exif_transpose(opened)
        if rgba.mode.startswith("I"):
            rgba = rgba.point(lambda value: value / 256).convert("L")
        rgba = rgba.convert("RGBA")
    scale = min(1.0, longest / max(rgba.size))
    width, height = (max(ALIGNMENT, int(side * scale) // ALIGNMENT * ALIGNMENT) for side in rgba.size)
    ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    flat = Image.alpha_composite(ground, rgba).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    return _tensor(flat)


def _tensor(picture: Image.Image) -> Tensor:
    levels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return levels.view(1, picture.height, picture.width, -1).permute(0, 3, 1, 2).float() / 255


def _eight_bits(picture: Tensor) -> Tensor:
    return (picture.clamp(0, 1) * 255).round() / 255


def _latents(bench: Bench, picture: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return {family: bench.teachers[family](picture) for family in FAMILIES}, bench.meter(picture)


def _fitted(bench: Bench, picture: Tensor, delta: Tensor, ceiling: float) -> tuple[Tensor, float, float]:
    """The shaded picture with `delta` scaled down in steps of 8 % until LPIPS is under `ceiling`."""
    seen = bench.perceptual.features(picture)
    scale = 1.0
    while True:
        shaded = _eight_bits(picture + scale * delta)
        distance = float(bench.perceptual(shaded, seen))
        if distance <= ceiling or scale < 0.1:
            return shaded, scale, distance
        scale *= 0.92


def _pulls(reached: Mapping[str, Tensor], start: Mapping[str, Tensor], goal: Mapping[str, Tensor]) -> dict[str, float]:
    return {family: float(pull(reached[family], start[family], goal[family])) for family in FAMILIES}


@torch.no_grad()
def measure(bench: Bench, name: str, picture: Tensor, anchor: Tensor, *, survival: bool = False) -> Iterator[Row]:
    """Rows for one picture and one anchor on the same canvas: each intensity, a third of the highest, plain noise."""
    start, my_start = _latents(bench, picture)
    goal, my_goal = _latents(bench, anchor)

    def row(intensity: str, scale: float, shaded: Tensor, distance: float, kept: dict[str, float]) -> Row:
        reached, my_reached = _latents(bench, shaded)
        error = float((shaded - picture).square().mean())
        return Row(
            name, intensity, scale, _pulls(reached, start, goal), _pulls(my_reached, my_start, my_goal), kept,
            distance, -10 * math.log10(max(error, 1e-10)),
        )  # fmt: skip

    for intensity, (flat, busy, ceiling) in INTENSITIES.items():
        delta = bench.shader(picture, anchor, texture_limits(picture, flat / 255, busy / 255))
        shaded, scale, distance = _fitted(bench, picture, delta, ceiling)
        yield row(intensity, scale, shaded, distance, {})
        if intensity == "default" and survival:
            kept: dict[str, float] = {}
            for laundering, apply in LAUNDERINGS.items():
                before, target, after = (
                    {family: bench.teachers[family](_eight_bits(apply(one))) for family in FAMILIES}
                    for one in (picture, anchor, shaded)
                )
                kept |= {f"{laundering} {f}": value for f, value in _pulls(after, before, target).items()}
            yield row("survival", scale, shaded, distance, kept)
    seen = bench.perceptual.features(picture)
    third = _eight_bits(picture + delta / 3)
    yield row("third", 1 / 3, third, float(bench.perceptual(third, seen)), {})
    noisy = _eight_bits(add_noise(picture, 3 / 255, torch.Generator().manual_seed(1)))
    yield row("noise", 1.0, noisy, float(bench.perceptual(noisy, seen)), {})


def _networks(checkpoint: Path | None) -> tuple[ShaderNetwork, MeterNetwork]:
    if checkpoint is None:
        states = [load_file(MODELS / f"{name}.safetensors") for name in ("shader", "meter")]
    else:
        parts = torch.load(checkpoint, weights_only=True)
        states = [parts["shader_average"], parts["meter_average"]]
    return ShaderNetwork.from_state(states[0]), MeterNetwork.from_state(states[1])


def _print(rows: list[Row]) -> None:
    print(f"{'picture':32} {'intensity':9} scale  flux2 (stated)   sana (stated)   LPIPS   PSNR")
    for row in rows:
        pulls = "  ".join(f"{row.real[f]:6.3f} ({row.stated[f]:6.3f})" for f in FAMILIES)
        print(f"{row.picture:32} {row.intensity:9} {row.scale:5.2f} {pulls}  {row.lpips:.4f}  {row.psnr:5.1f}")
        if row.survival:
            print("    " + "  ".join(f"{name} {value:.3f}" for name, value in row.survival.items()))
    for intensity in dict.fromkeys(row.intensity for row in rows):
        chosen = [row for row in rows if row.intensity == intensity]
        parts = []
        for family in FAMILIES:
            gaps = [abs(row.real[family] - row.stated[family]) for row in chosen]
            middle = statistics.median(row.real[family] for row in chosen)
            gap = f"gap median {statistics.median(gaps):.3f} worst {max(gaps):.3f}"
            parts.append(f"{family} median {middle:.3f}, {gap}")
        lpips = statistics.median(row.lpips for row in chosen)
        psnr = statistics.median(row.psnr for row in chosen)
        print(f"{intensity}: {'; '.join(parts)}; LPIPS {lpips:.3f}; PSNR {psnr:.1f}; {len(chosen)} pictures")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--encoders", type=Path, required=True)
    parser.add_argument("--gallery", type=Path, default=MODELS / "gallery")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--canvas", type=int, default=1024, help="long side of the canvas in pixels")
    parser.add_argument("--only", nargs="*", default=[], help="words that a picture's name must contain")
    parser.add_argument("--ground", choices=("own", "white"), default="own")
    parser.add_argument("--half", action="store_true", help="real encoders in bfloat16: faster, rougher")
    parser.add_argument("--survival", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args()
    bench = Bench(
        *_networks(options.checkpoint),
        load_teachers(options.encoders, half=options.half),
        Perceptual(load_file(MODELS / "lpips-alexnet.safetensors")),
    )
    things = sorted(options.gallery.glob("*.webp")) or sorted(options.gallery.glob("*.png"))
    rows: list[Row] = []
    for index, path in enumerate(sorted(options.pictures.iterdir())):
        if options.only and not any(word in path.name for word in options.only):
            continue
        try:
            picture = _canvas(path, options.canvas)
        except OSError:
            continue
        if picture is None:
            continue
        cutout = _tensor(Image.open(things[(7 * index) % len(things)]).convert("RGBA"))
        ground = torch.ones(1, 3, GROUND_CELLS, GROUND_CELLS) if options.ground == "white" else ground_of(picture)
        anchor = compose_anchor(cutout, ground, *picture.shape[-2:])
        rows.extend(measure(bench, path.name, picture, anchor, survival=options.survival))
        print(".", end="", flush=True)
    print()
    _print(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
