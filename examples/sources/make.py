"""Make the example pictures again from their vector sources: `python examples/sources/make.py`.

Needs `resvg-py` (the extra `dev`). The scenes are drawn as SVG; two small painters turn some of them into
brush strokes or ink lines, so that the examples have the textures of real work.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Pixels = NDArray[np.float32]  # (H, W, channels) or (H, W), values 0-1

#: Direction in degrees, tone where the lines begin, tone where they are widest, distance in pixels.
HATCHING = ((38, 0.84, 0.2, 6.5), (-42, 0.52, 0.05, 6.5), (82, 0.34, 0.0, 6.0))

SOURCES = Path(__file__).parent
OUTBOX = SOURCES.parent / "outbox"


def main() -> None:
    """Write every example into the outbox."""
    OUTBOX.mkdir(exist_ok=True)
    save(paint(scene("cow-in-the-meadow", 1120), seed=1, finest=4), "cow-in-the-meadow.png")
    save(paint(scene("boat-before-the-storm", 1280), seed=2, finest=5), "boat-before-the-storm.jpg")
    save(paper(scene("hills-at-sunset", 1400), seed=3, grain=0.018), "hills-at-sunset.jpg")
    save(ink(scene("lighthouse-at-night", 900), seed=4), "lighthouse-at-night.png")
    save(paper(scene("tea-time", 720), seed=5, grain=0.03), "tea-time.webp")
    save(scene("little-dragon", 960), "little-dragon.png")


def scene(name: str, width: int) -> Pixels:
    """Rasterise a source: (H, W, 3), or (H, W, 4) where something of it is transparent."""
    png = bytes(resvg_py.svg_to_bytes(svg_path=str(SOURCES / f"{name}.svg"), width=2 * width))
    with Image.open(io.BytesIO(png)) as large:
        picture = large.convert("RGBA").resize((width, large.height // 2), Image.Resampling.LANCZOS)
    pixels = np.asarray(picture, dtype=np.float32) / 255.0
    return pixels if pixels[..., 3].min() < 1.0 else pixels[..., :3]


def save(pixels: Pixels, name: str) -> None:
    """Write 8-bit values in the format that the name says."""
    options = {".jpg": {"quality": 92, "subsampling": 0}, ".webp": {"quality": 88, "method": 6}}
    picture = Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    picture.save(OUTBOX / name, optimize=True, **options.get(Path(name).suffix, {}))


def paper(pixels: Pixels, seed: int, grain: float) -> Pixels:
    """Print on toothed paper: two sizes of soft noise, stronger in the mid tones."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(pixels.shape[:2])
    tooth = noise + 2.5 * ndimage.gaussian_filter(rng.standard_normal(pixels.shape[:2]), 1.6) * 2.0
    tone = pixels.mean(axis=2)
    return pixels + (grain * tooth * (0.4 + 2.4 * tone * (1 - tone)))[..., None].astype(np.float32)


def paint(pixels: Pixels, seed: int, finest: int) -> Pixels:
    """Paint in oil: strokes from broad to fine follow the picture's edges, then light falls on the relief.

    Args:
        pixels: the scene, (H, W, 3).
        seed: makes the strokes the same every time.
        finest: half the width of the finest brush in pixels.
    """
    rng = np.random.default_rng(seed)
    angle = stroke_angles(pixels)
    ground = np.array([0.55, 0.42, 0.3], np.float32)
    canvas = np.broadcast_to(ground, pixels.shape).copy()
    relief = np.zeros(pixels.shape[:2], np.float32)
    for radius in (finest * 6, finest * 3, finest * 2, finest):
        goal = ndimage.gaussian_filter(pixels, (radius * 0.5, radius * 0.5, 0))
        wrong = ndimage.gaussian_filter(np.abs(goal - canvas).sum(axis=2), radius * 0.5)
        for y, x in jittered_grid(pixels.shape[:2], radius * 1.1, rng):
            if wrong[y, x] > (0.0 if radius == finest * 6 else 0.06):
                colour = goal[y, x] * rng.uniform(0.94, 1.06) + rng.normal(0, 0.012, 3)
                lay_stroke(canvas, relief, (y, x), angle[y, x] + rng.normal(0, 0.12), radius, colour, rng)
    slope = ndimage.gaussian_filter(relief, 0.7)
    light = ndimage.sobel(slope, axis=0) * 0.6 + ndimage.sobel(slope, axis=1) * 0.4
    return canvas + np.clip(light * 0.07, -0.1, 0.1)[..., None]


