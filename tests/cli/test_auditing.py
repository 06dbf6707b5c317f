"""``audit``, with a worker that makes findings up and measures nothing."""

from __future__ import annotations

import json

import pytest

from shaded.evidence.findings import AuditDocument
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from tests.daemon.rig import png

pytestmark = pytest.mark.real_process


@pytest.fixture
def published(shaded, fake_engine, tmp_path):
    """A published picture whose original the ledger does not know, and the folder of originals."""
    outbox = tmp_path / "out"
    outbox.mkdir()
    (outbox / "fox.png").write_bytes(png(1))
    assert shaded("shade", outbox / "fox.png", "--out", tmp_path / "pub")[0] == 0
    return tmp_path / "pub" / "fox.png", outbox


def test_the_table_has_groups_controls_and_the_worst_in_plain_words(shaded, published):
    """A person reads survival for each group beside the controls, and what leaves least, in words."""
    picture, outbox = published
    code, out, _ = shaded("audit", picture, "--original", outbox / "fox.png")
    assert code == 0
    assert "shows cow, moved toward handbag" in out
    row = next(line for line in out.splitlines() if "JPEG (1)" in line)
    assert all(words in row for words in ("0.80", "JPEG q75 4:2:0", "0.200", "0.004"))
    assert "0.50  cut off at the sides (meter)" in out
    assert out.index("cut off at the sides") < out.index("saved as JPEG of quality 75 (meter)")
    assert out.splitlines()[-1] == "1 of 1 audited."


def test_json_is_the_documented_shape(shaded, published):
    """--json prints one document of the shipped shape, and nothing about progress."""
    picture, outbox = published
    code, out, err = shaded("audit", picture, "--original", outbox / "fox.png", "--json")
    document = AuditDocument.model_validate_json(out)
    assert (code, err) == (0, "")
    (file,) = document.files
    assert (file.ok, file.concept, file.target) == (True, "cow", "handbag")
    assert file.worst == ["crop 10 %", "JPEG q75 4:2:0"]
    assert file.audit.launderings[0].encoders["meter"].survival == 0.8


def test_the_report_is_one_page(shaded, published, tmp_path):
    """--report writes the page with a plot and the pictures that the worker gave, and the output names it."""
    picture, outbox = published
    page = tmp_path / "page.html"
    code, out, _ = shaded("audit", picture, "--original", outbox / "fox.png", "--report", page)
    text = page.read_text("utf-8")
    assert code == 0
    assert text.count("<svg") == 1
    assert text.count("data:image/png") == 1
    assert str(page) in out


def test_without_an_original_nothing_is_measured(shaded, published, tmp_path):
    """An original that nobody knows is said with what to do; the page tells it too; the exit code is 3."""
    page = tmp_path / "page.html"
    code, out, _ = shaded("audit", published[0], "--report", page)
    assert code == 3
    assert "its original is not known here" in out
    assert "--original" in out
    assert "Not audited" in page.read_text("utf-8")


def test_what_was_never_published_is_not_audited(shaded, published, tmp_path):
    """A file that is not there and one without a sidecar are told apart, and neither is asked for its original."""
    _, out, _ = shaded("audit", tmp_path / "lost.png", published[1] / "fox.png", "--json")
    lost, plain = (file["problem"] for file in json.loads(out)["files"])
    assert lost == "there is no such file"
    assert "no fox.png.shaded.json beside it" in plain


def test_originals_are_found_in_a_folder_by_their_hash(shaded, published):
    """--original may be a folder: files of another content are passed over."""
    picture, outbox = published
    (outbox / "fox.png").rename(outbox / "kept.png")
    (outbox / "deep").mkdir()
    (outbox / "deep" / "fox.png").write_bytes(png(1))
    (outbox / "fox.png").write_bytes(png(2))
    code, out, _ = shaded("audit", picture, "--original", outbox, "--json")
    assert code == 0
    assert json.loads(out)["files"][0]["original"] == str(outbox / "deep" / "fox.png")


def test_trouble_with_one_picture_leaves_the_others(shaded, published):
    """A picture whose audit fails is told with its reason and remedy; the other one is audited."""
    picture, outbox = published
    broken = picture.with_name("unreadable.png")
    broken.write_bytes(picture.read_bytes())
    broken.with_name("unreadable.png.shaded.json").write_bytes(picture.with_name("fox.png.shaded.json").read_bytes())
    code, out, _ = shaded("audit", picture.parent, "--original", outbox, "--json")
    files = {file["path"]: file for file in json.loads(out)["files"]}
    assert code == 3
    assert files[str(picture)]["ok"]
    assert files[str(broken)]["problem"] == "it is broken. Save it again"


