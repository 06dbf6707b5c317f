"""What the daemon and its worker process say to each other: frozen models, one JSON line each.

No pickles cross the pipe, and no pixels either: a task names a file and the hash that its bytes must have; an outcome
names the rendered file in the staging folder. The same messages serve an executor on another machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from shaded.evidence.findings import AuditResult
from shaded.settings import Budget, Cluster, Profile, Shading


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShadeTask(_Message):
    """Shade one picture into ``staging``.

    Attributes:
        job_id: Names the job in every log line and outcome.
        root: The folder ``source`` must lie in; it is opened without following links.
        source: The file to read.
        sha256: What its bytes must hash to; another hash means that the file changed meanwhile. Empty: any.
        name: The file name that the sidecar states as the source's.
        staging: An existing folder for the rendered file and its sidecar.
        output_name: The published file's name (its suffix says the format); the sidecar names it.
        concept_origin: Who named ``profile.concept``, when it is set: the profile or the command line.
        secret: The installation's secret as hexadecimal digits, which chooses targets; empty: those that all share.
        max_pixels: Pictures with more pixels are refused before they are decoded.
        max_bytes: Larger files are refused before they are read.
        canvas_pixels: A smaller canvas than the worker was started with, because memory is short; 0: none.
    """

    kind: Literal["shade"] = "shade"
    job_id: str
    root: Path
    source: Path
    sha256: str = ""
    name: str
    staging: Path
    output_name: str
    profile: Profile = Profile()
    concept_origin: Literal["profile", "command"] = "profile"
    budget: Budget = Budget()
    secret: str = ""
    max_pixels: int = 200_000_000
    max_bytes: int = 1_000_000_000
    canvas_pixels: int = 0


class _AboutPublished(_Message):
    """A published file, opened as carefully as one in an outbox.

    Attributes:
        job_id: Names the task in every outcome.
        published: The file.
        root: A folder above it that a person named: below it no link is followed. ``None``: the file's own folder.
        sidecar: Its sidecar; ``None``: beside it.
        sidecar_root: The same as ``root`` for the sidecar.
        original: What it was made from, where that is known.
        original_root: The same as ``root`` for the original.
        max_pixels: Neither file is decoded if it has more pixels.
        max_bytes: Neither file is read if it is larger.
    """

    job_id: str
    published: Path
    root: Path | None = None
    sidecar: Path | None = None
    sidecar_root: Path | None = None
    original: Path | None = None
    original_root: Path | None = None
    max_pixels: int = 200_000_000
    max_bytes: int = 1_000_000_000


class VerifyTask(_AboutPublished):
    """Measure a published file again and hold it to its sidecar; ``anchor_out`` is where its anchor is written."""

    kind: Literal["verify"] = "verify"
    anchor_out: Path | None = None


class AuditTask(_AboutPublished):
    """Measure what survives of a published file's shading.

    ``pictures`` is an existing folder for the audited part of the canvas as PNG, where it is wanted.
    """

    kind: Literal["audit"] = "audit"
    original: Path
    pictures: Path | None = None


class Stop(_Message):
    """Finish what is under way and exit."""

    kind: Literal["stop"] = "stop"


Task = Annotated[ShadeTask | VerifyTask | AuditTask, Field(discriminator="kind")]
Request = Annotated[ShadeTask | VerifyTask | AuditTask | Stop, Field(discriminator="kind")]


class Start(_Message):
    """The first line a worker reads: how to set itself up.

    ``device_index`` says which of several GPUs it computes on; where there are none it says nothing.
    """

    shading: Shading
    device_index: int = 0
    niceness: int = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "json"


class ClusterStart(Start):
    """The first line that the process between the daemon and a cluster reads.

    ``silence_seconds``: a worker that holds a picture and says nothing for so long is ended.
    """

    cluster: Cluster
    silence_seconds: float


class ClusterState(_Message):
    """How it stands with a cluster; between that process and its executor only.

    ``workers`` is how many have loaded their models. ``trouble`` says why there is none, where that is known, with
    ``remedy``; ``reached`` is false when the cluster does not answer, and the process ends then.
    """

    kind: Literal["cluster"] = "cluster"
    workers: int
    reached: bool = True
    trouble: str = ""
    remedy: str = ""


class Ready(_Message):
    """The worker has loaded its models.

    ``devices`` has a name for each device of that kind on the machine; see ``Accelerator.names``.
    """

    kind: Literal["ready"] = "ready"
    device: str
    seconds: float
    devices: tuple[str, ...] = ("",)


class Progress(_Message):
    """How far a job is; ``pull`` is what the optimiser sees so far, not a measurement."""

    kind: Literal["progress"] = "progress"
    job_id: str
    stage: str
    step: int = 0
    steps: int = 0
    pull: float | None = None


class Spent(_Message):
    """What the picture whose outcome comes next made the worker hold at most, in bytes; also where it failed.

    ``device_peak_bytes`` is the same for a GPU's own memory, and ``device_held_bytes`` what is held of it now;
    ``seconds`` is the time that it took.
    """

    kind: Literal["spent"] = "spent"
    job_id: str
    peak_bytes: int
    device_peak_bytes: int = 0
    device_held_bytes: int = 0
    seconds: float = 0.0


class Rendered(_Message):
    """A shaded file stands in the staging folder, measured and inside its budget.

    ``sidecar`` is the file beside ``picture``; ``sha256`` and ``bytes`` are the rendered picture's. ``summary`` holds
    the few numbers a table shows: concept, target, pull, lpips, psnr_db, seconds.
    """

    kind: Literal["rendered"] = "rendered"
    job_id: str
    picture: Path
    sidecar: Path
    sha256: str
    bytes: int
    summary: dict[str, Any]


class Verified(_Message):
    """What a verification found; ``problems`` is empty when the file keeps its sidecar's word."""

    kind: Literal["verified"] = "verified"
    job_id: str
    problems: tuple[str, ...]
    measured: dict[str, Any]