def stroke_angles(pixels: Pixels) -> Pixels:
    """Give the direction along the edges at each pixel in radians, smoothed as a structure tensor."""
    tone = ndimage.gaussian_filter(pixels.mean(axis=2), 2.0)
    dy, dx = ndimage.sobel(tone, axis=0), ndimage.sobel(tone, axis=1)
    xx, yy, xy = (ndimage.gaussian_filter(product, 9.0) for product in (dx * dx, dy * dy, dx * dy))
    return np.asarray(0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2, np.float32)


def jittered_grid(shape: tuple[int, ...], step: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Spread points over a picture about `step` pixels apart, in random order: (N, 2), rows of (y, x)."""
    ys, xs = np.mgrid[0 : shape[0] : step, 0 : shape[1] : step]
    points = np.stack([ys.ravel(), xs.ravel()], axis=1)
    points += rng.uniform(-step / 2, step / 2, points.shape)
    rng.shuffle(points)
    return np.clip(points, 0, np.array(shape) - 1).astype(np.intp)


def lay_stroke(
    canvas: Pixels,
    relief: Pixels,
    centre: tuple[int, int],
    angle: float,
    radius: int,
    colour: Pixels,
    rng: np.random.Generator,
) -> None:
    """Drag one brush of bristles over the canvas, in place."""
    reach = int(radius * 3.2)
    (y, x), (height, width) = centre, relief.shape
    top, bottom = max(0, y - reach), min(height, y + reach + 1)
    left, right = max(0, x - reach), min(width, x + reach + 1)
    v, u = np.mgrid[top - y : bottom - y, left - x : right - x].astype(np.float32)
    along = u * np.cos(angle) + v * np.sin(angle)
    across = -u * np.sin(angle) + v * np.cos(angle) + 0.08 * along * along / radius * rng.uniform(-1, 1)
    bristles = rng.uniform(0.45, 1.0, 2 * radius + 3).astype(np.float32)
    hair = bristles[np.clip((across + radius + 1).astype(np.intp), 0, 2 * radius + 2)]
    end = np.clip((2.8 * radius * (0.75 + 0.25 * hair) - np.abs(along)) / (0.6 * radius), 0, 1)
    side = np.clip((radius - np.abs(across)) / max(1.0, 0.25 * radius), 0, 1)
    cover = end * side * (0.55 + 0.45 * hair)
    patch = (slice(top, bottom), slice(left, right))
    canvas[patch] += cover[..., None] * (colour * (0.96 + 0.06 * hair[..., None]) - canvas[patch])
    relief[patch] += cover * (hair * min(radius, 8) * 0.25 - 0.5 * relief[patch])


def ink(pixels: Pixels, seed: int) -> Pixels:
    """Draw with a pen: contours, and hatching in four directions whose lines thicken with the darkness.

    Returns:
        (H, W), black on paper white.
    """
    rng = np.random.default_rng(seed)
    tone = ndimage.gaussian_filter(pixels.mean(axis=2), 0.8) ** 0.55
    height, width = tone.shape
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    wobble = 5.0 * ndimage.gaussian_filter(rng.standard_normal(tone.shape), 28) * 28
    pressure = 1.0 + 0.4 * ndimage.gaussian_filter(rng.standard_normal(tone.shape), 9) * 9
    drawn = np.ones_like(tone)
    for degrees, begins, ends, spacing in HATCHING:
        turn = np.radians(degrees)
        phase = (u * np.sin(turn) + v * np.cos(turn) + wobble) / spacing
        from_line = np.abs(phase - np.rint(phase)) * spacing
        darkness = np.clip((begins - tone) / (begins - ends), 0, 1)
        half_width = np.where(darkness > 0, (0.45 + 1.7 * darkness) * pressure, 0)
        drawn = np.minimum(drawn, np.clip(from_line - half_width + 0.7, 0, 1))
    edges = ndimage.gaussian_gradient_magnitude(pixels.mean(axis=2), 1.3)
    contour = np.clip((edges - 0.035) / 0.05, 0, 1) * np.clip(0.75 + 0.3 * pressure, 0, 1)
    fibres = 0.012 * rng.standard_normal(tone.shape)
    return np.asarray(0.97 * np.minimum(drawn, 1 - 0.95 * contour) + 0.02 + fibres, np.float32)


if __name__ == "__main__":
    main()
