"""Hostile names: published under the same name or refused with a reason, and never a danger where they are shown."""

from __future__ import annotations

import json
import os
import unicodedata

import pytest
import structlog

from shaded import logs
from shaded.cli.asking import explain_lines, status_lines
from shaded.daemon.notify import Notifier
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.reports import explain_document, status_document
from tests.daemon.rig import png

ODD = [
    "new\nline.png", "tab\tand\rreturn.png", "\x1b[2J\x1b[31mred.png", "\x9b2Jold.png", "bell\x07.png",
    "\u202egnp.exe.png",
    "[bold]markup.png", "%2e%2e%2fup.png", "..png", "...png", "a..b.png", "-rf.png", "back\\..\\slash.png",
    "space .png", " leading.png", "quote'\"`$(x).png", "no suffix", "fox (shaded).png", "é" * 119 + ".png",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in ODD if not name.startswith(".")])
def test_an_odd_name_is_mirrored(rig, name):
    """Line ends, terminal escapes, markup and tricks in a name change nothing: the copy has the same name."""
    rig.put(name)
    rig.settle()
    assert {path.name for path in rig.publish.iterdir()} == {name, f"{name}.shaded.json"}
    assert read_sidecar(sidecar_path(rig.publish / name)).published.name == name


def test_hidden_names_are_not_taken(rig):
    """Names that begin with a point are hidden files, whatever follows."""
    for name in ("..png", "...png", ".fox.png"):
        rig.put(name)
    rig.settle()
    assert rig.published() == []


def test_a_name_that_is_no_text_is_refused(rig):
    """Bytes that are no UTF-8 are refused with the reason, and the daemon goes on."""
    rig.put(os.fsdecode(b"f\xff\xfe.png"), png(1))
    rig.put("fox.png", png(2))
    rig.settle()
    assert rig.published() == ["fox.png"]
    (record,) = rig.ledger.find(rig.outbox / os.fsdecode(b"f\xff\xfe.png"))
    assert (record.job.state, record.job.reason) == ("refused", "its name is not valid UTF-8")


@pytest.mark.parametrize(("letters", "published"), [(239, True), (240, False), (251, False)])
def test_the_longest_names(rig, letters, published):
    """243 bytes leave room for the sidecar's suffix; longer names are refused before anything is shaded."""
    name = "f" * letters + ".png"
    rig.put(name)
    rig.settle()
    assert rig.published() == ([name] if published else [])
    if not published:
        assert rig.executor.submitted == []
        (record,) = rig.ledger.find(rig.outbox / name)
        assert "name is too long" in record.job.reason


