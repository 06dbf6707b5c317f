"""``shade``: pictures named on the command line, now, without daemon or ledger."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shaded.cli.process import unwound
from shaded.cli.words import (
    ConfigOption,
    JsonOption,
    absolute,
    path_of,
    print_json,
    printable,
    refuse_no_folder,
    unsayable,
)
from shaded.daemon.audience import Audience, Finished, Flight, Outcome
from shaded.errors import TRIED_AGAIN, PictureError, Refusal, Unavailable, UsageError, from_os_error
from shaded.scheduling.executor import AnyTask, Candidate, Executor
from shaded.scheduling.messages import Failure, Progress, Rendered, ShadeTask
from shaded.settings import Intensity, Profile, Quality, Settings, require_utf8

if TYPE_CHECKING:
    from shaded.cli.sources import Sources
    from shaded.publishing.sidecar_places import SidecarPlaces


def shade(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", parser=path_of, help="The pictures to shade.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", parser=path_of, help="Where shaded copies and sidecars go.")
    ],
    concept: Annotated[str, typer.Option("--concept", help="What the pictures show; else it is recognised.")] = "",
    target: Annotated[str, typer.Option("--target", help="What they are moved toward; else it is chosen.")] = "",
    intensity: Annotated[
        Intensity | None,
        typer.Option("--intensity", help="How much may change visibly; else the default profile's."),
    ] = None,
    quality: Annotated[
        Quality | None,
        typer.Option("--quality", help="How long the search takes; else the default profile's."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Take shaded copies too, and shade them once more.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shade pictures now, without the daemon; the same engine and the same sidecar."""
    from shaded.cli.display import (  # noqa: PLC0415 - not needed to print help
        Display,
        result_console,
        summary_line,
        summary_table,
    )
    from shaded.cli.driving import foreground_pool, foreground_settings  # noqa: PLC0415

    settings = foreground_settings(config)
    chosen = {"concept": concept, "target": target, "intensity": intensity, "quality": quality}
    for option, word in chosen.items():
        if word:
            _refuse_no_text(option, word)
    profile = Profile.model_validate(
        settings.profile_named("default").model_dump() | {key: value for key, value in chosen.items() if value}
    )
    refuse_no_folder("--out", absolute(out))
    job = Job(profile, absolute(out), settings, named=bool(concept), again=again)
    with unwound(), foreground_pool(settings) as executor, Display() as display:
        rows = shade_pictures(job, [absolute(picture) for picture in pictures], executor, display)
    if not sys.stderr.isatty():  # there the display has said it
        for row in rows:
            if row.outcome != "published":
                typer.echo(f"shaded: {printable(PictureError(row.reason, path=row.path, remedy=row.remedy))}", err=True)
    if as_json:
        print_json({"pictures": [row_document(row) for row in rows]})
    else:
        console = result_console()
        console.print(summary_table(rows))
        console.print(f"{summary_line(rows)}.", highlight=False)
    if any(row.outcome != "published" for row in rows):
        raise typer.Exit(3)


def _refuse_no_text(option: str, word: str) -> None:
    try:
        require_utf8(f"--{option}", word)
    except ValueError as error:
        raise UsageError(str(error)) from error


@dataclass(frozen=True)
class Job:
    """What holds for all pictures of one command.

    Attributes:
        profile: Intensity, quality and the rest.
        out: The folder for shaded copies; made if missing.
        settings: Budget and limits.
        named: Whether the command line named the concept.
        again: Whether shaded copies are taken too.
    """

    profile: Profile
    out: Path
    settings: Settings
    named: bool
    again: bool = False


def shade_pictures(job: Job, sources: Sequence[Path], executor: Executor, audience: Audience) -> list[Finished]:
    """Shade and publish each source, an absolute path; how each ended, in the same order.

    Raises:
        ModelError, ConfigurationError: No picture can be shaded here.
    """
    from shaded.cli.driving import drive, scratch_folder  # noqa: PLC0415 - not needed to print help
    from shaded.cli.sources import Sources  # noqa: PLC0415
    from shaded.daemon.instance import installation_secret, prepare_folder  # noqa: PLC0415

    secret = installation_secret(job.settings)
    places = _prepared_places(job)
    prepare_folder(job.out, "--out")
    rows: dict[int, Finished] = {}
    pixels: dict[str, int] = {}

    def told(event: Progress) -> None:
        path = sources[int(event.job_id)]
        audience.progress(
            Flight(
                event.job_id,
                path,
                0.0,
                stage=event.stage,
                step=event.step,
                steps=event.steps,
                pull=event.pull,
            )
        )

    def tasks(scratch: Path, looking: Sources) -> Iterator[ShadeTask]:
        """One after the other, when its turn is near: a source is read for it."""
        for number, source in enumerate(sources):
            try:
                pixels[str(number)] = looking.look(source)
                task = _task(str(number), source, job, scratch, secret)
            except PictureError as error:
                rows[number] = _undone(source, error)
                audience.finished(rows[number])
            else:
                yield task

    def candidate(task: AnyTask) -> Candidate:
        return Candidate(task.job_id, pixels[task.job_id], job.profile.quality)

    with (
        scratch_folder() as scratch,
        _ended_before(executor),
        Sources(job.settings, places, again=job.again) as looking,
    ):
        for task, outcome in drive(executor, tasks(scratch, looking), told, candidate):
            number = int(task.job_id)
            rows[number] = _row(sources[number], outcome, job.out, places)
            audience.finished(rows[number])
    return [rows[number] for number in range(len(sources))]


