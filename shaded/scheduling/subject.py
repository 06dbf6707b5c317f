"""What a picture shows, what it is moved toward, and the picture of that: the decisions before the shading."""

from __future__ import annotations

import hashlib
import hmac
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shaded.errors import ModelError, PictureError, Refusal
from shaded.publishing import sidecar
from shaded.publishing.metadata import subject_of
from shaded.publishing.orientation import orientation_of
from shaded.publishing.picture import Picture
from shaded.publishing.reading import decode
from shaded.scheduling.messages import ShadeTask
from shaded.scheduling.toolbox import AnchorFile, Toolbox
from shaded.scheduling.views import upright
from shaded.shading.anchors import Placement, compose_anchor, cover_anchor, nearest_placement
from shaded.shading.concepts import choose_target, concept_scores, resolve_concept
from shaded.shading.students import STRIDES

#: How many other readings of a picture the sidecar lists.
ALTERNATIVES = 4


@dataclass(frozen=True)
class Subject:
    """The source concept as the sidecar states it, and the target concept's anchor."""

    concept: sidecar.Concept
    title: str | None
    target: str
    anchor: AnchorFile


def decide(task: ShadeTask, picture: Picture, view: Tensor, toolbox: Toolbox) -> Subject:
    """Name the source concept and choose its target and anchor.

    Without a secret the choice is the same on every machine: a model learns what many artists' pictures agree on. Then
    only the bundled gallery is chosen from, since nobody else has an artist's own anchors.

    Args:
        task: Its profile may name concept and target; its secret chooses otherwise.
        picture: For the words in its metadata.
        view: The canvas ``(1, 3, H, W)`` for the tagger.
        toolbox: Tagger, vocabulary and anchors.

    Raises:
        Refusal: The wanted target has no anchor.
    """
    words, title = subject_of(picture, gps=task.profile.metadata.gps)
    concept = name_concept(task, words, title, view, toolbox)
    secret = bytes.fromhex(task.secret)
    named, anchors = task.profile.target, toolbox.anchors
    if not (named or secret):
        anchors = tuple(anchor for anchor in anchors if anchor.origin == "gallery")
    concepts = sorted({anchor.concept for anchor in anchors})
    if named:
        target = _known_target(named, concepts, toolbox)
    else:
        target = _unrelated_target(concept.tag, concepts, toolbox, secret)
    return Subject(concept, title, target, choose_anchor(concept.tag, target, anchors, secret))


def name_concept(
    task: ShadeTask, words: list[str], title: str | None, view: Tensor, toolbox: Toolbox
) -> sidecar.Concept:
    """The artist's own word first (profile or command, then metadata), else what the tagger reads."""
    scores = concept_scores(toolbox.tagger.tag(view[0].cpu()), toolbox.vocabulary)
    confidence = dict(scores)

    def stated(tag: str, origin: Literal["tagger", "profile", "metadata", "command"]) -> sidecar.Concept:
        others = [(name, score) for name, score in scores if name != tag][:ALTERNATIVES]
        own = confidence.get(tag)
        return sidecar.Concept(
            tag=tag,
            confidence=None if own is None else round(own, 4),
            origin=origin,
            alternatives=[sidecar.Alternative(tag=name, confidence=round(score, 4)) for name, score in others],
        )

    if task.profile.concept:
        known = resolve_concept(task.profile.concept, toolbox.vocabulary)
        return stated(known.name if known else task.profile.concept.strip().lower(), task.concept_origin)
    for word in (*words, *([title] if title else [])):
        known = resolve_concept(word, toolbox.vocabulary)
        if known is not None:
            return stated(known.name, "metadata")
    return stated(scores[0][0], "tagger")


def _known_target(wanted: str, concepts: list[str], toolbox: Toolbox) -> str:
    known = resolve_concept(wanted, toolbox.vocabulary)
    for name in (known.name if known else "", wanted.strip().lower()):
        if name in concepts:
            return name
    raise Refusal(
        f"there is no anchor picture for the target {wanted!r}",
        remedy=f"Choose one of: {', '.join(concepts)}; or add a picture of it to shading.anchors",
    )


