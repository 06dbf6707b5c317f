"""``run``: the daemon in the foreground."""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from shaded.cli.process import unwound
from shaded.cli.words import ConfigOption, folder_named, printable
from shaded.errors import ShadedError, UsageError
from shaded.services import FINAL_CODES
from shaded.settings import Folder, Settings, load_settings


def run(
    outbox: Annotated[
        str | None,
        typer.Option("--outbox", metavar="DIR", help="Where originals arrive; instead of the settings'."),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option("--publish", metavar="DIR", help="Where shaded copies go; instead of the settings'."),
    ] = None,
    config: ConfigOption = None,
    once: Annotated[bool, typer.Option("--once", help="Shade what is there, wait for it to settle, and exit.")] = False,
    agent: Annotated[
        bool,
        typer.Option("--agent", hidden=True, help="For launchd: end with 0 where starting again would not help."),
    ] = False,
) -> None:
    """Watch the outboxes and publish shaded copies, until stopped."""
    try:
        _run(outbox, publish, config, once=once)
    except ShadedError as error:
        if not agent or error.exit_code not in FINAL_CODES:
            raise
        # launchd starts an agent again after any code but 0.
        typer.echo(f"shaded: {printable(error)} It is not started again (code {error.exit_code}).", err=True)


def _run(outbox: str | None, publish: str | None, config: Path | None, *, once: bool) -> None:
    from shaded import logs  # noqa: PLC0415 - only the daemon logs
    from shaded.daemon.assembly import run_daemon  # noqa: PLC0415

    def read(**fixed: Any) -> Settings:
        return with_folders(load_settings(config, **fixed), outbox, publish, config, **fixed)

    settings = read()
    style = logs.resolve_format(settings.logging.format, sys.stderr)
    if once:
        raise typer.Exit(_once(settings, style))
    logs.configure(settings.logging.level, style, settings.logging.repeat_seconds)
    faulthandler.enable()  # says where a daemon was stuck that its watchdog ended
    with unwound():
        run_daemon(settings, read=read)


def with_folders(
    settings: Settings, outbox: Path | str | None, publish: Path | str | None, config: Path | None, **flags: Any
) -> Settings:
    """The settings with the folders that the command line names.

    Raises:
        UsageError: One folder is named, and the settings do not say which one belongs to it; or it means none here.
    """
    if outbox is None and publish is None:
        return settings
    outbox = None if outbox is None else folder_named(outbox, "--outbox")
    publish = None if publish is None else folder_named(publish, "--publish")
    if (outbox is None or publish is None) and len(settings.folder) != 1:
        raise UsageError(
            "--outbox and --publish belong together",
            remedy="Name both, or one where the settings have one [[folder]]",
        )
    outbox = settings.folder[0].outbox if outbox is None else outbox
    publish = settings.folder[0].publish if publish is None else publish
    profile = settings.folder[0].profile if len(settings.folder) == 1 else "default"
    folder = Folder(outbox=outbox, publish=publish, profile=profile)
    return load_settings(config, folder=(folder,), **flags)


def _once(settings: Settings, style: str) -> int:
    """Shade what is there, with a progress display on a terminal and a table at the end; the exit code."""
    from shaded import logs  # noqa: PLC0415 - see run
    from shaded.cli.display import Display, result_console, summary_line, summary_table  # noqa: PLC0415
    from shaded.daemon.assembly import run_daemon  # noqa: PLC0415
    from shaded.daemon.leftovers import not_done  # noqa: PLC0415

    drawing = sys.stderr.isatty() and style == "console"
    quiet = drawing and settings.logging.level == "info"  # the display says the same, and more calmly
    if quiet:
        settings = settings.model_copy(update={"logging": settings.logging.model_copy(update={"level": "error"})})
    logs.configure(settings.logging.level, "json" if style == "json" else "console")
    with unwound(), Display() as display:
        daemon = run_daemon(settings, once=True, audience=display)
    pictures = display.finished_pictures
    for left in not_done(settings, daemon):
        pictures.setdefault(left.path, left)
    roots = [folder.outbox for folder in settings.folder]
    rows = [pictures[path] for path in sorted(pictures)]
    console = result_console()
    if rows:
        console.print(summary_table(rows, roots))
    console.print(f"{summary_line(rows)}.", highlight=False)
    return 3 if any(row.outcome not in ("published", "left alone") for row in rows) else 0
