"""Render the gallery's anchors and the poison trial's subjects: `python -m shaded.training.render_gallery`.

Needs `resvg-py` (the extra `dev`). Each vector source `NAME-1.svg` becomes `NAME-1.webp`: square, with alpha, small.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from shaded.models.gallery_files import gallery_folder, subjects_folder

SIDE = 768
#: Rendered this many times larger and scaled down, so that fine lines and textures are smooth.
OVERSAMPLING = 2
MAX_BYTES = 80_000
QUALITIES = (90, 85, 80, 75, 70, 60)


def main(names: list[str]) -> None:
    """Render the sources with the given names (such as `teapot-1`), or all of them."""
    for source in sorted(path for folder in (gallery_folder(), subjects_folder()) for path in folder.glob("*.svg")):
        if not names or source.stem in names:
            content = encode(rasterise(source))
            _replace(source.with_suffix(".webp"), content)
            print(f"{source.stem}: {len(content) / 1000:.0f} kB")


def rasterise(source: Path, side: int = SIDE) -> Image.Image:
    """Draw an SVG as an RGBA picture of `side` x `side` pixels on transparent ground."""
    import resvg_py  # noqa: PLC0415 - an extra that only this function needs

    large = side * OVERSAMPLING
    png = bytes(resvg_py.svg_to_bytes(svg_path=str(source), width=large, height=large))
    with Image.open(io.BytesIO(png)) as picture:
        return picture.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)


def encode(picture: Image.Image, max_bytes: int = MAX_BYTES) -> bytes:
    """Encode as WebP at the best quality that stays within `max_bytes`; the lowest one where none does."""
    content = b""
    for quality in QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, alpha_quality=95, method=6)
        content = buffer.getvalue()
        if len(content) <= max_bytes:
            break
    return content


def _replace(path: Path, content: bytes) -> None:
    """Write beside the target and rename over it, so that nobody reads half a picture."""
    unfinished = path.with_name(f".~{path.name}.tmp")
    unfinished.write_bytes(content)
    unfinished.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
