"""Where the sidecar of a published picture stands: beside it, or in a folder that others do not see.

In such a folder the sidecar of ``/home/ada/web/fox.png`` is ``FOLDER/home/ada/web/fox.png.shaded.json``. So its place
follows from the picture's path alone: it is found without a ledger, whichever publish folder the picture was reached
through, and no two pictures have the same one. Links in the path of the picture's folder are resolved first, so that
every spelling leads to the same place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from shaded.configuration.places import known_as
from shaded.errors import PictureError
from shaded.publishing.naming import SIDECAR_SUFFIX, sidecar_name
from shaded.publishing.ownership import real_name
from shaded.publishing.sidecar import printable, read_sidecar, sidecar_path


class Located(NamedTuple):
    """A sidecar's path, and the folder above it below which no link is followed."""

    path: Path
    root: Path


@dataclass(frozen=True)
class SidecarPlaces:
    """Where new sidecars go, and where others may stand that were written under other settings.

    Attributes:
        folder: New ones go there; ``None``: beside their pictures.
        earlier: Folders that the settings named before.
    """

    folder: Path | None = None
    earlier: tuple[Path, ...] = ()

    @property
    def others(self) -> tuple[Path | None, ...]:
        """Where new ones do not go, and earlier ones may stand; ``None``: beside their pictures."""
        return tuple(place for place in dict.fromkeys((None, *self.earlier)) if place != self.folder)

    @property
    def all(self) -> tuple[Path | None, ...]:
        """Every place, in the order in which a sidecar is looked for."""
        return self.folder, *self.others

    def new(self, picture: Path) -> Path:
        """Where the sidecar of a picture goes."""
        return sidecar_in(self.folder, picture)

    def find(self, picture: Path, root: Path) -> Located:
        """Where the sidecar of a picture stands; where it would go, if there is none.

        Where something has its name in several places, it is the first that describes the picture by name and size:
        somebody's file may have been there before the settings named that folder.

        Args:
            picture: An absolute path.
            root: The folder above the picture below which no link is followed.
        """
        located = [Located(sidecar_in(place, picture), place or root) for place in self.all]
        standing = [each for each in located if os.path.lexists(each.path)]
        if len(standing) > 1:
            return next((each for each in standing if _describes(each, picture)), standing[0])
        return (standing or located)[0]

    def picture_of(self, sidecar: Path) -> Path:
        """The picture whose sidecar has this path; any other path is given back as it is."""
        if not sidecar.name.endswith(SIDECAR_SUFFIX) or sidecar.name == SIDECAR_SUFFIX:
            return sidecar
        picture = sidecar.with_name(sidecar.name.removesuffix(SIDECAR_SUFFIX))
        places = [place for place in self.all if place is not None]
        inside = known_as(picture, places)  # which may be reached through a link
        place = next((place for place in places if inside.is_relative_to(place)), None)
        return picture if place is None else Path("/", inside.relative_to(place))


#: Sidecars beside their pictures, as they always were at first.
BESIDE = SidecarPlaces()


def sidecar_in(place: Path | None, picture: Path) -> Path:
    """The path of a picture's sidecar in one place; ``None``: beside it."""
    if place is None:
        return sidecar_path(picture)
    return mirrored(place, picture.parent) / sidecar_name(picture.name)


def _describes(sidecar: Located, picture: Path) -> bool:
    try:
        stated = read_sidecar(*sidecar).published
        return stated.name == printable(picture.name) and stated.bytes == picture.lstat().st_size
    except (PictureError, OSError):
        return False


def mirrored(place: Path, folder: Path) -> Path:
    """The folder below ``place`` for the sidecars of the pictures in ``folder``, an absolute path."""
    return place.joinpath(*real_name(folder / "_").parts[1:-1])
