"""``verify``: measure published files again and hold them to their sidecars."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shaded.cli.process import unwound
from shaded.cli.words import ConfigOption, JsonOption, absolute, path_of, print_json, printable, unsayable
from shaded.errors import PictureError, UsageError
from shaded.scheduling.executor import Executor
from shaded.scheduling.messages import Failure, Verified, VerifyTask
from shaded.settings import Settings, Watching

if TYPE_CHECKING:
    from shaded.publishing.sidecar import FileFacts
    from shaded.publishing.sidecar_places import Located, SidecarPlaces

SIDECAR_SUFFIX = ".shaded.json"

ORIGINAL_HELP = "The original of the one picture, or the folder that all originals lie in; else the ledger's."


def verify(
    published: Annotated[
        list[Path],
        typer.Argument(metavar="PUBLISHED...", parser=path_of, help="Published pictures, or folders of them."),
    ],
    original: Annotated[
        Path | None,
        typer.Option("--original", metavar="PATH", parser=path_of, help=ORIGINAL_HELP),
    ] = None,
    anchor_out: Annotated[
        Path | None,
        typer.Option(
            "--anchor-out", metavar="DIR", parser=path_of, help="Write each one's anchor as NAME.anchor.png there."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure published pictures again and hold them to what their sidecars say."""
    from shaded.cli.driving import foreground_executor, foreground_settings  # noqa: PLC0415 - not needed to print help

    settings = foreground_settings(config)
    chosen = choose(settings, published, original)
    with unwound(), foreground_executor(settings) as executor:
        out = None if anchor_out is None else absolute(anchor_out)
        documents = verify_pictures(chosen, out, settings.watching, executor)
    if as_json:
        print_json({"files": documents})
    else:
        for line in _lines(documents):
            typer.echo(line)
    if not all(document["ok"] for document in documents):
        raise typer.Exit(3)


@dataclass
class Chosen:
    """A published picture that a command names.

    Attributes:
        path: The picture.
        root: The folder that was named, or the picture's own: below it no link is followed.
        sidecar: Where its sidecar stands, or would stand.
        original: What it was made from, where that is known.
        original_root: The same as ``root`` for the original.
        trouble: Why nothing can be measured of it; of a folder, why nothing in it can.
    """

    path: Path
    root: Path
    sidecar: Located
    original: Path | None = None
    original_root: Path | None = None
    trouble: PictureError | None = None

    @property
    def problem(self) -> str:
        """The trouble in sentences."""
        return "" if self.trouble is None else said(self.trouble.what, self.trouble.remedy)


def choose(settings: Settings, published: Sequence[Path], original: Path | None) -> list[Chosen]:
    """The published pictures that a command names, with their originals where those are known.

    Raises:
        UsageError: There is no picture, no such original, or one original for several pictures.
    """
    from shaded.daemon.remembering import sidecar_places_before  # noqa: PLC0415 - not needed to print help

    places = sidecar_places_before(settings)
    chosen = list(_named([absolute(path) for path in published], places))
    if not chosen:
        away = places.folder is not None and not os.path.isdir(places.folder)  # noqa: PTH112 - see below
        remedy = f"The folder for sidecars, {places.folder}, is missing; mount its disk, say" if away else ""
        raise UsageError("there is no published picture there", path=published[0], remedy=remedy)
    usable = [one for one in chosen if one.trouble is None]
    if original is None:
        know_originals(settings, usable)
        return chosen
    original = absolute(original)
    if not os.path.lexists(original):
        raise UsageError("--original: there is no such file or folder", path=original)
    _refuse_unsayable("--original", original)
    if os.path.isdir(original):  # noqa: PTH112 - Path.is_dir raises for names that no file can have
        find_originals(original, usable)
        return chosen
    if len(chosen) != 1:
        raise UsageError(
            "--original belongs to exactly one published picture", remedy="Name one picture, or a folder of originals"
        )
    chosen[0].original, chosen[0].original_root = original, original.parent
    return chosen


def _named(paths: Sequence[Path], places: SidecarPlaces) -> Iterator[Chosen]:
    for path in paths:
        root = path if os.path.isdir(path) else path.parent  # noqa: PTH112 - see choose
        troubles: list[PictureError] = []
        for picture in published_pictures([path], troubles.append, places):
            sidecar = places.find(picture, root)
            yield Chosen(picture, root, sidecar, trouble=unsayable(picture) or unsayable(sidecar.path))
        for trouble in troubles:
            told = trouble.path or path
            yield Chosen(told, root, places.find(told, root), trouble=trouble)


def published_pictures(
    paths: Sequence[Path],
    trouble: Callable[[PictureError], None] = lambda _: None,
    places: SidecarPlaces | None = None,
) -> Iterator[Path]:
    """Sidecars are skipped; a folder stands for every picture below it that has one.

    Args:
        paths: What was named.
        trouble: Told of each folder that could not be looked into.
        places: Where sidecars stand; ``None``: beside their pictures.
    """
    from shaded.publishing.pairs import pictures_with_sidecars  # noqa: PLC0415 - not needed to print help
    from shaded.publishing.sidecar_places import BESIDE  # noqa: PLC0415

    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - see choose
            yield from pictures_with_sidecars(path, trouble, places or BESIDE)
        elif not path.name.endswith(SIDECAR_SUFFIX):
            yield path


