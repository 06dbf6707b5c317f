"""The way of one picture through the worker, on the real engine."""

from __future__ import annotations

import hashlib
import io
import json
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from PIL import Image

from shaded.errors import Refusal, SourceChanged, Unreadable
from shaded.publishing.sidecar import read_sidecar
from shaded.scheduling.messages import VerifyTask
from shaded.settings import Budget, Profile
from tests.scheduling.conftest import encoded, pixels, scene


def _shade(engine, task):
    told = []
    rendered = engine.shade(task, told.append)
    return rendered, read_sidecar(rendered.sidecar), told


def test_a_shaded_picture_and_its_sidecar_stand_in_staging(engine, task_for):
    """The rendered file differs from the source, and its sidecar states exactly its bytes."""
    data = encoded(scene())
    task = task_for("fox.png", data)
    rendered, stated, told = _shade(engine, task)
    published = rendered.picture.read_bytes()
    assert published != data
    assert stated.published.sha256 == rendered.sha256 == hashlib.sha256(published).hexdigest()
    assert stated.published.bytes == rendered.bytes == len(published)
    assert stated.source.sha256 == hashlib.sha256(data).hexdigest()
    assert task.source.read_bytes() == data
    assert all(limit.ok for limit in stated.budget.values())
    assert {"reading", "tagging", "shading", "saving", "measuring"} <= {event.stage for event in told}


def test_the_sidecar_validates_against_the_shipped_schema(engine, task_for):
    """What is written is what the JSON Schema in the package promises."""
    rendered, _, _ = _shade(engine, task_for("fox.png", encoded(scene())))
    schema = json.loads(files("shaded.publishing").joinpath("sidecar.schema.json").read_text())
    jsonschema.validate(json.loads(rendered.sidecar.read_text()), schema)


def test_the_same_task_gives_the_same_bytes(engine, task_for):
    """Nothing random is left: shading again gives the same file."""
    task = task_for("fox.png", encoded(scene()))
    first = _shade(engine, task)[0].sha256
    assert _shade(engine, task)[0].sha256 == first


def test_what_the_sidecar_says_is_measured_on_the_decoded_file(engine, task_for):
    """PSNR in the sidecar is that of the pixels which Pillow reads from the published JPEG."""
    task = task_for("fox.jpg", encoded(scene(), "JPEG", quality=95, subsampling=0))
    rendered, stated, _ = _shade(engine, task)
    mine = pixels(rendered.picture).astype(float)
    theirs = pixels(task.source).astype(float)
    psnr = 10 * np.log10(255**2 / np.mean((mine - theirs) ** 2))
    assert stated.budget["psnr_db"].measured == pytest.approx(psnr, abs=0.01)


def test_a_gray_picture_stays_gray_in_one_channel(engine, task_for):
    """A black-and-white PNG comes out in one channel."""
    gray = scene()[..., 1]
    rendered, stated, _ = _shade(engine, task_for("ink.png", encoded(gray)))
    assert pixels(rendered.picture).ndim == 2
    assert stated.budget["gray_kept"].measured is True


def test_a_gray_picture_in_three_channels_stays_exactly_gray(engine, task_for):
    """No pixel of a black-and-white picture in RGB gets a colour."""
    gray = np.repeat(scene()[..., 1:2], 3, axis=2)
    rendered, _, _ = _shade(engine, task_for("ink.png", encoded(gray)))
    published = pixels(rendered.picture)
    assert int(np.ptp(published.astype(int), axis=2).max()) == 0
    assert not np.array_equal(published, gray)


def test_alpha_and_what_it_hides_are_kept(engine, task_for):
    """Alpha comes back bit for bit, and so do the colours under full transparency."""
    alpha = np.zeros((64, 96, 1), np.uint8)
    alpha[16:48, 16:80] = 255
    alpha[30:34] = 120
    rgba = np.concatenate([scene(), alpha], axis=2)
    rendered, _, _ = _shade(engine, task_for("cutout.png", encoded(rgba)))
    published = pixels(rendered.picture)
    assert np.array_equal(published[..., 3], rgba[..., 3])
    hidden = rgba[..., 3] == 0
    assert np.array_equal(published[hidden], rgba[hidden])
    assert not np.array_equal(published, rgba)


def test_a_large_picture_keeps_its_size(engine, task_for):
    """A picture over the canvas is shaded at the canvas and published at its own size."""
    rendered, stated, _ = _shade(engine, task_for("big.png", encoded(scene(700, 500))))
    assert pixels(rendered.picture).shape[:2] == (500, 700)
    assert stated.engine.canvas[0] < 700
    assert any("canvas" in warning for warning in stated.warnings)


