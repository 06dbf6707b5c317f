"""Which names in an outbox are never pictures to take, and why.

Three layers of gitignore-style patterns, later ones win and ``!pattern`` takes back: the built-in list
below, a ``.shadedignore`` file in the outbox, the settings' ``watching.ignore``. As in git, nothing inside an
ignored folder can be taken back without taking back the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from pathspec import GitIgnoreSpec

from shaded.errors import ConfigurationError
from shaded.logs import get_logger

IGNORE_FILE = ".shadedignore"
_LARGEST_IGNORE_FILE = 65_536

#: Written in lower case; they match any case, since cameras, NAS devices and Windows do not agree on one.
BUILT_IN = (
    ".*",  # hidden files and folders; the more telling patterns below win as the reason
    ".~*",
    "._*",
    "*~",
    "~$*",
    "*.tmp",
    "*.temp",
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.download",
    "*.opdownload",
    "*.aria2",
    "*.swp",
    "*.lock",
    "*.pdnsave",
    "*.sb-????????-??????",  # macOS safe save
    ".goutputstream-*",
    ".krita-*-autosave.kra",
    "*_ottmp*.*",  # OpenToonz: a picture's suffix on a file that is being written
    "*.shaded.json",
    ".shaded-outbox",  # the marker of a watched folder
    "~syncthing~*",
    ".syncthing.*",
    ".stfolder",
    ".stversions",
    ".sync*",
    "*.!sync",
    ".dropbox*",
    ".git/",
    ".ds_store",
    "thumbs.db",
    "desktop.ini",
    "__macosx/",
    "@eadir/",
    "#recycle/",
    "$recycle.bin/",
    "system volume information/",
    "lost+found/",
)


def _any_case(pattern: str) -> str:
    """``*.tmp`` becomes ``*.[tT][mM][pP]``; a leading ``#`` or ``!`` is meant literally and escaped."""
    spelled = "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in pattern)
    return f"\\{spelled}" if spelled[0] in "#!" else spelled


def _says_something(pattern: str) -> bool:
    """Whether the line is a pattern, and no blank or comment; raises ``ValueError`` where it is malformed."""
    return any(compiled.include is not None for compiled in GitIgnoreSpec.from_lines([pattern]).patterns)


class IgnoreRules:
    """The three layers, compiled.

    Args:
        patterns: The settings' patterns; a malformed one is a :class:`ConfigurationError`.
        file_patterns: Lines of ``.shadedignore``; a malformed one is left out with a warning.
    """

    def __init__(self, patterns: Iterable[str] = (), file_patterns: Iterable[str] = ()) -> None:
        layers = [(_any_case(pattern), f"{pattern} (built in)") for pattern in BUILT_IN]
        layers += [(line, f"{line} ({IGNORE_FILE})") for line in file_patterns if _is_sound(line)]
        for pattern in patterns:
            try:
                if _says_something(pattern):
                    layers.append((pattern, f"{pattern} (watching.ignore)"))
            except ValueError as error:
                raise ConfigurationError(
                    f"watching.ignore: {pattern!r} is no gitignore pattern", remedy="Mend the pattern"
                ) from error
        self._spec = GitIgnoreSpec.from_lines([line for line, _ in layers])
        self._reasons = tuple(reason for _, reason in layers)

    @classmethod
    def for_root(cls, root: Path, patterns: Iterable[str] = ()) -> IgnoreRules:
        """The rules of one outbox, with its ``.shadedignore`` where it has one."""
        return cls(patterns, read_ignore_file(root))

    def ignored(self, relative: PurePath, is_dir: bool = False) -> str | None:
        """Why a path relative to the outbox is ignored: the pattern and where it stands; or ``None``."""
        parents = [(parent.as_posix(), True) for parent in reversed(relative.parents[:-1])]
        for name, folder in [*parents, (relative.as_posix(), is_dir)]:
            verdict = self._spec.check_file(f"{name}/" if folder else name)
            if verdict.include and verdict.index is not None:
                return self._reasons[verdict.index]
        return None


def _is_sound(pattern: str) -> bool:
    try:
        return _says_something(pattern)
    except ValueError as error:
        get_logger("outbox").warning("an ignore pattern is malformed", pattern=pattern, error=str(error))
        return False


def read_ignore_file(root: Path) -> list[str]:
    """The lines of an outbox's ``.shadedignore``; none where it is absent, a link, or not readable as text."""
    path = root / IGNORE_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - the descriptor was opened without following links
            return stream.read(_LARGEST_IGNORE_FILE).decode("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        get_logger("outbox").warning("the ignore file is not readable", path=str(path), error=str(error))
        return []
