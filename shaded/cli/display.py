"""A progress display on standard error, and the summary table on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from shaded.cli.words import printable
from shaded.daemon.audience import Finished, Flight, Outcome
from shaded.terminal import for_rich

#: The table's width where standard output is no terminal and has none of its own.
PLAIN_WIDTH = 160
_STYLES: dict[Outcome, str] = {
    "published": "green",
    "refused": "yellow",
    "failed": "red",
    "waiting": "yellow",
    "left alone": "dim",
}


class Display:
    """One bar per picture under way while pictures are shaded, drawn only on a terminal; remembers every outcome."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=for_rich(sys.stderr))
        self._bars: dict[Path, TaskID] = {}
        self.finished_pictures: dict[Path, Finished] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[doing]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bars."""
        self._progress.stop()

    def progress(self, flight: Flight) -> None:
        """Move a picture's bar."""
        doing = printable(flight.stage)
        if flight.steps:
            doing += f" {flight.step}/{flight.steps}"
        if flight.pull is not None:
            doing += f", pull {flight.pull:.2f}"
        bar = self._bars.get(flight.path)
        if bar is None:
            bar = self._bars[flight.path] = self._progress.add_task(printable(flight.path.name), doing=doing)
        self._progress.update(bar, total=flight.steps or None, completed=flight.step, doing=doing)

    def finished(self, finished: Finished) -> None:
        """Remove a picture's bar and leave a line in its place."""
        self.finished_pictures[finished.path] = finished
        bar = self._bars.pop(finished.path, None)
        if bar is not None:
            self._progress.remove_task(bar)
        if self._console.is_terminal:
            line = f"{finished.outcome:9} {printable(finished.path.name)}"
            reason = f"  {printable(finished.reason)}" if finished.reason else ""
            self._console.print(Text(line + reason, style=_STYLES[finished.outcome]))


def result_console() -> Console:
    """Standard output, wide enough for the table where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def _number(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else ""


def summary_table(pictures: Iterable[Finished], roots: Sequence[Path] = ()) -> Table:
    """Outcomes, one row each.

    Args:
        pictures: What to show, in this order.
        roots: Folders that a file's path is shown relative to.
    """
    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("file", overflow="fold")
    table.add_column("outcome", no_wrap=True)
    table.add_column("concept -> target")
    for heading in ("pull", "LPIPS", "PSNR", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for picture in pictures:
        summary = picture.summary
        concepts = f"{summary['concept']} -> {summary['target']}" if "concept" in summary else ""
        remedy = f". {picture.remedy}" if picture.remedy else ""
        table.add_row(
            Text(printable(_below(picture.path, roots))),
            Text(picture.outcome, style=_STYLES[picture.outcome]),
            Text(printable(concepts)),
            _number(summary.get("pull"), 2),
            _number(summary.get("lpips"), 3),
            _number(summary.get("psnr_db"), 1),
            _number(summary.get("seconds"), 1),
            Text(printable(picture.reason + remedy)),
        )
    return table


def summary_line(pictures: Iterable[Finished]) -> str:
    """How many ended how: ``12 published, 1 refused``."""
    outcomes = [picture.outcome for picture in pictures]
    counts = {outcome: outcomes.count(outcome) for outcome in _STYLES}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "nothing to do"


def _below(path: Path, roots: Sequence[Path]) -> Path:
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root)
    return path