def _unrelated_target(source: str, concepts: list[str], toolbox: Toolbox, secret: bytes) -> str:
    try:
        return choose_target(source, concepts, toolbox.vocabulary, secret)
    except ValueError as error:
        raise Refusal(
            f"no anchor picture shows anything unrelated to {source!r}",
            remedy="Add pictures of other things to shading.anchors",
        ) from error


def choose_anchor(source: str, target: str, anchors: tuple[AnchorFile, ...], secret: bytes) -> AnchorFile:
    """One picture of ``target``, always the same for the same source and secret; the artist's own go first."""
    fitting = [anchor for anchor in anchors if anchor.concept == target]
    own = [anchor for anchor in fitting if anchor.origin == "folder"]

    def rank(anchor: AnchorFile) -> bytes:
        return hmac.digest(secret, f"{source}\0{anchor.sha256}".encode(), "sha256")

    return max(own or fitting, key=rank)


def find_anchor(name: str, sha256: str, anchors: tuple[AnchorFile, ...]) -> AnchorFile | None:
    """The anchor that a sidecar names, if it is still the same file."""
    return next((anchor for anchor in anchors if (anchor.name, anchor.sha256) == (name, sha256)), None)


def place_anchor(anchor: AnchorFile, ground: Tensor, view: Tensor, toolbox: Toolbox) -> tuple[Tensor, Placement]:
    """The anchor on the canvas as it suits the picture ``view`` ``(1, 3, H, W)``, same shape; and how it lies there.

    The family with the largest stride judges: it is the fastest, and sees shapes rather than structure.
    """
    cutout = read_anchor(anchor).to(view.device)
    height, width = view.shape[-2:]
    judge = max(toolbox.targets, key=lambda target: STRIDES.get(target.family or "", 0))
    placement = nearest_placement(
        lambda placement: draw_cutout(cutout, ground, height, width, placement), view, judge.encode
    )
    return draw_cutout(cutout, ground, height, width, placement), placement


def draw_anchor(anchor: AnchorFile, ground: Tensor, height: int, width: int, placement: Placement) -> Tensor:
    """The anchor on a canvas, ``(1, 3, height, width)``.

    Raises:
        ModelError: The anchor's file is gone, altered or no picture.
    """
    return draw_cutout(read_anchor(anchor).to(ground.device), ground, height, width, placement)


def draw_cutout(cutout: Tensor, ground: Tensor, height: int, width: int, placement: Placement) -> Tensor:
    """``(1, 4, h, w)`` on a canvas: a cut-out over ``ground``, an opaque picture alone."""
    if bool((cutout[:, 3] == 1).all()):
        return cover_anchor(cutout[:, :3], height, width, placement)
    return compose_anchor(cutout, ground, height, width, placement)


def read_anchor(anchor: AnchorFile) -> Tensor:
    """An anchor's picture as a viewer shows it, ``(1, 4, h, w)`` in ``[0, 1]``.

    Raises:
        ModelError: The anchor's file is gone, altered or no picture.
    """
    try:
        content = anchor.path.read_bytes()
        with Image.open(io.BytesIO(content)) as opened:
            rgba = np.asarray(opened.convert("RGBA"))
        orientation = orientation_of(decode(content)) if anchor.origin == "folder" else 1
    except (OSError, ValueError, SyntaxError, PictureError) as error:
        raise ModelError(f"the anchor cannot be read: {error}", path=anchor.path, remedy="Put it back") from error
    if hashlib.sha256(content).hexdigest() != anchor.sha256:
        raise ModelError("the anchor is no longer the same file", path=anchor.path, remedy="Start the daemon again")
    return upright(torch.from_numpy(rgba.copy()).permute(2, 0, 1).unsqueeze(0).float().div_(255), orientation)