def test_what_is_enlarged_is_fainter_in_calm_areas(engine, task_for):
    """In a flat area of a picture four times as long as its canvas the change, seen coarsely, stays below a level."""
    picture = scene(1024, 1024)
    picture[512:] = (90, 150, 210)
    task = task_for("big.png", encoded(picture)).model_copy(update={"canvas_pixels": 65_536})
    rendered, _, _ = _shade(engine, task)
    change = pixels(rendered.picture)[560:, 64:-64].astype(float) - picture[560:, 64:-64]
    coarse = change[:448, :896].reshape(112, 4, 224, 4, 3).mean(axis=(1, 3))
    assert np.abs(coarse).mean() > 0.02
    assert np.abs(coarse).max() < 1.5
    assert coarse.std() < 0.5
    steps = change[1:] != change[:-1]  # chance, and not only the outlines of what was enlarged
    assert steps.mean() > 0.1


def test_a_tiny_picture_is_shaded_too(engine, task_for):
    """Even a picture of a few pixels goes the whole way."""
    rendered, _, _ = _shade(engine, task_for("dot.png", encoded(scene(9, 5))))
    assert pixels(rendered.picture).shape[:2] == (5, 9)


def test_a_smaller_canvas_is_used_and_said(engine, task_for):
    """Where memory is short the task names a smaller canvas; the sidecar states it, warns, and verifies with it."""
    task = task_for("fox.png", encoded(scene(160, 160))).model_copy(update={"canvas_pixels": 96 * 96})
    rendered, stated, _ = _shade(engine, task)
    assert stated.engine.canvas_pixels == 96 * 96
    assert stated.engine.canvas[0] * stated.engine.canvas[1] <= 96 * 96
    assert any("Memory was short" in warning for warning in stated.warnings)
    verified = engine.verify(VerifyTask(job_id="v", published=rendered.picture, original=task.source))
    assert verified.problems == ()
    plain = _shade(engine, task_for("fox.png", encoded(scene(160, 160))))[1]
    assert not any("Memory was short" in warning for warning in plain.warnings)


def test_max_side_reduces_before_shading(engine, task_for):
    """With max_side the published picture is smaller, and its budget is measured against the reduced original."""
    profile = Profile(quality="fast", max_side=80)
    rendered, stated, _ = _shade(engine, task_for("big.png", encoded(scene(160, 100)), profile=profile))
    assert pixels(rendered.picture).shape[:2] == (50, 80)
    assert (stated.source.width, stated.published.width) == (160, 80)
    assert all(limit.ok for limit in stated.budget.values())


def test_another_output_format(engine, task_for):
    """output_format decides the container, and the sidecar says so."""
    profile = Profile(quality="fast", output_format="webp")
    task = task_for("fox.png", encoded(scene()), profile=profile, output_name="fox.png.webp")
    rendered, stated, _ = _shade(engine, task)
    with Image.open(rendered.picture) as opened:
        assert opened.format == "WEBP"
    assert (stated.source.format, stated.published.format) == ("png", "webp")


def test_the_artist_s_word_for_the_concept_wins(engine, task_for):
    """A concept from the command line is the one that is stated, with its origin."""
    profile = Profile(quality="fast", concept="two cows")
    task = task_for("x.png", encoded(scene()), profile=profile, concept_origin="command")
    _, stated, _ = _shade(engine, task)
    assert (stated.concept.tag, stated.concept.origin) == ("cow", "command")
    assert "cow" in stated.alt_text


def test_a_word_of_the_artist_s_own_is_kept(engine, task_for):
    """A concept that the vocabulary does not know is used as it was written."""
    _, stated, _ = _shade(
        engine, task_for("x.png", encoded(scene()), profile=Profile(concept="Zorbax", quality="fast"))
    )
    assert stated.concept.tag == "zorbax"


def test_the_same_concept_has_the_same_target_and_another_secret_another(engine, task_for):
    """Targets are stable within an installation and differ between installations."""
    profile = Profile(quality="fast", concept="cow")
    targets = []
    for secret in ("5a" * 32, "5a" * 32, *(f"{n:02x}" * 32 for n in range(6))):
        task = task_for("x.png", encoded(scene()), profile=profile, secret=secret)
        targets.append(_shade(engine, task)[1].target.concept)
    assert targets[0] == targets[1]
    assert len(set(targets)) > 1


