"""``trial``: the poison trial, in this process. Torch is imported when it runs."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from shaded.cli.process import unwound
from shaded.cli.words import JsonOption, absolute, path_of, print_json, printable, spoken
from shaded.errors import UsageError
from shaded.terminal import for_rich

if TYPE_CHECKING:
    from rich.console import Console

_DEVICES = ("auto", "cpu", "cuda", "mps")


def trial(
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", parser=path_of, help="Where results go; a trial that is there is gone on with."
        ),
    ] = Path("trial"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Small models, one seed: minutes. This is the default.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="All arms, three seeds: hours on a CPU.")] = False,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Seconds: shows that everything runs, and nothing else.")
    ] = False,
    doses: Annotated[
        str, typer.Option("--doses", metavar="LIST", help="Shares of the source's pictures, such as 0.25,0.5,1.")
    ] = "",
    budgets: Annotated[
        str,
        typer.Option(
            "--budgets", metavar="LIST", help="LPIPS of the shading, such as 0.07,0.15; doses vary at the first."
        ),
    ] = "",
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Models of each arm.")] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures",
            metavar="DIR",
            parser=path_of,
            help="Your own: cow-1.png with cow-1.txt, and so on; else drawn ones.",
        ),
    ] = None,
    source: Annotated[str, typer.Option("--source", help="The concept that is shaded.")] = "cow",
    target: Annotated[str, typer.Option("--target", help="The concept that it is shaded toward.")] = "handbag",
    related: Annotated[str, typer.Option("--related", help="One like the source, never shaded.")] = "bull",
    autoencoder: Annotated[
        Path | None,
        typer.Option(
            "--autoencoder", metavar="PATH", parser=path_of, help="An AutoencoderKL of diffusers; else the bundled one."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=0, help="Of the CPU; 0 for all.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Train small text-to-image models on clean and shaded pictures, and report what they draw."""
    mode = _mode({"quick": quick, "full": full, "tiny": tiny})
    if device not in _DEVICES:
        raise UsageError(f"--device: there is no {device!r}", remedy=f"Name one of: {', '.join(_DEVICES)}")
    wanted = {"doses": _shares(doses, "--doses"), "budgets": _shares(budgets, "--budgets"), "seeds": seeds}
    began = time.monotonic()
    from shaded.daemon.instance import prepare_folder  # noqa: PLC0415 - not needed to print help

    folder = absolute(out)
    _refuse_foreign(folder)
    prepare_folder(folder, "--out")
    document, lines, report = _run(
        {"mode": mode, "source": source, "target": target, "related": related, **wanted},
        None if pictures is None else absolute(pictures),
        None if autoencoder is None else absolute(autoencoder),
        folder,
        (device, threads),
    )
    if as_json:
        print_json(document)
        return
    for line in lines:
        typer.echo(printable(line))
    made = printable(f"{report} and {folder / 'trial.json'}")
    typer.echo(f"{made}, after {spoken(time.monotonic() - began)}.")


def _refuse_foreign(folder: Path) -> None:
    """A trial writes many files of its own names: into a folder for it alone, or one with a trial in it."""
    others = {path.name for path in folder.iterdir()} - {".lock", ".DS_Store"} if folder.is_dir() else set()
    if others and "identity.json" not in others:
        raise UsageError(
            f"--out: the folder holds other things ({min(others)}), and no trial",
            path=folder,
            remedy="Name an empty folder, or one that does not exist yet",
        )


def _mode(chosen: Mapping[str, bool]) -> str:
    names = [name for name, wanted in chosen.items() if wanted]
    if len(names) > 1:
        raise UsageError(f"--{names[0]} and --{names[1]} exclude one another", remedy="Name one of them")
    return names[0] if names else "quick"


def _shares(text: str, option: str) -> tuple[float, ...] | None:
    """Numbers above 0 and at most 1, without duplicates, in the order they are given; ``None`` for no text."""
    if not text:
        return None
    try:
        values = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        values = ()
    if not values or not all(0 < value <= 1 for value in values):
        raise UsageError(
            f"{option}: {text!r} is no list of numbers above 0 and at most 1", remedy="Write it like 0.5,1"
        )
    return values


def _run(
    wanted: Mapping[str, Any], pictures: Path | None, autoencoder: Path | None, folder: Path, machine: tuple[str, int]
) -> tuple[dict[str, Any], list[str], Path]:
    """Open everything, run, write the report; the document, the outcome in lines, and the report's path."""
    import torch  # noqa: PLC0415 - only this command needs it in this process

    from shaded.evidence.trial.autoencoder import open_autoencoder  # noqa: PLC0415
    from shaded.evidence.trial.materials import gather, prepare  # noqa: PLC0415
    from shaded.evidence.trial.plan import plan_for  # noqa: PLC0415
    from shaded.evidence.trial.report import outcome, write_report  # noqa: PLC0415
    from shaded.evidence.trial.results import run_trial  # noqa: PLC0415
    from shaded.evidence.trial.storage import alone_in  # noqa: PLC0415
    from shaded.scheduling.toolbox import choose_device  # noqa: PLC0415

    torch.set_num_threads(machine[1] or os.cpu_count() or 1)
    plan = plan_for(**wanted)
    opened = open_autoencoder(autoencoder, choose_device(machine[0]))
    stock = gather(plan, pictures)
    with unwound(), alone_in(folder), Display() as display:
        materials = prepare(plan, stock, opened, folder, display.progress)
        document = run_trial(plan, materials, "shaded " + shlex.join(sys.argv[1:]), display.progress)
    return document, outcome(document), write_report(document, folder)


class Display:
    """Two bars on standard error while a trial runs: the models, and what is being done; elsewhere a line a model."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console  # noqa: PLC0415 - not needed to print help
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._console = console or Console(file=for_rich(sys.stderr))
        self._bars = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
            TimeElapsedColumn(), console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._models = self._bars.add_task("models", total=None)
        self._stage = self._bars.add_task("beginning", total=None)
        self._name = ""

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bars."""
        self._bars.stop()

    def progress(self, stage: str, done: int, count: int) -> None:
        """Move the bars."""
        if stage == "models":
            self._bars.update(self._models, completed=done, total=count)
            return
        stage = printable(stage)
        if stage != self._name:
            self._name = stage
            self._bars.reset(self._stage, description=stage, total=count)
            if not self._console.is_terminal:
                self._console.print(stage, markup=False, highlight=False)
        self._bars.update(self._stage, completed=done)