def _refuse_unsayable(option: str, path: Path) -> None:
    error = unsayable(path)
    if error is not None:
        raise UsageError(f"{option}: {error.what}", path=path, remedy=error.remedy)


def find_originals(folder: Path, chosen: Sequence[Chosen]) -> None:
    """Give each picture the file below ``folder`` that its sidecar names as the source, by name and by hash.

    What a sidecar says only chooses among the names that are there, so that no name in it leads out of the folder. No
    link is followed, and a file is hashed only if its size is the stated one.
    """
    from shaded.outbox.screening import hash_inside  # noqa: PLC0415 - not needed to print help
    from shaded.publishing.pairs import walk  # noqa: PLC0415
    from shaded.publishing.sidecar import printable as as_stated  # noqa: PLC0415
    from shaded.publishing.sidecar import read_sidecar  # noqa: PLC0415

    sought: defaultdict[str, list[tuple[Chosen, FileFacts]]] = defaultdict(list)
    for one in chosen:
        try:
            source = read_sidecar(*one.sidecar).source
        except PictureError:
            continue  # the worker will say why
        sought[source.name].append((one, source))
    for path in walk(folder, lambda name: as_stated(name) in sought, lambda _: None):
        try:
            size = path.lstat().st_size
            lacking = [(one, source) for one, source in sought[as_stated(path.name)] if one.original is None]
            if not any(source.bytes == size for _, source in lacking) or unsayable(path) is not None:
                continue
            sha256 = hash_inside(path, folder, size)
        except (PictureError, OSError):
            continue
        for one, source in lacking:
            if source.sha256 == sha256:
                one.original, one.original_root = path, folder


def know_originals(settings: Settings, chosen: Sequence[Chosen]) -> None:
    """Give each picture the source that the ledger knows, where that still is a file and no link."""
    from shaded.clock import SystemClock  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.instance import LEDGER_NAME  # noqa: PLC0415
    from shaded.ledger import LedgerReader  # noqa: PLC0415
    from shaded.outbox.screening import open_inside  # noqa: PLC0415
    from shaded.publishing.ownership import real_name  # noqa: PLC0415

    reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, SystemClock())
    if reader is None:
        return
    with reader:
        for one in chosen:
            known = reader.known_path(one.path, settings.folders_named)
            for place in (record.placement for record in reader.find(known)):
                if place.published is None or real_name(place.published) != real_name(one.path):
                    continue
                try:
                    with open_inside(place.path, place.root):
                        one.original, one.original_root = place.path, place.root
                except PictureError:
                    continue


def verify_pictures(
    chosen: Sequence[Chosen], anchor_out: Path | None, limits: Watching, executor: Executor
) -> list[dict[str, Any]]:
    """Measure each picture; one document each, in order.

    Args:
        chosen: The pictures.
        anchor_out: Where their anchors are written, if they are.
        limits: The largest files and pictures that are read.
        executor: Does the work.

    Raises:
        ModelError, ConfigurationError: Nothing can be measured here.
    """
    from shaded.cli.driving import drive  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.instance import prepare_folder  # noqa: PLC0415

    if anchor_out is not None:
        _refuse_unsayable("--anchor-out", anchor_out)
        prepare_folder(anchor_out, "--anchor-out")
    tasks = [
        VerifyTask(
            job_id=str(number), published=one.path, root=one.root,
            sidecar=one.sidecar.path, sidecar_root=one.sidecar.root,
            original=one.original, original_root=one.original_root,
            max_pixels=limits.max_pixels, max_bytes=limits.max_bytes, anchor_out=anchor_out,
        )
        for number, one in enumerate(chosen)
        if one.trouble is None
    ]  # fmt: skip
    verdicts = {int(task.job_id): _verdict(outcome) for task, outcome in drive(executor, tasks)}
    return [_document(one, *verdicts.get(number, ([one.problem], {}))) for number, one in enumerate(chosen)]


def _document(one: Chosen, problems: list[str], measured: dict[str, Any]) -> dict[str, Any]:
    from shaded.publishing.sidecar import printable as text  # noqa: PLC0415 - not needed to print help

    return {
        "path": text(str(one.path)),
        "original": None if one.original is None else text(str(one.original)),
        "ok": not problems,
        "problems": problems,
        "measured": measured,
    }


def _verdict(outcome: object) -> tuple[list[str], dict[str, Any]]:
    if isinstance(outcome, Verified):
        return list(outcome.problems), outcome.measured
    assert isinstance(outcome, Failure)  # noqa: S101 - a verify task has no other outcome
    return [said(outcome.what, outcome.remedy)], {}


def said(what: str, remedy: str) -> str:
    """What went wrong and what to do, without a final stop."""
    return f"{what}. {remedy}" if remedy else what


def _lines(documents: Sequence[dict[str, Any]]) -> Iterator[str]:
    for document in documents:
        if document["ok"]:
            yield f"keeps its word: {printable(document['path'])}"
        for problem in document["problems"]:
            yield f"DOES NOT: {printable(document['path'])}: {printable(problem)}"
    kept = sum(document["ok"] for document in documents)
    yield f"{kept} of {len(documents)} keep their word."