@contextmanager
def _ended_before(executor: Executor) -> Iterator[None]:
    """Where something goes wrong, the workers end before the folder goes that they write to."""
    try:
        yield
    except BaseException:
        executor.close(now=True)
        raise


def _prepared_places(job: Job) -> SidecarPlaces:
    """Where the sidecars go; a folder for them is made where it was never used.

    Raises:
        UsageError: They would go into the folder for shaded copies, or the other way round.
        ConfigurationError, Unavailable: The folder cannot be used.
    """
    from shaded.daemon.holdings import prepare_folder  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.remembering import sidecar_places_before, used_before  # noqa: PLC0415

    places = sidecar_places_before(job.settings)
    folder = places.folder
    if folder is not None:
        out, real = Path(os.path.realpath(job.out)), Path(os.path.realpath(folder))
        if out.is_relative_to(real) or real.is_relative_to(out):
            raise UsageError(
                f"--out and publishing.sidecars overlap ({out} and {real})", remedy="Give each its own folder"
            )
        if not used_before(job.settings, [("sidecars", folder)]):
            prepare_folder(folder, "publishing.sidecars", private=True)
        elif not os.path.isdir(folder):  # noqa: PTH112 - it may be of a disk that is away
            raise Unavailable(
                "publishing.sidecars: the folder is missing", path=folder, remedy="Mount its disk, or make it again"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Unavailable(
                "publishing.sidecars: the folder may not be written", path=folder, remedy="Give your user access to it"
            )
    return places


def _task(job_id: str, source: Path, job: Job, scratch: Path, secret: str) -> ShadeTask:
    """The task for one picture.

    Raises:
        Refusal: Its name cannot be published.
    """
    from shaded.publishing.naming import published_name  # noqa: PLC0415

    error = unsayable(source)
    if error is not None:
        raise error
    staging = scratch / job_id
    staging.mkdir()
    return ShadeTask(
        job_id=job_id,
        root=source.parent,
        source=source,
        name=source.name,
        staging=staging,
        output_name=published_name(source.name, job.profile.output_format),
        profile=job.profile,
        concept_origin="command" if job.named else "profile",
        budget=job.settings.budget,
        secret=secret if job.settings.shading.targets == "own" else "",
        max_pixels=job.settings.watching.max_pixels,
        max_bytes=job.settings.watching.max_bytes,
    )


def _row(source: Path, outcome: object, out: Path, places: SidecarPlaces) -> Finished:
    """Publish a rendered picture, or tell why there is none."""
    if isinstance(outcome, Failure):
        state: Outcome = "refused" if outcome.outcome == "refused" else "failed"
        return Finished(source, state, reason=outcome.what, remedy=_for_now(outcome.remedy))
    assert isinstance(outcome, Rendered)  # noqa: S101 - a shade task has no other outcome
    try:
        published = _publish(outcome, out, places)
    except OSError as error:
        return _unpublished(source, from_os_error(error, out))
    except PictureError as error:
        return _unpublished(source, error)
    return Finished(source, "published", published=published, summary=outcome.summary)


def _undone(source: Path, error: PictureError) -> Finished:
    state: Outcome = "refused" if isinstance(error, Refusal) else "failed"
    return Finished(source, state, reason=error.what, remedy=_for_now(error.remedy))


def _unpublished(source: Path, error: PictureError) -> Finished:
    """What went wrong with another path than the source's, which a person has to be told."""
    undone = _undone(source, error)
    return undone if error.path is None else replace(undone, reason=f"{printable(error.path)}: {error.what}")


def _for_now(remedy: str) -> str:
    """What to do, without what only the daemon does."""
    return "Try again" if remedy == TRIED_AGAIN else remedy.removesuffix(f"; {TRIED_AGAIN[0].lower()}{TRIED_AGAIN[1:]}")


def _publish(rendered: Rendered, out: Path, places: SidecarPlaces) -> Path:
    """Move the result into place. A file of that name is replaced only by the same source's newer result."""
    from shaded.publishing.atomic import publish_pair  # noqa: PLC0415
    from shaded.publishing.ownership import Unrecorded  # noqa: PLC0415
    from shaded.publishing.pairs import find_pair  # noqa: PLC0415
    from shaded.publishing.sidecar import read_sidecar  # noqa: PLC0415

    facts = read_sidecar(rendered.sidecar)
    standing = find_pair(out, PurePath(facts.published.name), facts.source.sha256, lambda _found: True, places=places)
    earlier = Unrecorded() if standing is None else Unrecorded(standing.copy)
    return publish_pair(rendered.picture, rendered.sidecar, out, facts.published.name, earlier, places=places)


def row_document(row: Finished) -> dict[str, Any]:
    """One picture for ``--json``."""
    from shaded.publishing.sidecar import printable as text  # noqa: PLC0415 - not needed to print help

    return {
        "path": text(str(row.path)),
        "outcome": row.outcome,
        "published": None if row.published is None else text(str(row.published)),
        "summary": row.summary,
        "reason": row.reason,
        "remedy": row.remedy,
    }
