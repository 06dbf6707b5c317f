"""What ``shade`` is given, looked at before any work begins: whether it can be a picture, and whether it is a copy."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from shaded.clock import SystemClock
from shaded.daemon.instance import LEDGER_NAME
from shaded.errors import PictureError, Refusal, ShadedError, Unreadable
from shaded.ledger import LedgerReader
from shaded.outbox.screening import read_bytes, screen
from shaded.publishing.naming import SIDECAR_SUFFIX
from shaded.publishing.sidecar import parse_sidecar, read_document
from shaded.publishing.sidecar_places import SidecarPlaces, mirrored
from shaded.settings import Settings

_HASH = re.compile(rb"[0-9a-f]{64}")
_PATTERN = re.compile(r"[*?\[]")


class Sources:
    """Looks at sources, and knows this program's own published copies: they are not shaded again by mistake.

    A copy is known by the ledger, and by a sidecar that names its hash: in its folder, or where that folder's sidecars
    stand by the settings. What either is called does not matter.

    Args:
        settings: Where the ledger is, and the largest files and pictures that are read.
        places: Where sidecars stand.
        again: Copies are taken too.
    """

    def __init__(self, settings: Settings, places: SidecarPlaces, *, again: bool) -> None:
        self._watching = settings.watching
        self._places = places
        self._again = again
        self._place = settings.state_dir / LEDGER_NAME
        self._ledger: LedgerReader | None = None
        self._named: dict[Path, dict[bytes, list[Path]]] = {}

    def __enter__(self) -> Self:
        """Open the ledger, if there is one; a damaged one knows nothing, and keeps nobody from shading."""
        with suppress(ShadedError):
            self._ledger = LedgerReader.open_readonly(self._place, SystemClock())
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        if self._ledger is not None:
            self._ledger.close()

    def look(self, path: Path) -> int:
        """The number of a picture's pixels; 0 where that is not seen, and the worker will say why.

        Raises:
            PictureError: It cannot be a picture, or it is a copy.
        """
        _refuse_no_picture(path)
        try:
            data = read_bytes(path, path.parent, self._watching.max_bytes)
        except (PictureError, OSError):
            return 0
        if not self._again and self._is_copy(path, hashlib.sha256(data).hexdigest()):
            raise Refusal(
                "it is a shaded copy, and is not shaded again",
                path=path,
                remedy="Name the original, or add --again to shade the copy once more",
            )
        with suppress(PictureError, OSError):
            screened = screen(data, path, self._watching.max_pixels)
            return screened.width * screened.height
        return 0

    def _is_copy(self, path: Path, sha256: str) -> bool:
        with suppress(ShadedError):
            if self._ledger is not None and self._ledger.is_own_output(sha256):
                return True
        folder = path.parent
        if folder not in self._named:
            self._named[folder] = _hashes_in_sidecars(
                folder if place is None else mirrored(place, folder) for place in self._places.all
            )
        return any(_states(beside, sha256) for beside in self._named[folder].get(sha256.encode(), ()))


def _refuse_no_picture(path: Path) -> None:
    """Say no to a name that no file has, or that has something else.

    Raises:
        PictureError: That is so.
    """
    if not os.path.lexists(path):
        pattern = _PATTERN.search(path.name)
        remedy = "No file fits this pattern; check it" if pattern else "Check its name"
        raise Unreadable("there is no such file", path=path, remedy=remedy)
    if path.is_symlink() and not path.exists():
        raise Unreadable("it is a link that leads to no file", path=path, remedy="Name the picture itself")
    if path.is_dir() and not path.is_symlink():
        raise Refusal(
            "it is a folder, and no picture", path=path,
            remedy="Name the pictures in it; `shaded run --once` takes a whole folder",
        )  # fmt: skip


def _hashes_in_sidecars(folders: Iterable[Path]) -> dict[bytes, list[Path]]:
    """Everything that looks like a hash in the sidecars of folders, and where it stands; hardly anything is parsed."""
    found: dict[bytes, list[Path]] = {}
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as listing:
            for name in (entry.name for entry in listing if entry.name.endswith(SIDECAR_SUFFIX)):
                with suppress(PictureError):
                    for sha256 in set(_HASH.findall(read_document(folder / name))):
                        found.setdefault(sha256, []).append(folder / name)
    return found


def _states(sidecar: Path, sha256: str) -> bool:
    """Whether a sidecar names these bytes as the published ones."""
    with suppress(PictureError):
        return parse_sidecar(read_document(sidecar)).published.sha256 == sha256
    return False
