"""Auditing a published file in the worker: a real picture, the bundled models."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from shaded.errors import PictureError
from shaded.evidence import audit as auditing
from shaded.evidence import launderings
from shaded.publishing.sidecar import parse_sidecar
from shaded.scheduling import published as opening
from shaded.scheduling.messages import AuditTask
from shaded.settings import Profile
from tests.reliability import crafted
from tests.scheduling.conftest import encoded, pixels, scene


@pytest.fixture
def published(engine, task_for):
    """A rendered picture and its original."""
    # The strongest one: what is left of a few steps' pull must be enough to be divided by.
    task = task_for("fox.png", encoded(scene(120, 90)), profile=Profile(quality="fast", intensity="high"))
    return engine.shade(task, lambda told: None).picture, task.source


@pytest.fixture
def few(monkeypatch):
    """Only two launderings of the suite."""

    def two(longest, seed, autoencoders):
        every, skipped = launderings.suite(longest, seed, autoencoders)
        return tuple(one for one in every if one.name in ("JPEG q75 4:2:0", "crop 10 %")), skipped

    monkeypatch.setattr(auditing, "suite", two)


def test_a_shaded_picture_is_audited_from_end_to_end(engine, published, tmp_path):
    """Every laundering is measured in every encoder; pull is what verifying finds; noise of equal LPIPS pulls less."""
    told = []
    picture, original = published
    task = AuditTask(job_id="a", published=picture, original=original, pictures=tmp_path)
    result = engine.audit(task, told.append).result
    assert set(result.before) == {"flux2-meter", "sana-meter"}
    assert len(result.launderings) >= 40
    assert all(set(one.encoders) == set(result.before) for one in result.launderings)
    assert result.before["flux2-meter"].pull > 2 * abs(result.before["flux2-meter"].noise)
    assert result.noise.lpips == pytest.approx(result.lpips, abs=0.003)
    assert (result.canvas, result.window, result.warnings) == ((128, 96), (128, 96), [])
    rows = {one.name: one for one in result.launderings}
    assert rows["JPEG q95 4:4:4"].mean_survival > 0.5
    assert rows["JPEG q95 4:4:4"].mean_survival > rows["blur 2"].mean_survival
    assert {"autoencoder bundled x1", "autoencoder bundled x3"} <= set(rows)
    assert {one.stage for one in told} == {"reading", "laundering"}
    assert (told[-1].step, told[-1].steps) == (len(result.launderings),) * 2
    assert pixels(tmp_path / "published.png").shape == (90, 120, 3)
    for name in ("shaded", "original", "anchor", "noisy"):
        assert pixels(tmp_path / f"{name}.png").shape == (96, 128, 3)


def test_the_numbers_are_of_the_bytes_that_lie_there(engine, published, few):
    """A file that was altered after publishing is measured as it is, with a warning; put back, pull is gone."""
    picture, original = published
    task = AuditTask(job_id="a", published=picture, original=original)
    before = engine.audit(task, lambda told: None).result
    Image.fromarray(pixels(original)).save(picture)
    after = engine.audit(task, lambda told: None).result
    assert after.before["flux2-meter"].pull == pytest.approx(0, abs=0.001)
    assert after.sha256 != before.sha256
    assert "altered" in after.warnings[0]


def test_a_public_sidecar_is_audited_like_a_whole_one(engine, published, few):
    """The anchor's ground comes from the original, so that every number is the same."""
    picture, original = published
    task = AuditTask(job_id="a", published=picture, original=original)
    whole = engine.audit(task, lambda told: None).result
    beside = picture.with_name("fox.png.shaded.json")
    beside.write_text(parse_sidecar(beside.read_bytes()).public().to_json(), "utf-8")
    assert engine.audit(task, lambda told: None).result == whole


def test_another_original_is_named_and_says_what_to_do(engine, published, tmp_path):
    """A picture that this was not made from is an error that points to --original."""
    other = tmp_path / "other.png"
    other.write_bytes(encoded(scene(120, 90, seed=5)))
    with pytest.raises(PictureError, match=r"is not the original.*--original"):
        engine.audit(AuditTask(job_id="a", published=published[0], original=other), lambda told: None)


def test_an_audit_is_the_same_again(engine, published, few):
    """Noise comes from the file's hash: the same file gives the same numbers."""
    picture, original = published
    task = AuditTask(job_id="a", published=picture, original=original)
    one, two = (engine.audit(task, lambda told: None).result for _ in range(2))
    assert one == two
    assert np.isfinite(one.before["sana-meter"].direction)


def test_an_audit_screens_before_it_decodes(engine, published, monkeypatch, tmp_path):
    """A bomb, a file of another size, and a canvas that is not the file's, end before a pixel is decoded or drawn."""
    picture, original = published
    task = AuditTask(job_id="a", published=picture, original=original)
    whole = picture.read_bytes()
    beside = picture.with_name("fox.png.shaded.json")
    stated = json.loads(beside.read_text())
    stated["engine"]["canvas"] = [4096, 4096]
    beside.write_text(json.dumps(stated))
    with pytest.raises(PictureError, match="the sidecar says 4096 x 4096"):
        engine.audit(task, lambda told: None)
    monkeypatch.setattr(opening, "decode", lambda *_: pytest.fail("it was decoded"))
    picture.write_bytes(crafted.png(30_000, 30_000))
    with pytest.raises(PictureError, match="30000 x 30000 pixels and the limit"):
        engine.audit(task, lambda told: None)
    picture.write_bytes(encoded(scene(60, 90)))
    with pytest.raises(PictureError, match="another size than its sidecar says"):
        engine.audit(task, lambda told: None)
    monkeypatch.undo()
    picture.write_bytes(whole)
    stated["engine"]["canvas"] = [128, 96]
    beside.write_text(json.dumps(stated))
    original.rename(tmp_path / "elsewhere")
    original.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PictureError, match=r"its original .* symbolic link"):
        engine.audit(task, lambda told: None)
