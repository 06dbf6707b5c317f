"""What the commands share: options, JSON output, durations and names that are safe to print."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from shaded.clock import spoken
from shaded.configuration import places
from shaded.errors import PictureError, Refusal, UsageError, printable

__all__ = [
    "ConfigOption", "JsonOption", "absolute", "duration", "folder_named", "path_of", "print_json", "printable",
    "refuse_no_folder", "spoken", "unsayable",
]  # fmt: skip

#: What begins like an address of the web, or holds a picture itself (RFC 3986, 3.1; RFC 2397).
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|(?:file|data|blob):)", re.IGNORECASE)
_SHOWN_LENGTH = 100


def path_of(word: str | Path) -> Path:
    """The path that a word of the command line names.

    Raises:
        UsageError: It is empty, stands for standard input or output, or is an address.
    """
    if isinstance(word, Path):  # an option's default
        return word
    if not word:
        raise UsageError("an empty word stands where a file or folder is to be named", remedy="Name one")
    if word == "-":
        raise UsageError(
            "-: standard input and standard output are not supported here",
            remedy="Save what is to be read as a file, and name that; a file that is called so is named ./-",
        )
    if _ADDRESS.match(word) and not os.path.lexists(word):
        shown = word if len(word) <= _SHOWN_LENGTH else word[:_SHOWN_LENGTH] + "(and so on)"
        remedy = "Save it on this machine first, and name the file"
        if word.lower().startswith("file:"):
            remedy = f"Name the path alone: {unquote(urlsplit(word).path) or '/home/ada/fox.png, say'}"
        raise UsageError(f"{shown}: that is an address, and only paths on this machine are taken", remedy=remedy)
    return Path(word)


def refuse_no_folder(option: str, path: Path) -> None:
    """Say no to something that is no folder where one is named, or is to be made.

    Raises:
        UsageError: It is a file, say.
    """
    if os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for impossible names
        raise UsageError(f"{option}: that is no folder", path=path, remedy="Name a folder, or a new one")


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        parser=path_of,
        help="The settings file; without it, the platform's own place.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else there.")
]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST = 100 * 365.25 * 86_400
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")


def print_json(document: Any) -> None:
    """Write one JSON document to standard output, in plain ASCII; JSON leaves one character there that steers."""
    typer.echo(json.dumps(document, indent=2).replace("\x7f", "\\u007f"))


def absolute(path: Path) -> Path:
    """The path as the daemon knows it: absolute, links not followed."""
    # Path.expanduser raises for a file whose name begins with "~".
    return places.absolute(os.path.expanduser(path))  # noqa: PTH111


def folder_named(path: Path | str, option: str) -> Path:
    """A folder that an option names, absolute.

    Raises:
        UsageError: It means no folder here.
    """
    try:
        path_of(path)
        return Path(places.path_written(os.fspath(path)))
    except UsageError as error:
        raise UsageError(f"{option}: {error.what}", remedy=error.remedy) from error
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def unsayable(path: Path) -> PictureError | None:
    """Why a path cannot be handed to a worker, which is told in UTF-8; ``None`` where it can."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return Refusal("its name is not valid UTF-8", path=path, remedy="Rename it")
    return None


def duration(text: str) -> float:
    """Seconds from ``90s``, ``30m``, ``2h``, ``1d`` or a sequence such as ``1h30m``.

    Raises:
        UsageError: It is none of these, nothing at all, or longer than a hundred years.
    """
    if not _DURATION.fullmatch(text):
        raise UsageError(f"{text!r} is no duration", remedy="Write it like 90s, 30m, 2h, 1d or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", text))
    if seconds <= 0:
        raise UsageError("a duration of nothing", remedy="Write it like 90s, 30m, 2h or 1d")
    if seconds > _LONGEST:
        raise UsageError("a duration of more than a hundred years", remedy="Leave it out: it then holds until resume")
    return seconds
