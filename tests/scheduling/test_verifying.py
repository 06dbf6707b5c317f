"""Holding a published file to its sidecar."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from shaded.errors import PictureError, Refusal, SourceChanged, Unreadable
from shaded.outbox import screening
from shaded.publishing.sidecar import parse_sidecar
from shaded.scheduling import published as opening
from shaded.scheduling.messages import ShadeTask, VerifyTask
from shaded.settings import Profile
from tests.reliability import crafted
from tests.scheduling.conftest import SECRET, encoded, pixels, scene


@pytest.fixture(scope="module")
def rendered(engine, tmp_path_factory):
    """The bytes of an original, of a picture that was made from it, and of its sidecar."""
    folder = tmp_path_factory.mktemp("rendered")
    original = folder / "fox.png"
    original.write_bytes(encoded(scene(120, 90)))
    staging = folder / "staging"
    staging.mkdir()
    task = ShadeTask(
        job_id="s", root=folder, source=original, name="fox.png", staging=staging, output_name="fox.png",
        profile=Profile(quality="fast"), secret=SECRET,
    )  # fmt: skip
    done = engine.shade(task, lambda told: None)
    return original.read_bytes(), done.picture.read_bytes(), done.sidecar.read_bytes()


@pytest.fixture
def published(rendered, tmp_path):
    """A rendered picture with its sidecar, and its original, in folders of this test."""
    picture, original = tmp_path / "published" / "fox.png", tmp_path / "originals" / "fox.png"
    places = original, picture, picture.with_name("fox.png.shaded.json")
    for place, content in zip(places, rendered, strict=True):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
    return picture, original


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


def _state(picture, *keys, value):
    """Let a sidecar say something else."""
    beside = picture.with_name(picture.name + ".shaded.json")
    document = json.loads(beside.read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    beside.write_text(json.dumps(document))


@pytest.fixture
def undecoded(monkeypatch):
    """Decoding anything fails the test."""
    monkeypatch.setattr(opening, "decode", lambda *_: pytest.fail("it was decoded"))


def _bomb():
    """Nine hundred megapixels in a hundred kilobytes, as they are."""
    return crafted.png(30_000, 30_000, kind=0, pixels=crafted.bomb(900 << 20))


def test_a_published_bomb_is_refused_before_it_is_decoded(engine, published, undecoded):
    """Nine hundred megapixels from a small file are a clear error, whatever the sidecar beside them says."""
    picture, _ = published
    picture.write_bytes(_bomb())
    assert picture.stat().st_size < 4_000_000
    with pytest.raises(Refusal, match="30000 x 30000 pixels and the limit is 200,000,000"):
        engine.verify(VerifyTask(job_id="v", published=picture))


def test_an_original_that_is_a_bomb_is_refused_before_it_is_decoded(engine, published):
    """A sidecar that names the hash of a bomb does not have it decoded."""
    picture, original = published
    original.write_bytes(_bomb())
    _state(picture, "source", "sha256", value=hashlib.sha256(_bomb()).hexdigest())
    with pytest.raises(Refusal, match=r"its original .* cannot be used: it has 30000 x 30000 pixels"):
        engine.verify(VerifyTask(job_id="v", published=picture, original=original))


def test_the_limits_of_the_settings_hold(engine, published, undecoded):
    """max_pixels and max_bytes hold for published files as for those in an outbox."""
    picture, original = published
    with pytest.raises(Refusal, match="max_pixels"):
        engine.verify(VerifyTask(job_id="v", published=picture, max_pixels=100))
    with pytest.raises(Refusal, match="max_bytes"):
        engine.verify(VerifyTask(job_id="v", published=picture, original=original, max_bytes=1000))


@pytest.mark.parametrize("which", ["picture", "sidecar", "original"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_nothing_is_followed_waited_for_or_entered(engine, published, tmp_path, which, kind):
    """A link, a pipe and a folder in the place of any of the three files is an error of that one file."""
    picture, original = published
    place = {"picture": picture, "sidecar": picture.with_name("fox.png.shaded.json"), "original": original}[which]
    place.rename(tmp_path / "elsewhere")
    {"link": lambda: place.symlink_to(tmp_path / "elsewhere"), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[
        kind
    ]()
    with pytest.raises(PictureError, match="symbolic link" if kind == "link" else "not a regular file"):
        engine.verify(VerifyTask(job_id="v", published=picture, original=original))


def test_no_folder_below_the_root_is_a_link(engine, published, tmp_path):
    """What a person named as a folder is not left through a link in it."""
    picture, original = published
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "way out").symlink_to(picture.parent)
    task = VerifyTask(job_id="v", published=tmp_path / "root" / "way out" / picture.name, root=tmp_path / "root")
    with pytest.raises(PictureError, match="symbolic link"):
        engine.verify(task)
    (tmp_path / "root" / "originals").symlink_to(original.parent)
    task = VerifyTask(
        job_id="v", published=picture, original=tmp_path / "root" / "originals" / original.name,
        original_root=tmp_path / "root",
    )  # fmt: skip
    with pytest.raises(PictureError, match=r"its original .* symbolic link"):
        engine.verify(task)


def test_a_file_that_changes_while_it_is_read_is_said_so(engine, published, monkeypatch):
    """What is half of one file and half of another is not measured."""
    picture, _ = published
    read = os.read

    def disturbed(descriptor, count):
        with picture.open("ab") as stream:
            stream.write(b"x")
        return read(descriptor, count)

    monkeypatch.setattr(screening.os, "read", disturbed)
    with pytest.raises(SourceChanged, match=r"changed while it was read.*Run the command again"):
        engine.verify(VerifyTask(job_id="v", published=picture))


def test_a_file_of_another_size_is_told_without_decoding_it(engine, published, undecoded):
    """Width and height are held to the sidecar before a pixel is decoded."""
    picture, original = published
    picture.write_bytes(encoded(scene(60, 90)))
    verified = engine.verify(VerifyTask(job_id="v", published=picture, original=original))
    assert any("published.width: the sidecar says 120, the file has 60" in problem for problem in verified.problems)
    assert "nothing was measured" in verified.measured["note"]


def test_a_canvas_that_is_not_the_files_is_not_drawn(engine, published, monkeypatch, tmp_path):
    """A sidecar that states a canvas of many megapixels for a small file is contradicted, and nothing is allocated."""
    picture, original = published
    _state(picture, "engine", "canvas", value=[4096, 4096])
    _state(picture, "engine", "canvas_pixels", value=16_777_216)
    monkeypatch.setattr(opening, "draw_anchor", lambda *_: pytest.fail("it was drawn"))
    task = VerifyTask(job_id="v", published=picture, original=original, anchor_out=tmp_path / "anchors")
    (problem,) = engine.verify(task).problems
    assert problem == "engine.canvas: the sidecar says 4096 x 4096, the file has one of 128 x 96"


@pytest.mark.parametrize(
    ("keys", "value", "why"),
    [
        (("target", "ground"), ["#000000#000000"], "how the anchor was drawn"),
        (("budget",), {}, "no limit for local_lpips, lpips, max_delta_e, psnr_db"),
    ],
)
def test_what_a_sidecar_leaves_out_is_an_error_that_names_it(engine, published, keys, value, why):
    """A sidecar without a whole ground or limits cannot be held to them; that is said, and is no unexpected error."""
    picture, original = published
    _state(picture, *keys, value=value)
    with pytest.raises(Unreadable, match=why):
        engine.verify(VerifyTask(job_id="v", published=picture, original=original))


def _publicly(picture):
    """Let a picture have its sidecar in the form that strangers may read."""
    beside = picture.with_name(picture.name + ".shaded.json")
    beside.write_text(parse_sidecar(beside.read_bytes()).public().to_json(), "utf-8")
    return json.loads(beside.read_text())


def test_a_public_sidecar_is_held_to_every_number(engine, published):
    """The ground comes from the original: what is measured is exactly what is measured with the whole sidecar."""
    picture, original = published
    task = VerifyTask(job_id="v", published=picture, original=original)
    whole = engine.verify(task)
    stated = _publicly(picture)
    assert (stated["target"]["ground"], stated["engine"]["seed"]) == ([], None)
    public = engine.verify(task)
    assert public.problems == ()
    assert public.measured == whole.measured
    assert "flux2-meter" in public.measured["strength"]


def test_the_anchor_of_a_public_sidecar_is_the_very_one(engine, published, tmp_path):
    """With the original it is the same to the byte; without, nearly so, and that is said."""
    picture, original = published
    out = tmp_path / "anchors"
    task = VerifyTask(job_id="v", published=picture, original=original, anchor_out=out)
    engine.verify(task)
    very = pixels(out / "fox.png.anchor.png")
    _publicly(picture)
    verified = engine.verify(task)
    assert np.array_equal(pixels(out / "fox.png.anchor.png"), very)
    assert "anchor_note" not in verified.measured
    alone = engine.verify(task.model_copy(update={"original": None}))
    assert "published file's colours" in alone.measured["anchor_note"]
    assert alone.problems == ()
    near = pixels(out / "fox.png.anchor.png").astype(int)
    assert np.abs(near - very).max() <= 8


def test_a_sidecar_elsewhere_is_the_one_that_counts(engine, published, tmp_path):
    """The task names the sidecar, and what stands beside the picture is not looked at."""
    picture, original = published
    beside = picture.with_name("fox.png.shaded.json")
    apart = tmp_path / "private" / "sub" / "fox.png.shaded.json"
    apart.parent.mkdir(parents=True)
    beside.rename(apart)
    beside.write_text("somebody's notes")
    task = VerifyTask(
        job_id="v", published=picture, original=original, sidecar=apart, sidecar_root=tmp_path / "private"
    )
    assert engine.verify(task).problems == ()
    apart.parent.rename(tmp_path / "elsewhere")
    apart.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PictureError, match="symbolic link"):
        engine.verify(task)


def test_a_sidecar_that_states_no_strength_does_not_keep_its_word(engine, published):
    """Without a strength in any encoder at hand nothing can be compared, which is a problem and no failure."""
    picture, original = published
    _state(picture, "strength", value={})
    (problem,) = engine.verify(VerifyTask(job_id="v", published=picture, original=original)).problems
    assert problem.startswith("strength: the sidecar states none")


def _looks(path):
    """Everything about a file but when it was read."""
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def test_an_anchor_is_written_anew_over_its_own_and_over_nothing_else(engine, published, tmp_path):
    """Writing it again is fine; a person's file, another picture's anchor, a link and a folder of that name stay."""
    task = VerifyTask(job_id="v", published=published[0], anchor_out=tmp_path)
    target = tmp_path / "fox.png.anchor.png"
    assert engine.verify(task).problems == ()
    first = target.read_bytes()
    assert engine.verify(task).problems == ()
    assert target.read_bytes() == first
    other = tmp_path / "precious"
    for make in (
        lambda: target.write_bytes(b"a person's"),
        lambda: target.write_bytes(first.replace(b"shaded anchor of\0", b"shaded anchor of\0" + b"0" * 10)),
        lambda: (other.write_bytes(b"precious"), target.symlink_to(other)),
        lambda: target.symlink_to(tmp_path / "nowhere"),
        lambda: os.mkfifo(target),
        target.mkdir,
    ):
        target.unlink()
        make()
        before = _looks(target)
        (problem,) = engine.verify(task).problems
        assert "something else stands where the anchor would be written" in problem
        assert "--anchor-out" in problem
        assert _looks(target) == before
    assert other.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()
    assert [path for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_an_anchor_whose_name_is_too_long_is_a_problem_of_that_file(engine, published, tmp_path, monkeypatch):
    """Where the anchor cannot have its name the rest is measured all the same."""
    picture, original = published
    link = os.link

    def short(source, target, **more):
        if len(target) > 16:
            raise OSError(36, "File name too long")
        link(source, target, **more)

    monkeypatch.setattr(opening.os, "link", short)
    monkeypatch.setattr(opening.os, "rename", short)
    task = VerifyTask(job_id="v", published=picture, original=original, anchor_out=tmp_path / "anchors")
    verified = engine.verify(task)
    assert verified.problems == ("its name is too long for the file system. Give it a shorter name",)
    assert "strength" in verified.measured
    with suppress(FileNotFoundError):
        assert list((tmp_path / "anchors").iterdir()) == []
