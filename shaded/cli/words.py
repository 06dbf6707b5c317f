"""What the commands share: options, JSON output, durations and names that are safe to print."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from shaded.clock import spoken
from shaded.configuration import places
from shaded.errors import PictureError, Refusal, UsageError, printable

__all__ = [
    "ConfigOption", "JsonOption", "absolute", "duration", "folder_named", "print_json", "printable", "spoken",
    "unsayable",
]  # fmt: skip

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", readable=False, help="The settings file; without it, the platform's own place."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else there.")
]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
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
        return Path(places.path_written(os.fspath(path)))
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
        UsageError: It is none of these, or nothing at all.
    """
    if not _DURATION.fullmatch(text):
        raise UsageError(f"{text!r} is no duration", remedy="Write it like 90s, 30m, 2h, 1d or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", text))
    if seconds <= 0:
        raise UsageError("a duration of nothing", remedy="Write it like 90s, 30m, 2h or 1d")
    return seconds
