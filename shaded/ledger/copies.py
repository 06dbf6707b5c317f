"""What was put under which published name, for which source: the proof that a file may be replaced."""

from __future__ import annotations

import secrets
import sqlite3
import unicodedata
from pathlib import Path
from typing import Any

from shaded.errors import LedgerDamaged
from shaded.ledger.connection import RECOVER, fetch, reading, writing
from shaded.ledger.records import path_from_blob, path_to_blob
from shaded.publishing.ownership import Copy, real_name

#: A token is part of the names of files that are removed: nothing else that stands in the column is taken for one.
_SOUND = "(typeof(token) = 'text' AND length(token) = 16 AND token NOT GLOB '*[^0-9a-f]*')"


class Copies:
    """The table ``copies``: one row for each pair of files that one source put, or is about to put, under a name.

    Rows outlive jobs and placements: a source that is edited, refused or admitted anew still owns what it published.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | str) -> None:
        self._connection = connection
        self._path = path

    def of(self, root: Path, relative: Path) -> list[Copy]:
        """What the source at ``root / relative`` put anywhere, the latest first."""
        return self._copies(
            "WHERE root = :root AND relative = :relative ORDER BY id DESC",
            root=path_to_blob(root),
            relative=path_to_blob(relative),
        )

    def named_by_another(self, published: Path, root: Path, relative: Path) -> bool:
        """Whether a published name belongs to a source other than ``root / relative``."""
        return any(owner != (root, relative) for owner in self.owners(published))

    def of_the_same(self, relative: Path, sha256: str) -> list[tuple[Path, Copy]]:
        """What sources with this path in any outbox put that has these very bytes, with the outbox of each."""
        rows = self._rows(
            "SELECT root, path, sha256, sidecar_sha256, size, token FROM copies "
            "WHERE sha256 = :sha256 AND relative = :relative",
            sha256=sha256,
            relative=path_to_blob(relative),
        )
        return [(path_from_blob(root), Copy(path_from_blob(path), *others)) for root, path, *others in rows]

    def owners(self, published: Path) -> list[tuple[Path, Path]]:
        """The sources that a published name belongs to: outbox and path in it. It is one, but for older ledgers."""
        rows = self._rows(
            "SELECT DISTINCT root, relative FROM copies WHERE path IN (:path, :spelled)",
            path=path_to_blob(real_name(published)),
            spelled=path_to_blob(published),
        )
        return [(path_from_blob(root), path_from_blob(relative)) for root, relative in rows]

    def held_by_another(self, copy: Copy, root: Path, relative: Path) -> bool:
        """Whether a file that stands there is another source's, also under a name that the disk takes for the same.

        Where a disk ignores case, ``Fox.png`` and ``fox.png`` are one file. Two names that differ otherwise are two
        copies, even where somebody saved space with a hard link: replacing one leaves the other.
        """
        if self.named_by_another(copy.path, root, relative):
            return True
        twins = self._copies(
            "WHERE sha256 = :sha256 AND NOT (root = :root AND relative = :relative)",
            root=path_to_blob(root),
            relative=path_to_blob(relative),
            sha256=copy.sha256,
        )
        return any(_is_same_name(twin.path, copy.path) for twin in twins)

    def under_way(self) -> list[Copy]:
        """What was begun and not ended: its temporary files may be left over from a crash."""
        return self._copies(f"WHERE token != '' AND {_SOUND}")

    def intend(self, root: Path, relative: Path, copy: Copy) -> str:
        """Record what is about to be put under a name; durable when it returns.

        Returns:
            The token for the names of its temporary files, the same one for the same row.

        Raises:
            LedgerDamaged: The row is not there afterwards.
        """
        values = self._values(root, relative, copy)
        with writing(self._connection, self._path):
            self._connection.execute(
                "INSERT INTO copies (root, relative, path, sha256, sidecar_sha256, size, token) "  # noqa: S608 - a constant
                "VALUES (:root, :relative, :path, :sha256, :sidecar, :size, :token) "
                f"ON CONFLICT DO UPDATE SET token = CASE WHEN {_SOUND} THEN token ELSE :token END",
                values | {"token": secrets.token_hex(8)},
            )
            row = self._connection.execute(
                "SELECT token FROM copies WHERE root = :root AND relative = :relative AND path = :path "
                "AND sha256 = :sha256 AND sidecar_sha256 = :sidecar",
                values,
            ).fetchone()
        if row is None:  # an index has a row that the table has otherwise
            raise LedgerDamaged("the ledger is damaged", path=self._path, remedy=RECOVER)
        return str(row[0])

    def settle(self, root: Path, relative: Path, published: Path, sha256: str) -> None:
        """Inside a transaction: the copy is in place, so whatever else the source put is not its own any more.

        Whoever held the name before gave it up: an outbox that is not watched any more. Its place is forgotten, so that
        it gets a copy of its own where it is watched again.
        """
        where = "root = :root AND relative = :relative"
        same = "path = :path AND sha256 = :sha256"
        values = self._values(root, relative, Copy(published, sha256, None))
        self._connection.execute(f"DELETE FROM copies WHERE {where} AND NOT ({same})", values)  # noqa: S608
        self._connection.execute(f"UPDATE copies SET token = '' WHERE {where} AND {same}", values)  # noqa: S608
        self._connection.execute(
            "DELETE FROM placements WHERE published IS NOT NULL AND (root, relative) IN "  # noqa: S608
            f"(SELECT root, relative FROM copies WHERE path = :path AND NOT ({where}))",
            values,
        )
        self._connection.execute(f"DELETE FROM copies WHERE path = :path AND NOT ({where})", values)  # noqa: S608
        # Of several rows for the same picture the latest has the sidecar that stands there.
        self._connection.execute(
            f"DELETE FROM copies WHERE {where} AND id < (SELECT MAX(id) FROM copies WHERE {where})",  # noqa: S608
            values,
        )

    def adopt(self, root: Path, relative: Path, copy: Copy) -> None:
        """Inside a transaction: the source owns a pair that was found in place."""
        self._connection.execute(
            "INSERT OR IGNORE INTO copies (root, relative, path, sha256, sidecar_sha256, size) "
            "VALUES (:root, :relative, :path, :sha256, :sidecar, :size)",
            self._values(root, relative, copy),
        )
        self.settle(root, relative, copy.path, copy.sha256)

    @staticmethod
    def _values(root: Path, relative: Path, copy: Copy) -> dict[str, Any]:
        return {
            "root": path_to_blob(root),
            "relative": path_to_blob(relative),
            "path": path_to_blob(real_name(copy.path)),
            "sha256": copy.sha256,
            "sidecar": copy.sidecar_sha256,
            "size": copy.size,
        }

    def _copies(self, where: str, **values: Any) -> list[Copy]:
        rows = self._rows(f"SELECT path, sha256, sidecar_sha256, size, token FROM copies {where}", **values)  # noqa: S608
        return [Copy(path_from_blob(path), *others) for path, *others in rows]

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with reading(self._connection, self._path) as connection:
            return fetch(connection.cursor(), query, values)


def _is_same_name(one: Path, other: Path) -> bool:
    """Whether a disk takes two spellings, which differ in case or in how letters are composed, for one name."""
    try:
        return _folded(one) == _folded(other) and one.samefile(other)
    except OSError:
        return False


def _folded(path: Path) -> str:
    return unicodedata.normalize("NFC", str(path).casefold())
