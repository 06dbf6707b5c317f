"""A published file with its sidecar, its original and its anchor: what is measured again, found and decoded.

Others may write where published files lie. So both pictures are opened and screened as those in an outbox are, before
anything is decoded, and what a sidecar states is held to the file before it is used.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from shaded.errors import PictureError, Refusal, SourceChanged, Unreadable, from_os_error
from shaded.evidence.launderings import Pixels
from shaded.outbox.screening import Screened, open_folder, open_inside, read_bytes, screen
from shaded.publishing import sidecar
from shaded.publishing.picture import Picture
from shaded.publishing.reading import decode
from shaded.publishing.resizing import fit_side
from shaded.scheduling.messages import AuditTask, VerifyTask
from shaded.scheduling.subject import draw_anchor, find_anchor
from shaded.scheduling.toolbox import AnchorFile, Toolbox
from shaded.scheduling.views import canvas_of, shown_size
from shaded.shading.anchors import Placement, ground_from_text, ground_of
from shaded.shading.canvas import Canvas, plan_canvas

#: Stands near the beginning of every anchor that is written, with the hash of the original that it was drawn for.
_MARK = "shaded anchor of"
_HEAD = 4096
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Seen:
    """A published file that may be decoded, and what its sidecar says; nothing is decoded yet."""

    path: Path
    data: bytes
    screened: Screened
    stated: sidecar.Sidecar

    @property
    def facts(self) -> dict[str, object]:
        """What the file is, by the names of the sidecar, as far as that is known without decoding it."""
        return {
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "bytes": len(self.data),
            "format": self.screened.format,
            "width": self.screened.width,
            "height": self.screened.height,
        }

    @property
    def has_stated_size(self) -> bool:
        """Whether it has as many pixels as its sidecar says: else it is another picture, and nothing is measured."""
        stated = self.stated.published
        return (self.screened.width, self.screened.height) == (stated.width, stated.height)


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

    @property
    def canvas_pixels(self) -> int:
        """The canvas that was asked for; the earliest sidecars state only the one there was."""
        engine = self.stated.engine
        return engine.canvas_pixels or engine.canvas[0] * engine.canvas[1]

    @property
    def canvas(self) -> Canvas:
        """The canvas that the file has."""
        return plan_canvas(*shown_size(self.picture), self.canvas_pixels)

    @property
    def canvas_fault(self) -> str:
        """Why the stated canvas cannot be this file's; empty where it can be."""
        width, height = self.stated.engine.canvas
        outer = self.canvas.outer
        if sorted(outer) == sorted((width, height)):
            return ""
        return f"engine.canvas: the sidecar says {width} x {height}, the file has one of {outer[1]} x {outer[0]}"


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


def _read(path: Path, root: Path | None, task: VerifyTask | AuditTask) -> bytes:
    if not os.path.lexists(path):
        raise SourceChanged("there is no such file", path=path, remedy="Check its name")
    try:
        return read_bytes(path, root or path.parent, task.max_bytes)
    except SourceChanged as error:
        raise SourceChanged(error.what, path=path, remedy="Run the command again when it rests") from error


def look_at(task: VerifyTask | AuditTask) -> Seen:
    """Read a published file and its sidecar, and bound what decoding can cost.

    Raises:
        PictureError: One of them is missing, broken, a link, no regular file, or beyond a limit.
    """
    path = task.published
    data = _read(path, task.root, task)
    if task.sidecar is None:
        stated = sidecar.read_sidecar(sidecar.sidecar_path(path), task.root)
    else:
        stated = sidecar.read_sidecar(task.sidecar, task.sidecar_root)
    return Seen(path, data, screen(data, path, task.max_pixels), stated)


def decode_published(seen: Seen) -> Published:
    """Decode what was seen.

    Raises:
        PictureError: It is broken.
    """
    return Published(seen.path, seen.data, decode(seen.data, seen.path), seen.stated)


