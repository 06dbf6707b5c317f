"""What the commands share: options, JSON output, durations and names that are safe to print."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from shaded.clock import spoken
from shaded.errors import PictureError, Refusal, UsageError, printable

__all__ = [
    "ConfigOption", "JsonOption", "absolute", "duration", "print_json", "printable", "spoken", "unsayable",
]  # fmt: skip

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The settings file; without it, the platform's own place."),
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
    # Path.resolve would follow links, and Path.expanduser raises for a file whose name begins with "~".
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111


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
