"""What the ledger remembers for other rooms: which mount each watched folder was on, and what workers have learned."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from shaded.clock import SystemClock
from shaded.daemon.holdings import LEDGER_NAME
from shaded.errors import ShadedError
from shaded.ledger import Ledger, LedgerReader
from shaded.outbox.roots import ShortMemory
from shaded.settings import Settings

Kind = Literal["outbox", "publish"]


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


def used_before(settings: Settings) -> set[Path]:
    """The folders that were in use once: a missing one of these is away, and making it would hide that."""
    reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, SystemClock())
    if reader is None:
        return set()
    with reader:
        folders = settings.folder
        keys = {path: _key("outbox", path) for path in (folder.outbox for folder in folders)}
        keys |= {path: _key("publish", path) for path in (folder.publish for folder in folders)}
        return {path for path, key in keys.items() if reader.meta_get(key) is not None}