def open_pair(task: VerifyTask | AuditTask, path: Path, published: Published, toolbox: Toolbox) -> Pair | None:
    """Read and decode the original at ``path`` and bring both pictures to the canvas.

    Returns:
        ``None`` where it is another file than the one that was published.

    Raises:
        PictureError: The original cannot be read, is broken, or has another shape than the published file.
    """
    try:
        data = _read(path, task.original_root, task)
        if hashlib.sha256(data).hexdigest() != published.stated.source.sha256:
            return None
        screen(data, path, task.max_pixels)
        original = fit_side(decode(data, path), max(published.picture.size))
    except PictureError as error:
        what = f"its original {path} cannot be used: {error.what}"
        raise type(error)(what, path=path, remedy=error.remedy) from error
    if original.size != published.picture.size:
        raise Unreadable(f"its original {path} has another shape than the published file", path=path)
    canvas = plan_canvas(*shown_size(original), published.canvas_pixels)
    shaded_view, view = (canvas_of(each, canvas, toolbox.device) for each in (published.picture, original))
    return Pair(original, canvas, shaded_view, view)


def stated_anchor(stated: sidecar.Sidecar, toolbox: Toolbox) -> AnchorFile | None:
    """The anchor that the sidecar names, if it is among those of this installation."""
    return find_anchor(stated.target.anchor.name, stated.target.anchor.sha256, toolbox.anchors)


def draw_stated_anchor(stated: sidecar.Sidecar, anchor: AnchorFile, view: Tensor) -> Tensor:
    """The anchor as it lay on the canvas when the picture was shaded, the same shape as ``view``.

    Args:
        stated: What the sidecar says.
        anchor: The anchor's file.
        view: The original on the canvas, ``(1, 3, H, W)``. Where the sidecar leaves the ground out, it is made of this.

    Raises:
        Unreadable: The sidecar states a ground that is none.
        ModelError: The anchor's file is gone or altered.
    """
    try:
        ground = ground_from_text(stated.target.ground).to(view.device) if stated.target.ground else ground_of(view)
    except ValueError as error:
        raise Unreadable(
            f"the sidecar does not say how the anchor was drawn (target.ground: {error})",
            remedy="Shade the picture again to have a new one",
        ) from error
    height, width = view.shape[-2:]
    return draw_anchor(anchor, ground, height, width, Placement(stated.target.shift, stated.target.mirrored))


def write_png(picture: Pixels, target: Path) -> None:
    """Write a picture ``(H, W, 3)`` of 8 bits into a folder of our own; missing folders are made.

    Raises:
        PictureError: It cannot be written; the error names it.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(target, "PNG")
    except OSError as error:
        raise from_os_error(error, target) from error


def write_anchor(picture: Pixels, target: Path, original: str) -> None:
    """Write an anchor ``(H, W, 3)`` of 8 bits, whole or not at all; missing folders are made.

    An anchor that was written here for the same original is replaced. Anything else that has the name stays.

    Args:
        picture: The anchor.
        target: Where to.
        original: The hash of the original that it was drawn for.

    Raises:
        PictureError: It cannot be written, or something else stands there.
    """
    folder = target.parent
    notes = PngInfo()
    notes.add_text(_MARK, original)
    temporary = f".~{secrets.token_hex(4)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open_folder(folder, folder) as place:
            try:
                with os.fdopen(os.open(temporary, _NEW, 0o666, dir_fd=place), "wb") as writing:
                    Image.fromarray(picture).save(writing, "PNG", pnginfo=notes)
                if _is_anchor_of(target, original):
                    os.rename(temporary, target.name, src_dir_fd=place, dst_dir_fd=place)
                else:
                    _place_new(place, temporary, target)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=place)
    except OSError as error:
        raise from_os_error(error, target) from error


def _is_anchor_of(target: Path, original: str) -> bool:
    """Whether an anchor that was drawn for this original stands there: its mark is near the beginning of the file."""
    try:
        with open_inside(target, target.parent) as descriptor:
            return f"{_MARK}\0{original}".encode() in os.read(descriptor, _HEAD)
    except PictureError:
        return False


def _place_new(folder: int, temporary: str, target: Path) -> None:
    """Give the file its name, unless something has it: then that stays."""
    try:
        os.link(temporary, target.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if os.path.lexists(target):
            raise Refusal(
                f"something else stands where the anchor would be written ({target})", path=target,
                remedy="Move it away, or name another folder with --anchor-out",
            ) from error  # fmt: skip
        os.rename(temporary, target.name, src_dir_fd=folder, dst_dir_fd=folder)  # a file system without hard links
