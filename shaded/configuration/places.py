"""Where things are: the home folder, the platform's own places, and what a path that a person wrote means."""

from __future__ import annotations

import errno
import os
import pwd
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shaded.errors import ConfigurationError

#: What shells and Windows would fill in: ``$HOME``, ``${HOME}``, ``%USERPROFILE%``.
_VARIABLE = re.compile(r"\$\{[^{}]*\}|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%")
_HOME_VARIABLES = re.compile(r"\$\{?HOME\}?|%USERPROFILE%|%HOMEPATH%", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")

Identity = tuple[int, int]


class Written(str):
    """Text that stands in a file: a relative path in it begins in ``folder``."""

    __slots__ = ("folder",)
    folder: Path

    @classmethod
    def within(cls, value: Any, folder: Path) -> Any:
        """A parsed file with each of its texts knowing where it was written."""
        if isinstance(value, dict):
            return {key: cls.within(inner, folder) for key, inner in value.items()}
        if isinstance(value, list):
            return [cls.within(inner, folder) for inner in value]
        if not isinstance(value, str):
            return value
        text = cls(value)
        text.folder = folder
        return text


def home(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The home folder: ``HOME``, else what the system says of this user; ``None`` where there is neither."""
    named = environment.get("HOME", "")
    if named.startswith("/"):
        return Path(named)
    try:
        known = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's user need not be known to anybody
        return None
    return Path(known) if known.startswith("/") else None


def default_state_dir(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The platform's state folder for this program (XDG on Linux, Application Support on macOS).

    Raises:
        ConfigurationError: There is no home folder for it.
    """
    place = _own_place(environment, platform, "XDG_STATE_HOME", ".local/state")
    if place is None:
        raise ConfigurationError(
            "state_dir: this user has no home folder to keep the state in",
            remedy="Set SHADED_STATE_DIR, or state_dir in the settings file, to a folder for it",
        )
    return place


def default_config_file(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path | None:
    """Where the settings file is looked for when no ``--config`` is given; ``None`` without a home folder."""
    place = _own_place(environment, platform, "XDG_CONFIG_HOME", ".config")
    return None if place is None else place / "config.toml"


def _own_place(environment: Mapping[str, str], platform: str, variable: str, below_home: str) -> Path | None:
    base = environment.get(variable, "")
    if platform != "darwin" and base.startswith("/"):
        return Path(base) / "shaded"
    at_home = home(environment)
    if at_home is None:
        return None
    return at_home / ("Library/Application Support" if platform == "darwin" else below_home) / "shaded"


def settings_file(config: Path | None) -> Path | None:
    """The file that the settings are read from: the named one, or the platform's own where there is one.

    A home folder that this user may not enter holds nothing of theirs: a container's user may have root's.

    Raises:
        ConfigurationError: ``config`` means no file here.
    """
    if config is not None and os.path.lexists(config):
        return absolute(config)
    if config is not None:
        try:
            return Path(path_written(os.fspath(config)))
        except ValueError as error:
            raise ConfigurationError(f"--config: {error}") from error
    place = default_config_file()
    try:
        return place if place is not None and os.lstat(place) else None
    except OSError as error:
        absent = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG)
        return None if absent else place  # whoever reads it says what is wrong: a network home may be away


def is_lasting(path: Path) -> bool:
    """Whether a settings file can be read again by another process: a pipe cannot."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - raises no other errors than Path.stat
    except (OSError, ValueError):
        return True


def absolute(path: Path | str, base: Path | None = None) -> Path:
    """An absolute path. Links are not followed, except where ``..`` comes after them, which only following can tell.

    Args:
        path: As it was written; a ``~`` means nothing here.
        base: Where a relative one begins; the working directory by default.
    """
    text = os.path.join(base or "", path)  # noqa: PTH118 - a Path would lose "..", and must not
    parts = Path(text).parts
    if ".." in parts:
        above = len(parts) - parts[::-1].index("..")
        text = os.path.join(os.path.realpath(Path(*parts[:above])), *parts[above:])  # noqa: PTH118
    return Path("/" + os.path.abspath(text).lstrip("/"))  # noqa: PTH100 - Path.resolve would follow links


def path_written(value: Any) -> Any:
    """What a path in the settings means, absolute; what is no text is left for the type to refuse.

    ``~`` and ``~name`` are home folders. A relative path begins beside the file that it stands in, else in the
    working directory. A link is not followed: a link as a root is the user's own choice.

    Raises:
        ValueError: It means no folder here, as one clause that says what to write.
    """
    if not isinstance(value, str | os.PathLike):
        return value
    text = os.fspath(value)
    base = value.folder if isinstance(value, Written) else None
    if isinstance(text, bytes):
        return value
    _refuse_no_path(text)
    first, slash, rest = text.partition("/")
    if first.startswith("~"):
        return absolute(os.fspath(_home_of(first)) + slash + rest)
    _refuse_variables(text, base)
    return absolute(text, base)


def _refuse_no_path(text: str) -> None:
    if not text.strip():
        raise ValueError("it is empty; write the path of a folder")
    if "\0" in text:
        raise ValueError("no path can hold a zero byte")
    if _ADDRESS.match(text):
        raise ValueError(f"{text!r} is an address; write the path of a folder on this machine")
    if _WINDOWS.match(text):
        raise ValueError(f"{text!r} is a path of Windows; write it as this system has it, with / between folders")
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":  # Docker's files of variables keep them
        raise ValueError(f"{text!r} has quotes as a part of it; leave the inner ones out")
    if text[0].isspace() and text.strip()[0] in "/~":
        raise ValueError(f"{text!r} begins with a space; leave it out")


def _home_of(word: str) -> Path:
    """What ``~`` or ``~name`` stands for."""
    name = word[1:]
    if not name:
        own = home()
        if own is None:
            raise ValueError("this user has no home folder that ~ could mean; write the whole path")
        return own
    try:
        known = pwd.getpwnam(name).pw_dir
    except KeyError:
        raise ValueError(
            f"there is no user {name!r} whose home folder {word!r} could mean; "
            f"write the whole path, or ./{word} for a folder of that name"
        ) from None
    return Path(known)


def _refuse_variables(text: str, base: Path | None) -> None:
    """A variable stays as it is written, and a folder called ``$HOME`` is what nobody wants.

    Further down a folder may really be called so; then it is there.
    """
    parts = text.split("/")
    for number, part in enumerate(parts):
        found = _VARIABLE.search(part)
        if found is None or not (found[0] == part or found[0].startswith("${") or (found.start() == number == 0)):
            continue
        if number and os.path.lexists(absolute("/".join(parts[: number + 1]), base)):
            continue
        meant = _HOME_VARIABLES.fullmatch(found[0]) and not number and found[0] == part
        instead = f"write {'/'.join(['~', *parts[1:]])!r}" if meant else "write the whole path, or ~ for a home folder"
        raise ValueError(f"variables such as {found[0]} are not filled in here; {instead}")


def identity(path: Path) -> Identity | None:
    """Device and inode of what a path leads to; ``None`` where there is nothing."""
    try:
        status = os.stat(path)  # noqa: PTH116 - see PTH in the project's settings: Path.stat is the same
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def same_or_inside(inner: Path, outer: Path) -> bool:
    """Whether a folder is another one or lies in it, under whatever names: links, mounts, upper and lower case."""
    inner, outer = Path(os.path.realpath(inner)), Path(os.path.realpath(outer))
    if inner.is_relative_to(outer):
        return True
    there = identity(outer)
    return there is not None and any(identity(above) == there for above in (inner, *inner.parents))


def known_as(path: Path, folders: Iterable[Path]) -> Path:
    """The path of the same file below one of ``folders``, as these are written; the path itself where it is in none.

    A path may lead through a link to an outbox, or to a folder in it, or be written in another case.
    """
    folders = list(folders)
    if any(path.is_relative_to(folder) for folder in folders):
        return path
    identities = {found: folder for folder in reversed(folders) if (found := identity(folder)) is not None}
    for way in (path, Path(os.path.realpath(path.parent), path.name), Path(os.path.realpath(path))):
        for above in (way, *way.parents):
            folder = identities.get(identity(above) or (-1, -1))
            if folder is not None:
                return folder / way.relative_to(above)
    return path
