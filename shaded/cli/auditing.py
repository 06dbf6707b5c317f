"""``audit``: what survives of published files' shading under everything that may happen to them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shaded.cli.verifying import ORIGINAL_HELP, pictures_and_originals
from shaded.cli.words import ConfigOption, JsonOption, absolute, print_json, printable
from shaded.errors import UsageError
from shaded.scheduling.executor import Executor
from shaded.scheduling.messages import Audited, AuditTask, Failure, Progress
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
        list[Path], typer.Argument(metavar="PUBLISHED...", help="Published pictures, or folders of them.")
    ],
    original: Annotated[
        Path | None,
        typer.Option("--original", metavar="PATH", help=ORIGINAL_HELP),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="PAGE.html", help="Write one page with plots, pictures and tables there."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what survives of the shading when pictures are compressed, resized, cropped, filtered and cleaned."""
    from shaded.cli.driving import foreground_executor, foreground_settings  # noqa: PLC0415 - not needed to print help
    from shaded.evidence.findings import AuditDocument  # noqa: PLC0415

    settings = foreground_settings(config)
    page = None if report is None else absolute(report)
    if page is not None and not page.parent.is_dir():
        raise UsageError("--report: there is no such folder", path=page.parent, remedy="Make it, or name another page")
    if page is not None and page.is_dir():
        raise UsageError("--report: that is a folder", path=page, remedy="Name a file in it, such as audit.html")
    pictures, originals = pictures_and_originals(settings, published, original)
    with tempfile.TemporaryDirectory(prefix="shaded-") as scratch, _progress(pictures, quiet=as_json) as told:
        with foreground_executor(settings) as executor:
            files = audit_pictures(pictures, originals, None if page is None else Path(scratch), executor, told)
        if page is not None:
            _write_report(page, files, Path(scratch))
    if as_json:
        print_json(AuditDocument(files=files).model_dump(mode="json"))
    else:
        _print(files, page)
    if not all(one.ok for one in files):
        raise typer.Exit(3)


def audit_pictures(
    pictures: Sequence[Path],
    originals: Mapping[Path, Path],
    scratch: Path | None,
    executor: Executor,
    told: Callable[[Progress], None] = lambda _: None,
) -> list[FileAudit]:
    """Audit each picture; one finding each, in order.

    Args:
        pictures: Published files.
        originals: Those that are known.
        scratch: A folder for the audited parts as PNG, each picture's in a folder named after its number.
        executor: Does the work.
        told: Hears how far it is.

    Raises:
        ModelError, ConfigurationError: Nothing can be measured here.
    """
    from shaded.cli.driving import drive  # noqa: PLC0415 - not needed to print help

    tasks = []
    for number, picture in enumerate(pictures):
        if picture in originals:
            folder = None if scratch is None else scratch / str(number)
            if folder is not None:
                folder.mkdir()
            tasks.append(AuditTask(job_id=str(number), published=picture, original=originals[picture], pictures=folder))
    outcomes = {int(task.job_id): outcome for task, outcome in drive(executor, tasks, told)}
    return [_finding(picture, originals.get(picture), outcomes.get(number)) for number, picture in enumerate(pictures)]


def _finding(picture: Path, original: Path | None, outcome: object) -> FileAudit:
    from shaded.evidence.findings import FileAudit  # noqa: PLC0415 - not needed to print help
    from shaded.publishing.sidecar import read_sidecar, sidecar_path  # noqa: PLC0415

    path = str(picture)
    if original is None:
        return FileAudit(path=path, original=None, ok=False, problem=_why_unknown(picture, sidecar_path(picture)))
    if isinstance(outcome, Failure):
        problem = f"{outcome.what}. {outcome.remedy}" if outcome.remedy else outcome.what
        return FileAudit(path=path, original=str(original), ok=False, problem=problem)
    assert isinstance(outcome, Audited)  # noqa: S101 - an audit task has no other outcome
    stated = read_sidecar(sidecar_path(picture))
    return FileAudit.of(path, str(original), outcome.result, stated.concept.tag, stated.target.concept)


def _why_unknown(picture: Path, sidecar: Path) -> str:
    if not picture.is_file():
        return "there is no such file"
    if not sidecar.is_file():
        return f"it has no {sidecar.name} beside it. Only pictures that shaded published can be audited"
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
