"""Temporary files beside the names that they are renamed to, known by a token that was recorded before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from shaded.publishing.naming import LONGEST_NAME
from shaded.publishing.ownership import Copy
from shaded.publishing.sidecar_places import BESIDE, SidecarPlaces, sidecar_in

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def temporaries(name: str, token: str) -> tuple[str, str]:
    """The names of a pair's temporary files: the picture's, and the sidecar's."""
    return _temporary(name, f"{token}-1"), _temporary(name, f"{token}-2")


def _temporary(name: str, token: str) -> str:
    """A name that cloud clients pass over, no longer than a file system allows, and text where ``name`` is."""
    ending = f".{token}.tmp"
    while len(os.fsencode(name)) > LONGEST_NAME - len(ending) - 2:
        name = name[:-1]
    return f".~{name}{ending}"


def remove(folder: int, name: str) -> bool:
    """Remove a temporary file; whether it was there."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def remove_temporaries(copies: Iterable[Copy], places: SidecarPlaces = BESIDE) -> int:
    """Remove the temporary files of copies that a crash interrupted; how many there were.

    Only names with a recorded token are looked for, so that nothing of anybody else's is removed.
    """
    removed = 0
    for copy in copies:
        picture, sidecar = temporaries(copy.path.name, copy.token)
        beside = ((sidecar_in(place, copy.path).parent, sidecar) for place in places.all)
        for path, name in ((copy.path.parent, picture), *beside):
            with suppress(OSError):  # the folder is away, or may not be written: then they stay
                folder = os.open(path, _FOLDER)
                try:
                    removed += remove(folder, name)
                finally:
                    os.close(folder)
    return removed