def test_the_ledger_knows_originals(shaded, fake_engine, monkeypatch, tmp_path):
    """What the daemon published needs no --original."""
    monkeypatch.setenv("SHADED_WATCHING__QUIET_SECONDS", "0.2")
    outbox = tmp_path / "out"
    outbox.mkdir()
    (outbox / "fox.png").write_bytes(png(1))
    shaded("run", "--once", "--outbox", outbox, "--publish", tmp_path / "pub")
    code, out, _ = shaded("audit", tmp_path / "pub", "--json")
    assert code == 0
    assert json.loads(out)["files"][0]["original"] == str(outbox / "fox.png")


def test_impossible_words_are_wrong_usage(shaded, tmp_path):
    """No picture, one original for two pictures, and a report that no file can be are wrong usage, at once."""
    assert shaded("audit", tmp_path)[0] == 2
    (tmp_path / "c.png").write_bytes(png(1))
    assert shaded("audit", tmp_path / "a.png", tmp_path / "b.png", "--original", tmp_path / "c.png")[0] == 2
    code, _, err = shaded("audit", tmp_path / "a.png", "--original", tmp_path / "none.png")
    assert code == 2
    assert "--original" in err
    code, _, err = shaded("audit", tmp_path / "a.png", "--report", tmp_path / "none" / "page.html")
    assert code == 2
    assert "--report" in err
    assert shaded("audit", tmp_path / "a.png", "--report", tmp_path)[0] == 2
    (tmp_path / "notes.html").write_text("<p>mine</p>")
    code, _, err = shaded("audit", tmp_path / "a.png", "--report", tmp_path / "notes.html")
    assert (code, "did not write" in err) == (2, True)
    assert (tmp_path / "notes.html").read_text() == "<p>mine</p>"


def test_markup_and_escapes_in_names_and_sidecars_are_only_words(shaded, published, tmp_path):
    """Neither the page nor the terminal obeys what a file's name, a folder's name or a sidecar says."""
    picture, outbox = published
    stated = read_sidecar(sidecar_path(picture))
    evil = "<script>alert(1)</script>\x1b[2J{{7*7}}"
    folder = tmp_path / "<b onclick=x>"
    folder.mkdir()
    audited, lost = (folder / name for name in ("<img src=x onerror=x>\x1b[2J.png", "<i>lost\x1b[2J.png"))
    audited.write_bytes(picture.read_bytes())
    changed = {
        "concept": stated.concept.model_copy(update={"tag": evil}),
        "target": stated.target.model_copy(update={"concept": evil}),
    }
    sidecar_path(audited).write_text(stated.model_copy(update=changed).to_json(), "utf-8")
    lost.write_bytes(b"")
    sidecar_path(lost).write_text('{"' + evil.replace("\x1b", "\\u001b") + '":', "utf-8")
    page = tmp_path / "page.html"
    code, out, err = shaded("audit", folder, "--original", outbox, "--report", page)
    assert code == 3
    text = page.read_text("utf-8")
    for words in (text, out, err):
        assert "\x1b" not in words
    for tag in ("<script", "<img src=x", "<i>lost", "<b onclick"):
        assert tag not in text
    assert "&lt;script&gt;" in text
    assert "{{7*7}}" in text


def test_a_sidecar_that_goes_while_its_picture_is_audited_is_a_problem_of_that_picture(shaded, published):
    """What was there a moment ago and is not any more does not take the other findings with it."""
    picture, outbox = published
    sidecar_path(picture).unlink()
    code, out, _ = shaded("audit", picture, "--original", outbox / "fox.png", "--json")
    (file,) = json.loads(out)["files"]
    assert code == 3
    assert "there is no fox.png.shaded.json" in file["problem"]


@pytest.mark.parametrize("kind", ["link", "folder", "foreign"])
def test_why_an_original_is_not_known_names_a_sidecar_that_is_none(shaded, published, tmp_path, kind):
    """A sidecar that is a link, a folder or somebody's JSON is the reason, and no original is asked for."""
    picture, _ = published
    beside = sidecar_path(picture)
    beside.rename(tmp_path / "elsewhere")
    {"link": lambda: beside.symlink_to(tmp_path / "elsewhere"), "folder": beside.mkdir,
     "foreign": lambda: beside.write_text("{}")}[kind]()  # fmt: skip
    code, out, _ = shaded("audit", picture, "--json")
    assert code == 3
    assert "the sidecar cannot be read" in json.loads(out)["files"][0]["problem"]
