"""The vocabulary and the anchor gallery as they lie in the package: found, read, and nothing decoded."""

from __future__ import annotations

import functools
import hashlib
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class GalleryEntry:
    """One bundled anchor picture: a square WebP with alpha, an object alone on transparent ground."""

    concept: str
    variant: int
    path: Path
    sha256: str


def vocabulary_tables() -> dict[str, Any]:
    """Read the bundled vocabulary (`vocabulary.toml`): kinds, their concepts, and which kinds are related."""
    return tomllib.loads(_package_folder().joinpath("vocabulary.toml").read_text("utf-8"))


@functools.cache
def load_gallery() -> tuple[GalleryEntry, ...]:
    """List the bundled anchors, ordered by concept and variant.

    A file `hot-air-balloon-2.webp` is the second variant of the concept `hot-air balloon`; a file whose
    name belongs to no concept of the vocabulary is a mistake in the package and raises `ValueError`.
    """
    kinds = {kind: entries for kind, entries in vocabulary_tables().items() if kind != "related"}
    names = {concept_slug(name): name for entries in kinds.values() for name in entries}
    entries = []
    for path in gallery_folder().glob("*.webp"):
        slug, _, variant = path.stem.rpartition("-")
        if slug not in names or not variant.isdecimal():
            raise ValueError(f"{path.name}: not named CONCEPT-NUMBER.webp after a concept of the vocabulary")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        entries.append(GalleryEntry(names[slug], int(variant), path, digest))
    return tuple(sorted(entries, key=lambda entry: (entry.concept, entry.variant)))


def concept_slug(name: str) -> str:
    """Give what stands for a concept in a file's name: `hot-air balloon` -> `hot-air-balloon`."""
    return name.replace(" ", "-").replace("'", "")


def gallery_folder() -> Path:
    """Give the folder that holds the anchors' vector sources and their rendered pictures."""
    return _package_folder() / "gallery"


def subjects_folder() -> Path:
    """Give the folder of drawn things that the poison trial shades: they are no anchors."""
    return _package_folder() / "subjects"


def _package_folder() -> Path:
    return Path(str(files("shaded.models")))
