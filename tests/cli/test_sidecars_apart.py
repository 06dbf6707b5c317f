"""The commands with a folder for sidecars, with a worker that copies."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.publishing.sidecar_places import SidecarPlaces
from tests.daemon.rig import png

pytestmark = pytest.mark.real_process


@pytest.fixture
def private(monkeypatch, tmp_path):
    """The settings name a folder for sidecars, and files settle at once."""
    monkeypatch.setenv("SHADED_WATCHING__QUIET_SECONDS", "0.2")
    monkeypatch.setenv("SHADED_PUBLISHING__SIDECARS", str(tmp_path / "private"))
    return SidecarPlaces(tmp_path / "private")


@pytest.fixture
def outbox(tmp_path):
    """Two pictures."""
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "fox.png").write_bytes(png(1))
    (folder / "sub" / "owl.png").write_bytes(png(2))
    return folder


def _once(shaded, outbox, web):
    code, out, err = shaded("run", "--once", "--outbox", outbox, "--publish", web)
    assert code == 0, (out, err)


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_run_verify_audit_and_explain_find_sidecars_in_their_folder(shaded, fake_engine, private, outbox, tmp_path):
    """The publish folder has pictures alone; a file, a folder and a link to it are verified, audited and explained."""
    web = tmp_path / "web"
    _once(shaded, outbox, web)
    assert _files(web) == ["fox.png", "sub/owl.png"]
    (tmp_path / "by name").symlink_to(web)
    for named, count in ((web, 2), (web / "fox.png", 1), (web / "sub", 1), (tmp_path / "by name", 2)):
        code, out, _ = shaded("verify", named, "--json", "--original", outbox)
        files = json.loads(out)["files"]
        assert (code, len(files)) == (0, count), out
        assert all(file["original"] for file in files)
    code, out, _ = shaded("verify", web)
    assert (code, out.splitlines()[-1]) == (0, "2 of 2 keep their word.")
    code, out, _ = shaded("audit", web, "--json")
    assert code == 0
    assert {file["concept"] for file in json.loads(out)["files"]} == {"cow"}
    sidecar = private.new(web / "fox.png")
    for path in (outbox / "fox.png", web / "fox.png", sidecar):
        code, out, _ = shaded("explain", path)
        assert code == 0
        assert f"Its sidecar: {sidecar}" in out
        assert f"it is published as {web / 'fox.png'}" in out


def test_what_was_published_beside_is_found_after_the_setting_changed(
    shaded, fake_engine, private, outbox, tmp_path, monkeypatch
):
    """Each picture's sidecar is found where it was put, whichever way the setting went."""
    web = tmp_path / "web"
    monkeypatch.setenv("SHADED_PUBLISHING__SIDECARS", "beside")
    _once(shaded, outbox, web)
    monkeypatch.setenv("SHADED_PUBLISHING__SIDECARS", str(private.folder))
    (outbox / "bear.png").write_bytes(png(3))
    _once(shaded, outbox, web)
    monkeypatch.setenv("SHADED_PUBLISHING__SIDECARS", str(tmp_path / "hidden"))
    (outbox / "wolf.png").write_bytes(png(4))
    _once(shaded, outbox, web)
    monkeypatch.setenv("SHADED_PUBLISHING__SIDECARS", "beside")
    code, out, _ = shaded("verify", web)
    assert (code, out.splitlines()[-1]) == (0, "4 of 4 keep their word."), out


def test_shade_keeps_to_the_setting(shaded, fake_engine, private, outbox, tmp_path):
    """Its sidecar goes into the folder, which is made private; a second shading replaces both."""
    web = tmp_path / "web"
    for _ in range(2):
        assert shaded("shade", outbox / "fox.png", "--out", web)[0] == 0
    assert _files(web) == ["fox.png"]
    assert len(_files(private.folder)) == 1
    assert private.folder.stat().st_mode & 0o777 == 0o700
    assert read_sidecar(private.new(web / "fox.png"), private.folder).engine.seed == 1
    assert shaded("verify", web / "fox.png", "--original", outbox / "fox.png")[0] == 0


def test_shade_beside_a_picture_writes_the_public_form(shaded, fake_engine, outbox, tmp_path):
    """Without a folder for sidecars the seed is not published."""
    assert shaded("shade", outbox / "fox.png", "--out", tmp_path / "web")[0] == 0
    assert read_sidecar(sidecar_path(tmp_path / "web" / "fox.png")).engine.seed is None


@pytest.mark.parametrize("out", ["private", "private/web", "."])
def test_shade_does_not_mix_pictures_and_sidecars(shaded, fake_engine, private, outbox, tmp_path, out):
    """A folder for copies in, around or equal to the one for sidecars is wrong usage, and nothing is made."""
    before = sorted(tmp_path.iterdir())
    code, _, err = shaded("shade", outbox / "fox.png", "--out", tmp_path / out)
    assert code == 2
    assert "--out and publishing.sidecars overlap" in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_picture_without_a_sidecar_is_told_where_one_was_looked_for(shaded, fake_engine, private, tmp_path):
    """Somebody whose publish folder was moved sees from the message where its sidecars would be."""
    (tmp_path / "moved").mkdir()
    picture = tmp_path / "moved" / "fox.png"
    picture.write_bytes(png())
    expected = private.new(picture)
    code, out, _ = shaded("audit", picture)
    assert code == 3
    assert f"it has no fox.png.shaded.json beside it or in {expected.parent}" in " ".join(out.split())


