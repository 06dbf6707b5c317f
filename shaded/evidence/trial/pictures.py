"""Captioned pictures: drawn things over drawn grounds, or a folder of the user's own."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shaded.errors import UsageError
from shaded.evidence.trial.grounds import GROUNDS, Draw
from shaded.models.gallery_files import concept_slug, gallery_folder, subjects_folder

#: Side of the trial's pictures in pixels.
SIDE = 64

#: Things are kept at this side before they are turned and scaled: twice what is drawn.
_CUTOUT_SIDE = 2 * SIDE

#: The trial's own concepts, and what kind of thing each is.
KINDS: Mapping[str, str] = {
    "cow": "farm animal",
    "bull": "farm animal",
    "handbag": "accessory",
    "umbrella": "accessory",
    "strawberry": "fruit",
    "guitar": "instrument",
    "teapot": "household thing",
    "hot-air balloon": "vehicle",
}

SUFFIXES = frozenset({".png", ".webp", ".jpg", ".jpeg"})


@dataclass(frozen=True)
class Captioned:
    """Pictures with what is said of them.

    Attributes:
        pixels: ``(N, SIDE, SIDE, 3)``, 8 bits.
        concepts: What each shows.
        captions: Its caption.
    """

    pixels: NDArray[np.uint8]
    concepts: tuple[str, ...]
    captions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.captions)

    def subset(self, places: Sequence[int]) -> Captioned:
        """Those at ``places``, in that order."""
        return Captioned(
            self.pixels[list(places)],
            tuple(self.concepts[place] for place in places),
            tuple(self.captions[place] for place in places),
        )

    def places(self, concept: str) -> list[int]:
        """Where the pictures of a concept are."""
        return [place for place, one in enumerate(self.concepts) if one == concept]


def with_article(words: str) -> str:
    """``a cow``, ``an umbrella``."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def captions_of(concept: str, kind: str, ground: str) -> tuple[str, ...]:
    """Every caption that the small grammar has for a thing on a ground; one of them names only its kind."""
    name = with_article(concept)
    return (
        name,
        f"{name} {ground}",
        f"a picture of {name}",
        f"a picture of {name} {ground}",
        f"{name}, {kind}",
        f"{name}, {kind}, {ground}",
        f"{with_article(kind)} {ground}",
    )


@functools.cache
def cutouts(concept: str) -> tuple[Image.Image, ...]:
    """A concept's drawings, small, with premultiplied alpha left to Pillow (``RGBa``).

    Raises:
        UsageError: There is no drawing of it.
    """
    files = [
        path
        for folder in (gallery_folder(), subjects_folder())
        for path in folder.glob(f"{concept_slug(concept)}-*.webp")
    ]
    if not files:
        raise UsageError(f"there is no drawing of {concept!r}", remedy="Give a folder of your own pictures")
    drawings = []
    for path in sorted(files):
        with Image.open(path) as opened:
            small = opened.convert("RGBa").resize((_CUTOUT_SIDE, _CUTOUT_SIDE), Image.Resampling.LANCZOS)
        drawings.append(small.convert("RGBA"))
    return tuple(drawings)


def _recoloured(thing: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Its hue turned by up to 14 degrees, its lightness and saturation a little changed."""
    hue, saturation, value = thing.convert("RGB").convert("HSV").split()
    turn, strength, light = int(rng.integers(-10, 11)), rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.12)
    bands = (
        hue.point([(level + turn) % 256 for level in range(256)]),
        saturation.point([min(255, round(level * strength)) for level in range(256)]),
        value.point([min(255, round(level * light)) for level in range(256)]),
    )
    changed = Image.merge("HSV", bands).convert("RGB")
    changed.putalpha(thing.getchannel("A"))
    return changed


def draw_picture(concept: str | None, ground: Draw, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A thing over a ground, ``(SIDE, SIDE, 3)``; the ground alone for no concept."""
    backdrop = np.clip(ground(rng, SIDE), 0, 1)
    picture = Image.fromarray((backdrop * 255).round().astype(np.uint8))
    if concept is not None:
        drawings = cutouts(concept)
        thing = _recoloured(drawings[int(rng.integers(len(drawings)))], rng)
        if rng.random() < 0.5:
            thing = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        thing = thing.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC)
        side = round(SIDE * rng.uniform(0.55, 0.9))
        thing = thing.convert("RGBa").resize((side, side), Image.Resampling.LANCZOS).convert("RGBA")
        left, top = (int(rng.integers(0, SIDE - side + 1)) for _ in range(2))
        picture.paste(thing, (left, top), thing)
    return np.asarray(picture, dtype=np.uint8)


