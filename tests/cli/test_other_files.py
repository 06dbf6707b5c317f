"""What lies among the pictures: a run does not fail for it, and says once what it is."""

from __future__ import annotations

import json

import pytest

from tests.daemon.rig import png

ZIP = b"PK\3\4" + bytes(26)


@pytest.fixture
def outbox(tmp_path, monkeypatch):
    """An outbox with its settings file beside it."""
    monkeypatch.delenv("SHADED_STATE_DIR")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(
        'state_dir = "state"\n[folder]\noutbox = "out"\npublish = "pub"\n[watching]\nquiet_seconds = 0.1\n'
    )
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def _explained(shaded, path):
    return json.loads(shaded("explain", "--config", "c.toml", "--json", path)[1])


def test_a_picture_is_published_and_everything_else_fails_nothing(shaded, outbox, fake_engine):
    """Companions, unfinished files, conflict copies, wastebaskets, working files, notes and videos: exit code 0."""
    (outbox / "fox.png").write_bytes(png())
    others = {
        "fox.xmp": b"<x/>", "fox.aae": b"<x/>", "new.png.filepart": png(1)[:40], "new.jpg.crdownload": b"\xff\xd8\xff",
        "fox.pp3": b"[x]", "fox.url": b"x", "fox.md5": b"x", "fox (conflicted copy 2024-01-01).png": png(2),
        "fox.sync-conflict-20240101-120000-ABCDEFG.png": png(3), "@Recycle/old.png": png(4), "@eaDir/old.png": png(5),
        "fox.kra": ZIP + b"mimetypeapplication/x-krita", "fox.psd": b"8BPS\0\1" + bytes(50), "fox.procreate": ZIP,
        "fox.sai": b"\x9a\x01\x02", "notes.txt": b"buy paint", "README": b"x", "zeros.dat": bytes(5000),
        "fox.mov": b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(20), "pictures.zip": ZIP,
    }  # fmt: skip
    for name, content in others.items():
        (outbox / name).parent.mkdir(exist_ok=True)
        (outbox / name).write_bytes(content)
    code, out, _ = shaded("run", "--once", "--config", "c.toml")
    assert code == 0
    assert "1 published, 9 left alone." in out
    assert out.count("Export a PNG or JPEG from it") == 5
    assert sorted(path.name for path in (outbox.parent / "pub").rglob("*.*")) == ["fox.png", "fox.png.shaded.json"]
    for name in others:
        found = _explained(shaded, outbox / name)
        assert found["state"] in ("unknown", "left alone")
        assert "ignored by the pattern" in found["why"] or "it is left alone: it is " in found["why"]

    code, out, _ = shaded("run", "--once", "--config", "c.toml")
    assert (code, out.strip()) == (0, "nothing to do.")
    counts = json.loads(shaded("status", "--config", "c.toml", "--json")[1])
    assert counts["counts"]["refused"] == 0
    assert counts["errors"] == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.png", b"this is text"),
        ("broken.png", png()[:40]),
        ("zeros.jpg", bytes(5000)),
        ("document.png", b"8BPS\0\1" + bytes(50)),
        ("page.jpg", b"<!DOCTYPE html><html>"),
        ("moving.gif", b"GIF89a" + bytes(50)),
        ("noname", b"GIF89a" + bytes(50)),
        ("fox.bmp", b"BM" + bytes(60)),
        ("cut off", b"\x89PNG\r\n\x1a\n" + bytes(9)),
    ],
)
def test_what_is_meant_to_be_a_picture_still_fails_the_run(shaded, outbox, fake_engine, name, content):
    """A broken picture, one of a kind that is not shaded, another file with a picture's name: exit code 3."""
    (outbox / name).write_bytes(content)
    code, out, _ = shaded("run", "--once", "--config", "c.toml")
    assert code == 3
    assert "left alone" not in out
    assert shaded("run", "--once", "--config", "c.toml")[0] == 3


def test_a_large_working_file_is_known_by_its_beginning(shaded, outbox, fake_engine):
    """It is neither read whole nor refused for its size."""
    with (outbox / "huge.clip").open("wb") as stream:
        stream.write(b"CSFCHUNK")
        stream.truncate(5_000_000_000)
    code, out, _ = shaded("run", "--once", "--config", "c.toml")
    assert code == 0
    assert "Clip Studio Paint" in out


def test_a_working_file_is_told_again_once_it_changes(shaded, outbox, fake_engine):
    """And what has become a picture meanwhile is taken."""
    (outbox / "fox").write_bytes(b"8BPS\0\1" + bytes(50))
    assert "left alone" in shaded("run", "--once", "--config", "c.toml")[1]
    assert "left alone" not in shaded("run", "--once", "--config", "c.toml")[1]
    (outbox / "fox").write_bytes(b"8BPS\0\1" + bytes(60))
    assert "left alone" in shaded("run", "--once", "--config", "c.toml")[1]
    (outbox / "fox").write_bytes(png())
    code, out, _ = shaded("run", "--once", "--config", "c.toml")
    assert (code, "1 published" in out) == (0, True)
