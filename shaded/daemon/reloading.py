"""Reading the settings anew while the daemon runs: all of them, or none, and what cannot change is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shaded.settings import Settings

#: Reads the settings; keyword arguments are top-level keys that win over file and environment.
Reader = Callable[..., Settings]

#: What holds until the end of the process, since the ledger, the lock, finished pictures and the way to a cluster are
#: there.
FIXED = ("state_dir", "publishing", "cluster")


@dataclass(frozen=True)
class Reread:
    """Settings that were read anew.

    Attributes:
        settings: What holds from now on; valid as a whole.
        kept: The keys that were changed in vain, and hold after the next start.
    """

    settings: Settings
    kept: tuple[str, ...]


def reread(read: Reader, current: Settings) -> Reread:
    """Read the settings, with the present values of what cannot change.

    Raises:
        ConfigurationError: They are wrong; the present ones go on holding.
    """
    wanted = read()
    kept = tuple(key for key in FIXED if getattr(wanted, key) != getattr(current, key))
    if kept:
        wanted = read(**{key: getattr(current, key) for key in FIXED})
    return Reread(wanted, kept)
