"""An audit as a page for people: plots, pictures and tables with their controls, and what the numbers do not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from shaded.errors import printable
from shaded.evidence.findings import GROUPS, AuditResult, FileAudit, Laundered, worst_launderings
from shaded.evidence.page import Figure, Section, Shown, Table, bar_figure, picture_grid, write_page

__all__ = ["PICTURES", "write_audit_page"]

#: The pictures that the page shows, by the names under which the worker writes them, with their captions.
PICTURES: Mapping[str, str] = {
    "published": "the published file, on its canvas",
    "shaded": "the audited part of it",
    "original": "the same part of the original",
    "noisy": "the original with random noise of the same LPIPS",
    "anchor": "the same part of the anchor",
}

_INTRODUCTION = (
    (
        "Each published file went through what sites, scrapers and cleaners do to pictures: here called launderings, "
        "and done with real codecs. Encoders turn a picture into what an image model learns from. Pull says how far "
        "they see the picture moved toward its anchor, a picture of something else: 0 not at all, 1 all the way. "
        "Survival is pull after a laundering as a share of pull before: 1 when nothing is lost, 0 when all is."
    ),
    (
        "Every number was measured on the bytes of the published file, on the middle part of the picture at the "
        "size that a trainer would see. Published file, original, anchor and noise all went through each "
        "laundering, so that survival says what is left of the shading, and not what a laundering does to a "
        "picture by itself. LPIPS says how visible a change is to people: 0 not at all."
    ),
    (
        "Two controls stand beside each number. Random noise of the same LPIPS: what a change that is as visible, "
        "but not aimed, is worth. Laundering alone: the pull of the laundered original, none where content moves; "
        "where it is as large as the pull of the shading, the laundering moves the picture as far as the shading does."
    ),
)

_LIMITS = (
    "That a model trained on such pictures learns anything wrong: pull is a distance in encoders, not a belief.",
    "The whole picture: a part of the canvas is audited, and other parts may keep more or less.",
    (
        "The largest pictures as they are published: launderings run at the size of the canvas; a larger file "
        "that is laundered first and reduced afterwards may keep more or less."
    ),
    (
        "The encoders that a trainer really uses, unless they are in the settings: the bundled meters learned "
        "from two of them, and others may see less."
    ),
    "An attacker who builds a cleaner against this very tool: what a new cleaner takes off, no list of old ones tells.",
    "What survival means where pull is small: a share of little is little. None is stated where pull is below 0.01.",
)


def write_audit_page(
    path: Path, files: Sequence[FileAudit], pictures: Mapping[str, Mapping[str, NDArray[np.uint8]]]
) -> None:
    """Write the page.

    Args:
        path: Where to.
        files: What was found.
        pictures: By a file's path, then by the names of :data:`PICTURES`: ``(H, W, 3)``, 8 bits; any may be missing.

    Raises:
        PictureError: The page cannot be written.
    """
    audited = [(one, one.audit) for one in files if one.audit is not None]
    sections = [_section(one, result, pictures.get(one.path, {})) for one, result in audited]
    failed = [one for one in files if one.audit is None]
    if failed:
        rows = [(printable(one.path), printable(one.problem)) for one in failed]
        sections.append(Section("Not audited", tables=[Table(("file", "why"), rows)]))
    sections.append(Section("What these numbers do not show", points=_LIMITS))
    count = f"{len(audited)} published picture{'' if len(audited) == 1 else 's'}"
    write_page(path, f"What survives: an audit of {count}", _INTRODUCTION, sections)


def _section(file: FileAudit, result: AuditResult, pictures: Mapping[str, NDArray[np.uint8]]) -> Section:
    return Section(
        printable(Path(file.path).name),
        text=[*result.warnings, *_sentences(file, result)],
        points=[_worst_sentence(one) for one in worst_launderings(result.launderings)],
        pictures=_grid(pictures),
        figures=[_figure(result)],
        tables=[_before(result), _groups(file), _everything(result), *_not_applied(result)],
    )


def _sentences(file: FileAudit, result: AuditResult) -> list[str]:
    pulls = ", ".join(f"{one.pull:.3f} in {name}" for name, one in result.before.items())
    words = printable(f"It shows: {file.concept}. It was moved toward: {file.target}. ")
    shown = words if file.target else ""
    sentences = [
        f"{shown}Pull before any laundering, in the audited part: {pulls}. LPIPS there: {result.lpips:.3f}.",
        (
            f"The audited part has {result.window[0]} x {result.window[1]} pixels of a canvas of "
            f"{result.canvas[0]} x {result.canvas[1]}."
        ),
    ]
    if file.worst:
        sentences.append("Least is left of it after these:")
    else:
        sentences.append("In no encoder is its pull large enough for a survival to be stated.")
    return sentences


def _worst_sentence(one: Laundered) -> str:
    share = one.worst_survival or 0.0
    left = "nothing" if share < 0.005 else f"{100 * share:.0f} %"
    return f"{one.description}: {left} survives in {one.worst_encoder}"


def _grid(pictures: Mapping[str, NDArray[np.uint8]]) -> tuple[Shown, ...]:
    return picture_grid([(pictures[name], caption) for name, caption in PICTURES.items() if name in pictures])


def _figure(result: AuditResult) -> Figure:
    """Survival per laundering: the mean as a bar, the worst encoder and the noise as marks."""
    groups: dict[str, dict[str, float | None]] = {}
    for one in result.launderings:
        groups.setdefault(GROUPS.get(one.group, one.group), {})[one.name] = one.mean_survival
    stated = [one for one in result.launderings if one.mean_survival is not None]
    return bar_figure(
        groups,
        x_label="survival: pull after laundering / pull before",
        marks={
            "worst encoder": {one.name: one.worst_survival for one in stated},
            "random noise of the same LPIPS": {one.name: _noise_share(one, result) for one in stated},
        },
        reference=1.0,
        caption="Bars: mean over the encoders. 1 means that the laundering took nothing, 0 that nothing is left. The "
        "noise is drawn as its own pull after the laundering, as a share of the shading's pull before.",
    )


def _noise_share(one: Laundered, result: AuditResult) -> float:
    """The noise's pull after a laundering as a share of the shading's before, over the encoders that state survival."""
    stated = [
        (kept.noise, result.before[name].pull) for name, kept in one.encoders.items() if kept.survival is not None
    ]
    return fmean(noise / start for noise, start in stated)


def _before(result: AuditResult) -> Table:
    rows = [(name, one.pull, one.direction, one.noise) for name, one in result.before.items()]
    return Table(("encoder", "pull", "direction", "pull of noise"), rows, "Before any laundering")


_CONTROLS = ("pull after", "noise", "laundering alone")


def _groups(file: FileAudit) -> Table:
    headings = ("kind", "mean survival", "worst survival", "worst one", *_CONTROLS)
    rows = [
        (
            f"{GROUPS.get(one.group, one.group)} ({one.count})",
            one.mean_survival,
            one.worst_survival,
            one.worst_laundering,
            one.mean_pull,
            one.noise_pull,
            one.original_pull,
        )
        for one in file.groups
    ]
    return Table(headings, rows, "By kind of laundering; pulls are means")


def _everything(result: AuditResult) -> Table:
    headings = ("laundering", "encoder", "survival", "direction", *_CONTROLS)
    rows = [
        (one.name, name, kept.survival, kept.direction, kept.pull, kept.noise, kept.original)
        for one in result.launderings
        for name, kept in one.encoders.items()
    ]
    return Table(headings, rows, "Every laundering in every encoder", folded=True)


def _not_applied(result: AuditResult) -> list[Table]:
    if not result.not_applied:
        return []
    rows = [(one.name, one.reason) for one in result.not_applied]
    return [Table(("laundering", "why not"), rows, "Launderings that do not apply", folded=True)]
