"""``recover``: a ledger made again from the outboxes and publish folders."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from shaded.cli.process import unwound
from shaded.cli.words import ConfigOption, JsonOption, print_json, printable
from shaded.errors import ConfigurationError
from shaded.settings import load_settings

if TYPE_CHECKING:
    from shaded.daemon.recovering import Recovered

#: After so many files of a folder a line says how far it is, where somebody watches.
_EVERY = 100
_LEDGERS = {
    "kept": "The ledger is sound. It was kept and completed.",
    "made": "There was no ledger. A new one was made.",
    "made again": "The ledger was damaged. A new one was made.",
}


def recover(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the ledger again from the outboxes and publish folders; nothing is shaded twice."""
    from shaded.daemon.recovering import recover as make_again  # noqa: PLC0415 - not needed to print help

    settings = load_settings(config)
    if not settings.folder:
        raise ConfigurationError("folder: no folder is watched", remedy="Name the settings file with --config")
    watched = sys.stderr.isatty() and not as_json

    def progress(folder: Path, count: int) -> None:
        if watched and count % _EVERY == 0:
            typer.echo(f"looking at {printable(folder)}: {count} files", err=True)

    with unwound():
        found = make_again(settings, progress)
    if as_json:
        print_json(_document(found))
    else:
        for line in _lines(found):
            typer.echo(line)
    if found.unread:
        raise typer.Exit(3)


def _document(found: Recovered) -> dict[str, object]:
    return {
        "ledger": found.ledger,
        "moved_to": None if found.moved_to is None else str(found.moved_to),
        "pairs": found.pairs,
        "known": found.known,
        "taken_over": found.taken_over,
        "to_publish": found.to_publish,
        "to_shade": found.to_shade,
        "without_original": found.without_original,
        "not_whole": found.not_whole,
        "unread": found.unread,
    }


def _lines(found: Recovered) -> Iterator[str]:
    """What was found, in words."""
    yield _LEDGERS[found.ledger]
    if found.moved_to is not None:
        yield f"The damaged file is kept as {printable(found.moved_to)}."
    yield f"Published pairs found: {found.pairs}."
    yield f"Pictures that the ledger knew already: {found.known}."
    yield f"Pictures whose published copy was found: {found.taken_over}. They are done."
    yield f"Pictures whose copy was found elsewhere: {found.to_publish}. They are published without being shaded again."
    yield f"Pictures without a copy: {found.to_shade}. The daemon shades them."
    if found.without_original:
        yield f"Pairs without an original in an outbox: {found.without_original}. They stay as they are."
    for path, why in found.not_whole.items():
        yield f"left alone: {printable(path)}: {printable(why)}"
    for path, why in found.unread.items():
        yield f"not read: {printable(path)}: {printable(why)}"
    if found.unread:
        yield "Mend that and run `shaded recover` again before the daemon starts; else it may shade those again."
        return
    yield "Start the daemon with `shaded run`, or with your service."
