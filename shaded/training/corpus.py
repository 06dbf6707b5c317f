"""Training pictures: collected once into a cache of small arrays, then served as crops of canvases with anchors.

`python -m shaded.training.corpus --sources GROUP=DIR... --exclude DIR --cache DIR` reads unpacked picture packages and
writes one `.npy` (uint8, H x W x 4, RGBA) per picture. Pictures that look like one in `--exclude`, or whose path says
that they show the same scene, are left out: what models are judged on was never trained on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

__all__ = ["Corpus", "Pixels", "Sample", "build_cache", "flat_grounded", "load_corpus"]

Pixels = NDArray[np.uint8]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif", ".gif"}
_LONGEST_PICTURE = 1400
_LONGEST_OBJECT = 900
_THUMB = 16
_SAME_PICTURE = 0.93
_FEWEST_PIXELS = 100 * 100
_DIAGRAMS = ("class", "struct", "union", "interface", "inherit_graph", "dir_", "group__")
_SAME_SCENE = ("/Kay/", "/SafeLanding/", "/FlyingKonqui/", "/aloe", "gryphon")
_GROUP_SHARES = {"wallpaper": 0.35, "painting": 0.35, "photo": 0.18, "object": 0.12}


def _thumbnail(picture: Image.Image) -> NDArray[np.float32]:
    """A small gray thumbnail over mid-gray, centred and scaled to unit length: its dot product is a correlation."""
    rgba = picture.convert("RGBA")
    ground = Image.new("RGBA", rgba.size, (128, 128, 128, 255))
    gray = Image.alpha_composite(ground, rgba).convert("L").resize((_THUMB, _THUMB), Image.Resampling.BOX)
    values = np.asarray(gray, dtype=np.float32).ravel()
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-3), dtype=np.float32)


def _pictures_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and not path.is_symlink() and not path.name.startswith(_DIAGRAMS):
            yield path


def _opened(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height < _FEWEST_PIXELS or min(picture.size) < 64:
                return None
            picture.draft("RGB", (_LONGEST_PICTURE, _LONGEST_PICTURE))
            return ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, ValueError, SyntaxError):
        return None


def _thumbnails_of(folder: Path) -> NDArray[np.float32]:
    opened = (_opened(path) for path in _pictures_in(folder))
    thumbs = [_thumbnail(view) for picture in opened if picture is not None for view in _views(picture)]
    return np.stack(thumbs)


def _views(picture: Image.Image) -> Iterable[Image.Image]:
    """The picture, its mirror and quarter turns: an excluded picture must not slip in by being turned."""
    yield picture
    yield ImageOps.mirror(picture)
    yield from (picture.transpose(turn) for turn in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270))


def build_cache(sources: Sequence[tuple[str, Path]], excluded: Path, cache: Path) -> dict[str, list[str]]:
    """Fill `cache` with decoded pictures of `sources`; returns the names kept, excluded and unreadable."""
    cache.mkdir(parents=True, exist_ok=True)
    known = _thumbnails_of(excluded)
    seen: list[NDArray[np.float32]] = []
    report: dict[str, list[str]] = {"kept": [], "excluded": [], "repeated": [], "skipped": []}
    for group, path in ((group, path) for group, source in sources for path in _pictures_in(source)):
        if any(scene in str(path) for scene in _SAME_SCENE):
            report["excluded"].append(f"{path.parent.name}/{path.name}")
            continue
        picture = _opened(path)
        if picture is None:
            report["skipped"].append(path.name)
            continue
        thumb = _thumbnail(picture)
        likeness = float((known @ thumb).max())
        if likeness > _SAME_PICTURE:
            report["excluded"].append(f"{path.parent.name}/{path.name} {likeness:.3f}")
        elif seen and float((np.stack(seen) @ thumb).max()) > 0.995:
            report["repeated"].append(path.name)
        else:
            seen.append(thumb)
            stem = f"{group}-{len(seen):04d}-{path.stem[:40]}"
            longest = _LONGEST_OBJECT if stem.startswith("object") else _LONGEST_PICTURE
            picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
            np.save(cache / f"{stem}.npy", np.asarray(picture))
            report["kept"].append(f"{stem} {likeness:.3f}")
    return report


@dataclass(frozen=True)
class Sample:
    """Matching windows of a picture and an anchor on one canvas, each (size, size, 3) uint8."""

    picture: Pixels
    anchor: Pixels


@dataclass(frozen=True)
class Corpus:
    """Decoded pictures, cut-out objects and the gallery's finished anchors, all RGBA."""

    groups: Mapping[str, tuple[Image.Image, ...]]
    gallery: tuple[Image.Image, ...]

    def sample(self, rng: np.random.Generator, size: int, gallery_share: float) -> Sample:
        """A random window of a random canvas; `gallery_share` of the anchors come from the gallery where it has any."""
        names = sorted(self.groups)
        shares = np.array([_GROUP_SHARES[name] for name in names])
        group = self.groups[names[rng.choice(len(names), p=shares / shares.sum())]]
        source = flat_grounded(_any_of(group, rng), rng)
        width, height = _canvas_size(source.size, size, rng)
        left, top = int(rng.integers(width - size + 1)), int(rng.integers(height - size + 1))
        window = (left, top, left + size, top + size)
        picture = _window(source, (width, height), window)
        if rng.random() < 0.5:
            picture = ImageOps.mirror(picture)
        picture = _recoloured(picture, rng)
        ground = _ground(source, (width, height), window, rng)
        use_gallery = bool(self.gallery) and rng.random() < gallery_share
        thing = _any_of(self.gallery if use_gallery else self.groups["object"], rng)
        anchor = _composed(thing, ground, (width, height), window, rng)
        return Sample(np.asarray(picture), np.asarray(anchor))


