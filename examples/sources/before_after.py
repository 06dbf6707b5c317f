"""Draws the README's picture: original, shaded copy, and their difference times 16, side by side.

python examples/sources/before_after.py examples/outbox/cow-in-the-meadow.png published/cow-in-the-meadow.png \
        docs/before-after.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, GAP, GAIN = 560, 12, 16


def side_by_side(original: Image.Image, shaded: Image.Image) -> Image.Image:
    """Three panels of equal size on white; the difference is around mid-grey."""
    before, after = (np.asarray(picture.convert("RGB")).astype(float) for picture in (original, shaded))
    difference = Image.fromarray(np.clip(128 + GAIN * (after - before), 0, 255).astype(np.uint8))
    height = round(WIDTH * original.height / original.width)
    sheet = Image.new("RGB", (3 * WIDTH + 2 * GAP, height), "white")
    for place, panel in enumerate((original.convert("RGB"), shaded.convert("RGB"), difference)):
        sheet.paste(panel.resize((WIDTH, height), Image.Resampling.LANCZOS), (place * (WIDTH + GAP), 0))
    return sheet


if __name__ == "__main__":
    first, second, target = map(Path, sys.argv[1:4])
    with Image.open(first) as one, Image.open(second) as other:
        side_by_side(one, other).save(target, quality=90)
