"""What `shade` is given: no pictures, and copies that this program made itself."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3

import pytest

from shaded.cli.sources import Sources
from shaded.errors import Refusal, Unreadable
from shaded.publishing.sidecar import sidecar_path
from shaded.settings import load_settings
from tests.daemon.rig import png

pytestmark = pytest.mark.real_process

COPY = "it is a shaded copy, and is not shaded again"


@pytest.fixture
def look():
    """Look at one source with the settings as they are."""

    def one(path, *, again=False):
        with Sources(load_settings(), again=again) as sources:
            return sources.look(path)

    return one


@pytest.fixture
def copy(shaded, fake_engine, tmp_path):
    """A published copy, made by `shade`."""
    (tmp_path / "fox.png").write_bytes(png(1))
    assert shaded("shade", tmp_path / "fox.png", "--out", tmp_path / "pub")[0] == 0
    return tmp_path / "pub" / "fox.png"


def test_the_number_of_pixels_is_read_from_the_file(look, tmp_path):
    """A file that is no picture has none, and the worker says why."""
    (tmp_path / "a.png").write_bytes(png(1, size=24))
    (tmp_path / "b.png").write_bytes(b"no picture")
    assert (look(tmp_path / "a.png"), look(tmp_path / "b.png")) == (24 * 24, 0)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("nothing.png", Unreadable, "there is no such file. Check its name"),
        ("*.png", Unreadable, "there is no such file. No file fits this pattern; check it"),
        ("folder", Refusal, "it is a folder, and no picture. Name the pictures in it"),
        ("dangling.png", Unreadable, "it is a link that leads to no file. Name the picture itself"),
        ("fox.png/wolf.png", Unreadable, "there is no such file"),
    ],
)
def test_what_is_no_picture_is_said_before_any_work(look, tmp_path, name, kind, said):
    """Each says what is wrong, and what to do."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "fox.png").write_bytes(png(1))
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(kind) as raised:
        look(tmp_path / name)
    assert said in str(raised.value)


def _moved(copy):
    """The picture under another name, its sidecar as it was."""
    return copy.rename(copy.with_name("other.png"))


def _moved_with_its_sidecar(copy):
    moved = copy.with_name("other.png")
    sidecar_path(copy).rename(sidecar_path(moved))
    return copy.rename(moved)


def _linked(copy):
    os.link(copy, copy.with_name("other.png"))
    return copy.with_name("other.png")


@pytest.mark.parametrize(
    "change", [lambda copy: copy, _moved, _moved_with_its_sidecar, _linked], ids=["as it is", "moved", "both", "linked"]
)
def test_a_copy_is_known_by_a_sidecar_in_its_folder(look, copy, change):
    """Whatever either is called; with `--again` it is taken."""
    path = change(copy)
    with pytest.raises(Refusal, match=COPY) as refused:
        look(path)
    assert refused.value.remedy == "Name the original, or add --again to shade the copy once more"
    assert look(path, again=True)


def test_a_copy_is_known_by_a_sidecar_in_a_folder_of_its_own(shaded, fake_engine, look, tmp_path, monkeypatch):
    """Where sidecars stand apart from the pictures, the one is known that stands for the picture's folder."""
    monkeypatch.setenv("SHADED_PUBLISHING__SIDECARS", str(tmp_path / "sidecars"))
    (tmp_path / "fox.png").write_bytes(png(1))
    assert shaded("shade", tmp_path / "fox.png", "--out", tmp_path / "pub")[0] == 0
    copy = tmp_path / "pub" / "fox.png"
    assert not sidecar_path(copy).exists()
    for path in (copy, copy.with_name("other.png")):
        if path != copy:
            copy.rename(path)
        with pytest.raises(Refusal, match=COPY):
            look(path)


def test_an_original_beside_copies_is_none(look, copy, tmp_path):
    """A sidecar names the original's hash too, as the source's; and another picture may have a copy's old name."""
    (tmp_path / "pub" / "original.png").write_bytes((tmp_path / "fox.png").read_bytes())
    assert look(tmp_path / "pub" / "original.png")
    copy.write_bytes(png(2))
    assert look(copy)


def test_hostile_sidecars_keep_nobody_from_shading(look, tmp_path):
    """Pipes, links, folders, nonsense and other people's hashes in a sidecar's place are passed over."""
    path = tmp_path / "fox.png"
    path.write_bytes(png(1))
    sha256 = hashlib.sha256(png(1)).hexdigest()
    os.mkfifo(tmp_path / "pipe.png.shaded.json")
    (tmp_path / "link.png.shaded.json").symlink_to("/etc/passwd")
    (tmp_path / "folder.png.shaded.json").mkdir()
    (tmp_path / "text.png.shaded.json").write_text(sha256)
    (tmp_path / "deep.png.shaded.json").write_text("[" * 100_000 + sha256)
    (tmp_path / "long.png.shaded.json").write_text(sha256 * 100_000)
    (tmp_path / "fox.png.shaded.json").write_text(json.dumps({"published": {"sha256": sha256}}))
    assert look(path)


@pytest.fixture
def published(shaded, fake_engine, tmp_path, monkeypatch):
    """A copy that the daemon made, moved out of its publish folder and without its sidecar."""
    monkeypatch.setenv("SHADED_WATCHING__QUIET_SECONDS", "0.2")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fox.png").write_bytes(png(1))
    assert shaded("run", "--once", "--outbox", tmp_path / "out", "--publish", tmp_path / "pub")[0] == 0
    return (tmp_path / "pub" / "fox.png").rename(tmp_path / "elsewhere.png")


def test_a_copy_is_known_by_the_ledger(look, published):
    """Wherever it lies and whatever it is called now."""
    with pytest.raises(Refusal, match=COPY):
        look(published)
    assert look(published, again=True)


def test_a_damaged_ledger_keeps_nobody_from_shading(look, published):
    """It knows nothing, that is all; nothing is written to it."""
    ledger = load_settings().state_dir / "ledger.sqlite3"
    sqlite3.connect(ledger).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.write_bytes(b"not a database at all" * 100)
    before = ledger.read_bytes()
    assert look(published)
    assert ledger.read_bytes() == before


def test_shade_says_so_of_a_copy_and_stops(shaded, copy, tmp_path):
    """It is a refusal, the other pictures are shaded, and `--again` shades it under a name of its own."""
    (tmp_path / "wolf.png").write_bytes(png(2))
    before = copy.read_bytes()
    code, out, err = shaded("shade", copy, tmp_path / "wolf.png", "--out", tmp_path / "pub")
    assert (code, out.splitlines()[-1]) == (3, "1 published, 1 refused.")
    assert err == f"shaded: {copy}: {COPY}. Name the original, or add --again to shade the copy once more.\n"
    code, out, _ = shaded("shade", copy, "--out", tmp_path / "pub", "--again", "--json")
    assert code == 0
    assert json.loads(out)["pictures"][0]["published"] == str(tmp_path / "pub" / "fox (shaded).png")
    assert copy.read_bytes() == before
