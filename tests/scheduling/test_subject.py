"""The decisions before the shading: the anchors."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from shaded.errors import ModelError
from shaded.scheduling.subject import read_anchor
from shaded.scheduling.toolbox import AnchorFile
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
