"""A real engine on the bundled models, and small pictures to give it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shaded.scheduling.messages import ShadeTask
from shaded.settings import Profile, Shading

SECRET = "5a" * 32


@pytest.fixture(scope="session")
def toolbox():
    """The bundled models on the CPU, one thread."""
    from shaded.scheduling.toolbox import open_toolbox

    return open_toolbox(Shading(device="cpu", threads=1))


@pytest.fixture(scope="session")
def engine(toolbox):
    """The real engine with a small canvas, so that tests are quick."""
    from shaded.scheduling.rendering import RenderingEngine

    return RenderingEngine(toolbox, 65_536)


def scene(width=96, height=64, seed=0):
    """A picture with texture, an edge and a flat area."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = np.stack([60 + x, 200 - y, 90 + (x + y) / 2], axis=-1).astype(np.float64)
    picture[: height // 2] += rng.normal(0, 18, (height // 2, width, 3))
    picture[-height // 4 :] = (235, 230, 220)
    return np.clip(picture, 0, 255).astype(np.uint8)


def encoded(array, form="PNG", **options):
    """The array as a file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


def pixels(path):
    """A file's pixels as Pillow reads them."""
    with Image.open(path) as opened:
        return np.asarray(opened)


@pytest.fixture
def task_for(tmp_path):
    """Write bytes into an outbox and give the task that shades them."""
    outbox, staging = tmp_path / "outbox", tmp_path / "staging"
    outbox.mkdir()
    staging.mkdir()

    def make(name, data, *, profile=None, **changes):
        path = outbox / name
        path.write_bytes(data)
        fields = {
            "job_id": "job-1", "root": outbox, "source": path, "name": name, "staging": staging,
            "output_name": name, "profile": profile or Profile(quality="fast"), "secret": SECRET,
        }  # fmt: skip
        return ShadeTask(**(fields | changes))

    return make
