"""``verify``: measure published files again and hold them to their sidecars."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from shaded.cli.words import ConfigOption, JsonOption, absolute, print_json, printable
from shaded.errors import PictureError, UsageError
from shaded.scheduling.executor import Executor
from shaded.scheduling.messages import Failure, Verified, VerifyTask
from shaded.settings import Settings

SIDECAR_SUFFIX = ".shaded.json"

ORIGINAL_HELP = "The original of the one picture, or the folder that all originals lie in; else the ledger's."


def verify(
    published: Annotated[
        list[Path], typer.Argument(metavar="PUBLISHED...", help="Published pictures, or folders of them.")
    ],
    original: Annotated[
        Path | None,
        typer.Option("--original", metavar="PATH", help=ORIGINAL_HELP),
    ] = None,
    anchor_out: Annotated[
        Path | None,
        typer.Option("--anchor-out", metavar="DIR", help="Write each one's anchor as NAME.anchor.png there."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure published pictures again and hold them to what their sidecars say."""
    from shaded.cli.driving import foreground_executor, foreground_settings  # noqa: PLC0415 - not needed to print help

    settings = foreground_settings(config)
    pictures, originals = pictures_and_originals(settings, published, original)
    with foreground_executor(settings) as executor:
        out = None if anchor_out is None else absolute(anchor_out)
        documents = verify_pictures(pictures, originals, out, executor)
    if as_json:
        print_json({"files": documents})
    else:
        for line in _lines(documents):
            typer.echo(line)
    if not all(document["ok"] for document in documents):
        raise typer.Exit(3)


def pictures_and_originals(
    settings: Settings, published: Sequence[Path], original: Path | None
) -> tuple[list[Path], dict[Path, Path]]:
    """The published pictures that a command names, and the originals of those whose original is known.

    Raises:
        UsageError: There is no picture, no such original, or one original for several pictures.
    """
    pictures = list(published_pictures([absolute(path) for path in published]))
    if not pictures:
        raise UsageError("there is no published picture there", path=published[0])
    if original is None:
        return pictures, known_originals(settings, pictures)
    original = absolute(original)
    if not original.exists():
        raise UsageError("--original: there is no such file or folder", path=original)
    if original.is_dir():
        return pictures, originals_below(original, pictures)
    if len(pictures) != 1:
        raise UsageError(
            "--original belongs to exactly one published picture", remedy="Name one picture, or a folder of originals"
        )
    return pictures, {pictures[0]: original}


def originals_below(folder: Path, pictures: Sequence[Path]) -> dict[Path, Path]:
    """For each picture the file below ``folder`` that its sidecar names as the source, by name and by hash."""
    from shaded.publishing.sidecar import read_sidecar, sidecar_path  # noqa: PLC0415 - not needed to print help

    found = {}
    for picture in pictures:
        try:
            source = read_sidecar(sidecar_path(picture)).source
        except PictureError:
            continue
        candidates = (path for path in sorted(folder.rglob(glob.escape(source.name))) if path.is_file())
        fitting = (one for one in candidates if hashlib.sha256(one.read_bytes()).hexdigest() == source.sha256)
        if (first := next(fitting, None)) is not None:
            found[picture] = first
    return found


def published_pictures(paths: Sequence[Path]) -> Iterator[Path]:
    """Sidecars are skipped; a folder stands for every picture below it that has one."""
    for path in paths:
        if path.is_dir():
            for sidecar in sorted(path.rglob("*" + SIDECAR_SUFFIX)):
                picture = sidecar.with_name(sidecar.name.removesuffix(SIDECAR_SUFFIX))
                if picture.is_file():
                    yield picture
        elif not path.name.endswith(SIDECAR_SUFFIX):
            yield path


def known_originals(settings: Settings, pictures: Sequence[Path]) -> dict[Path, Path]:
    """The sources that the ledger knows of published pictures, where they still exist."""
    from shaded.clock import SystemClock  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.instance import LEDGER_NAME  # noqa: PLC0415
    from shaded.ledger import LedgerReader  # noqa: PLC0415

    reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, SystemClock())
    if reader is None:
        return {}
    with reader:
        return {
            picture: record.placement.path
            for picture in pictures
            for record in reader.find(picture)
            if record.placement.published == picture and record.placement.path.is_file()
        }


def verify_pictures(
    pictures: Sequence[Path], originals: dict[Path, Path], anchor_out: Path | None, executor: Executor
) -> list[dict[str, Any]]:
    """Measure each picture; one document each, in order.

    Raises:
        ModelError, ConfigurationError: Nothing can be measured here.
    """
    from shaded.cli.driving import drive  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.instance import prepare_folder  # noqa: PLC0415

    if anchor_out is not None:
        prepare_folder(anchor_out, "--anchor-out")
    tasks = [
        VerifyTask(job_id=str(number), published=picture, original=originals.get(picture), anchor_out=anchor_out)
        for number, picture in enumerate(pictures)
    ]
    documents = []
    for task, outcome in drive(executor, tasks):
        picture = pictures[int(task.job_id)]
        problems, measured = _verdict(outcome)
        source = originals.get(picture)
        documents.append(
            {
                "path": str(picture),
                "original": None if source is None else str(source),
                "ok": not problems,
                "problems": problems,
                "measured": measured,
            }
        )
    return documents


def _verdict(outcome: object) -> tuple[list[str], dict[str, Any]]:
    if isinstance(outcome, Verified):
        return list(outcome.problems), outcome.measured
    assert isinstance(outcome, Failure)  # noqa: S101 - a verify task has no other outcome
    return [f"{outcome.what}. {outcome.remedy}" if outcome.remedy else outcome.what], {}


def _lines(documents: Sequence[dict[str, Any]]) -> Iterator[str]:
    for document in documents:
        if document["ok"]:
            yield f"keeps its word: {printable(document['path'])}"
        for problem in document["problems"]:
            yield f"DOES NOT: {printable(document['path'])}: {printable(problem)}"
    kept = sum(document["ok"] for document in documents)
    yield f"{kept} of {len(documents)} keep their word."
