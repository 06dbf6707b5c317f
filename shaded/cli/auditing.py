"""``audit``: what survives of published files' shading under everything that may happen to them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shaded.cli.process import unwound
from shaded.cli.verifying import ORIGINAL_HELP, Chosen, choose, said
from shaded.cli.words import ConfigOption, JsonOption, absolute, path_of, print_json, printable
from shaded.errors import PictureError, UsageError
from shaded.scheduling.executor import Executor
from shaded.scheduling.messages import Audited, AuditTask, Failure, Progress
from shaded.settings import Watching
from shaded.terminal import for_rich

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from shaded.evidence.findings import FileAudit, Laundered


_LEGEND = """\
Pull: how far image encoders see a picture moved toward its target; 0 not at all, 1 all the way.
Survival: the share of the pull that is left; 1 all of it, 0 nothing. "worst" is the least in any encoder.
Two controls, to compare the pull after with: "noise", the pull of random noise that is as visible as the shading, and
"laundering alone", the pull of the original when the same is done to it.
"""


def audit(
    published: Annotated[
        list[Path],
        typer.Argument(metavar="PUBLISHED...", parser=path_of, help="Published pictures, or folders of them."),
    ],
    original: Annotated[
        Path | None,
        typer.Option("--original", metavar="PATH", parser=path_of, help=ORIGINAL_HELP),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="PAGE.html",
            parser=path_of,
            help="Write one page with plots, pictures and tables there.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what survives of the shading when pictures are compressed, resized, cropped, filtered and cleaned."""
    from shaded.cli.driving import (  # noqa: PLC0415 - not needed to print help
        foreground_executor,
        foreground_settings,
        scratch_folder,
    )
    from shaded.evidence.findings import AuditDocument  # noqa: PLC0415
    from shaded.evidence.page import is_own_page  # noqa: PLC0415

    settings = foreground_settings(config)
    page = None if report is None else absolute(report)
    if page is not None and not os.path.isdir(page.parent):  # noqa: PTH112 - Path.is_dir raises for impossible names
        raise UsageError("--report: there is no such folder", path=page.parent, remedy="Make it, or name another page")
    if page is not None and os.path.isdir(page):  # noqa: PTH112
        raise UsageError("--report: that is a folder", path=page, remedy="Name a file in it, such as audit.html")
    if page is not None and os.path.lexists(page) and not is_own_page(page):
        raise UsageError(
            "--report: a file is there that shaded did not write", path=page, remedy="Move it, or name another page"
        )
    chosen = choose(settings, published, original)
    names = [one.path for one in chosen]
    with unwound(), scratch_folder() as scratch, _progress(names, quiet=as_json) as told:
        with foreground_executor(settings) as executor:
            shown = None if page is None else scratch
            files = audit_pictures(chosen, shown, settings.watching, executor, told)
        if page is not None:
            _write_report(page, files, scratch)
    if as_json:
        print_json(AuditDocument(files=files).model_dump(mode="json"))
    else:
        _print(files, page)
    if not all(one.ok for one in files):
        raise typer.Exit(3)


def audit_pictures(
    chosen: Sequence[Chosen],
    scratch: Path | None,
    limits: Watching,
    executor: Executor,
    told: Callable[[Progress], None] = lambda _: None,
) -> list[FileAudit]:
    """Audit each picture; one finding each, in order.

    Args:
        chosen: Published files, with their originals where those are known.
        scratch: A folder for the audited parts as PNG, each picture's in a folder named after its number.
        limits: The largest files and pictures that are read.
        executor: Does the work.
        told: Hears how far it is.

    Raises:
        ModelError, ConfigurationError: Nothing can be measured here.
    """
    from shaded.cli.driving import drive  # noqa: PLC0415 - not needed to print help

    tasks = []
    for number, one in enumerate(chosen):
        if one.original is not None and one.trouble is None:
            folder = None if scratch is None else scratch / str(number)
            if folder is not None:
                folder.mkdir()
            tasks.append(
                AuditTask(
                    job_id=str(number), published=one.path, root=one.root,
                    sidecar=one.sidecar.path, sidecar_root=one.sidecar.root,
                    original=one.original, original_root=one.original_root,
                    max_pixels=limits.max_pixels, max_bytes=limits.max_bytes, pictures=folder,
                )
            )  # fmt: skip
    outcomes = {int(task.job_id): outcome for task, outcome in drive(executor, tasks, told)}
    return [_finding(one, outcomes.get(number)) for number, one in enumerate(chosen)]


def _finding(one: Chosen, outcome: object) -> FileAudit:
    from shaded.evidence.findings import FileAudit  # noqa: PLC0415 - not needed to print help
    from shaded.publishing.sidecar import printable as text  # noqa: PLC0415
    from shaded.publishing.sidecar import read_sidecar  # noqa: PLC0415

    path, original = text(str(one.path)), None if one.original is None else text(str(one.original))
    if one.trouble is not None:
        return FileAudit(path=path, original=original, ok=False, problem=text(one.problem))
    if original is None:
        return FileAudit(path=path, original=None, ok=False, problem=_why_unknown(one))
    if isinstance(outcome, Failure):
        return FileAudit(path=path, original=original, ok=False, problem=said(outcome.what, outcome.remedy))
    assert isinstance(outcome, Audited)  # noqa: S101 - an audit task has no other outcome
    try:
        stated = read_sidecar(*one.sidecar)
    except PictureError as error:  # it was there a moment ago
        return FileAudit(path=path, original=original, ok=False, problem=said(error.what, error.remedy))
    return FileAudit.of(path, original, outcome.result, stated.concept.tag, stated.target.concept)


