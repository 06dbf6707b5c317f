"""``pause``, ``resume``, ``reload``, ``retry`` and ``bump``: orders to the running daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shaded.cli.words import ConfigOption, absolute, duration, path_of, printable
from shaded.control import request
from shaded.errors import UsageError
from shaded.settings import load_settings

#: How long to wait for the daemon's thread, in seconds.
PATIENCE = 65.0


def pause(
    length: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="For how long, such as 90s, 30m or 2h; else until resume."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Begin no picture for a while; the one under way is finished."""
    seconds = None if length is None else duration(length)
    request(load_settings(config).state_dir, "pause", seconds=seconds, timeout=PATIENCE)
    typer.echo("Paused." if length is None else f"Paused for {length}.")


def resume(config: ConfigOption = None) -> None:
    """Go on after a pause."""
    request(load_settings(config).state_dir, "resume", timeout=PATIENCE)
    typer.echo("Resumed.")


def reload(config: ConfigOption = None) -> None:
    """Let the running daemon read its settings anew; wrong ones change nothing."""
    kept = request(load_settings(config).state_dir, "reload", timeout=PATIENCE).get("not_changed")
    typer.echo("The settings were read anew.")
    for key in kept if isinstance(kept, list) else ():
        typer.echo(f"{printable(key)}: the change holds after the next start only.")


def retry(
    path: Annotated[
        Path | None, typer.Argument(parser=path_of, help="A picture that was refused, failed or put off.")
    ] = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every picture that failed.")] = False,
    config: ConfigOption = None,
) -> None:
    """Try a picture again, or every one that failed."""
    if (path is None) != all_failed:
        raise UsageError("name one picture, or --all-failed")
    asked = None if path is None else str(absolute(path))
    count = request(load_settings(config).state_dir, "retry", path=asked, timeout=PATIENCE).get("retried")
    if path is not None and not count:
        raise UsageError("there is nothing to try again", path=path, remedy="Ask `shaded explain` about it")
    typer.echo(f"{printable(count)} to be tried again.")


def bump(
    path: Annotated[Path, typer.Argument(parser=path_of, help="A picture that waits.")],
    config: ConfigOption = None,
) -> None:
    """Move a waiting picture to the front of the queue."""
    settings = load_settings(config)
    if not request(settings.state_dir, "bump", path=str(absolute(path)), timeout=PATIENCE).get("bumped"):
        raise UsageError("it does not wait in the queue", path=path, remedy="Ask `shaded explain` about it")
    typer.echo(f"{printable(path)} is next.")