class Audited(_Message):
    """What an audit found."""

    kind: Literal["audited"] = "audited"
    job_id: str
    result: AuditResult


class Failure(_Message):
    """A job ended without a result.

    ``outcome``: ``refused`` is a decision and final; ``failed`` is permanent until the file changes; ``changed`` means
    that the file is no longer what was settled on; ``transient`` may pass by itself. ``blames_picture`` is false where
    the machine's state is to blame (a full disk, say), so that the attempt is not counted. ``out_of_memory`` says that
    memory ran out (where the picture is not blamed, it is tried in another way next), ``ends_worker`` that the worker
    is of no more use and ends.
    """

    kind: Literal["failure"] = "failure"
    job_id: str
    outcome: Literal["refused", "failed", "changed", "transient"]
    what: str
    remedy: str = ""
    blames_picture: bool = True
    out_of_memory: bool = False
    ends_worker: bool = False


class WorkerDied(_Message):
    """The worker process ended while it held these jobs; written by the executor, never by a worker.

    ``opened`` says whether the models were loaded by then: if not, the pictures are not to blame. ``killed`` says that
    somebody else than the executor killed it; the kernel does where memory runs out.
    """

    kind: Literal["died"] = "died"
    job_ids: tuple[str, ...]
    detail: str
    opened: bool = True
    killed: bool = False


class Unusable(_Message):
    """No picture can be shaded here: the models or the settings are wrong, or what they name is away.

    The daemon stops with this error.
    """

    kind: Literal["unusable"] = "unusable"
    cause: Literal["model", "configuration", "unavailable"]
    what: str
    path: Path | None = None
    remedy: str = ""


Event = Annotated[
    Ready | Progress | Spent | Rendered | Verified | Audited | Failure | WorkerDied | Unusable | ClusterState,
    Field(discriminator="kind"),
]

REQUESTS: TypeAdapter[ShadeTask | VerifyTask | AuditTask | Stop] = TypeAdapter(Request)
EVENTS: TypeAdapter[
    Ready | Progress | Spent | Rendered | Verified | Audited | Failure | WorkerDied | Unusable | ClusterState
] = TypeAdapter(Event)
