"""What ``shade`` is given, looked at before any work begins: whether it can be a picture, and whether it is a copy."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Self

from shaded.clock import SystemClock
from shaded.daemon.instance import LEDGER_NAME
from shaded.daemon.remembering import sidecar_places
from shaded.errors import PictureError, Refusal, ShadedError, Unreadable
from shaded.ledger import LedgerReader
from shaded.outbox.screening import read_bytes, screen
from shaded.publishing.naming import SIDECAR_SUFFIX
from shaded.publishing.sidecar import parse_sidecar, read_document
from shaded.publishing.sidecar_places import mirrored
from shaded.settings import Settings

_HASH = re.compile(rb"[0-9a-f]{64}")
_PATTERN = re.compile(r"[*?\[]")


class Sources:
    """Looks at sources, and knows this program's own published copies: they are not shaded again by mistake.

    A copy is known by a sidecar that names its hash and stands where those of its folder stand, whatever either is
    called, and by the ledger.

    Args:
        settings: Where the ledger is, and the largest files and pictures that are read.
        again: Copies are taken too.
    """

    def __init__(self, settings: Settings, *, again: bool) -> None:
        self._settings = settings
        self._again = again
        self._ledger: LedgerReader | None = None
        self._places = sidecar_places(settings, None)
        self._named: dict[Path, dict[bytes, list[Path]]] = {}

    def __enter__(self) -> Self:
        """Open the ledger, if there is one; a damaged one knows nothing, and keeps nobody from shading."""
        with suppress(ShadedError):
            self._ledger = LedgerReader.open_readonly(self._settings.state_dir / LEDGER_NAME, SystemClock())
            self._places = sidecar_places(self._settings, self._ledger)
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
            data = read_bytes(path, path.parent, self._settings.watching.max_bytes)
        except (PictureError, OSError):
            return 0
        if not self._again and self._is_copy(path, hashlib.sha256(data).hexdigest()):
            raise Refusal(
                "it is a shaded copy, and is not shaded again",
                path=path,
                remedy="Name the original, or add --again to shade the copy once more",
            )
        with suppress(PictureError, OSError):
            screened = screen(data, path, self._settings.watching.max_pixels)
            return screened.width * screened.height
        return 0

    def _is_copy(self, path: Path, sha256: str) -> bool:
        with suppress(ShadedError):
            if self._ledger is not None and self._ledger.is_own_output(sha256):
                return True
        folder = path.parent
        if folder not in self._named:
            found = self._named[folder] = {}
            for place in self._places.all:
                _note_hashes(folder if place is None else mirrored(place, folder), found)
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


def _note_hashes(folder: Path, found: dict[bytes, list[Path]]) -> None:
    """Note what looks like a hash in the sidecars of a folder, and where it stands; nothing is parsed for it."""
    with suppress(OSError), os.scandir(folder) as listing:
        for entry in listing:
            if entry.name.endswith(SIDECAR_SUFFIX):
                beside = folder / entry.name
                with suppress(PictureError):
                    for sha256 in set(_HASH.findall(read_document(beside))):
                        found.setdefault(sha256, []).append(beside)


def _states(sidecar: Path, sha256: str) -> bool:
    """Whether a sidecar names these bytes as the published ones."""
    with suppress(PictureError):
        return parse_sidecar(read_document(sidecar)).published.sha256 == sha256
    return False
