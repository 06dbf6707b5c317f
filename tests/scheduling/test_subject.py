"""The decisions before the shading: targets and anchors."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from shaded.errors import ModelError
from shaded.publishing.reading import decode
from shaded.scheduling.messages import ShadeTask
from shaded.scheduling.subject import decide, read_anchor
from shaded.scheduling.toolbox import AnchorFile
from shaded.settings import Profile
from tests.publishing.samples import exif_block, saved


def _anchor(path):
    return AnchorFile("teapot", path.stem, path, hashlib.sha256(path.read_bytes()).hexdigest(), "folder")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_an_anchor_stands_as_a_viewer_shows_it(tmp_path, form):
    """A phone's picture of a teapot is turned upright: the orientation holds for anchors, too."""
    array = np.zeros((20, 30, 3), np.uint8)
    array[:, :15] = 255
    path = tmp_path / f"teapot.{form.lower()}"
    path.write_bytes(saved(Image.fromarray(array), form, exif=b"Exif\0\0" * (form == "JPEG") + exif_block(6)))
    shown = read_anchor(_anchor(path))
    assert shown.shape == (1, 4, 30, 20)
    assert shown[0, :3, :13].min() > 0.9
    assert shown[0, :3, 17:].max() < 0.1


def test_an_anchor_that_is_no_picture_is_an_error(tmp_path):
    """It names the file."""
    path = tmp_path / "teapot.png"
    path.write_bytes(b"rubbish")
    with pytest.raises(ModelError, match="cannot be read"):
        read_anchor(_anchor(path))


class _Tagger:
    def tag(self, _picture):
        return [1.0] + [0.0] * 999


def _decided(toolbox, tmp_path, secret="", target=""):
    """The decision for a cow, where the artist has a teapot and a gong of their own."""
    own = []
    for name in ("teapot", "gong"):
        path = tmp_path / f"{name}.png"
        path.write_bytes(saved(np.full((8, 8, 3), 90, np.uint8), "PNG"))
        own.append(replace(_anchor(path), concept=name))
    task = ShadeTask(
        job_id="1", root=tmp_path, source=tmp_path / "x.png", name="x.png", staging=tmp_path, output_name="x.png",
        profile=Profile(concept="cow", target=target), secret=secret,
    )  # fmt: skip
    picture = decode(saved(np.zeros((8, 8, 3), np.uint8), "PNG"))
    with_own = replace(toolbox, anchors=toolbox.anchors + tuple(own))
    return decide(task, picture, torch.zeros(1, 3, 64, 64), with_own)


def test_without_a_secret_the_target_is_everybodys(toolbox, tmp_path):
    """Nothing that an artist adds to the anchors changes the choice that all share."""
    alone = decide_names(_decided(replace(toolbox, tagger=_Tagger()), tmp_path))
    assert alone == ("ball", "ball-1", "gallery")


def decide_names(subject):
    """Target, anchor and where the anchor is from."""
    return subject.target, subject.anchor.name, subject.anchor.origin


def test_with_a_secret_or_by_name_own_anchors_are_chosen_too(toolbox, tmp_path):
    """Some secret chooses the artist's gong, and whoever names the teapot gets the artist's own."""
    toolbox = replace(toolbox, tagger=_Tagger())
    targets = {decide_names(_decided(toolbox, tmp_path, secret=f"{number:064x}")) for number in range(60)}
    assert ("gong", "gong", "folder") in targets
    assert len(targets) > 10
    assert decide_names(_decided(toolbox, tmp_path, target="teapot")) == ("teapot", "teapot", "folder")
