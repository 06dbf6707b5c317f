"""``verify`` over folders that others may write into."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from shaded.cli import shading, verifying
from shaded.daemon.audience import Nobody
from shaded.errors import Transient
from shaded.outbox import screening
from shaded.publishing import pairs
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.settings import Profile, load_settings
from tests.daemon.rig import FakeExecutor, png
from tests.publishing.sidecars import a_sidecar
from tests.reliability import crafted

pytestmark = pytest.mark.real_process


def _published(folder, name, source_name, source):
    """A published picture whose sidecar names this source."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"pixels")
    facts = {"name": source_name, "sha256": hashlib.sha256(source).hexdigest(), "bytes": len(source)}
    stated = a_sidecar(b"pixels", name)
    stated = stated.model_copy(update={"source": stated.source.model_copy(update=facts)})
    sidecar_path(folder / name).write_text(stated.to_json(), "utf-8")
    return folder / name


def _original(picture, folder):
    """What is found below a folder as a picture's original."""
    (chosen,) = verifying.choose(load_settings(), [picture], folder)
    return chosen.original


@pytest.mark.parametrize(
    "name", ["../secret.png", "{outside}", "*", "[s]ecret.png", "sub/../../secret.png", "**/secret.png", "..", ".", "",
             "kept.png/", "kept.png\0", "x" * 1000, "\n"],
)  # fmt: skip
def test_no_stated_name_leads_out_of_the_folder_of_originals(tmp_path, name):
    """A source's name only chooses among the names that are there: paths, patterns and escapes name nothing."""
    secret = b"a private file that a stranger knows the hash of"
    (tmp_path / "secret.png").write_bytes(secret)
    originals = tmp_path / "originals"
    (originals / "sub").mkdir(parents=True)
    (originals / "kept.png").write_bytes(secret)
    name = name.format(outside=tmp_path / "secret.png")
    assert _original(_published(tmp_path / "pub", "fox.png", name, secret), originals) is None
    assert _original(_published(tmp_path / "pub", "fox.png", "kept.png", secret), originals) == originals / "kept.png"


def test_no_link_and_no_pipe_in_the_folder_of_originals_is_followed(tmp_path):
    """A file or folder that is a link leads nowhere, a loop has an end, and a pipe is not waited for."""
    secret = b"somewhere else"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "fox.png").write_bytes(secret)
    originals = tmp_path / "originals"
    for sub in ("a", "b"):
        (originals / sub).mkdir(parents=True)
    (originals / "fox.png").symlink_to(tmp_path / "elsewhere" / "fox.png")
    (originals / "linked").symlink_to(tmp_path / "elsewhere")
    (originals / "a" / "loop").symlink_to(originals)
    os.mkfifo(originals / "b" / "fox.png")
    picture = _published(tmp_path / "pub", "fox.png", "fox.png", secret)
    assert _original(picture, originals) is None
    _published(tmp_path / "pub", "fox.png", "fox.png", b"")  # as long as the pipe
    assert _original(picture, originals) is None
    (originals / "a" / "fox.png").write_bytes(b"")
    assert _original(picture, originals) == originals / "a" / "fox.png"


def test_only_files_of_the_stated_size_are_hashed(tmp_path, monkeypatch):
    """A large folder costs a look at each file of the name; what has another size is not read."""
    source = b"the original"
    for number in range(20):
        (tmp_path / "originals" / f"{number}").mkdir(parents=True)
        (tmp_path / "originals" / f"{number}" / "fox.png").write_bytes(bytes(number + 100))
    (tmp_path / "originals" / "z.png").write_bytes(bytes(len(source)))
    (tmp_path / "originals" / "9" / "fox.png").write_bytes(source)
    picture = _published(tmp_path / "pub", "fox.png", "fox.png", source)
    read, pieces = os.read, []

    def noting(descriptor, count):
        piece = read(descriptor, count)
        pieces.append(piece)
        return piece

    monkeypatch.setattr(screening.os, "read", noting)
    assert _original(picture, tmp_path / "originals") == tmp_path / "originals" / "9" / "fox.png"
    assert [piece for piece in pieces if piece and not piece.startswith(b"{")] == [source]


def test_a_source_of_the_ledger_that_is_a_link_now_is_no_original(shaded, fake_engine, monkeypatch, tmp_path):
    """What the ledger remembers is looked at again: a link in its place is not followed."""
    monkeypatch.setenv("SHADED_WATCHING__QUIET_SECONDS", "0.2")
    (tmp_path / "out").mkdir()
    source = tmp_path / "out" / "fox.png"
    source.write_bytes(png(1))
    shaded("run", "--once", "--outbox", tmp_path / "out", "--publish", tmp_path / "pub")
    (before,) = json.loads(shaded("verify", tmp_path / "pub", "--json")[1])["files"]
    assert before["original"] == str(source)
    source.rename(tmp_path / "elsewhere.png")
    source.symlink_to(tmp_path / "elsewhere.png")
    (after,) = json.loads(shaded("verify", tmp_path / "pub", "--json")[1])["files"]
    assert after["original"] is None


