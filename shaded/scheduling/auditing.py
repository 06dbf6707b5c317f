"""Auditing a published file: what survives of its shading, on the bytes that lie there now."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import torch

from shaded.errors import Unreadable
from shaded.evidence.audit import Window, audit, cut_window
from shaded.evidence.launderings import Pixels, from_tensor
from shaded.evidence.trial.autoencoder import open_autoencoder
from shaded.scheduling.messages import Audited, AuditTask, Progress
from shaded.scheduling.published import (
    Pair,
    Published,
    decode_published,
    draw_stated_anchor,
    look_at,
    open_pair,
    stated_anchor,
    write_png,
)
from shaded.scheduling.toolbox import Toolbox
from shaded.shading.surrogates import Surrogate, autoencoder_kl


def audit_published(task: AuditTask, toolbox: Toolbox, progress: Callable[[Progress], None]) -> Audited:
    """Measure what survives of the shading.

    Raises:
        PictureError: A file is missing, broken or beyond a limit, the original is another one, the sidecar does not fit
            the file, or the anchor is not here any more.
    """

    def tell(stage: str, step: int = 0, steps: int = 0) -> None:
        progress(Progress(job_id=task.job_id, stage=stage, step=step, steps=steps))

    tell("reading")
    published = _open(task)
    pair, window = _window(task, published, toolbox)
    if task.pictures is not None:
        height, width = pair.canvas.inner
        _write_pictures(from_tensor(pair.shaded_view[..., :height, :width]), window, task.pictures)
    del pair
    sha256 = published.facts.sha256
    found = audit(
        toolbox.encoders,
        window,
        sha256,
        device=toolbox.device,
        autoencoders=(bundled_autoencoder(toolbox.device),),
        progress=lambda done, of: tell("laundering", done, of),
    )
    return Audited(job_id=task.job_id, result=found.model_copy(update={"warnings": _warnings(published, sha256)}))


@functools.cache
def bundled_autoencoder(device: torch.device) -> Surrogate:
    """The project's own small autoencoder, for round trips: no other is at hand on every machine.

    Raises:
        ModelError: It is missing or altered.
    """
    return autoencoder_kl("bundled", open_autoencoder(None, device).module)


def _open(task: AuditTask) -> Published:
    seen = look_at(task)
    if not seen.has_stated_size:
        raise Unreadable(
            "the file has another size than its sidecar says", path=task.published, remedy="Shade the picture again"
        )
    published = decode_published(seen)
    if published.canvas_fault:
        raise Unreadable(published.canvas_fault, path=task.published, remedy="Shade the picture again")
    return published


def _window(task: AuditTask, published: Published, toolbox: Toolbox) -> tuple[Pair, Window]:
    anchor = stated_anchor(published.stated, toolbox)
    if anchor is None:
        raise Unreadable(
            f"the anchor {published.stated.target.anchor.name!r} is not among those of this installation any more",
            path=published.path,
            remedy="Put it back into the folder that shading.anchors names",
        )
    pair = open_pair(task, task.original, published, toolbox)
    if pair is None:
        raise Unreadable(
            f"{task.original} is not the original that this was made from",
            path=published.path,
            remedy="Name the right one with --original",
        )
    window = cut_window(
        pair.shaded_view,
        pair.original_view,
        draw_stated_anchor(published.stated, anchor, pair.original_view),
        longest=max(pair.canvas.inner),
        lpips=toolbox.lpips,
        seed=int(published.facts.sha256[:15], 16),
    )
    return pair, window


def _warnings(published: Published, sha256: str) -> list[str]:
    """What a person must know before the numbers: today only that the file was altered."""
    if sha256 == published.stated.published.sha256:
        return []
    return ["The file was altered since it was published: its sidecar describes other bytes."]


def _write_pictures(published: Pixels, window: Window, folder: Path) -> None:
    """Write the canvas as ``published.png``; the window as ``shaded``, ``original``, ``anchor`` and ``noisy``."""
    names = ("published", "shaded", "original", "anchor", "noisy")
    for name, picture in zip(names, (published, *window.pictures), strict=True):
        write_png(picture, folder / f"{name}.png")
