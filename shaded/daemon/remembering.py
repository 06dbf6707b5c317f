"""What the ledger remembers for other rooms.

Which mount each watched folder was on, where sidecars went before, and what workers have learned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from shaded.clock import SystemClock
from shaded.daemon.holdings import LEDGER_NAME, Kind
from shaded.errors import ShadedError
from shaded.ledger import Ledger, LedgerReader
from shaded.outbox.roots import ShortMemory
from shaded.publishing.sidecar_places import SidecarPlaces
from shaded.settings import Settings

_SIDECAR_FOLDERS = "folders for sidecars"


class LedgerMemory:
    """Keeps one text in the ledger under a key; see :class:`shaded.outbox.roots.Memory`."""

    def __init__(self, ledger: Ledger, key: str) -> None:
        self._ledger = ledger
        self._key = key

    def recall(self) -> str | None:
        """What was remembered last."""
        return self._ledger.meta_get(self._key)

    def remember(self, text: str) -> None:
        """Keep this."""
        self._ledger.meta_set(self._key, text)


def root_memory(ledger: Ledger, kind: Kind, path: Path) -> LedgerMemory:
    """Remembers what a watched folder was mounted on."""
    return LedgerMemory(ledger, _key(kind, path))


def _key(kind: Kind, path: Path) -> str:
    return f"{kind} {str(path)!a}"


def learned_before(settings: Settings) -> Callable[[str], ShortMemory]:
    """What the ledger remembers, by its key, for a command that keeps nothing; nothing where it cannot be read."""

    def recalled(key: str) -> ShortMemory:
        with suppress(ShadedError):
            reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, SystemClock())
            if reader is not None:
                with reader:
                    return ShortMemory(reader.meta_get(key))
        return ShortMemory()

    return recalled


def used_before(settings: Settings, folders: Iterable[tuple[Kind, Path]]) -> set[Path]:
    """Which folders were in use once: a missing one of these is away, and making it would hide that."""
    reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, SystemClock())
    if reader is None:
        return set()
    with reader:
        return {path for kind, path in folders if reader.meta_get(_key(kind, path)) is not None}


def remembered_sidecar_places(settings: Settings, ledger: Ledger) -> SidecarPlaces:
    """Where sidecars go and stand; the folder of now is kept, so that it is known when the settings name another."""
    places = sidecar_places(settings, ledger)
    latest_first = tuple(dict.fromkeys((places.folder, *places.earlier)))
    if places.folder is not None and latest_first != places.earlier:
        ledger.meta_set(_SIDECAR_FOLDERS, json.dumps([str(path) for path in latest_first]))
    return places


def sidecar_places(settings: Settings, reader: LedgerReader | None) -> SidecarPlaces:
    """Where sidecars go by the settings, and where others may stand by the ledger."""
    remembered = None
    with suppress(ValueError, RecursionError):
        remembered = json.loads((reader and reader.meta_get(_SIDECAR_FOLDERS)) or "[]")
    known = remembered if isinstance(remembered, list) else []
    earlier = (Path(each) for each in known if isinstance(each, str) and each.startswith("/") and "\0" not in each)
    return SidecarPlaces(settings.publishing.sidecars, tuple(earlier))


def sidecar_places_before(settings: Settings) -> SidecarPlaces:
    """The same for a command that has no ledger open; only the settings' where it cannot be read."""
    with suppress(ShadedError):
        reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, SystemClock())
        if reader is not None:
            with reader:
                return sidecar_places(settings, reader)
    return sidecar_places(settings, None)