def load_corpus(cache: Path, gallery: Path | None = None, held_out: int = 37) -> Corpus:
    """Read the cache into memory; every `held_out`-th picture is left out for validation."""
    groups: dict[str, tuple[Image.Image, ...]] = {}
    for name in _GROUP_SHARES:
        paths = sorted(cache.glob(f"{name}-*.npy"))
        kept = [path for index, path in enumerate(paths) if index % held_out or name == "object"]
        groups[name] = tuple(Image.fromarray(np.load(path)) for path in kept)
    finished = sorted(gallery.glob("*.webp")) if gallery is not None and gallery.is_dir() else []
    return Corpus(
        {name: images for name, images in groups.items() if images},
        tuple(Image.open(path).convert("RGBA") for path in finished),
    )


def _any_of(images: Sequence[Image.Image], rng: np.random.Generator) -> Image.Image:
    return images[int(rng.integers(len(images)))]


def flat_grounded(source: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture without transparency, over a random plain colour (white half of the time)."""
    lowest, _ = source.getchannel("A").getextrema()
    if lowest == 255:
        return source.convert("RGB")
    ground = Image.new("RGBA", source.size, (*_colour(rng), 255))
    return Image.alpha_composite(ground, source).convert("RGB")


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    if rng.random() < 0.5:
        return (255, 255, 255)
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return (red, green, blue)


def _canvas_size(source: tuple[int, int], size: int, rng: np.random.Generator) -> tuple[int, int]:
    """A canvas with the source's aspect ratio, long side 256 to 1152, at least `size` a side."""
    longest = float(np.exp(rng.uniform(np.log(max(size, 256)), np.log(1152))))
    scale = longest / max(source)
    scale = max(scale, size / min(source))
    return max(size, round(source[0] * scale)), max(size, round(source[1] * scale))


def _window(source: Image.Image, canvas: tuple[int, int], window: tuple[int, int, int, int]) -> Image.Image:
    """The window of `source` resized to `canvas`, without resizing the rest."""
    across, down = source.width / canvas[0], source.height / canvas[1]
    box = (
        window[0] * across,
        window[1] * down,
        min(window[2] * across, source.width),
        min(window[3] * down, source.height),
    )
    side = (window[2] - window[0], window[3] - window[1])
    return source.resize(side, Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def _recoloured(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Mostly the picture itself; sometimes gray, sometimes with its channels permuted or its tones bent."""
    fate = rng.random()
    if fate < 0.08:
        return picture.convert("L").convert("RGB")
    if fate < 0.2:
        bands = picture.split()
        return Image.merge("RGB", [bands[index] for index in rng.permutation(3)])
    if fate < 0.4:
        curve = 255 * (np.arange(256) / 255) ** float(rng.uniform(0.6, 1.6))
        return picture.point([round(value) for value in curve] * 3)
    return picture


def _ground(
    source: Image.Image, canvas: tuple[int, int], window: tuple[int, int, int, int], rng: np.random.Generator
) -> Image.Image:
    side = (window[2] - window[0], window[3] - window[1])
    fate = rng.random()
    if fate < 0.2:
        return Image.new("RGB", side, _colour(rng))
    if fate < 0.35:
        ends = np.array([_colour(rng), _colour(rng)], dtype=np.float32)
        steps = np.linspace(window[1], window[3], side[1]) / canvas[1]
        rows = ends[0] + (ends[1] - ends[0]) * steps[:, None]
        return Image.fromarray(np.repeat(rows[:, None], side[0], axis=1).astype(np.uint8))
    grain = int(rng.integers(3, 12))
    tiny = source.resize((grain, max(2, round(grain * canvas[1] / canvas[0]))), Image.Resampling.BOX)
    return _window(tiny, canvas, window)


def _composed(
    thing: Image.Image,
    ground: Image.Image,
    canvas: tuple[int, int],
    window: tuple[int, int, int, int],
    rng: np.random.Generator,
) -> Image.Image:
    """The window of a canvas on which `thing` stands large and nearly centred over the ground."""
    reach = float(rng.uniform(0.65, 1.1)) * min(canvas)
    scale = reach / max(thing.size)
    width, height = max(8, round(thing.width * scale)), max(8, round(thing.height * scale))
    jitter = rng.uniform(-0.08, 0.08, 2) * min(canvas)
    left = round((canvas[0] - width) / 2 + jitter[0]) - window[0]
    top = round((canvas[1] - height) / 2 + jitter[1]) - window[1]
    seen = (max(left, 0), max(top, 0), min(left + width, ground.width), min(top + height, ground.height))
    if seen[0] >= seen[2] or seen[1] >= seen[3]:
        return ground
    box = ((seen[0] - left) / scale, (seen[1] - top) / scale, (seen[2] - left) / scale, (seen[3] - top) / scale)
    box = (box[0], box[1], min(box[2], thing.width), min(box[3], thing.height))
    piece = thing.resize((seen[2] - seen[0], seen[3] - seen[1]), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    if rng.random() < 0.5:
        piece = Image.merge("RGBA", [piece.split()[index] for index in (*rng.permutation(3), 3)])
    composed = ground.copy()
    composed.paste(piece, seen[:2], piece)
    return composed


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", nargs="+", required=True, metavar="GROUP=DIR")
    parser.add_argument("--exclude", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    options = parser.parse_args()
    sources = [(group, Path(folder)) for group, _, folder in (entry.partition("=") for entry in options.sources)]
    for name, lines in build_cache(sources, options.exclude, options.cache).items():
        print(f"{name}: {len(lines)}", *lines, sep="\n    ")


if __name__ == "__main__":
    _main()
