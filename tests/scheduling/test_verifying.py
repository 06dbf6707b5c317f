"""Holding a published file to its sidecar."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from shaded.errors import PictureError, Refusal
from shaded.scheduling.messages import VerifyTask
from shaded.scheduling.published import write_png
from tests.scheduling.conftest import encoded, pixels, scene


@pytest.fixture
def published(engine, task_for):
    """A rendered picture and its original."""
    task = task_for("fox.png", encoded(scene(120, 90)))
    return engine.shade(task, lambda told: None).picture, task.source


def test_an_untouched_file_keeps_its_word(engine, published):
    """Measured again with its original, every number of the sidecar holds."""
    picture, original = published
    verified = engine.verify(VerifyTask(job_id="v", published=picture, original=original))
    assert verified.problems == ()
    assert set(verified.measured["strength"]) == {"flux2-meter", "sana-meter"}


def test_without_the_original_only_the_file_is_checked(engine, published):
    """Without the original nothing is claimed about budget or strength."""
    verified = engine.verify(VerifyTask(job_id="v", published=published[0]))
    assert verified.problems == ()
    assert "strength" not in verified.measured
    assert "original is not at hand" in verified.measured["note"]


def test_an_altered_file_is_found_out(engine, published):
    """A file that was saved again by someone else no longer has the stated hash."""
    picture, original = published
    Image.fromarray(pixels(picture)[:, ::-1]).save(picture)
    verified = engine.verify(VerifyTask(job_id="v", published=picture, original=original))
    assert any("published.sha256" in problem for problem in verified.problems)
    assert any(problem.startswith("budget.") for problem in verified.problems)


def test_a_false_number_is_found_out(engine, published):
    """A sidecar that claims another pull is contradicted."""
    picture, original = published
    beside = picture.with_name(picture.name + ".shaded.json")
    text = beside.read_text()
    start = text.index('"pull": ') + len('"pull": ')
    beside.write_text(text[:start] + "0.9" + text[text.index(",", start) :])
    verified = engine.verify(VerifyTask(job_id="v", published=picture, original=original))
    assert any(problem.startswith("strength.") for problem in verified.problems)


@pytest.mark.parametrize(("more", "contradicted"), [(3.0, False), (-0.2, True)])
def test_less_drift_of_colour_than_stated_is_no_fault(engine, published, more, contradicted):
    """Sidecars of earlier versions state more, because the canvas's padding counted; to state less is false."""
    picture, original = published
    beside = picture.with_name(picture.name + ".shaded.json")
    stated = json.loads(beside.read_text())
    limit = stated["budget"]["max_delta_e"]
    limit["measured"] += more
    beside.write_text(json.dumps(stated))
    verified = engine.verify(VerifyTask(job_id="v", published=picture, original=original))
    assert any("max_delta_e" in problem for problem in verified.problems) == contradicted


def test_another_original_is_not_measured_against(engine, published, tmp_path):
    """A picture that this was not made from is named as such."""
    other = tmp_path / "other.png"
    other.write_bytes(encoded(scene(120, 90, seed=5)))
    verified = engine.verify(VerifyTask(job_id="v", published=published[0], original=other))
    assert any("is not the original" in problem for problem in verified.problems)


def test_the_anchor_is_written_at_the_canvas_size(engine, published, tmp_path):
    """--anchor-out gives the destination itself, as a PNG named after the published file."""
    task = VerifyTask(job_id="v", published=published[0], anchor_out=tmp_path / "anchors")
    engine.verify(task)
    anchor = pixels(tmp_path / "anchors" / "fox.png.anchor.png")
    assert anchor.shape == (96, 128, 3)
    assert anchor.std() > 5


def test_a_file_without_a_sidecar_cannot_be_verified(engine, published):
    """A missing sidecar is an error that names it."""
    published[0].with_name("fox.png.shaded.json").unlink()
    with pytest.raises(PictureError):
        engine.verify(VerifyTask(job_id="v", published=published[0]))


@pytest.mark.parametrize("kind", ["file", "link", "png"])
def test_an_anchor_is_not_written_over_somebody_elses_file(tmp_path, kind):
    """Only what was written here before is replaced; a link is not followed."""
    theirs, target, picture = tmp_path / "theirs", tmp_path / "fox.anchor.png", np.zeros((8, 8, 3), np.uint8)
    write_png(picture, tmp_path / "again.png")
    write_png(picture + 1, tmp_path / "again.png")
    if kind == "png":
        Image.new("RGB", (2, 2)).save(target)
    else:
        theirs.write_text("a person's words")
        theirs.rename(target) if kind == "file" else target.symlink_to(theirs)
    before = target.read_bytes()
    with pytest.raises(Refusal, match="did not write"):
        write_png(picture, target)
    assert target.read_bytes() == before
    assert (target.is_symlink(), theirs.exists()) == ((kind == "link"),) * 2
