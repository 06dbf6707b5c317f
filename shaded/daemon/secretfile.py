"""The installation's secret: in a file of its own with a checksum, so that it outlives a damaged ledger.

A copy is kept in the ledger, and mends the file when that is missing or damaged. Earlier versions had only the copy.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

from shaded import logs
from shaded.daemon.holdings import LEDGER_NAME, SECRET_NAME, claim_state, read_small, write_small
from shaded.errors import StateUnusable, Unavailable
from shaded.ledger import Ledger
from shaded.ledger.connection import peek
from shaded.settings import Settings

logger = logs.get_logger("daemon")

_KEY = "secret"
_SECRET = re.compile(r"\A[0-9a-f]{64}\Z")
_FORM = re.compile(rb"\Ashaded secret 1 ([0-9a-f]{64}) ([0-9a-f]{64})\n\Z")


def installation_secret(settings: Settings, ledger: Ledger | None = None) -> str:
    """The secret that chooses targets on this installation, 64 hexadecimal digits; made if there is none yet.

    Args:
        settings: They name the state folder.
        ledger: The daemon's own, where there is a daemon; without it the ledger's file is only read.

    Raises:
        StateUnusable: The file is damaged, and there is no copy.
        LedgerDamaged: There is no file, and the ledger's copy cannot be read.
        Unavailable, Transient: The state folder cannot be used now.
    """
    if ledger is None:
        claim_state(settings.state_dir)
    place = settings.state_dir / SECRET_NAME
    known = read_secret(place)
    if known is None:
        copy = _copy_in(ledger, settings.state_dir / LEDGER_NAME)
        if copy is None and _stands(place):
            raise StateUnusable(
                "the installation's secret is damaged, and the ledger has no copy of it",
                path=place,
                remedy="Restore the file from a backup; or move it away, and a new secret is made: pictures of one "
                "concept are then moved toward another target than before",
            )
        known = copy or secrets.token_hex(32)
        try:
            write_small(place, _text(known))
        except OSError as error:
            if copy is None:
                raise Unavailable(
                    f"the installation's secret cannot be written: {error.strerror}",
                    path=place,
                    remedy="Make the state folder writable",
                ) from error
            logger.warning("the secret's file cannot be written; the ledger has it", path=str(place), why=str(error))
        else:
            logger.info("wrote the installation's secret", path=str(place))
    if ledger is not None and ledger.meta_get(_KEY) != known:
        ledger.meta_set(_KEY, known)
    return known


def read_secret(place: Path) -> str | None:
    """What the file says; ``None`` where it is missing or damaged.

    Raises:
        Unavailable: It cannot be read now.
    """
    try:
        found = _FORM.match(read_small(place, 1024) or b"")
    except OSError as error:
        raise Unavailable(
            f"the installation's secret cannot be read: {error.strerror}", path=place, remedy="Make it readable"
        ) from error
    return found[1].decode() if found and _checksum(found[1]) == found[2] else None


def _text(secret: str) -> bytes:
    return b"shaded secret 1 %s %s\n" % (secret.encode(), _checksum(secret.encode()))


def _checksum(secret: bytes) -> bytes:
    return hashlib.sha256(b"shaded secret " + secret).hexdigest().encode()


def _stands(place: Path) -> bool:
    return place.is_symlink() or place.exists()


def _copy_in(ledger: Ledger | None, place: Path) -> str | None:
    """The ledger's copy, if it is whole."""
    if ledger is not None:
        copy = ledger.meta_get(_KEY)
    else:
        rows = peek(place, "SELECT value FROM meta WHERE key = 'secret'")
        copy = str(rows[0][0]) if rows else None
    return copy if copy is not None and _SECRET.match(copy) else None
