"""What ``status``, ``queue`` and ``explain`` say: pure functions from the ledger and the daemon's view to documents.

A document is a dictionary that can be written as JSON; the commands print it so, or as words. The same functions serve
the running daemon and a command that found none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shaded.clock import spoken
from shaded.configuration.places import known_as
from shaded.daemon.audience import Flight
from shaded.ledger import Job, LedgerReader, Placement, Queued, Record, State
from shaded.ledger.records import times
from shaded.settings import Settings

if TYPE_CHECKING:
    from shaded.publishing.sidecar_places import SidecarPlaces

#: How many errors ``status`` names.
MOST_ERRORS = 5


@dataclass(frozen=True)
class DaemonView:
    """The daemon as it was at the end of its last round; read by other threads.

    Attributes:
        since: When it started (seconds since 1970).
        paused_until: The end of a pause, where it has one (seconds since 1970).
        device: What the worker computes on; empty until a worker said so.
        folders: ``Outbox.status`` of each watched folder.
        flights: What is under way.
        now: ``Clock.monotonic`` when this was written.
        counts: How many jobs are in each state.
        troubles: Files that could not be read or published just now, and why.
        disks: Each disk that is written to, and whether there is room; ``Room.document``.
        blocked: Outboxes whose pictures are not begun now, and why, one clause.
        ledger_trouble: Why the ledger cannot be used now.
        settings_loaded_at: When the settings were read (seconds since 1970).
        settings_trouble: What was wrong with them when they were last to be read anew.
        stuck: Parts that do not do what is due.
        shortage: Why nothing is begun although pictures wait and nothing is under way.
        courtesy: For whose sake nothing is begun, as the user wished, one clause.
        queue_seconds: How long what is under way and what waits will take; ``None`` where that is not known.
    """

    pid: int
    version: str
    since: float
    paused: bool
    paused_until: float | None
    stopping: bool
    device: str
    folders: tuple[dict[str, Any], ...]
    flights: tuple[Flight, ...]
    now: float
    counts: dict[State, int]
    troubles: dict[str, str] = field(default_factory=dict)
    disks: tuple[dict[str, Any], ...] = ()
    blocked: Mapping[Path, str] = field(default_factory=dict)
    ledger_trouble: str = ""
    settings_loaded_at: float | None = None
    settings_trouble: str = ""
    stuck: tuple[str, ...] = ()
    shortage: str = ""
    courtesy: str = ""
    queue_seconds: float | None = None

    def problems(self) -> list[str]:
        """What keeps the daemon from doing all its work, one sentence each without a final stop; empty: healthy."""
        found = [f"{disk['path']}: {disk['trouble']}. {disk['remedy']}" for disk in self.disks if not disk["ok"]]
        found += [
            f"{folder['outbox']}: {'; '.join(folder.get('trouble', [])) or 'it is not watched now'}"
            for folder in self.folders
            if not folder.get("healthy", True)
        ]
        found += [f"the ledger: {self.ledger_trouble}"] if self.ledger_trouble else []
        found += [f"the settings: {self.settings_trouble}"] if self.settings_trouble else []
        found += [self.shortage] if self.shortage else []
        found += [*self.stuck]
        return [problem.rstrip(".") for problem in found]

    def sentence(self) -> str:
        """One line for the service manager."""
        waiting = self.counts.get("settled", 0)
        if self.stopping:
            doing = "stopping"
        elif self.flights:
            doing = "shading " + ", ".join(flight.path.name for flight in self.flights)
        elif self.paused:
            doing = "paused"
        else:
            why = next(iter(self.blocked.values()), self.courtesy)
            doing = f"waiting: {why}" if why and waiting else "idle"
        about = f" ({self._left()})" if self.queue_seconds and self.flights else ""
        return f"{doing}; {waiting} waiting{about}, {self.counts.get('published', 0)} published"

    def _left(self) -> str:
        return f"about {spoken(self.queue_seconds or 0.0)} for all"


def status_document(reader: LedgerReader | None, view: DaemonView | None, *, silent: bool = False) -> dict[str, Any]:
    """The answer to ``status``; ``view`` is ``None`` without a daemon, ``reader`` before there ever was one.

    ``silent``: a daemon holds the state folder and cannot be asked.
    """
    if view is None:
        daemon: dict[str, Any] = {"running": False} | ({"silent": True} if silent else {})
    else:
        daemon = {
            "running": True,
            "pid": view.pid,
            "version": view.version,
            "since": view.since,
            "paused": view.paused,
            "paused_until": view.paused_until,
            "stopping": view.stopping,
            "device": view.device or None,
            "settings": {"loaded_at": view.settings_loaded_at, "trouble": view.settings_trouble or None},
        }
    absent = "a daemon is running and does not answer" if silent else "the daemon is not running"
    problems = [absent] if view is None else view.problems()
    return {
        "health": {"ok": not problems, "problems": problems},
        "daemon": daemon,
        "disks": [] if view is None else list(view.disks),
        "folders": [] if view is None else [_folder(folder, view) for folder in view.folders],
        "counts": {} if reader is None else dict(reader.counts()),
        "current": [] if view is None else [_flight(flight, view.now) for flight in view.flights],
        "eta_seconds": None if view is None else view.queue_seconds,
        "troubles": {} if view is None else view.troubles,
        "errors": [] if reader is None else [_error(record) for record in reader.recent_errors(MOST_ERRORS)],
    }


def _folder(folder: dict[str, Any], view: DaemonView) -> dict[str, Any]:
    """An outbox as it tells of itself, and why its pictures are not begun now."""
    return folder | {"waits": view.blocked.get(Path(folder["outbox"])) or view.courtesy or None}


def queue_document(reader: LedgerReader | None) -> dict[str, Any]:
    """The answer to ``queue``: what runs, and what waits in which order and why."""
    if reader is None:
        return {"running": [], "waiting": []}
    return {
        "running": [{"job": claim.job.id, "path": str(claim.placement.path)} for claim in reader.running()],
        "waiting": [_queued(queued) for queued in reader.queue()],
    }


def explain_document(
    reader: LedgerReader | None,
    settings: Settings,
    path: Path,
    why_not: str | None,
    *,
    running: bool,
    blocked: Mapping[Path, str] | None = None,
) -> dict[str, Any]:
    """The answer to ``explain``.

    Args:
        reader: The ledger.
        settings: The watched folders and the ignore patterns.
        path: An absolute path of a source, a published file or its sidecar, through whatever links.
        why_not: What the daemon itself knows to stand against the file.
        running: Whether there is a daemon.
        blocked: Outboxes whose pictures are not begun now, and why.
    """
    from shaded.daemon.remembering import sidecar_places  # noqa: PLC0415 - `status` is quick without it

    asked, path = path, path if reader is None else reader.known_path(path, settings.folders_named)
    places = sidecar_places(settings, reader)
    records = [] if reader is None else reader.find(path) or reader.find(places.picture_of(path))
    if reader is not None and records:
        waiting = {queued.job.id: queued for queued in reader.queue()}
        queued = waiting.get(records[-1].job.id)
        against = (blocked or {}).get(records[-1].placement.root, "")
        return {
            "path": str(asked),
            "state": "left alone" if records[-1].job.left_alone else records[-1].job.state,
            "why": _why(records[-1], queued, against),
            "next": _next(records[-1], queued, settings),
            "records": [_record(record, places) for record in records],
        }
    return {
        "path": str(asked),
        "state": "unknown",
        "why": why_not or _why_unknown(settings, path, running),
        "records": [],
        "story": [] if reader is None else [{"at": at, "what": what} for at, what in reader.story(path)],
    }


def _why_unknown(settings: Settings, path: Path, running: bool) -> str:
    """Why a file that the ledger does not know is not being shaded."""
    from shaded.outbox.ignore import IgnoreRules  # noqa: PLC0415 - `status` is quick without it
    from shaded.outbox.scan import why_not_taken  # noqa: PLC0415

    path = known_as(path, [folder.outbox for folder in settings.folder])
    roots = [folder.outbox for folder in settings.folder if path.is_relative_to(folder.outbox)]
    if not roots:
        return "it lies in no watched outbox"
    rules = IgnoreRules.for_root(roots[0], settings.watching.ignore)
    downloads = settings.watching.placeholders == "download"
    against = why_not_taken(roots[0], path.relative_to(roots[0]), rules, downloads=downloads)
    if against is not None:
        return against
    if running:
        return "it was not seen yet; it is taken up at the next scan at the latest"
    return "the daemon is not running, so nothing takes it up"


def _why(record: Record, queued: Queued | None, against: str = "") -> str:
    """The state of a job in words."""
    job = record.job
    if job.state == "settled":
        place = "" if queued is None else f"it is number {queued.position} in the queue; {queued.why}"
        place = f"{against}; {place}" if against else place
        remedy = f". {job.remedy}" if job.remedy else ""
        return f"it waits to be shaded: {place}".removesuffix(": ") + remedy
    if job.state == "running":
        return "it is being shaded now"
    if job.state in ("rendered", "published"):
        return _why_here(record.placement)
    verb = "it is left alone" if job.left_alone else "it was refused" if job.state == "refused" else "it failed"
    return f"{verb}: {job.reason}" + (f". {job.remedy}" if job.remedy else "")


def _why_here(place: Placement) -> str:
    """What became of a finished result at one place, in words."""
    if place.published is not None:
        return f"it is published as {place.published}"
    if place.refusal:
        remedy = f". {place.remedy}" if place.remedy else ""
        return f"it is shaded, and cannot be published here: {place.refusal}{remedy}"
    return "it is shaded, and waits to be published here"


def _next(record: Record, queued: Queued | None, settings: Settings) -> str:
    """What happens next by itself, and after how many tries it does not any more, one clause; empty where all is well.

    For a person, what :data:`shaded.errors.POLICIES` and the ledger do.
    """
    scheduling, job = settings.scheduling, record.job
    if job.left_alone:
        return "it is looked at again when it changes"
    if job.state in ("refused", "failed") or record.placement.refusal:
        return "it is not tried again until the file changes, or you ask with `shaded retry`"
    if job.state != "settled" or queued is None or not (job.reason or job.interruptions):
        return ""
    if job.deaths:
        left = max(0, scheduling.max_deaths - job.deaths)
        often = f"it took the worker or the machine down {times(job.deaths)}"
        return f"{often}; if that happens {times(left)} more, it is set aside"
    if job.attempts:
        left = max(0, scheduling.max_attempts - job.attempts)
        return f"it is tried again by itself, {times(left)} at most; then it is set aside"
    return "it is tried again by itself for as long as it takes, after pauses that double up to a quarter of an hour"


def _flight(flight: Flight, now: float) -> dict[str, Any]:
    return {
        "job": flight.job_id,
        "path": str(flight.path),
        "stage": flight.stage,
        "step": flight.step,
        "steps": flight.steps,
        "pull": flight.pull,
        "seconds": now - flight.started_at,
        "eta_seconds": flight.eta(now),
    }


def _error(record: Record) -> dict[str, Any]:
    job, place = record.job, record.placement
    return {
        "path": str(place.path),
        "state": "refused" if place.refusal else job.state,
        "reason": place.refusal or job.reason,
        "remedy": place.remedy if place.refusal else job.remedy,
        "at": job.changed_at,
    }


def _queued(queued: Queued) -> dict[str, Any]:
    return {
        "position": queued.position,
        "job": queued.job.id,
        "path": str(queued.placement.path),
        "priority": queued.job.priority,
        "attempts": queued.job.attempts,
        "why": queued.why,
    }


def _record(record: Record, places: SidecarPlaces) -> dict[str, Any]:
    return {
        **_job(record.job),
        **_place(record.placement, places),
        "story": [{"at": a, "what": w} for a, w in record.events],
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "state": job.state,
        "sha256": job.sha256,
        "attempts": job.attempts,
        "reason": job.reason,
        "remedy": job.remedy,
        "not_before": job.not_before or None,
        "deaths": job.deaths,
        "interruptions": job.interruptions,
        "summary": job.summary,
        "changed_at": job.changed_at,
    }


def _place(placement: Placement, places: SidecarPlaces) -> dict[str, Any]:
    published = placement.published
    sidecar = None if published is None else places.find(published, published.parent).path
    return {
        "source": str(placement.path),
        "published": None if published is None else str(published),
        "sidecar": None if sidecar is None or not os.path.lexists(sidecar) else str(sidecar),
        "published_at": placement.published_at,
    }
