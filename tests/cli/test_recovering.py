"""``shaded recover`` as a person types it."""

from __future__ import annotations

import json

import pytest

from shaded.daemon import recovering
from shaded.daemon.instance import only_instance
from shaded.errors import Transient
from shaded.publishing.pairs import read_pair
from tests.daemon.rig import png


@pytest.fixture
def config(tmp_path, monkeypatch, shaded, fake_engine):
    """Settings of an installation that has published two pictures and has ended."""
    monkeypatch.delenv("SHADED_STATE_DIR", raising=False)
    out = tmp_path / "out"
    out.mkdir()
    for number, name in enumerate(("fox.png", "owl.png")):
        (out / name).write_bytes(png(number, size=8 + number))
    path = tmp_path / "config.toml"
    path.write_text(
        f'state_dir = "{tmp_path}/state"\n[[folder]]\noutbox = "{out}"\npublish = "{tmp_path}/pub"\n'
        "[watching]\nquiet_seconds = 0.1\n"
    )
    assert shaded("run", "--once", "--config", path)[0] == 0
    return path


def test_recover_says_what_it_found_and_nothing_is_rendered_again(shaded, config, tmp_path):
    """After a ledger of noise: the command's words, its code, and a daemon that has nothing to do."""
    ledger = tmp_path / "state" / "ledger.sqlite3"
    for path in tmp_path.glob("state/ledger.sqlite3-*"):
        path.unlink()
    ledger.write_bytes(b"noise" * 5000)
    code, out, err = shaded("run", "--once", "--config", config)
    assert code == 65
    assert "shaded recover" in err
    code, out, err = shaded("recover", "--config", config)
    assert (code, err) == (0, "")
    assert "The ledger was damaged. A new one was made." in out
    assert "Pictures whose published copy was found: 2. They are done." in out
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pub").iterdir()}
    assert shaded("run", "--once", "--config", config)[0] == 0
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pub").iterdir()} == before


def test_recover_as_json(shaded, config):
    """One document with every count and nothing else on standard output."""
    code, out, _ = shaded("recover", "--config", config, "--json")
    assert code == 0
    document = json.loads(out)
    assert (document["ledger"], document["pairs"], document["known"], document["to_shade"]) == ("kept", 2, 2, 0)


def test_recover_beside_a_daemon_is_refused(shaded, config, tmp_path):
    """While the state folder is in use the command ends with 75 and says so."""
    with only_instance(tmp_path / "state"):
        code, out, err = shaded("recover", "--config", config)
    assert (code, out) == (75, "")
    assert "already running" in err


def test_recover_without_folders_is_refused(shaded, tmp_path, monkeypatch):
    """Settings that watch nothing are an error that names the key."""
    monkeypatch.setenv("SHADED_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "empty.toml").write_text("")
    code, _, err = shaded("recover", "--config", tmp_path / "empty.toml")
    assert code == 78
    assert "folder" in err


def test_what_could_not_be_read_is_no_success(shaded, config, tmp_path, monkeypatch):
    """Code 3 and a word of warning: a pair that could not be read is not known, and would be shaded again."""
    denied = Transient("permission is denied", path=tmp_path / "pub" / "fox.png")

    def read(picture, *rest):
        if picture.name == "fox.png":
            raise denied
        return read_pair(picture, *rest)

    monkeypatch.setattr(recovering, "read_pair", read)
    code, out, _ = shaded("recover", "--config", config)
    assert code == 3
    assert f"not read: {denied.path}: permission is denied" in out
    assert "run `shaded recover` again before the daemon starts" in out
