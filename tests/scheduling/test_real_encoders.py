"""What the shading does to the real encoders, which no part of the product has at hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from shaded.evidence.measure import measure_strength
from shaded.publishing.reading import decode
from shaded.publishing.sidecar import read_sidecar
from shaded.scheduling.messages import ShadeTask, VerifyTask
from shaded.scheduling.rendering import RenderingEngine
from shaded.scheduling.views import canvas_of
from shaded.settings import Profile, Shading
from shaded.shading.canvas import plan_canvas
from shaded.shading.surrogates import plain_autoencoder
from shaded.shading.tiny_autoencoders import tiny_encoder
from tests.scheduling.conftest import SECRET

pytestmark = [pytest.mark.real_encoder, pytest.mark.timeout(600)]

COW = "cow-in-a-green-field.png"


@pytest.fixture(scope="module")
def shaded_cow(toolbox, shared_pictures, shared_encoders, tmp_path_factory):
    """The cow at intensity high, by the bundled models alone, and what the real encoders say of it."""
    torch.set_num_threads(2)
    staging = tmp_path_factory.mktemp("staging")
    anchors = tmp_path_factory.mktemp("anchors")
    engine = RenderingEngine(toolbox, Shading().canvas_pixels)
    task = ShadeTask(
        job_id="cow", root=shared_pictures, source=shared_pictures / COW, name=COW, staging=staging, output_name=COW,
        profile=Profile(intensity="high"), secret=SECRET,
    )  # fmt: skip
    rendered = engine.shade(task, lambda told: None)
    engine.verify(VerifyTask(job_id="anchor", published=rendered.picture, anchor_out=anchors))
    original, published = decode(task.source.read_bytes()), decode(rendered.picture.read_bytes())
    canvas = plan_canvas(768, 1024, Shading().canvas_pixels)
    with Image.open(anchors / f"{COW}.anchor.png") as opened:
        anchor = torch.from_numpy(np.asarray(opened).copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
    encoders = [
        plain_autoencoder(name, tiny_encoder(load_file(shared_encoders / f"{name}-tiny-encoder.safetensors")).eval())
        for name in ("flux2", "sana")
    ]
    views = (canvas_of(picture, canvas, torch.device("cpu")) for picture in (published, original))
    return read_sidecar(rendered.sidecar), measure_strength(encoders, *views, anchor)


def test_the_cow_is_named_and_moved_toward_something_unrelated(shaded_cow, toolbox):
    """The tagger calls the cow a cow, and the target is of another kind."""
    stated, _ = shaded_cow
    assert stated.concept.tag == "cow"
    kinds = {name: toolbox.vocabulary.get(name).kind for name in ("cow", stated.target.concept)}
    assert kinds["cow"] != kinds[stated.target.concept]


def test_the_cow_stays_inside_the_visible_budget(shaded_cow):
    """LPIPS at most 0.07 and PSNR at least 30 dB on the published file."""
    budget = shaded_cow[0].budget
    assert budget["lpips"].measured <= 0.07
    assert budget["psnr_db"].measured >= 30
    assert all(limit.ok for limit in budget.values())


def test_the_real_encoder_is_pulled(shaded_cow):
    """On the real FLUX.2 tiny encoder, which was never at hand, the published cow has a pull of 0.12 or more."""
    assert shaded_cow[1]["flux2"].pull >= 0.12


def test_the_sidecar_s_pull_is_the_real_one(shaded_cow):
    """What the bundled meter states is within 0.05 of the real encoders' pull."""
    stated, real = shaded_cow
    for name in ("flux2", "sana"):
        assert abs(stated.strength[f"{name}-meter"].pull - real[name].pull) <= 0.05
