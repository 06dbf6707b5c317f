"""The settings as a new user comes to them: from a terminal, in a container, through links."""

from __future__ import annotations

import os
import pwd

import pytest

from tests.daemon.rig import png

COMMANDS = [
    ("check", "--skip-models"),
    ("status",),
    ("queue",),
    ("explain", "fox.png"),
    ("service", "show"),
    ("run", "--once"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for a settings file, with another one as the working directory."""
    monkeypatch.delenv("SHADED_STATE_DIR")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'[[folder]]\noutbox = "$HOME/Pictures"\npublish = "/p"\n', "folder.0.outbox: variables such as $HOME"),
        (b'[[folder]]\noutbox = "~nobodyx/out"\npublish = "/p"\n', "folder.0.outbox: there is no user 'nobodyx'"),
        (b'[[folders]]\noutbox = "/o"\npublish = "/p"\n', "folders: there is no such key (did you mean [[folder]]?)"),
        (b'[folder]\noutbox = "/o"\n', "folder.publish: it is missing"),
        (b'[[profile.x]]\nintensity = "low"\n', "profile.x: write [profile.x], with single brackets"),
        (b'[profile]\nintensity = "low"\n', "profile.intensity: that is no table; write [profile.NAME]"),
        (b"profile = 3\n", "profile: that is no table; write [profile.NAME]"),
        (b'folder = "out"\n', "folder: write [[folder]]"),
        (b'[watching]\nignore = "*.psd"\n', 'watching.ignore: write a list, such as ["*.psd"]'),
        (b"[watching]\nrescan_seconds = inf\n", "watching.rescan_seconds: Input should be a finite number"),
        (b"\xff\xfe[\0]\0", "saved as UTF-16"),
        ("[[folder]]\noutbox = “o”\n".encode(), "line 2"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_the_key(shaded, folder, command, text, said):
    """Every command that reads the settings ends with 78 and says what to write, without a traceback."""
    (folder / "c.toml").write_bytes(text)
    code, out, err = shaded(*command, "--config", folder / "c.toml")
    assert (code, out) == (78, "")
    assert said in err
    assert str(folder / "c.toml") in err
    assert len(err.splitlines()) == 1


def test_paths_of_the_file_begin_beside_it(shaded, folder):
    """Wherever the command is typed, and however the file is named."""
    (folder / "c.toml").write_text('[folder]\noutbox = "out"\npublish = "../pub"\n')
    for config in (folder / "c.toml", "../c.toml"):
        out = shaded("check", "--skip-models", "--config", config)[1]
        assert f"{folder}/out -> {folder.parent}/pub" in out


def test_paths_of_variables_and_flags_begin_where_one_is(shaded, folder, monkeypatch, fake_engine):
    """They were typed there."""
    (folder / "c.toml").write_text('[folder]\noutbox = "out"\npublish = "pub"\n')
    monkeypatch.setenv("SHADED_STATE_DIR", "state")
    monkeypatch.setenv("SHADED_WATCHING__QUIET_SECONDS", "0.1")
    monkeypatch.setenv("SHADED_FOLDER", '{"outbox": "a", "publish": "b"}')
    assert f"{folder}/cwd/a -> {folder}/cwd/b" in shaded("check", "--skip-models", "--config", folder / "c.toml")[1]
    assert shaded("run", "--once", "--outbox", "x", "--publish", "y", "--config", folder / "c.toml")[0] == 0
    assert (folder / "cwd" / "x").is_dir()
    assert (folder / "cwd" / "state").is_dir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--outbox", "", "--publish", "p"), "--outbox: an empty word stands where"),
        (("--outbox", "$OUT", "--publish", "p"), "--outbox: variables such as $OUT"),
        (("--outbox", "o", "--publish", "~nobodyx/p"), "--publish: there is no user"),
    ],
)
def test_a_flag_that_means_no_folder_is_wrong_usage(shaded, folder, words, said):
    """A shell's variable that is not set names nothing, and certainly not the working directory."""
    code, _, err = shaded("run", "--once", *words)
    assert code == 2
    assert said in err


def test_a_variable_that_is_wrong_is_named(shaded, folder, monkeypatch):
    """With the key that it sets, and without blaming the file."""
    (folder / "c.toml").write_text('state_dir = "state"\n')
    for name, value, said in (
        ("SHADED_WATCHING__QUIET_SECONDS", "soon", "SHADED_WATCHING__QUIET_SECONDS (watching.quiet_seconds)"),
        ("SHADED_WATCHING", '{"quiet_second": 3}', "SHADED_WATCHING (watching.quiet_second): there is no such key"),
        ("SHADED_PROFILE__X__INTENSITY", "huge", "SHADED_PROFILE__X__INTENSITY (profile.x.intensity)"),
        (
            "SHADED_FOLDER",
            '[{"outbox": "~nobodyx", "publish": "b"}]',
            "SHADED_FOLDER (folder.0.outbox): there is no user",
        ),
        ("SHADED_WATCHING__QUIET_SECOND", "3", "SHADED_WATCHING__QUIET_SECOND: there is no such setting"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            code, _, err = shaded("check", "--config", folder / "c.toml")
        assert code == 78
        assert err.startswith(f"shaded: {said}")


@pytest.fixture
def nobody(monkeypatch):
    """A container's user: without a home folder, unknown to the system."""

    def unknown(_user):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "SHADED_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_without_a_home_every_command_says_what_to_set(shaded, tmp_path, nobody, command):
    """And nothing is made anywhere."""
    code, _, err = shaded(*command)
    assert code == 78
    assert "SHADED_STATE_DIR" in err


def test_without_a_home_a_state_folder_is_enough(shaded, tmp_path, nobody, monkeypatch, fake_engine):
    """From the environment, or from a settings file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fox.png").write_bytes(png())
    monkeypatch.setenv("SHADED_WATCHING__QUIET_SECONDS", "0.1")
    (tmp_path / "c.toml").write_text('state_dir = "state"\n[folder]\noutbox = "out"\npublish = "pub"\n')
    code, out, _ = shaded("run", "--once", "--config", "c.toml")
    assert (code, "1 published" in out) == (0, True)
    monkeypatch.setenv("SHADED_STATE_DIR", str(tmp_path / "other"))
    assert shaded("run", "--once", "--outbox", "out", "--publish", "pub2")[0] == 0
    assert (tmp_path / "pub2" / "fox.png").exists()
    assert shaded("status")[0] == 0


def test_a_service_needs_a_home_and_a_file_that_stays(shaded, folder, nobody, monkeypatch):
    """Neither a missing home nor a pipe becomes a traceback or a unit that cannot start."""
    (folder / "c.toml").write_text('state_dir = "state"\n')
    code, _, err = shaded("service", "show", "--config", folder / "c.toml")
    assert (code, "Set HOME" in err) == (78, True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("SHADED_STATE_DIR", str(folder / "state"))
    code, _, err = shaded("service", "show", "--config", "/dev/null")
    assert (code, "none that stays" in err) == (78, True)


@pytest.fixture
def linked(folder, shaded, fake_engine):
    """An outbox that is reached through a link, with a published picture, and a settings file that names the link."""
    (folder / "out" / "sub").mkdir(parents=True)
    (folder / "out" / "fox.png").write_bytes(png())
    (folder / "link").symlink_to("out")
    (folder / "short").symlink_to("out/sub")
    (folder / "publink").symlink_to("pub")
    for name, outbox in (("c.toml", "link"), ("real.toml", "out")):
        (folder / name).write_text(
            f'state_dir = "state"\n[watching]\nquiet_seconds = 0.1\n[folder]\noutbox = "{outbox}"\npublish = "pub"\n'
        )
    assert shaded("run", "--once", "--config", folder / "c.toml")[0] == 0
    return folder


def test_explain_knows_a_picture_by_every_name(shaded, linked, monkeypatch):
    """Through the link, by the real path, with dots, relative, by its copy; whichever the settings name."""
    monkeypatch.chdir(linked)
    names = ("out/fox.png", "link/fox.png", "short/../fox.png", "link/sub/../fox.png", "pub/fox.png", "publink/fox.png")
    for config in ("c.toml", "real.toml"):
        for path in (*names, *(linked / name for name in names)):
            out = shaded("explain", "--config", config, path)[1]
            assert f"it is published as {linked}/pub/fox.png" in out


def test_explain_knows_a_new_file_by_every_name(shaded, linked, monkeypatch):
    """One that no run has seen yet, or that is ignored."""
    monkeypatch.chdir(linked)
    (linked / "out" / "sub" / "new.png").write_bytes(png(1))
    (linked / "out" / "sub" / "new.xmp").touch()
    for asked in ("out/sub/new.png", "link/sub/new.png", "short/new.png"):
        assert "the daemon is not running" in shaded("explain", "--config", "c.toml", asked)[1]
        assert "*.xmp" in shaded("explain", "--config", "c.toml", asked.replace("png", "xmp"))[1]
    (linked / "out" / "self").symlink_to(".")
    assert "is a symbolic link" in shaded("explain", "--config", "c.toml", "link/self/fox.png")[1]


def test_an_outbox_under_another_name_publishes_nothing_twice(shaded, linked):
    """The same pictures get the same copies, under the same names."""
    before = sorted((linked / "pub").iterdir())
    assert shaded("run", "--once", "--config", linked / "real.toml")[0] == 0
    assert sorted((linked / "pub").iterdir()) == before


def test_one_outbox_under_two_names_is_refused(shaded, linked):
    """Two tables for one folder would publish everything twice."""
    (linked / "two.toml").write_text(
        '[[folder]]\noutbox = "link"\npublish = "pub"\n[[folder]]\noutbox = "out"\npublish = "pub2"\n'
    )
    code, _, err = shaded("check", "--config", linked / "two.toml")
    assert code == 78
    assert f"folder.0.outbox and folder.1.outbox are one folder ({linked}/link and {linked}/out)" in err


def test_an_outbox_behind_a_link_to_itself_is_said(shaded, folder):
    """Nothing is made, and it is no traceback."""
    (folder / "loop").symlink_to("loop")
    (folder / "c.toml").write_text('state_dir = "state"\n[folder]\noutbox = "loop/out"\npublish = "pub"\n')
    assert shaded("check", "--skip-models", "--config", folder / "c.toml")[0] == 78
    code, _, err = shaded("run", "--once", "--config", folder / "c.toml")
    assert code in (74, 78)
    assert "folder.0.outbox" in err


def test_a_name_that_is_too_long_is_said(shaded, folder):
    """By check too, which looks at every folder."""
    (folder / "c.toml").write_text(f'state_dir = "state"\n[folder]\noutbox = "{"x" * 300}"\npublish = "pub"\n')
    assert shaded("check", "--skip-models", "--config", folder / "c.toml")[0] == 78
    assert shaded("run", "--once", "--config", folder / "c.toml")[0] == 78


@pytest.mark.parametrize("command", [("status",), ("queue",), ("explain", "fox.png"), ("check", "--skip-models")])
def test_a_state_folder_that_may_not_be_entered_is_said(shaded, folder, monkeypatch, command):
    """As it is for a container's user; it is no traceback, and not "no daemon" either."""
    (folder / "c.toml").write_text('state_dir = "state"\n[folder]\noutbox = "out"\npublish = "pub"\n')
    real = os.stat

    def denied(path, *arguments, **options):
        if isinstance(path, int) or "/state/" not in str(path):
            return real(path, *arguments, **options)
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", denied)
    code, out, err = shaded(*command, "--config", folder / "c.toml")
    assert code in (74, 78)
    assert "cannot be looked at" in out + err
    assert "Traceback" not in err
