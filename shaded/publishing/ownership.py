"""Whose a published name is: what one source put there before, and what others hold.

A file is replaced only where a record says that this source put exactly these bytes under exactly this name. Everything
else, whatever it is called and whoever made it, is kept.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Copy:
    """Bytes that were put, or are about to be put, under a published name for one source path.

    Attributes:
        path: The published picture's path; see :func:`real_name`.
        sha256: The picture's hash.
        sidecar_sha256: The sidecar's hash; ``None`` where an older version published it.
        size: The picture's bytes; what stands there with another size is not even read. ``None``: not known.
        token: Part of the names of its temporary files; empty once it is in place.
    """

    path: Path
    sha256: str
    sidecar_sha256: str | None
    size: int | None = None
    token: str = ""


def real_name(path: Path) -> Path:
    """A published name as every spelling of its folder gives it: links in the folder's path are resolved, not the name.

    Two settings may name one publish folder differently, and a name has one owner all the same.
    """
    return Path(os.path.realpath(path.parent)) / path.name


class Ownership(Protocol):
    """What is known of names in publish folders, as seen by one source."""

    def earlier(self) -> Sequence[Copy]:
        """What this source put, or began to put, anywhere."""

    def is_taken(self, path: Path) -> bool:
        """Whether a published name belongs to another source."""

    def intend(self, copy: Copy) -> str:
        """Record that these bytes are about to be put under this name; durable when it returns.

        Returns:
            The token for the names of the temporary files.
        """


class Unrecorded:
    """Ownership without a ledger: what stands there is known only from what the caller found beforehand."""

    def __init__(self, *found: Copy) -> None:
        self._found = found

    def earlier(self) -> Sequence[Copy]:
        """What the caller found."""
        return self._found

    def is_taken(self, path: Path) -> bool:  # noqa: ARG002 - the protocol's shape
        """Nothing is known of others; what stands there is kept all the same."""
        return False

    def intend(self, copy: Copy) -> str:  # noqa: ARG002 - the protocol's shape
        """A token that nobody remembers."""
        return secrets.token_hex(8)
