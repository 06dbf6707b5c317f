"""What an audit found, as data: the shape of ``shaded audit --json`` and of what the worker hands over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "GROUPS",
    "AuditDocument",
    "AuditResult",
    "Before",
    "FileAudit",
    "GroupSummary",
    "Kept",
    "Laundered",
    "NoiseControl",
    "NotApplied",
    "group_summaries",
    "worst_launderings",
]


#: The groups in their order, each with its heading.
GROUPS: Mapping[str, str] = {
    "jpeg": "JPEG",
    "codec": "WebP and AVIF",
    "resize": "Resizing",
    "crop": "Crops and rotations",
    "filter": "Blur, median, denoising",
    "cleaner": "Cleaners",
    "screenshot": "Screenshots",
    "site": "Kinds of site",
}


class _Finding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Before(_Finding):
    """What one encoder sees of the part that is audited, before any laundering."""

    pull: float = Field(description="Of the published file, toward the anchor.")
    direction: float = Field(description="Cosine between the way gone and the way to the anchor.")
    noise: float = Field(description="Pull of random noise of the same LPIPS.")


class Kept(_Finding):
    """What one laundering leaves in one encoder."""

    pull: float = Field(description="After the laundering; published file, original and anchor went through it.")
    direction: float = Field(description="After the laundering.")
    survival: float | None = Field(description="Pull after as a share of pull before; null where that was below 0.01.")
    noise: float = Field(description="Control: pull after the laundering of random noise of the same LPIPS.")
    original: float | None = Field(
        description="Control: pull of the laundered original from the original as it is; null where content moves."
    )


class Laundered(_Finding):
    """One laundering: every encoder, and over all encoders."""

    name: str
    group: str
    description: str = Field(description="In plain words.")
    moves: bool = Field(description="Whether content moves.")
    mean_survival: float | None = Field(description="Over the encoders that state one.")
    worst_survival: float | None
    worst_encoder: str | None = Field(description="Where the least survives.")
    mean_pull: float
    noise_pull: float = Field(description="Control, mean over the encoders.")
    original_pull: float | None = Field(description="Control, mean over the encoders.")
    encoders: dict[str, Kept]


class NoiseControl(_Finding):
    """The random noise that stands beside the shading."""

    lpips: float = Field(description="As near to the shading's as bisecting came.")
    sigma: float = Field(description="Standard deviation in grey levels, before rounding to 8 bits.")
    seed: int = Field(description="From the published file's hash.")


class NotApplied(_Finding):
    """A laundering that was left out."""

    name: str
    reason: str


class AuditResult(_Finding):
    """The audit of one published file; everything is measured on its bytes."""

    sha256: str = Field(description="Of the published file.")
    canvas: tuple[int, int] = Field(description="Width and height of the canvas, the size that a trainer would see.")
    window: tuple[int, int] = Field(description="Width and height of the middle part that was laundered and measured.")
    lpips: float = Field(description="Of the shading, in the window.")
    noise: NoiseControl
    before: dict[str, Before]
    launderings: list[Laundered]
    not_applied: list[NotApplied]
    warnings: list[str] = []


class GroupSummary(_Finding):
    """A group of launderings in one line; the worst one names what leaves least."""

    group: str
    count: int
    mean_survival: float | None
    worst_survival: float | None
    worst_laundering: str | None
    mean_pull: float
    noise_pull: float
    original_pull: float | None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 4) if known else None


def group_summaries(launderings: Iterable[Laundered]) -> list[GroupSummary]:
    """One line for each group, in the order in which the groups appear."""
    groups: dict[str, list[Laundered]] = {}
    for one in launderings:
        groups.setdefault(one.group, []).append(one)
    summaries = []
    for name, members in groups.items():
        known = [(one.worst_survival, one.name) for one in members if one.worst_survival is not None]
        worst = min(known) if known else (None, None)
        summaries.append(
            GroupSummary(
                group=name,
                count=len(members),
                mean_survival=_mean(one.mean_survival for one in members),
                worst_survival=worst[0],
                worst_laundering=worst[1],
                mean_pull=round(fmean(one.mean_pull for one in members), 4),
                noise_pull=round(fmean(one.noise_pull for one in members), 4),
                original_pull=_mean(one.original_pull for one in members),
            )
        )
    return summaries


def worst_launderings(launderings: Iterable[Laundered], count: int = 5) -> list[Laundered]:
    """Those that leave least in the encoder where least is left, the worst first; none where no survival is stated."""
    known = [one for one in launderings if one.worst_survival is not None]
    return sorted(known, key=lambda one: (one.worst_survival or 0.0, one.name))[:count]


class FileAudit(_Finding):
    """One published file in the document that ``shaded audit --json`` prints."""

    path: str
    original: str | None = Field(description="Null where it is not known.")
    ok: bool = Field(description="Whether it could be audited.")
    problem: str = Field(default="", description="Why it could not.")
    concept: str | None = Field(default=None, description="What the picture shows, as its sidecar says.")
    target: str | None = Field(default=None, description="What it was moved toward, as its sidecar says.")
    groups: list[GroupSummary] = []
    worst: list[str] = Field(default=[], description="The launderings that leave least, the worst first.")
    audit: AuditResult | None = None

    @classmethod
    def of(cls, path: str, original: str, result: AuditResult, concept: str, target: str) -> FileAudit:
        """A file that was audited."""
        return cls(
            path=path,
            original=original,
            ok=True,
            concept=concept,
            target=target,
            groups=group_summaries(result.launderings),
            worst=[one.name for one in worst_launderings(result.launderings)],
            audit=result,
        )


class AuditDocument(_Finding):
    """What ``shaded audit --json`` prints."""

    files: list[FileAudit]
