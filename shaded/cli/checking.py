"""``check``: whether the settings and folders are such that the daemon can work."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from shaded.cli.words import ConfigOption, JsonOption, print_json, printable
from shaded.configuration.places import settings_file
from shaded.errors import ConfigurationError, ShadedError
from shaded.settings import Settings, load_settings

WRONG_SETTINGS = 78
_INOTIFY_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
#: How many folders are counted at most; no limit needs to be higher.
_MOST_FOLDERS = 1_000_000


def check(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    skip_models: Annotated[bool, typer.Option("--skip-models", help="Do not hash the bundled models.")] = False,
) -> None:
    """Check settings, folders and bundled models; changes nothing."""
    settings = load_settings(config)
    problems = [
        *folder_problems(settings), *pattern_problems(settings), *cluster_problems(settings),
        *([] if skip_models else model_problems()),
    ]  # fmt: skip
    hints = [*folder_hints(settings), *anchor_hints(settings), *memory_hints(settings)]
    if as_json:
        print_json({"ok": not problems, "problems": problems, "hints": hints})
    else:
        place = settings_file(config)
        typer.echo(
            f"Settings: {'the defaults, since there is no settings file' if place is None else printable(place)}."
        )
        for folder in settings.folder:
            line = f"{printable(folder.outbox)} -> {printable(folder.publish)} (profile {folder.profile})"
            typer.echo(line)
        if settings.publishing.sidecars is not None:
            typer.echo(f"sidecars -> {printable(settings.publishing.sidecars)}")
        for hint in hints:
            typer.echo(f"hint: {printable(hint)}")
        for problem in problems:
            typer.echo(f"problem: {printable(problem)}")
        typer.echo("There are problems." if problems else "All is well.")
    if problems:
        raise typer.Exit(WRONG_SETTINGS)


def anchor_hints(settings: Settings) -> Iterator[str]:
    """Whether a folder of own anchors is named in vain."""
    engine = settings.shading
    named = any(profile.target for profile in settings.profile.values())
    if engine.anchors is not None and engine.targets == "shared" and not named:
        yield (
            "shading.anchors: these pictures are chosen only for a target that a profile names, "
            'since shading.targets is "shared"; name a target in a profile, or set shading.targets = "own"'
        )


def cluster_problems(settings: Settings) -> Iterator[str]:
    """What keeps the daemon from using the cluster that the settings name; whether it answers is not tried."""
    from shaded.scheduling.cluster import require_ray  # noqa: PLC0415 - not needed to print help

    if settings.cluster.address:
        try:
            require_ray()
        except ConfigurationError as error:
            yield str(error)


def pattern_problems(settings: Settings) -> Iterator[str]:
    """What keeps the daemon from following the ignore patterns."""
    from shaded.outbox.ignore import IgnoreRules  # noqa: PLC0415 - not needed to print help

    try:
        IgnoreRules(settings.watching.ignore)
    except ConfigurationError as error:
        yield str(error)


def model_problems() -> list[str]:
    """What is wrong with the bundled models' files, as sentences."""
    from shaded.models.bundle import check_bundle  # noqa: PLC0415 - not needed to print help

    return list(check_bundle())


def folder_problems(settings: Settings) -> Iterator[str]:
    """What keeps the daemon from working with these folders, as sentences that name the key."""
    if not settings.folder:
        yield "folder: no folder is watched; write a [[folder]] table, or name --outbox and --publish with `run`"
    for number, folder in enumerate(settings.folder):
        outbox = f"folder.{number}.outbox: {folder.outbox}"
        try:
            is_folder = stat.S_ISDIR(folder.outbox.stat().st_mode)
        except FileNotFoundError:
            yield f"{outbox} does not exist; make it, or let `shaded run` make it"
        except OSError as error:
            yield f"{outbox} cannot be looked at ({error.strerror or error}); name another, or mend it"
        else:
            if not is_folder:
                yield f"{outbox} is no folder"
            elif not os.access(folder.outbox, os.R_OK | os.X_OK):
                yield f"{outbox} cannot be read by you"
        yield from _writable(f"folder.{number}.publish", folder.publish)
    yield from _away(settings)
    if settings.publishing.sidecars is not None:
        yield from _writable("publishing.sidecars", settings.publishing.sidecars)
    yield from _writable("state_dir", settings.state_dir)
    yield from _writable("publishing.staging", settings.staging_home or settings.staging_dir)
    yield from _foreign(settings)


def _away(settings: Settings) -> Iterator[str]:
    """Folders that were in use once and are missing: the daemon waits for them, and makes no new ones."""
    from shaded.daemon.holdings import named_folders  # noqa: PLC0415 - see above
    from shaded.daemon.remembering import used_before  # noqa: PLC0415

    named = [
        (key, kind, path)
        for key, kind, path in named_folders(settings)
        if kind != "outbox" and not os.path.exists(path)  # noqa: PTH110 - see folder_problems
    ]
    with suppress(ShadedError):  # a ledger that cannot be read is told elsewhere
        used = used_before(settings, ((kind, path) for _, kind, path in named))
        for key, _, path in named:
            if path in used:
                yield f"{key}: {path} was used before and is missing; mount its disk, or make the folder again"