def test_a_worker_that_dies_of_one_picture_measures_the_others(shaded, fake_engine, tmp_path):
    """A file that ends the worker is an error of its own; those before and after it are measured."""
    for name in ("a.png", "die.png", "z.png"):
        _published(tmp_path / "pub", name, name, b"")
    code, out, err = shaded("verify", tmp_path / "pub", "--json")
    assert code == 3
    assert [file["ok"] for file in json.loads(out)["files"]] == [True, False, True]
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["verify", "audit"])
def test_a_name_that_no_worker_can_be_told_is_an_error_of_that_file(shaded, fake_engine, tmp_path, command):
    """A name that is no UTF-8 is refused with what to do, in JSON that every program reads; the others are measured."""
    honest = _published(tmp_path / "pub", "a.png", "a.png", b"")
    odd = tmp_path / "pub" / os.fsdecode(b"\xff.png")
    odd.write_bytes(b"pixels")
    sidecar_path(odd).write_text(a_sidecar(b"pixels").to_json(), "utf-8")
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals" / "a.png").write_bytes(b"")
    words = ("--original", tmp_path / "originals", "--json")
    code, out, err = shaded(command, tmp_path / "pub", *words)
    files = {file["path"]: file for file in json.loads(out)["files"]}
    assert code == 3
    assert files[str(honest)]["ok"]
    refused = files[f"{tmp_path}/pub/\\xff.png"]
    assert not refused["ok"]
    assert "its name is not valid UTF-8. Rename it" in str(refused)
    assert "Traceback" not in err
    out.encode("ascii")


@pytest.mark.parametrize("command", ["verify", "audit"])
@pytest.mark.parametrize("name", ["x" * 300 + ".png", "~nobody-of-this-name.png", "deep/" * 900 + "f.png"])
def test_an_impossible_name_ends_in_no_traceback(shaded, fake_engine, tmp_path, monkeypatch, command, name):
    """Names and paths too long, and names that begin like a home folder, are errors of that one file."""
    monkeypatch.chdir(tmp_path)
    code, out, err = shaded(command, name)
    assert code == 3
    assert Path(name).name[:20] in out
    assert "Traceback" not in err
    code, out, err = shaded(command, "f.png", "--original", name)
    assert code == 2
    assert "--original: there is no such file or folder" in err
    assert "Traceback" not in err


def test_a_forbidden_folder_is_told_and_the_others_are_measured(shaded, fake_engine, tmp_path, monkeypatch):
    """A folder that cannot be looked into is an error with its name; what lies elsewhere is measured."""
    _published(tmp_path / "pub", "a.png", "a.png", b"")
    _published(tmp_path / "pub" / "locked", "b.png", "b.png", b"")
    opened = pairs.open_folder

    def forbidding(path, root):
        if path.name == "locked":
            raise Transient("permission is denied", path=path, remedy="Give your user access to it")
        return opened(path, root)

    monkeypatch.setattr(pairs, "open_folder", forbidding)
    code, out, _ = shaded("verify", tmp_path / "pub")
    assert code == 3
    assert f"DOES NOT: {tmp_path}/pub/locked: permission is denied. Give your user access to it" in out
    assert f"keeps its word: {tmp_path}/pub/a.png" in out


def _replaced(tmp_path, change):
    """Shade a picture, change what stands in the publish folder, shade again; the pictures that stand there then."""
    source = tmp_path / "fox.png"
    source.write_bytes(png(1))
    job = shading.Job(Profile(), tmp_path / "pub", load_settings(), named=False)
    for _ in range(2):
        shading.shade_pictures(job, [source], FakeExecutor(), Nobody())
        standing = tmp_path / "pub" / "fox.png"
        change(standing)
        change = lambda _: None  # noqa: E731
    return {path.name: path.read_bytes() for path in sorted((tmp_path / "pub").glob("*.png"))}


def _edit(**facts):
    def change(standing):
        standing.write_bytes(b"a stranger's")
        stated = read_sidecar(sidecar_path(standing))
        for which, more in facts.items():
            stated = stated.model_copy(update={which: getattr(stated, which).model_copy(update=more)})
        sidecar_path(standing).write_text(stated.to_json(), "utf-8")

    return change


def test_shade_replaces_only_what_a_sidecar_proves_to_be_its_own(tmp_path):
    """A stranger's picture stays under a sidecar that names other bytes, or their bytes and another source."""
    own = hashlib.sha256(b"a stranger's").hexdigest()
    for number, change in enumerate((_edit(), _edit(published={"sha256": own}, source={"sha256": "1" * 64}))):
        folder = tmp_path / str(number)
        folder.mkdir()
        standing = _replaced(folder, change)
        assert standing["fox.png"] == b"a stranger's"
        assert standing["fox (shaded).png"] == png(1) + b"shaded"