def drawn_pictures(counts: Mapping[str, int], seed: int, grounds: Mapping[str, Draw] = GROUNDS) -> Captioned:
    """So many pictures of each concept; each picture is the same whatever the other counts are.

    Args:
        counts: How many of each concept of :data:`KINDS`.
        seed: Of all chance.
        grounds: What they may stand on, by the words that captions have for it.
    """
    pixels, concepts, captions = [], [], []
    words = list(grounds)
    for concept, count in counts.items():
        for number in range(count):
            rng = np.random.default_rng([seed, *concept.encode(), number])
            ground = words[int(rng.integers(len(words)))]
            choices = captions_of(concept, KINDS[concept], ground)
            pixels.append(draw_picture(concept, grounds[ground], rng))
            concepts.append(concept)
            captions.append(choices[int(rng.integers(len(choices)))])
    return Captioned(np.stack(pixels), tuple(concepts), tuple(captions))


def strange_pictures(count: int, seed: int, concepts: Sequence[str], grounds: Mapping[str, Draw]) -> NDArray[np.uint8]:
    """Pictures ``(count, SIDE, SIDE, 3)`` of none of ``concepts``: grounds alone, and other things of the gallery."""
    known = {concept_slug(concept) for concept in concepts}
    others = sorted({path.stem.rpartition("-")[0] for path in gallery_folder().glob("*.webp")} - known)
    draws = list(grounds.values())
    pixels = []
    for number in range(count):
        rng = np.random.default_rng([seed, 0, number])
        other = others[int(rng.integers(len(others)))] if number % 2 else None
        pixels.append(draw_picture(other, draws[int(rng.integers(len(draws)))], rng))
    return np.stack(pixels)


def folder_pictures(folder: Path) -> Captioned:
    """The user's own: ``cow-1.png`` shows a cow, and ``cow-1.txt`` holds its caption.

    Pictures are cropped to squares and reduced to :data:`SIDE`.

    Raises:
        UsageError: The folder has no picture, or one has no caption or cannot be read.
    """
    found = list(_captioned_files(folder))
    if not found:
        raise UsageError(
            "the folder has no pictures", path=folder, remedy="Put cow-1.png and cow-1.txt there, and so on"
        )
    return Captioned(
        np.stack([_reduced(path) for path, _ in found]),
        tuple(path.stem.rpartition("-")[0].replace("-", " ").lower() for path, _ in found),
        tuple(caption for _, caption in found),
    )


def _captioned_files(folder: Path) -> Iterator[tuple[Path, str]]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise UsageError(f"the folder cannot be read: {error.strerror}", path=folder) from error
    for path in paths:
        if not path.stem.rpartition("-")[2].isdecimal() or not path.stem.rpartition("-")[0]:
            raise UsageError("its name does not say what it shows", path=path, remedy="Name it like cow-12.png")
        try:
            caption = " ".join(path.with_suffix(".txt").read_text("utf-8").split()).lower()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("it has no caption", path=path, remedy=f"Write one into {path.stem}.txt") from error
        if not caption:
            raise UsageError("its caption is empty", path=path, remedy=f"Write one into {path.stem}.txt")
        yield path, caption


def _reduced(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"the picture cannot be read: {error}", path=path) from error
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.uint8)