@pytest.mark.parametrize("letter", ["f", "é", "🦊"])
def test_the_longest_name_gives_way_to_somebody_elses_file(rig, letter):
    """A name that has no room for a number loses its last letters, never half a letter."""
    name = letter * (239 // len(letter.encode())) + ".png"
    (rig.publish / name).write_bytes(b"precious")
    rig.put(name)
    rig.settle()
    (ours,) = [path.name for path in rig.publish.iterdir() if path.name.endswith("(shaded).png")]
    assert ours.encode().decode().startswith(letter * 50)
    assert len(os.fsencode(f"{ours}.shaded.json")) <= 255
    assert (rig.publish / name).read_bytes() == b"precious"


def test_temporary_names_of_long_names_are_whole_letters(rig, monkeypatch):
    """A temporary name is cut between letters: some file systems take no other names."""
    from shaded.publishing import temporaries

    made = []
    real = temporaries._temporary
    monkeypatch.setattr(temporaries, "_temporary", lambda *words: made.append(real(*words)) or made[-1])
    rig.put("🦊" * 59 + ".png")
    rig.settle()
    assert len(made) == 2
    for name in made:
        assert len(name.encode("utf-8")) <= 255


def test_twins_of_normal_forms_are_two_pictures(rig):
    """Two names that look the same and differ in bytes are both published, each under its own bytes."""
    composed, decomposed = unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é.png")
    rig.put(composed, png(1))
    rig.put(decomposed, png(2))
    rig.settle()
    expected = {1, 2} if len(list(rig.outbox.glob("*.png"))) == 2 else {2}
    contents = {path.read_bytes() for path in rig.publish.iterdir() if path.suffix == ".png"}
    assert contents == {png(shade) + b"shaded" for shade in expected}


def test_twins_in_case_are_two_pictures(rig):
    """Names that differ in case only are both published."""
    rig.put("Fox.png", png(1))
    rig.settle()
    if (rig.outbox / "fox.png").exists():
        pytest.skip("this file system ignores case")
    rig.put("fox.png", png(2))
    rig.settle()
    assert rig.published() == ["Fox.png", "fox.png"]


def test_a_twin_never_takes_a_published_copys_place(rig):
    """Where the publish folder ignores case, a case twin is published beside the first one and does not replace it.

    A second name for the first published file stands for what such a folder shows.
    """
    rig.put("Fox.png", png(1))
    rig.settle()
    os.link(rig.publish / "Fox.png", rig.publish / "fox.png")
    os.link(rig.publish / "Fox.png.shaded.json", rig.publish / "fox.png.shaded.json")
    rig.put("fox.png", png(2))
    rig.settle()
    assert (rig.publish / "Fox.png").read_bytes() == png(1) + b"shaded"
    assert (rig.publish / "fox.png").read_bytes() == png(1) + b"shaded"
    assert (rig.publish / "fox (shaded).png").read_bytes() == png(2) + b"shaded"


def test_a_source_that_is_called_like_our_other_name(rig):
    """``fox (shaded).png`` as a source and as the other name of ``fox.png`` do not meet."""
    (rig.publish / "fox.png").write_bytes(b"precious")
    rig.put("fox.png", png(1))
    rig.settle()
    rig.put("fox (shaded).png", png(2))
    rig.settle()
    assert (rig.publish / "fox (shaded).png").read_bytes() == png(1) + b"shaded"
    assert (rig.publish / "fox (shaded) (shaded).png").read_bytes() == png(2) + b"shaded"
    assert (rig.publish / "fox.png").read_bytes() == b"precious"


def test_names_like_our_temporary_ones(rig):
    """In an outbox they are not taken; in a publish folder nothing is removed for its name alone."""
    rig.put(".~fox.png.0123abcd.tmp")
    rig.settle()
    assert rig.published() == []
    (rig.publish / ".~folder.0123abcd.tmp").mkdir()
    (rig.publish / ".~fox.png.0123abcd.tmp.png").write_bytes(b"theirs")
    (rig.publish / ".~fox.png.0123ABCD.tmp").write_bytes(b"theirs")
    (rig.publish / ".~link.0123abcd.tmp").symlink_to(rig.outbox)
    (rig.publish / ".~fox.png.0123abcd.tmp").write_bytes(b"theirs")
    before = sorted(path.name for path in rig.publish.iterdir())
    rig.restart()
    rig.settle()
    assert sorted(path.name for path in rig.publish.iterdir()) == before


@pytest.fixture
def _logging():
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging")
@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("name", ["\x1b[2J\x1b[31mred.png", "\x9b2J.png", "\u202egnp.png", "a\nlevel=error event.png",
                                  os.fsdecode(b"\xff.png")])  # fmt: skip
def test_a_name_in_a_log_line_is_harmless(capsys, style, name):
    """A log line stays one line, without anything that a terminal would obey; JSON gives back the very name."""
    logs.configure("info", style)
    logs.get_logger("daemon").info("picture published", file=name, note=f"about {name}")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    if style == "json":
        assert json.loads(line)["file"] == name


@pytest.mark.usefixtures("_logging")
def test_a_name_in_a_traceback_keeps_the_lines(capsys):
    """An exception's own lines are still lines on the console."""
    logs.configure("info", "console")
    try:
        int("oops")
    except ValueError:
        logs.get_logger("daemon").exception("it failed")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("ValueError: invalid literal")


def test_a_name_in_status_and_explain_is_harmless(rig):
    """What commands print for a person is printable, whatever a file is called."""
    name = "\x1b[2J\nred\u202e.png"
    rig.put(name, b"no picture")
    rig.settle()
    document = status_document(rig.ledger, rig.daemon.view)
    explained = explain_document(rig.ledger, rig.settings, rig.outbox / name, None, running=True)
    lines = [*status_lines(document, 0.0), *explain_lines(explained, 0.0)]
    assert any("red" in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_a_name_in_the_service_managers_status_is_one_line(monkeypatch):
    """A line end in a name does not become a message of its own to the service manager."""
    sent = []
    notifier = Notifier({"NOTIFY_SOCKET": "/nowhere"})
    monkeypatch.setattr(notifier, "_send", sent.append)
    notifier.status("shading fox\nMAINPID=1\rREADY=1\x1b.png")
    (message,) = sent
    assert message.isprintable()
