"""A published file with its sidecar, its original and its anchor: what is measured again, found and decoded."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from shaded.errors import Refusal, Unreadable, from_os_error
from shaded.evidence.launderings import Pixels
from shaded.publishing import sidecar
from shaded.publishing.picture import Picture
from shaded.publishing.reading import decode
from shaded.publishing.resizing import fit_side
from shaded.scheduling.subject import draw_anchor, find_anchor
from shaded.scheduling.toolbox import AnchorFile, Toolbox
from shaded.scheduling.views import canvas_of, shown_size
from shaded.shading.anchors import Placement, ground_from_text
from shaded.shading.canvas import Canvas, plan_canvas

#: In every PNG that :func:`write_png` writes.
_OWN = ("Software", "shaded")


@dataclass(frozen=True)
class Published:
    """A published file as it lies there now, and what its sidecar says."""

    path: Path
    data: bytes
    picture: Picture
    stated: sidecar.Sidecar

    @property
    def facts(self) -> sidecar.FileFacts:
        """What the file is, measured on its bytes."""
        return sidecar.describe(self.data, self.picture, self.path.name)


@dataclass(frozen=True)
class Pair:
    """A published file and its original on the canvas that the sidecar's numbers were measured at.

    Attributes:
        original: The original, as large as the published file.
        canvas: The canvas.
        shaded_view: The published file there, ``(1, 3, H, W)`` in ``[0, 1]``.
        original_view: The original there.
    """

    original: Picture
    canvas: Canvas
    shaded_view: Tensor
    original_view: Tensor


def read(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        PictureError: It cannot be read; the error names it.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise from_os_error(error, path) from error


def write_png(picture: Pixels, target: Path) -> None:
    """Write a picture ``(H, W, 3)`` of 8 bits; missing folders are made. Only what this wrote before is replaced.

    Raises:
        PictureError: It cannot be written; the error names it.
    """
    said = PngInfo()
    said.add_text(*_OWN)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target) and not _is_own_png(target):
            raise Refusal("a file is there that shaded did not write", path=target, remedy="Move it away")
        Image.fromarray(picture).save(target, "PNG", pnginfo=said)
    except OSError as error:
        raise from_os_error(error, target) from error


def _is_own_png(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return path.is_file() and not path.is_symlink() and picture.info.get(_OWN[0]) == _OWN[1]
    except Exception:  # noqa: BLE001 - whatever it is, it is no picture of ours
        return False


def open_published(path: Path) -> Published:
    """Read a published file and its sidecar.

    Raises:
        PictureError: One of them is missing or broken.
    """
    stated = sidecar.read_sidecar(sidecar.sidecar_path(path))
    data = read(path)
    return Published(path, data, decode(data, path), stated)


def is_original(data: bytes, published: Published) -> bool:
    """Whether these are the bytes that the published file was made from."""
    return hashlib.sha256(data).hexdigest() == published.stated.source.sha256


def open_pair(path: Path, data: bytes, published: Published, toolbox: Toolbox) -> Pair:
    """Decode the original at ``path`` and bring both pictures to the canvas.

    Raises:
        PictureError: The original is broken, or has another shape than the published file.
    """
    original = fit_side(decode(data, path), max(published.picture.size))
    if original.size != published.picture.size:
        raise Unreadable("the original has another shape than the published file", path=path)
    canvas = plan_canvas(*shown_size(original), published.stated.engine.canvas_pixels)
    shaded_view, view = (canvas_of(each, canvas, toolbox.device) for each in (published.picture, original))
    return Pair(original, canvas, shaded_view, view)


def stated_anchor(stated: sidecar.Sidecar, toolbox: Toolbox) -> AnchorFile | None:
    """The anchor that the sidecar names, if it is among those of this installation."""
    return find_anchor(stated.target.anchor.name, stated.target.anchor.sha256, toolbox.anchors)


def draw_stated_anchor(
    stated: sidecar.Sidecar, anchor: AnchorFile, height: int, width: int, toolbox: Toolbox
) -> Tensor:
    """The anchor ``(1, 3, height, width)`` as it lay on the canvas when the picture was shaded.

    Raises:
        ModelError: The anchor's file is gone or altered.
    """
    ground = ground_from_text(stated.target.ground).to(toolbox.device)
    return draw_anchor(anchor, ground, height, width, Placement(stated.target.shift, stated.target.mirrored))