def _linked(standing):
    standing.write_bytes(b"a stranger's")
    stated = read_sidecar(sidecar_path(standing))
    facts = stated.published.model_copy(update={"sha256": hashlib.sha256(b"a stranger's").hexdigest()})
    elsewhere = standing.parent.parent / "elsewhere.json"
    elsewhere.write_text(stated.model_copy(update={"published": facts}).to_json(), "utf-8")
    sidecar_path(standing).unlink()
    sidecar_path(standing).symlink_to(elsewhere)


def test_shade_believes_no_sidecar_that_is_a_link(tmp_path):
    """A link in a sidecar's place proves nothing, so that the picture beside it stays."""
    standing = _replaced(tmp_path, _linked)
    assert standing["fox.png"] == b"a stranger's"


def test_a_picture_whose_name_is_no_utf8_is_refused_alone(shaded, fake_engine, tmp_path):
    """Shade refuses it with what to do, and shades the others."""
    odd, fox = tmp_path / os.fsdecode(b"\xff.png"), tmp_path / "fox.png"
    for number, path in enumerate((odd, fox)):
        path.write_bytes(png(number))
    code, out, err = shaded("shade", odd, fox, "--out", tmp_path / "pub", "--json")
    refused, published = json.loads(out)["pictures"]
    assert code == 3
    assert (refused["outcome"], refused["reason"]) == ("refused", "its name is not valid UTF-8")
    assert published["outcome"] == "published"
    assert "Traceback" not in err


def _hostile(folder):
    """A publish folder in which everything is wrong but one pair; the names of what is there."""

    def pair(name, picture=None, document=None):
        if picture is not None:
            (folder / name).write_bytes(picture)
        if document is not None:
            sidecar_path(folder / name).write_bytes(document)

    fine = sidecar_path(folder / "honest.png").read_bytes()
    whole = (folder / "honest.png").read_bytes()
    stated = json.loads(fine)
    wide = json.dumps({**stated, "engine": {**stated["engine"], "canvas": [10**6, 10**6]}}).encode()
    pair("bomb.png", crafted.png(30_000, 30_000, kind=0, pixels=crafted.bomb(900 << 20)), fine)
    pair("wide.png", whole, wide)
    pair("empty.png", b"", fine)
    pair("no-document.png", whole, b"")
    pair("nested.png", whole, b"[" * 60_000)
    pair("endless.png", whole, b'{"strength":{' + b'"a":0,' * 150_000 + b'"b":0}}')
    pair("long.png", whole, fine + b" " * 10_000_000)
    pair("number.png", whole, fine.replace(b'"steps": ', b'"steps": 9e99999, "x": '))
    pair("text.png", b"<script>alert(1)</script>", fine)
    os.mkfifo(folder / "pipe.png")
    pair("pipe.png", None, fine)
    pair("sidecar-pipe.png", whole)
    os.mkfifo(sidecar_path(folder / "sidecar-pipe.png"))
    pair("sidecar-folder.png", whole)
    sidecar_path(folder / "sidecar-folder.png").mkdir()
    (folder / "link.png").symlink_to(folder / "honest.png")
    pair("link.png", None, fine)
    pair("sidecar-link.png", whole)
    sidecar_path(folder / "sidecar-link.png").symlink_to(sidecar_path(folder / "honest.png"))
    (folder / "loop").symlink_to(folder)
    return {path.name for path in folder.glob("*.png")}


def test_one_honest_picture_among_hostile_ones_is_measured(shaded, monkeypatch, tmp_path):
    """With the real worker: every hostile pair is an error that names it, and the honest one keeps its word."""
    monkeypatch.setenv("SHADED_SHADING__CANVAS_PIXELS", "65536")
    monkeypatch.setenv("SHADED_SHADING__DEVICE", "cpu")
    source = tmp_path / "honest.png"
    source.write_bytes(png(9, size=96))
    code, _, _ = shaded("shade", source, "--out", tmp_path / "pub", "--quality", "fast", "--intensity", "high")
    assert code == 0
    names = _hostile(tmp_path / "pub")
    code, out, err = shaded("verify", tmp_path / "pub", "--original", source.parent, "--json")
    files = {Path(file["path"]).name: file for file in json.loads(out)["files"]}
    assert code == 3
    assert files.keys() == names
    assert {name for name, file in files.items() if file["ok"]} == {"honest.png"}
    for file in files.values():
        assert all(len(problem) < 1000 for problem in file["problems"])
        assert "unexpected" not in str(file["problems"])
    assert "30000 x 30000 pixels and the limit" in str(files["bomb.png"])
    assert "engine" in str(files["wide.png"])
    assert "Traceback" not in err
