"""The grounds that the trial's things stand on, drawn by chance: each has words that are true to it."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

#: A picture ``(H, W, 3)`` in ``[0, 1]``.
Picture = NDArray[np.float64]

Draw = Callable[[np.random.Generator, int], Picture]


def _colour(rng: np.random.Generator, hue: tuple[float, float], saturation: float, lightness: float) -> Picture:
    """A colour ``(3,)`` of a hue between two (0 to 1), a little around this saturation and lightness."""
    shade = lightness + rng.uniform(-0.1, 0.1), saturation + rng.uniform(-0.12, 0.12)
    return np.array(colorsys.hls_to_rgb(rng.uniform(*hue) % 1, *(float(np.clip(value, 0.05, 0.95)) for value in shade)))


def _any_colour(rng: np.random.Generator) -> Picture:
    return _colour(rng, (0, 1), rng.uniform(0.15, 0.6), rng.uniform(0.3, 0.8))


def _soft_noise(rng: np.random.Generator, side: int, cells: int) -> NDArray[np.float64]:
    """Smooth noise ``(side, side)`` of mean 0 and deviation 1, with about this many bumps along a side."""
    coarse = rng.standard_normal((cells + 1, cells + 1))
    places = np.linspace(0, cells, side)
    first = np.minimum(places.astype(int), cells - 1)
    share = places - first
    share = share * share * (3 - 2 * share)
    rows = coarse[first] * (1 - share)[:, None] + coarse[first + 1] * share[:, None]
    smooth = rows[:, first] * (1 - share) + rows[:, first + 1] * share
    normal: NDArray[np.float64] = (smooth - smooth.mean()) / (smooth.std() + 1e-9)
    return normal


def _between(first: Picture, second: Picture, share: NDArray[np.float64]) -> Picture:
    """As much of the second as ``share`` says, the rest of the first."""
    mixed: Picture = first + (second - first) * share
    return mixed


def _grain(rng: np.random.Generator, picture: Picture, strength: float) -> Picture:
    side = picture.shape[0]
    return picture + strength * (_soft_noise(rng, side, side // 3) + _soft_noise(rng, side, 6))[..., None]


def _down(side: int) -> NDArray[np.float64]:
    return np.linspace(0, 1, side)[:, None, None]


def _horizon(rng: np.random.Generator, side: int, upper: Picture, lower: Picture, ragged: float) -> Picture:
    """The upper picture over the lower one, meeting in an uneven line."""
    line = rng.uniform(0.4, 0.65) + ragged * _soft_noise(rng, side, 5)[0]
    share = np.clip((_down(side)[..., 0] - line) * side / 2 + 0.5, 0, 1)[..., None]
    return _between(upper, lower, share)


def _graded(side: int, top: Picture, bottom: Picture) -> Picture:
    return top + (bottom - top) * np.broadcast_to(_down(side), (side, side, 1))


def _heavens(rng: np.random.Generator, side: int) -> Picture:
    blue = _graded(side, _colour(rng, (0.54, 0.62), 0.6, 0.6), _colour(rng, (0.52, 0.6), 0.5, 0.82))
    clouds = np.clip(_soft_noise(rng, side, 4) - 0.6, 0, 1)[..., None]
    return blue + (0.97 - blue) * clouds


def meadow(rng: np.random.Generator, side: int) -> Picture:
    """Grass under the sky."""
    grass = _graded(side, _colour(rng, (0.2, 0.3), 0.5, 0.5), _colour(rng, (0.24, 0.34), 0.5, 0.34))
    return _horizon(rng, side, _heavens(rng, side), _grain(rng, grass, 0.035), 0.02)


def beach(rng: np.random.Generator, side: int) -> Picture:
    """Sand before the sea."""
    sand = _grain(
        rng, _graded(side, _colour(rng, (0.1, 0.14), 0.5, 0.75), _colour(rng, (0.09, 0.13), 0.45, 0.65)), 0.02
    )
    sea = _graded(side, _colour(rng, (0.5, 0.56), 0.4, 0.75), _colour(rng, (0.5, 0.58), 0.6, 0.4))
    return _horizon(rng, side, sea, sand, 0.03)


def room(rng: np.random.Generator, side: int) -> Picture:
    """A wall, and a floor of another colour."""
    wall, floor = _any_colour(rng), _colour(rng, (0.04, 0.11), 0.4, 0.4)
    light = rng.uniform(-0.12, 0.12)
    sides = np.linspace(-light, light, side)[None, :, None]
    return _horizon(rng, side, np.broadcast_to(wall, (side, side, 3)) + sides, _graded(side, floor, floor * 0.75), 0.0)


def stripes(rng: np.random.Generator, side: int) -> Picture:
    """Two colours in turns, at any angle."""
    angle, width = rng.uniform(0, np.pi), rng.uniform(0.1, 0.22)
    rows, columns = np.mgrid[0:side, 0:side] / side
    phase = (np.cos(angle) * columns + np.sin(angle) * rows) / width + rng.uniform(0, 1)
    share = np.clip(np.sin(2 * np.pi * phase) * 3 + 0.5, 0, 1)[..., None]
    return _between(_any_colour(rng), _any_colour(rng), share)


def sky(rng: np.random.Generator, side: int) -> Picture:
    """Blue with clouds."""
    return _heavens(rng, side)


def stone(rng: np.random.Generator, side: int) -> Picture:
    """Grey, rough."""
    grey = np.broadcast_to(_colour(rng, (0, 1), 0.12, 0.5), (side, side, 3))
    return _grain(rng, grey, 0.06)


def lights(rng: np.random.Generator, side: int) -> Picture:
    """Soft round spots in the dark."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    picture = np.broadcast_to(_colour(rng, (0, 1), 0.4, 0.2), (side, side, 3)).copy()
    for _ in range(int(rng.integers(5, 10))):
        centre, radius = rng.uniform(0, 1, 2), rng.uniform(0.06, 0.16)
        far = np.hypot(rows - centre[0], columns - centre[1])
        spot = np.clip((radius - far) * side / 3 + 0.5, 0, 1)[..., None]
        picture += (_colour(rng, (0, 1), 0.6, 0.65) - picture) * spot * 0.6
    return picture


def checks(rng: np.random.Generator, side: int) -> Picture:
    """Squares of two colours in turns."""
    count, shift = rng.uniform(3, 6), rng.uniform(0, 1, 2)
    rows, columns = np.mgrid[0:side, 0:side] / side * count
    share = (np.floor(rows + shift[0]) + np.floor(columns + shift[1]))[..., None] % 2
    return _between(_any_colour(rng), _any_colour(rng), share)


def evening(rng: np.random.Generator, side: int) -> Picture:
    """Warm light above dark hills."""
    glow = _graded(side, _colour(rng, (0.7, 0.95), 0.4, 0.5), _colour(rng, (0.02, 0.12), 0.7, 0.65))
    hills = np.broadcast_to(_colour(rng, (0.6, 0.9), 0.25, 0.2), (side, side, 3))
    return _horizon(rng, side, glow, hills, 0.04)


#: The words of a ground, and how it is drawn.
GROUNDS: Mapping[str, Draw] = {
    "on a meadow": meadow,
    "on a beach": beach,
    "in a room": room,
    "before stripes": stripes,
    "in the sky": sky,
    "on stone": stone,
    "before lights": lights,
}

#: Grounds that only the classifier's pictures have, besides the others.
OTHER_GROUNDS: Mapping[str, Draw] = {"before checks": checks, "in the evening": evening}