def _why_unknown(one: Chosen) -> str:
    from shaded.publishing.sidecar import read_sidecar  # noqa: PLC0415 - not needed to print help

    if not os.path.lexists(one.path):
        return "there is no such file"
    sidecar = one.sidecar
    if not os.path.lexists(sidecar.path):
        where = "beside it" if sidecar.path.parent == one.path.parent else f"beside it or in {sidecar.path.parent}"
        return f"it has no {sidecar.path.name} {where}. Only pictures that shaded published can be audited"
    try:
        read_sidecar(*sidecar)
    except PictureError as error:
        return said(error.what, error.remedy)
    return "its original is not known here. Name it, or the folder it lies in, with --original"


def _write_report(page: Path, files: Sequence[FileAudit], scratch: Path) -> None:
    import numpy as np  # noqa: PLC0415 - only for the page
    from PIL import Image  # noqa: PLC0415

    from shaded.evidence.audit_page import PICTURES, write_audit_page  # noqa: PLC0415

    def picture(path: Path) -> Any:
        with Image.open(path) as opened:
            return np.asarray(opened.convert("RGB"))

    pictures = {
        one.path: {name: picture(path) for name in PICTURES if (path := scratch / str(number) / f"{name}.png").exists()}
        for number, one in enumerate(files)
    }
    write_audit_page(page, files, pictures)


@contextmanager
def _progress(pictures: Sequence[Path], *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """One bar on standard error for the picture under way, only on a terminal."""
    from rich.console import Console  # noqa: PLC0415 - not needed to print help
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    console = Console(file=for_rich(sys.stderr))
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[doing]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task("loading the models", total=None, doing="")

        def told(event: Progress) -> None:
            number = int(event.job_id)
            name = f"{printable(pictures[number].name)} ({number + 1} of {len(pictures)})"
            doing = printable(f"{event.stage} {event.step}/{event.steps}" if event.steps else event.stage)
            bars.update(bar, description=name, total=event.steps or None, completed=event.step, doing=doing)

        yield told


def _print(files: Sequence[FileAudit], page: Path | None) -> None:
    from shaded.cli.display import result_console  # noqa: PLC0415 - not needed to print help

    console = result_console()
    for one in files:
        _print_file(console, one)
    done = sum(one.ok for one in files)
    if done:
        console.print(_LEGEND, highlight=False)
    console.print(f"{done} of {len(files)} audited.", highlight=False)
    if page is not None:
        console.print(f"The report: {printable(page)}", highlight=False, markup=False, soft_wrap=True)


def _print_file(console: Console, file: FileAudit) -> None:
    from shaded.evidence.findings import worst_launderings  # noqa: PLC0415 - not needed to print help

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    result = file.audit
    if result is None:
        say(f"NOT AUDITED: {printable(file.path)}: {printable(file.problem)}\n")
        return
    say(f"{printable(file.path)}: shows {printable(file.concept)}, moved toward {printable(file.target)}")
    for warning in result.warnings:
        say(f"  Note: {printable(warning)}")
    for name, before in result.before.items():
        say(f"  pull before, in {printable(name)}: {_number(before.pull)}; of the noise: {_number(before.noise)}")
    console.print(_table(file))
    worst = worst_launderings(result.launderings)
    if not worst:
        say("  Its pull is too small in every encoder for a survival to be stated.\n")
        return
    say("  Least survives after these:")
    for one in worst:
        say(_worst_line(one))
    width, height = result.window
    say(f"  Measured on the middle {width} x {height} pixels of a canvas of {result.canvas[0]} x {result.canvas[1]}.\n")


def _worst_line(one: Laundered) -> str:
    return f"    {_number(one.worst_survival, 2):>5}  {printable(one.description)} ({printable(one.worst_encoder)})"


def _table(file: FileAudit) -> Table:
    from rich.box import SIMPLE  # noqa: PLC0415 - not needed to print help
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from shaded.evidence.findings import GROUPS  # noqa: PLC0415

    table = Table(box=SIMPLE, pad_edge=True, collapse_padding=True)
    table.add_column("laundering", no_wrap=True)
    for heading in ("survival", "worst"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("worst one")
    for heading in ("pull after", "noise", "laundering alone"):
        table.add_column(heading, justify="right")
    for one in file.groups:
        table.add_row(
            escape(printable(f"{GROUPS.get(one.group, one.group)} ({one.count})")),
            _number(one.mean_survival, 2),
            _number(one.worst_survival, 2),
            escape(printable(one.worst_laundering or "")),
            _number(one.mean_pull),
            _number(one.noise_pull),
            _number(one.original_pull),
        )
    return table


def _number(value: float | None, digits: int = 3) -> str:
    # Adding 0 makes of a rounded "-0.000" what it is.
    return "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"