def _foreign(settings: Settings) -> Iterator[str]:
    """State and staging must be folders that the daemon can call its own."""
    from shaded.daemon.holdings import refuse_foreign_staging, refuse_foreign_state  # noqa: PLC0415 - see above

    checks: tuple[Callable[[], None], ...] = (
        lambda: refuse_foreign_state(settings.state_dir),
        lambda: refuse_foreign_staging(settings),
    )
    for check_it in checks:
        try:
            check_it()
        except ShadedError as error:
            yield str(error)
        except OSError as error:  # permission on a folder above, say
            yield f"state_dir: {error.filename} cannot be looked at ({error.strerror or error})"


def _writable(key: str, folder: Path) -> Iterator[str]:
    """A folder that exists must be writable; a missing one must be possible to make."""
    existing = _nearest(folder)
    if not os.path.isdir(existing):  # noqa: PTH112 - see folder_problems
        yield f"{key}: {existing} is no folder"
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield f"{key}: {existing} cannot be written by you"


def folder_hints(settings: Settings) -> Iterator[str]:
    """What works but could be better."""
    staging = _device(settings.staging_dir)
    for number, folder in enumerate(settings.folder):
        if _device(folder.publish) != staging:
            yield (
                f"publishing.staging: {settings.staging_dir} is on another disk than folder.{number}.publish; "
                "each picture is copied once more"
            )
    yield from _seen_sidecars(settings)
    yield from _watch_limit([folder.outbox for folder in settings.folder])


def _seen_sidecars(settings: Settings) -> Iterator[str]:
    """Sidecars that were published before the settings named a folder for them."""
    from shaded.cli.verifying import SIDECAR_SUFFIX  # noqa: PLC0415 - not needed to print help
    from shaded.publishing.pairs import walk  # noqa: PLC0415

    if settings.publishing.sidecars is None:
        return
    for publish in dict.fromkeys(folder.publish for folder in settings.folder if folder.publish.is_dir()):
        seen = next(walk(publish, lambda name: name.endswith(SIDECAR_SUFFIX), lambda _: None), None)
        if seen is not None:
            yield (
                f"publishing.sidecars: sidecars of earlier pictures are still beside them, such as {seen}. "
                "Move them if nobody should see them; docs/commands.md says where to"
            )


def memory_hints(settings: Settings) -> Iterator[str]:
    """Whether the workers may hold enough memory for the full canvas, by what is known of it so far."""
    from shaded.clock import SystemClock  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.executors import limits_of, open_room  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.remembering import learned_before  # noqa: PLC0415 - not needed to print help
    from shaded.scheduling.executor import Candidate  # noqa: PLC0415 - not needed to print help

    if settings.cluster.address or settings.shading.device not in ("auto", "cpu"):
        return
    canvas = settings.shading.canvas_pixels
    limit = limits_of(settings).allowance.limit
    room = open_room(settings, SystemClock(), learned_before(settings))
    needed = room.pick([Candidate("", canvas)], [], sys.maxsize, sys.maxsize)
    possible = room.pick([Candidate("", canvas)], [], limit, limit)
    if needed is None or (possible is not None and not possible.canvas_pixels):
        return
    then = (
        f"Larger pictures are shaded on one of {possible.canvas_pixels} pixels, which is worth less and shows more"
        if possible
        else "Not even the smallest one fits, and the system may end the workers"
    )
    yield (
        f"memory: the workers may hold {max(0, limit) / 1e9:.1f} GB at most, and a canvas of {canvas} pixels takes "
        f"about {needed.needed / 1e9:.1f} GB. {then}. See scheduling.memory_limit and memory_reserve, and the limits "
        "of a container or service"
    )


def _device(folder: Path) -> int:
    """The disk that a folder is on, or will be."""
    return _nearest(folder).stat().st_dev


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110 - see folder_problems


def _watch_limit(outboxes: Sequence[Path]) -> Iterator[str]:
    """Linux watches each folder separately, and limits how many."""
    try:
        limit = int(_INOTIFY_WATCHES.read_text())
    except (OSError, ValueError):
        return
    needed = sum(1 for _ in islice((folder for outbox in outboxes for folder in os.walk(outbox)), _MOST_FOLDERS))
    if needed > limit // 2:
        wanted = max(524_288, 2 * needed)
        yield (
            f"the outboxes have {needed} folders and the system watches at most {limit} for you: "
            f"raise the limit with `sudo sysctl fs.inotify.max_user_watches={wanted}`"
        )
