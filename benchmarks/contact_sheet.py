"""A sheet to look at: windows of ten pictures at 100 %, as they are and at each intensity.

    python benchmarks/contact_sheet.py docs/contact-sheet.jpg [--pictures examples/outbox] [--side 512] [--shown 256]

Besides the pictures of the folder, four that are drawn here and where a shading has nowhere to hide: a clear sky,
flat colours, ink on white paper and gray fog. From each, a window is shaded as installed, with the bundled models, and
its middle is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from shaded.publishing.reading import decode
from shaded.scheduling.subject import place_anchor
from shaded.scheduling.toolbox import Toolbox, open_toolbox
from shaded.scheduling.views import canvas_of, shown_size
from shaded.settings import Shading
from shaded.shading.anchors import ground_of
from shaded.shading.canvas import plan_canvas
from shaded.shading.engine import CanvasWork, as_saved, shade_canvas
from shaded.shading.presets import STEPS, VISIBILITIES

MARGIN, CAPTION = 4, 22


def clear_sky(side: int) -> Image.Image:
    """A smooth gradient from blue to nearly white."""
    share = np.linspace(0, 1, side)[:, None, None] * np.ones((1, side, 1))
    colours = (1 - share) * (74, 134, 208) + share * (236, 240, 238)
    return Image.fromarray(np.rint(colours).astype(np.uint8))


def flat_colours(side: int) -> Image.Image:
    """A poster of a hill, a sun and a house in five flat colours."""
    picture = Image.new("RGB", (2 * side, 2 * side), (247, 206, 120))
    draw, unit = ImageDraw.Draw(picture), side / 128
    draw.ellipse([150 * unit, 40 * unit, 210 * unit, 100 * unit], fill=(233, 94, 62))
    draw.ellipse([-60 * unit, 130 * unit, 320 * unit, 400 * unit], fill=(46, 110, 96))
    draw.rectangle([80 * unit, 100 * unit, 140 * unit, 160 * unit], fill=(250, 244, 230))
    draw.polygon([(70 * unit, 100 * unit), (110 * unit, 70 * unit), (150 * unit, 100 * unit)], fill=(60, 52, 86))
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def ink_on_paper(side: int) -> Image.Image:
    """Black curves on pure white."""
    picture = Image.new("L", (4 * side, 4 * side), 255)
    draw, turns = ImageDraw.Draw(picture), np.linspace(0, 2 * np.pi, 400)
    for ring in range(1, 9):
        radius = side * (0.22 * ring + 0.05 * np.sin((3 + ring) * turns))
        points = np.stack([2 * side + radius * np.cos(turns), 2 * side + radius * np.sin(turns)], axis=1)
        draw.line([tuple(point) for point in points], fill=0, width=max(4, side // (16 + 4 * ring)))
    return picture.resize((side, side), Image.Resampling.LANCZOS).convert("RGB")


def gray_fog(side: int) -> Image.Image:
    """Soft gray balls in fog."""
    down, across = np.mgrid[0:side, 0:side] / side
    light = 0.75 - 0.25 * down
    for x, y, size in ((0.35, 0.4, 0.16), (0.62, 0.58, 0.1), (0.5, 0.8, 0.2)):
        light = light - 0.35 * np.exp(-((((across - x) ** 2 + (down - y) ** 2) / size**2) ** 2))
    return Image.fromarray(np.rint(255 * light.clip(0, 1)).astype(np.uint8)).convert("RGB")


DRAWN: Mapping[str, Callable[[int], Image.Image]] = {
    "clear sky": clear_sky,
    "flat colours": flat_colours,
    "ink on paper (gray)": ink_on_paper,
    "fog (gray)": gray_fog,
}


def windows(folder: Path, side: int, toolbox: Toolbox) -> Iterator[tuple[str, Tensor]]:
    """Names and windows (1, 3, side, side): the middle of each picture of the folder, then the drawn ones."""
    for path in sorted(folder.iterdir()):
        picture = decode(path.read_bytes(), path)
        height, width = shown_size(picture)
        view = canvas_of(picture, plan_canvas(height, width, height * width), toolbox.device)[..., :height, :width]
        top, left = ((length - side) // 2 for length in view.shape[-2:])
        yield path.stem.replace("-", " "), view[..., top : top + side, left : left + side].contiguous()
    for name, drawn in DRAWN.items():
        pixels = torch.from_numpy(np.asarray(drawn(side)).copy())
        yield name, pixels.permute(2, 0, 1)[None].float() / 255


def shaded_window(view: Tensor, index: int, intensity: str, toolbox: Toolbox) -> Tensor:
    """One window, shaded."""
    anchor = toolbox.anchors[(7 * index) % len(toolbox.anchors)]
    work = CanvasWork(
        original=view,
        anchor=place_anchor(anchor, ground_of(view), view, toolbox)[0],
        mask=torch.ones_like(view[:, :1]),
        gray=bool((view.amax(dim=1) == view.amin(dim=1)).all()),
        visibility=VISIBILITIES[intensity],
        steps=STEPS["balanced"],
        seed=index,
    )
    return as_saved(view + shade_canvas(work, toolbox.students, toolbox.lpips).delta)


def shown(view: Tensor, side: int) -> Image.Image:
    """The middle of a window as a picture."""
    top, left = ((length - side) // 2 for length in view.shape[-2:])
    levels = (view[0, :, top : top + side, left : left + side].permute(1, 2, 0) * 255).round().byte()
    return Image.fromarray(levels.cpu().numpy())


def main() -> None:
    """Read the command line and make the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheet", type=Path, help="the file to write")
    parser.add_argument("--pictures", type=Path, default=Path("examples/outbox"))
    parser.add_argument("--side", type=int, default=512, help="of the window that is shaded, a multiple of 32")
    parser.add_argument("--shown", type=int, default=256, help="side of its middle, in pixels of the sheet")
    options = parser.parse_args()
    toolbox, columns = open_toolbox(Shading()), ("as it is", *VISIBILITIES)
    chosen = list(windows(options.pictures, options.side, toolbox))
    across, down = options.shown + MARGIN, options.shown + CAPTION
    sheet = Image.new("RGB", (len(columns) * across, len(chosen) * down), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (name, view) in enumerate(chosen):
        for column, intensity in enumerate(columns):
            seen = view if column == 0 else shaded_window(view, row, intensity, toolbox)
            draw.text((column * across, row * down + 3), f"{name}: {intensity}", fill="black", font=font)
            sheet.paste(shown(seen, options.shown), (column * across, row * down + CAPTION))
        print(name, flush=True)
    sheet.save(options.sheet, quality=96, subsampling=0, optimize=True)


if __name__ == "__main__":
    main()