def test_a_target_can_be_named(engine, task_for, toolbox):
    """A target from the profile is used when there is an anchor for it."""
    wanted = toolbox.anchors[0].concept
    _, stated, _ = _shade(engine, task_for("x.png", encoded(scene()), profile=Profile(target=wanted, quality="fast")))
    assert stated.target.concept == wanted


def test_a_target_without_an_anchor_is_refused(engine, task_for):
    """An impossible target names the possible ones."""
    with pytest.raises(Refusal, match="Choose one of"):
        _shade(engine, task_for("x.png", encoded(scene()), profile=Profile(target="zorbax")))


def test_a_profile_s_min_pull_is_a_refusal(engine, task_for):
    """A pull that cannot be had is refused with the number, and nothing is left in staging."""
    task = task_for("x.png", encoded(scene()), profile=Profile(min_pull=0.99, quality="fast"))
    with pytest.raises(Refusal, match="too weak: pull 0"):
        _shade(engine, task)
    assert list(task.staging.iterdir()) == []


def test_a_budget_that_compression_alone_breaks_is_refused(engine, task_for):
    """When no quality of the wanted format keeps the limits, the refusal says which limit broke."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    profile = Profile(output_format="jpeg", quality="fast")
    task = task_for("x.png", encoded(noise), profile=profile, budget=Budget(min_psnr_db=55))
    with pytest.raises(Refusal, match=r"psnr_db is \d+"):
        _shade(engine, task)


def test_a_bright_last_row_is_no_drift_of_colour(engine, task_for):
    """JPEG smears one saturated row; what pads the canvas repeats it, and is no part of the picture."""
    picture = scene(90, 81)
    picture[-1] = (0, 0, 255)
    task = task_for("fox.jpg", encoded(picture, "JPEG", quality=75))
    _, stated, _ = _shade(engine, task)
    assert stated.budget["max_delta_e"].measured < 2.5


def test_a_budget_that_no_shading_keeps_is_refused(engine, task_for):
    """A copy without any shading is never published as if it were shaded."""
    with pytest.raises(Refusal, match="shading"):
        _shade(engine, task_for("x.png", encoded(scene()), budget=Budget(max_lpips=1e-9)))


def test_other_bytes_than_the_settled_ones_are_not_shaded(engine, task_for):
    """A file that no longer has the hash it settled with is left for another look."""
    with pytest.raises(SourceChanged):
        _shade(engine, task_for("x.png", encoded(scene()), sha256="0" * 64))


def test_an_animation_is_refused(engine, task_for):
    """An animation says that it is one."""
    buffer = io.BytesIO()
    frames = [Image.fromarray(scene(seed=n)) for n in range(3)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(Refusal, match=r"(?i)animat|GIF"):
        _shade(engine, task_for("x.gif", buffer.getvalue()))


def test_a_torn_file_is_unreadable(engine, task_for):
    """Half a JPEG is reported as damaged and not shaded."""
    with pytest.raises((Unreadable, Refusal)):
        _shade(engine, task_for("x.jpg", encoded(scene(300, 300), "JPEG")[:2000]))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_a_picture_that_is_transparent_all_over_is_said_to_be_so(engine, task_for, form):
    """Nothing is tried, and no higher intensity is recommended, in every container that has transparency."""
    clear = np.dstack([scene(), np.zeros((64, 96), np.uint8)])
    options = {"lossless": True} if form == "WEBP" else {}
    task = task_for(f"x.{form.lower()}", encoded(clear, form, **options))
    told = []
    with pytest.raises(Refusal, match="fully transparent") as refused:
        engine.shade(task, told.append)
    assert refused.value.remedy == "Publish it as it is"
    assert {event.stage for event in told} == {"reading"}


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_of_hardly_any_pixels_is_said_to_be_one(engine, task_for, side, form):
    """It is refused for its size, and no higher intensity is recommended."""
    flat = np.full((side, side, 3), 128, np.uint8)
    with pytest.raises(Refusal, match=f"only {side} x {side} pixels") as refused:
        _shade(engine, task_for(f"x.{form.lower()}", encoded(flat, form)))
    assert refused.value.remedy == "Publish it as it is"


def test_where_a_persons_own_limits_allow_nothing_they_are_named(engine, task_for):
    """A flat picture that may not change by anything is no matter of the intensity."""
    flat = np.full((64, 64, 3), 128, np.uint8)
    task = task_for("x.png", encoded(flat), budget=Budget(max_delta_e=1e-6, max_lpips=1e-6))
    with pytest.raises(Refusal) as refused:
        _shade(engine, task)
    assert refused.value.remedy.startswith("Loosen your own limits under [budget] (max_lpips, max_delta_e)")