def test_recover_finds_pairs_with_sidecars_in_their_folder(shaded, fake_engine, private, outbox, tmp_path):
    """Without a state folder each picture's pair is found again, and nothing is shaded twice."""
    web, config = tmp_path / "web", tmp_path / "config.toml"
    config.write_text(f'[[folder]]\noutbox = "{outbox}"\npublish = "{web}"\n')
    assert shaded("run", "--once", "--config", config)[0] == 0
    shutil.rmtree(os.environ["SHADED_STATE_DIR"])
    code, out, _ = shaded("recover", "--config", config, "--json")
    found = json.loads(out)
    assert (code, found["ledger"], found["taken_over"], found["to_shade"]) == (0, "made", 2, 0)
    assert found["not_whole"] == {}


def test_check_names_the_folder_for_sidecars(shaded, private, outbox, tmp_path):
    """It is shown; sidecars that were published before are a hint, and one that cannot be written is a problem."""
    config = tmp_path / "config.toml"
    config.write_text(f'[[folder]]\noutbox = "{outbox}"\npublish = "{tmp_path / "web"}"\n')
    code, out, _ = shaded("check", "--skip-models", "--config", config)
    assert code == 0
    assert f"sidecars -> {private.folder}" in out
    assert "hint: publishing.sidecars" not in out
    (tmp_path / "web" / "sub").mkdir(parents=True)
    (tmp_path / "web" / "sub" / "fox.png.shaded.json").write_text("{}")
    code, out, _ = shaded("check", "--skip-models", "--config", config)
    assert code == 0
    assert f"still beside them, such as {tmp_path / 'web' / 'sub' / 'fox.png.shaded.json'}" in out
    private.folder.write_text("a file")
    code, out, _ = shaded("check", "--skip-models", "--config", config)
    assert code == 78
    assert "publishing.sidecars" in out


@pytest.mark.parametrize("away", ["web", "private"])
def test_a_folder_that_is_away_is_named_by_run_check_and_shade(shaded, fake_engine, private, outbox, tmp_path, away):
    """The table says what a picture waits for, ``check`` has a problem, and ``shade`` does not render for nothing."""
    config = tmp_path / "config.toml"
    config.write_text(f'[[folder]]\noutbox = "{outbox}"\npublish = "{tmp_path / "web"}"\n')
    assert shaded("run", "--once", "--config", config)[0] == 0
    (tmp_path / away).rename(tmp_path / "elsewhere")
    (outbox / "new.png").write_bytes(png(7))
    code, out, _ = shaded("run", "--once", "--config", config)
    assert code == 3
    assert f"the {'publish' if away == 'web' else 'sidecars'} folder is missing" in " ".join(out.split())
    code, out, _ = shaded("check", "--skip-models", "--config", config)
    assert code == 78
    assert f"{tmp_path / away} was used before and is missing" in out
    if away == "private":
        code, _, err = shaded("shade", outbox / "fox.png", "--out", tmp_path / "copies", "--config", config)
        assert code == 74
        assert "publishing.sidecars: the folder is missing" in err
        assert not (tmp_path / "copies").exists()
        code, _, err = shaded("verify", tmp_path / "web", "--config", config)
        assert code == 2
        assert f"The folder for sidecars, {private.folder}, is missing" in err


def test_audit_knows_the_originals_of_a_folder_that_is_reached_through_a_link(
    shaded, fake_engine, private, outbox, tmp_path
):
    """The ledger has the real path; a link to the publish folder, or to one in it, leads to the same originals."""
    _once(shaded, outbox, tmp_path / "web")
    (tmp_path / "link").symlink_to(tmp_path / "web")
    (tmp_path / "deep").symlink_to(tmp_path / "web" / "sub")
    for named, count in ((tmp_path / "link", 2), (tmp_path / "deep", 1)):
        code, out, _ = shaded("audit", named, "--json")
        assert code == 0, out
        assert [bool(file["original"]) for file in json.loads(out)["files"]] == [True] * count


def test_a_folder_of_sidecars_that_cannot_be_read_is_not_taken_for_an_empty_one(
    shaded, fake_engine, private, outbox, tmp_path
):
    """``verify`` says that it cannot look there, instead of that there are no pictures."""
    _once(shaded, outbox, tmp_path / "web")
    first = private.folder / tmp_path.parts[1]
    first.rename(tmp_path / "elsewhere")
    first.symlink_to(first)  # whoever looks below it is told of a loop, as others are of a permission
    code, out, _ = shaded("verify", tmp_path / "web")
    assert code == 3
    assert f"DOES NOT: {first}" in out


def test_explain_takes_a_sidecar_in_its_folder_under_any_name(shaded, fake_engine, private, outbox, tmp_path):
    """A link to the folder for sidecars, or to one in it, leads to the picture; so does the real path of a link."""
    web = tmp_path / "web"
    _once(shaded, outbox, web)
    (tmp_path / "link").symlink_to(private.folder)
    (tmp_path / "deep").symlink_to(private.new(web / "fox.png").parent)
    for sidecar in (tmp_path / "deep" / "fox.png.shaded.json", SidecarPlaces(tmp_path / "link").new(web / "fox.png")):
        code, out, _ = shaded("explain", sidecar)
        assert code == 0
        assert f"it is published as {web / 'fox.png'}" in out
