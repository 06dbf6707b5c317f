"""The way of one picture through the worker: read, decide, shade, save, read back, measure, state.

What the sidecar says under ``published``, ``budget``, ``strength`` and ``survival`` is measured on the bytes that the
codec gave back, after they were saved. A file over its budget is shaded less; when that does not help, it is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import structlog
from torch import Tensor

from shaded import __version__
from shaded.errors import Refusal
from shaded.evidence.measure import Check, mean_pull, measure_budget, measure_strength, measure_survival
from shaded.outbox.screening import read_bytes, read_settled, screen
from shaded.publishing import sidecar
from shaded.publishing.formats import written_as
from shaded.publishing.metadata import rights_in
from shaded.publishing.picture import Picture
from shaded.publishing.reading import decode
from shaded.publishing.resizing import fit_side
from shaded.publishing.writing import Encoded, encode
from shaded.scheduling import stating
from shaded.scheduling.gpu_memory import accelerator_of
from shaded.scheduling.messages import Audited, AuditTask, Progress, Rendered, ShadeTask, Start, Verified, VerifyTask
from shaded.scheduling.peak import peak_bytes
from shaded.scheduling.saving import save_result
from shaded.scheduling.subject import Subject, decide, place_anchor
from shaded.scheduling.toolbox import Toolbox, open_toolbox
from shaded.scheduling.views import (
    canvas_of,
    gray_was_kept,
    mask_of,
    psnr_of,
    shown_size,
    shows_no_colour,
    with_shading,
)
from shaded.settings import Budget
from shaded.shading.anchors import Placement, ground_of, ground_to_text
from shaded.shading.canvas import Canvas, from_canvas, plan_canvas, to_canvas
from shaded.shading.concepts import alt_text
from shaded.shading.engine import CanvasWork, ShadedCanvas, shade_canvas
from shaded.shading.perceptibility import ReferenceDistance
from shaded.shading.presets import STEPS, VISIBILITIES, Visibility

logger = structlog.get_logger()

#: Each further try at the budget keeps this share of the shading; giving up more than a third of it, while finer
#: compression has not been tried, would cost strength for the sake of a smaller file.
LESS = (1.0, 0.85, 0.7)
LEAST = (1.0, 0.85, 0.7, 0.5, 0.35, 0.2)
LOSSY = ("jpeg", "webp", "avif")
#: Qualities for lossy formats, ``None`` being the source's own, and the shares that are tried with each.
TRIES = ((None, LESS), (95, LESS), (100, LEAST))
#: A lesser share that takes less than this off the worst overshoot meets the codec's own loss: finer quality is next.
WORTH_IT = 0.05


def open_engine(start: Start) -> RenderingEngine:
    """Load the models that the settings ask for."""
    return RenderingEngine(open_toolbox(start.shading, start.device_index), start.shading.canvas_pixels)


@dataclass(frozen=True)
class Source:
    """A picture as it was read, with what is derived from it once."""

    picture: Picture
    facts: sidecar.FileFacts
    canvas: Canvas
    view: Tensor
    ground: Tensor
    gray: bool
    begun: float

    @property
    def seed(self) -> int:
        """From the content, so that neither the batch nor the hour changes a result."""
        return int(self.facts.sha256[:15], 16)


@dataclass(frozen=True)
class Saved:
    """A saved file, read back and held to the budget."""

    encoded: Encoded
    picture: Picture
    view: Tensor
    budget: dict[str, Check]
    scale: float

    @property
    def fits(self) -> bool:
        """Whether every limit holds."""
        return all(check.ok for check in self.budget.values())

    @property
    def overshoot(self) -> float:
        """By how much of a limit the worst one is missed; 0 inside the budget."""
        return max(check.overshoot for check in self.budget.values())


def visibility_of(intensity: str, budget: Budget) -> Visibility:
    """The intensity's budget with the user's own limits in place of some of its own."""
    preset = VISIBILITIES[intensity]

    def own(value: float | None, otherwise: float) -> float:
        return otherwise if value is None else value

    return replace(
        preset,
        lpips=own(budget.max_lpips, preset.lpips),
        local_lpips=own(budget.max_local_lpips, preset.local_lpips),
        psnr_db=own(budget.min_psnr_db, preset.psnr_db),
        delta_e=own(budget.max_delta_e, preset.delta_e),
    )


class RenderingEngine:
    """Shades, verifies and audits pictures with one set of loaded models."""

    def __init__(self, toolbox: Toolbox, canvas_pixels: int) -> None:
        self._toolbox = toolbox
        self._canvas_pixels = canvas_pixels
        self.device = str(toolbox.device)
        self.accelerator = accelerator_of(toolbox.device)

    def verify(self, task: VerifyTask) -> Verified:
        """Measure a published file again; see :mod:`shaded.scheduling.verifying`."""
        from shaded.scheduling.verifying import verify  # noqa: PLC0415 - it builds on this module

        return verify(task, self._toolbox)

    def audit(self, task: AuditTask, progress: Callable[[Progress], None]) -> Audited:
        """Measure what survives of a published file's shading; see :mod:`shaded.scheduling.auditing`."""
        from shaded.scheduling.auditing import audit_published  # noqa: PLC0415 - only an audit needs it

        return audit_published(task, self._toolbox, progress)

    def shade(self, task: ShadeTask, progress: Callable[[Progress], None]) -> Rendered:
        """Shade one picture into ``task.staging``.

        Raises:
            PictureError: Refusal, Unreadable, SourceChanged or Transient, each saying why.
        """

        def tell(stage: str, step: int = 0, steps: int = 0, pull: float | None = None) -> None:
            progress(Progress(job_id=task.job_id, stage=stage, step=step, steps=steps, pull=pull))

        tell("reading")
        source = self._read(task)
        tell("tagging")
        subject = decide(task, source.picture, source.view, self._toolbox)
        anchor, placement = place_anchor(subject.anchor, source.ground, source.view, self._toolbox)
        visibility = visibility_of(task.profile.intensity, task.budget).enlarged(source.canvas.enlargement)
        work = CanvasWork(
            original=source.view,
            anchor=anchor,
            mask=to_canvas(mask_of(source.picture, self._toolbox.device), source.canvas),
            gray=source.gray,
            visibility=visibility,
            steps=STEPS[task.profile.quality],
            seed=source.seed,
        )
        shaded = shade_canvas(
            work, self._toolbox.targets, self._toolbox.lpips,
            progress=lambda step, steps, pull: tell("shading", step, steps, pull),
        )  # fmt: skip
        if shaded.scale == 0:
            raise Refusal(
                "no shading fits inside the visible budget", path=task.source, remedy="Choose a higher intensity"
            )
        tell("saving")
        saved = self._save(task, source, shaded, visibility)
        tell("measuring")
        stated = self._state(task, source, subject, saved, shaded, anchor, placement)
        return self._deliver(task, saved, stated)

    def _read(self, task: ShadeTask) -> Source:
        begun = time.monotonic()
        if task.sha256:
            data = read_settled(task.source, task.root, task.max_bytes, task.sha256)
        else:
            data = read_bytes(task.source, task.root, task.max_bytes)
        screen(data, task.source, task.max_pixels)
        picture = decode(data, task.source)
        facts = sidecar.describe(data, picture, task.name)
        picture = fit_side(picture, task.profile.max_side)
        canvas = plan_canvas(*shown_size(picture), task.canvas_pixels or self._canvas_pixels)
        view = canvas_of(picture, canvas, self._toolbox.device)
        return Source(picture, facts, canvas, view, ground_of(view), shows_no_colour(picture), begun)

    def _save(self, task: ShadeTask, source: Source, shaded: ShadedCanvas, visibility: Visibility) -> Saved:
        """Save with as much of the shading as the budget allows once the file is read back."""
        distance = ReferenceDistance(self._toolbox.lpips, source.view)
        lossy = written_as(source.picture.container.format, task.profile.output_format) in LOSSY
        budget: dict[str, Check] = {}
        for quality, scales in TRIES if lossy else ((None, LEAST),):
            before = float("inf")
            for scale in scales:
                saved = self._saved_once(task, source, shaded, scale, quality, distance, visibility)
                if saved.fits:
                    return saved
                budget = saved.budget
                if scales is LESS and saved.overshoot > before * (1 - WORTH_IT):
                    break
                before = saved.overshoot
        broken = [
            f"{name} is {check.measured}, the limit is {check.limit}" for name, check in budget.items() if not check.ok
        ]
        raise Refusal(
            f"it cannot be saved inside the visible budget: {'; '.join(broken)}",
            path=task.source,
            remedy="Choose a higher intensity, or save the picture with less compression (PNG, or JPEG at quality 90)",
        )

    def _saved_once(
        self, task: ShadeTask, source: Source, shaded: ShadedCanvas, scale: float, quality: int | None,
        distance: ReferenceDistance, visibility: Visibility,
    ) -> Saved:  # fmt: skip
        planes = (from_canvas(delta, shaded.limits, source.canvas) for delta in shaded.delta.chunk(3, dim=1))
        dither = source.seed if source.canvas.reduced else None
        colour = with_shading(source.picture, planes, scale, dither)
        encoded = encode(
            source.picture, colour, task.profile.output_format,
            metadata=task.profile.metadata, rights=task.profile.rights, quality=quality,
        )  # fmt: skip
        picture = decode(encoded.data)
        view = canvas_of(picture, source.canvas, self._toolbox.device)
        budget = measure_budget(
            view, distance, source.view, visibility,
            inner=source.canvas.inner,
            psnr_db=psnr_of(picture, source.picture),
            gray_kept=not source.gray or gray_was_kept(picture, source.picture),
        )  # fmt: skip
        if np.array_equal(picture.colour, source.picture.colour):
            raise Refusal(
                "nothing of the shading is left in the saved file", path=task.source, remedy="Choose a higher intensity"
            )
        logger.debug("saved", scale=scale, quality=quality, budget={n: c.measured for n, c in budget.items()})
        return Saved(encoded, picture, view, budget, scale)

    def _state(
        self, task: ShadeTask, source: Source, subject: Subject, saved: Saved, shaded: ShadedCanvas, anchor: Tensor,
        placement: Placement,
    ) -> sidecar.Sidecar:  # fmt: skip
        """Measure strength and survival on the saved file and write everything down."""
        box = self._toolbox
        strength = measure_strength(box.encoders, saved.view, source.view, anchor)
        pull = mean_pull(strength)
        if task.profile.min_pull > 0 and pull < task.profile.min_pull:
            raise Refusal(
                f"the shading is too weak: pull {pull:.3f}, the profile asks for {task.profile.min_pull}",
                path=task.source,
                remedy="Choose a higher intensity, or lower min_pull",
            )
        survival = measure_survival(box.encoders, saved.view, source.view, anchor)
        height, width = source.canvas.outer
        return sidecar.Sidecar(
            tool=sidecar.Tool(name="shaded", version=__version__),
            source=source.facts,
            published=sidecar.describe(saved.encoded.data, saved.picture, task.output_name),
            concept=subject.concept,
            target=sidecar.Target(
                concept=subject.target,
                anchor=sidecar.Anchor(name=subject.anchor.name, sha256=subject.anchor.sha256),
                origin=subject.anchor.origin,
                ground=ground_to_text(source.ground),
                shift=placement.shift,
                mirrored=placement.mirrored,
            ),
            alt_text=alt_text(subject.concept.tag, subject.title),
            budget=stating.budget(saved.budget),
            strength=stating.strength(strength, box.encoders, f"{width}x{height}"),
            survival=stating.survival(survival),
            engine=sidecar.Engine(
                models=list(box.models),
                intensity=task.profile.intensity,
                quality=task.profile.quality,
                steps=shaded.steps,
                seed=source.seed,
                device=self.device,
                dtype=box.dtype,
                canvas=(width, height),
                canvas_pixels=task.canvas_pixels or self._canvas_pixels,
                batch=(1, 3, height, width),
                scale=round(shaded.scale * saved.scale, 4),
                seconds=round(time.monotonic() - source.begun, 2),
                peak_memory_bytes=peak_bytes(),
            ),
            rights=rights_in(saved.picture),
            warnings=[
                *source.picture.container.warnings,
                *saved.encoded.warnings,
                *stating.warnings(
                    subject.concept, pull, reduced=source.canvas.reduced, short_of_memory=bool(task.canvas_pixels)
                ),
            ],
        )

    def _deliver(self, task: ShadeTask, saved: Saved, stated: sidecar.Sidecar) -> Rendered:
        picture, beside = save_result(task, saved.encoded.data, stated.to_json().encode())
        return Rendered(
            job_id=task.job_id,
            picture=picture,
            sidecar=beside,
            sha256=stated.published.sha256,
            bytes=stated.published.bytes,
            summary=sidecar.summary_of(stated),
        )
