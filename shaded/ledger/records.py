"""What the ledger holds, as frozen values.

SQLite keeps what it is given, and disks and people change files. So whatever stands in a row, it can be read: what is
no number counts as 0, what is no text or no JSON as empty. One odd row never hides the others.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

from shaded.filestat import FileStat
from shaded.settings import Profile

State = Literal["settled", "running", "rendered", "published", "refused", "failed"]
STATES: tuple[State, ...] = get_args(State)

AdmissionKind = Literal["new", "known", "publish_again", "waiting", "refused", "failed"]


#: Begins the stand-in for a content's hash where the file was never read, and where it is no picture.
UNREAD: Final = "unread:"
OTHER: Final = f"{UNREAD}other:"


@dataclass(frozen=True, slots=True)
class Job:
    """One content with one profile.

    Attributes:
        id: Names it everywhere, in logs and messages too.
        sha256: The content's hash; ``unread:...`` where the file was set aside without being read, or is no picture.
        profile_digest: The profile's hash.
        profile: The profile as JSON.
        state: ``settled`` waits, ``running`` is leased, ``rendered`` stands in staging, ``published`` is in
            at least one place, ``refused`` and ``failed`` are final until something changes or ``retry``.
        priority: Larger runs earlier.
        queued_at: When it began to wait (seconds since 1970).
        not_before: When it may run at the earliest (seconds since 1970); 0: at once.
        attempts: How often it was begun and the attempt counted.
        interruptions: How often the whole program ended while it ran; each takes one point of priority.
        deaths: How often the worker died of it, or the machine ran out of memory or went down with it.
        deferrals: How often it was put off for something that was not its fault; each doubles the pause.
        picture: The rendered picture in the staging folder.
        sidecar: The sidecar beside it.
        output_sha256: The rendered picture's hash.
        output_bytes: The rendered picture's size.
        summary: The few numbers that a table shows.
        reason: Why it was refused, failed or put off.
        remedy: What to do about it.
        changed_at: When the state last changed (seconds since 1970).
        pixels: How many the picture has; 0: not known.
    """

    id: str
    sha256: str
    profile_digest: str
    profile: str
    state: State
    priority: int
    queued_at: float
    not_before: float
    attempts: int
    interruptions: int
    deaths: int
    deferrals: int
    picture: Path | None
    sidecar: Path | None
    output_sha256: str | None
    output_bytes: int | None
    summary: dict[str, Any]
    reason: str
    remedy: str
    changed_at: float
    pixels: int

    @property
    def left_alone(self) -> bool:
        """Whether this is no picture, and refused for nothing else."""
        return self.sha256.startswith(OTHER)


@dataclass(frozen=True, slots=True)
class Placement:
    """One path in an outbox, and where its shaded copy is.

    Attributes:
        id: Names it in the ledger's methods.
        job_id: The job of the content that lies there.
        root: The outbox.
        relative: The path in it.
        stat: How the file looked when it was admitted (its device is not kept).
        seen_at: When it was admitted (seconds since 1970).
        published: The shaded copy's path; ``None`` until it is published.
        published_sha256: The shaded copy's hash.
        published_at: When it was published (seconds since 1970).
        refusal: Why this place does not get its copy although the picture is shaded; empty where it does.
        remedy: What to do about that.
    """

    id: int
    job_id: str
    root: Path
    relative: Path
    stat: FileStat
    seen_at: float
    published: Path | None
    published_sha256: str | None
    published_at: float | None
    refusal: str = ""
    remedy: str = ""

    @property
    def path(self) -> Path:
        """The whole path of the source."""
        return self.root / self.relative


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of an arrival.

    ``kind``: ``new`` waits from now on; ``waiting`` is queued or under way already; ``publish_again`` has a
    finished result that this place lacks; ``known`` is published here already; ``refused`` and ``failed``
    were decided before for the same content and profile.
    """

    job: Job
    placement: Placement
    kind: AdmissionKind


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased job with the place to read its content from."""

    job: Job
    placement: Placement


@dataclass(frozen=True, slots=True)
class Queued:
    """A waiting job and its place in the queue.

    Attributes:
        job: The job.
        placement: Where its content would be read from.
        position: Its place, counted from one.
        ready: Whether it may run now; one that is put off may not.
        rank: What the ready ones are ordered by, the largest first.
        why: Why it stands there, one clause.
    """

    job: Job
    placement: Placement
    position: int
    ready: bool
    rank: float
    why: str


@dataclass(frozen=True, slots=True)
class Record:
    """A job at one place, with its story: (seconds since 1970, sentence), the oldest first."""

    job: Job
    placement: Placement
    events: tuple[tuple[float, str], ...] = field(default=())


JOB_COLUMNS = ", ".join("jobs.id" if column.name == "id" else column.name for column in fields(Job))
PLACEMENT_COLUMNS = (
    "placements.id, job_id, root, relative, size, mtime_ns, inode, seen_at, published, published_sha256, "
    "published_at, refusal, refusal_remedy, ctime_ns"
)
_JOB_FIELDS = tuple(column.name for column in fields(Job))


def path_to_blob(path: Path) -> bytes:
    """A path as the bytes that the operating system knows it by."""
    return os.fsencode(path)


def path_from_blob(blob: object) -> Path:
    """The reverse of :func:`path_to_blob`."""
    return Path(os.fsdecode(blob if isinstance(blob, bytes | str) else str(blob)))


def _path(blob: object) -> Path | None:
    return None if blob is None else path_from_blob(blob)


def _whole(value: object, least: int = 0) -> int:
    """A count; what is none is 0."""
    return max(least, int(real(value)) if not isinstance(value, int) else value)


def _signed_whole(value: object) -> int:
    return _whole(value, -(2**63))


def real(value: object) -> float:
    """A number that is one, such as a date."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def words(value: object) -> str:
    """Text; bytes are read as UTF-8, as far as they are."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str("" if value is None else value)


def _maybe(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


def _facts(value: object) -> dict[str, Any]:
    """A JSON object; anything else is an empty one."""
    try:
        found = json.loads(words(value))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


#: How each column of a job is read.
_READ: dict[str, Callable[[object], Any]] = {
    "id": words, "sha256": words, "profile_digest": words, "profile": words, "state": words,
    "priority": _signed_whole, "queued_at": real, "not_before": real, "attempts": _whole, "interruptions": _whole,
    "deaths": _whole, "deferrals": _whole, "picture": _path, "sidecar": _path, "output_sha256": _maybe(words),
    "output_bytes": _maybe(_whole), "summary": _facts, "reason": words, "remedy": words, "changed_at": real,
    "pixels": _whole,
}  # fmt: skip


@lru_cache(maxsize=64)
def stored_profile(text: str) -> Profile | None:
    """A profile as a job keeps it; ``None`` where this version cannot read it."""
    try:
        return Profile.model_validate_json(text)
    except ValueError:
        return None


def signed(number: int) -> int:
    """A number as SQLite can hold it: in 64 bits with a sign. File systems have times before 1970 and after 2262."""
    return (number + 2**63) % 2**64 - 2**63


def job_from(row: sqlite3.Row) -> Job:
    """Read the columns of ``JOB_COLUMNS``."""
    return Job(**{name: _READ[name](value) for name, value in zip(_JOB_FIELDS, tuple(row), strict=False)})


def placement_from(values: tuple[Any, ...]) -> Placement:
    """Read the columns of ``PLACEMENT_COLUMNS``."""
    number, job_id, root, relative, size, mtime_ns, inode, seen_at, published, sha256, published_at = values[:11]
    refusal, remedy, ctime_ns = values[11:14]
    return Placement(
        id=number,
        job_id=str(job_id),
        root=path_from_blob(root),
        relative=path_from_blob(relative),
        stat=FileStat(
            _whole(size), _signed_whole(mtime_ns), _signed_whole(inode) % 2**64, ctime_ns=_signed_whole(ctime_ns)
        ),
        seen_at=real(seen_at),
        published=_path(published),
        published_sha256=_maybe(words)(sha256),
        published_at=_maybe(real)(published_at),
        refusal=words(refusal),
        remedy=words(remedy),
    )


def both_from(row: sqlite3.Row) -> tuple[Job, Placement]:
    """Read the columns of ``JOB_COLUMNS`` followed by those of ``PLACEMENT_COLUMNS``; more may follow."""
    return job_from(row), placement_from(tuple(row)[len(_JOB_FIELDS) :])


def times(count: int) -> str:
    """For a person: ``once``, ``3 times``."""
    return "once" if count == 1 else f"{count} times"
