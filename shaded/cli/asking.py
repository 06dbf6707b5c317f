"""``status``, ``queue`` and ``explain``: from the daemon, or from its ledger where there is no daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from shaded.cli.words import ConfigOption, JsonOption, absolute, path_of, print_json, printable, spoken
from shaded.control import request
from shaded.errors import DaemonNotRunning, ShadedError
from shaded.settings import Settings, load_settings

Answer = TypeVar("Answer")

#: ``status --check``: the daemon runs, and something keeps it from doing all its work.
NOT_HEALTHY = 4


def status(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with 4 where it is not healthy, 69 where none runs.")
    ] = False,
) -> None:
    """Say what the daemon does: folders, disks, counts, the picture under way, the last errors."""
    settings = load_settings(config)
    try:
        document = request(settings.state_dir, "status")
    except DaemonNotRunning:
        document = _without_daemon(settings, "status")
    if as_json:
        print_json(document)
    else:
        _say(lambda: status_lines(document, time.time()))
    if check and not _understood(lambda: document["health"]["ok"]):
        running = _understood(lambda: document["daemon"]["running"])
        raise typer.Exit(NOT_HEALTHY if running else DaemonNotRunning.exit_code)


def queue(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what waits, and why in this order."""
    settings = load_settings(config)
    try:
        document = request(settings.state_dir, "queue")
    except DaemonNotRunning:
        document = _without_daemon(settings, "queue")
    if as_json:
        print_json(document)
        return
    _say(lambda: queue_lines(document))


def explain(
    path: Annotated[Path, typer.Argument(parser=path_of, help="A picture in an outbox, or a published copy.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why this file is done or not done."""
    settings = load_settings(config)
    path = absolute(path)
    try:
        document = request(settings.state_dir, "explain", path=str(path), timeout=60.0)
    except DaemonNotRunning:
        document = _without_daemon(settings, "explain", path)
    if as_json:
        print_json(document)
        return
    _say(lambda: explain_lines(document, time.time()))


def _say(lines: Callable[[], list[str]]) -> None:
    """Print what an answer says; none of it can move a cursor."""
    for line in _understood(lines):
        typer.echo(printable(line))


def _understood(read: Callable[[], Answer]) -> Answer:
    """What is read in an answer.

    Raises:
        ShadedError: The answer is not what a daemon of this version says.
    """
    try:
        return read()
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ShadedError(
            "the daemon's answer cannot be understood", remedy="If it is of another version, start it again"
        ) from error


def _without_daemon(settings: Settings, question: str, path: Path | None = None) -> dict[str, Any]:
    """The same answer from the ledger alone."""
    from shaded import reports  # noqa: PLC0415 - not needed while a daemon answers
    from shaded.clock import SystemClock  # noqa: PLC0415
    from shaded.daemon.instance import LEDGER_NAME, is_locked  # noqa: PLC0415
    from shaded.ledger import LedgerReader  # noqa: PLC0415

    reader = LedgerReader.open_readonly(settings.state_dir / LEDGER_NAME, SystemClock(), settings.scheduling)
    try:
        if path is not None:
            return reports.explain_document(reader, settings, path, None, running=False)
        if question == "queue":
            return reports.queue_document(reader)
        return reports.status_document(reader, None, silent=is_locked(settings.state_dir))
    finally:
        if reader is not None:
            reader.close()


#: ``folders[].watching`` in words.
_BY = {"native": "native events"}


def status_lines(document: dict[str, Any], now: float) -> list[str]:
    """The status in words."""
    daemon, counts = document["daemon"], document["counts"]
    if daemon["running"]:
        lines = [f"The daemon is running (process {daemon['pid']}, for {spoken(now - daemon['since'])})."]
        if daemon["stopping"]:
            lines.append("It finishes the picture under way and stops.")
        if daemon["paused"]:
            end = daemon["paused_until"]
            lines.append("It is paused" + (f" for {spoken(end - now)} more." if end else " until `shaded resume`."))
    elif daemon.get("silent"):
        lines = ["A daemon is running, but it does not answer. Its log says why: `journalctl --user -u shaded`, say."]
    else:
        lines = ["The daemon is not running. Start it with `shaded run` or `shaded service install`."]
    if daemon["running"]:
        lines += [f"Not well: {printable(problem)}." for problem in document["health"]["problems"]]
    lines += [line for folder in document["folders"] for line in _folder_lines(folder)]
    if counts:
        shown = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        lines.append(f"Pictures: {shown or 'none yet'}.")
    if document.get("eta_seconds") and counts.get("settled"):
        lines.append(f"All that waits: about {spoken(document['eta_seconds'])}.")
    lines += [_current_line(current) for current in document["current"]]
    lines += [f"Not now: {printable(path)}: {printable(why)}" for path, why in document["troubles"].items()]
    if document["errors"]:
        lines.append("Last troubles:")
        for error in document["errors"]:
            when = f"{spoken(now - error['at'])} ago, {error['state']}"
            remedy = f". {printable(error['remedy'])}" if error["remedy"] else ""
            lines.append(f"  {when}: {printable(error['path'])}: {printable(error['reason'])}{remedy}")
    return lines


def _folder_lines(folder: dict[str, Any]) -> list[str]:
    lines = [f"{printable(folder['outbox'])} -> {printable(folder['publish'])} (profile {folder['profile']})"]
    if folder["there"]:
        lines.append(f"  watched by {_BY.get(folder['watching'], folder['watching'])}: {printable(folder['why'])}")
    lines += [f"  trouble: {printable(trouble)}" for trouble in folder.get("trouble", [])]
    if folder["there"] and folder.get("waits"):
        lines.append(f"  its pictures wait: {printable(folder['waits'])}")
    return lines


def _current_line(current: dict[str, Any]) -> str:
    parts = [f"Under way: {printable(current['path'])}: {current['stage']}"]
    if current["steps"]:
        parts.append(f"step {current['step']} of {current['steps']}")
    if current["pull"] is not None:
        parts.append(f"pull {current['pull']:.2f} so far")
    if current["eta_seconds"] is not None:
        parts.append(f"about {spoken(current['eta_seconds'])} left")
    return ", ".join(parts) + "."


def queue_lines(document: dict[str, Any]) -> list[str]:
    """The queue in words."""
    lines = [f"now: {printable(running['path'])}" for running in document["running"]]
    lines += [f"{w['position']}. {printable(w['path'])}: {printable(w['why'])}" for w in document["waiting"]]
    return lines or ["Nothing waits."]


def explain_lines(document: dict[str, Any], now: float) -> list[str]:
    """The explanation in words, with the file's story."""
    lines = [f"{printable(document['path'])}: {printable(document['why']).rstrip('.')}."]
    lines += [f"  Next: {printable(document['next'])}."] if document.get("next") else []
    sidecars = (record.get("sidecar") for record in document["records"])
    lines += [f"  Its sidecar: {printable(sidecar)}" for sidecar in sidecars if sidecar]
    stories = [record["story"] for record in document["records"]] or [document.get("story", [])]
    for story in stories:
        lines += [f"  {spoken(now - event['at'])} ago: {printable(event['what'])}" for event in story]
    return lines
