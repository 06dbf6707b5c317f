"""Holding a published file to its sidecar: the same measurements again, on the bytes that lie there now."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shaded.errors import PictureError, Unreadable
from shaded.evidence.launderings import from_tensor
from shaded.evidence.measure import measure_budget, measure_strength, measure_survival
from shaded.publishing import sidecar
from shaded.scheduling import stating
from shaded.scheduling.messages import Verified, VerifyTask
from shaded.scheduling.published import (
    Pair,
    Published,
    decode_published,
    draw_stated_anchor,
    look_at,
    open_pair,
    stated_anchor,
    write_anchor,
)
from shaded.scheduling.toolbox import AnchorFile, Toolbox
from shaded.scheduling.views import canvas_of, gray_was_kept, psnr_of, shows_no_colour
from shaded.shading.perceptibility import ReferenceDistance
from shaded.shading.presets import Visibility

#: What a number measured again may differ by: other devices round differently.
TOLERANCE = 0.01


@dataclass
class _Findings:
    """What does not agree, and what was measured."""

    problems: list[str] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)

    def expect(self, name: str, stated: object, found: object) -> None:
        if stated != found:
            self.problems.append(f"{name}: the sidecar says {stated}, the file has {found}")

    def expect_near(self, name: str, stated: float, found: float, tolerance: float = TOLERANCE) -> None:
        if abs(stated - found) > tolerance:
            self.problems.append(f"{name}: the sidecar says {stated}, measured again it is {found}")


def verify(task: VerifyTask, toolbox: Toolbox) -> Verified:
    """Measure a published file again.

    Without the original only the file itself is held to the sidecar: hash, size and format.

    Raises:
        PictureError: The published file or its sidecar is missing, broken or beyond a limit.
    """
    seen = look_at(task)
    found = _Findings()
    for name, fact in seen.facts.items():
        found.expect(f"published.{name}", getattr(seen.stated.published, name), fact)
    if seen.has_stated_size:
        _hold_to_sidecar(task, decode_published(seen), toolbox, found)
    else:
        found.measured["note"] = "nothing was measured: the file has another size than its sidecar says"
    return Verified(job_id=task.job_id, problems=tuple(found.problems), measured=found.measured)


def _hold_to_sidecar(task: VerifyTask, published: Published, toolbox: Toolbox, found: _Findings) -> None:
    stated = published.stated
    found.expect("published.mode", stated.published.mode, published.picture.container.mode)
    if published.canvas_fault:
        found.problems.append(published.canvas_fault)
        return
    anchor = stated_anchor(stated, toolbox)
    if anchor is None:
        name = stated.target.anchor.name
        found.problems.append(f"target.anchor: {name!r} is not among the anchors of this installation any more")
    pair = None if task.original is None else open_pair(task, task.original, published, toolbox)
    if task.original is None:
        found.measured["note"] = "only the file was checked: its original is not at hand"
    elif pair is None:
        found.problems.append(f"source.sha256: {task.original} is not the original that this was made from")
    if task.anchor_out is not None and anchor is not None:
        target = task.anchor_out / f"{task.published.name}.anchor.png"
        _write_anchor(target, pair, published, anchor, toolbox, found)
    if pair is not None:
        _measure_again(pair, published, anchor, toolbox, found)


def _write_anchor(
    target: Path, pair: Pair | None, published: Published, anchor: AnchorFile, toolbox: Toolbox, found: _Findings
) -> None:
    stated = published.stated
    try:
        if pair is not None:
            view = pair.original_view
        else:
            view = canvas_of(published.picture, published.canvas, toolbox.device)
        write_anchor(from_tensor(draw_stated_anchor(stated, anchor, view)), target, stated.source.sha256)
    except PictureError as error:  # what is measured is worth telling all the same
        found.problems.append(f"{error.what}. {error.remedy}")
        return
    found.measured["anchor"] = str(target)
    if pair is None and not stated.target.ground:
        found.measured["anchor_note"] = (
            "its ground has the published file's colours, which are nearly the original's: the original is not at hand"
        )


def _measure_again(
    pair: Pair, published: Published, anchor: AnchorFile | None, toolbox: Toolbox, found: _Findings
) -> None:
    stated = published.stated
    view, shaded, original = pair.original_view, pair.shaded_view, pair.original
    gray = shows_no_colour(original)
    budget = measure_budget(
        shaded, ReferenceDistance(toolbox.lpips, view), view, _stated_limits(stated),
        inner=pair.canvas.inner,
        psnr_db=psnr_of(published.picture, original),
        gray_kept=not gray or gray_was_kept(published.picture, original),
    )  # fmt: skip
    for name, check in budget.items():
        if not check.ok:
            found.problems.append(f"budget.{name}: {check.measured} is over the limit of {check.limit}")
        if name in stated.budget:
            said, again = float(stated.budget[name].measured or 0), float(check.measured)
            if name == "max_delta_e":
                said = min(said, again)  # earlier versions counted the padding too: less is no fault
            tolerance = 0.1 if name in ("psnr_db", "max_delta_e") else TOLERANCE
            found.expect_near(f"budget.{name}", said, again, tolerance)
    found.measured["budget"] = {name: check.measured for name, check in budget.items()}
    if anchor is None:
        return
    drawn = draw_stated_anchor(stated, anchor, view)
    encoders = [encoder for encoder in toolbox.encoders if encoder.name in stated.strength]
    if not encoders:
        found.problems.append("strength: the sidecar states none in an encoder that is at hand, so none was measured")
        return
    strength = measure_strength(encoders, shaded, view, drawn)
    for name, one in strength.items():
        found.expect_near(f"strength.{name}.pull", stated.strength[name].pull, one.pull)
    for name in stated.strength.keys() - strength.keys():
        found.problems.append(f"strength.{name}: that encoder is not at hand, so its pull was not measured again")
    survival = stating.survival(measure_survival(encoders, shaded, view, drawn))
    found.measured["strength"] = {
        name: {"pull": one.pull, "direction": one.direction} for name, one in strength.items()
    }
    found.measured["survival"] = survival.model_dump(mode="json")


def _stated_limits(stated: sidecar.Sidecar) -> Visibility:
    limits = {name: float(one.limit or 0) for name, one in stated.budget.items()}
    missing = sorted({"lpips", "local_lpips", "psnr_db", "max_delta_e"} - limits.keys())
    if missing:
        raise Unreadable(
            f"the sidecar states no limit for {', '.join(missing)}", remedy="Shade the picture again to have a new one"
        )
    return Visibility(
        flat=0, busy=0, reach=0, lpips=limits["lpips"], local_lpips=limits["local_lpips"],
        psnr_db=limits["psnr_db"], delta_e=limits["max_delta_e"], faint_lines=True,
    )  # fmt: skip
