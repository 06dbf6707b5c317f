from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from shaded.configuration.places import (
    Written,
    absolute,
    default_config_file,
    default_state_dir,
    home,
    is_lasting,
    known_as,
    path_written,
    same_or_inside,
    settings_file,
)
from shaded.errors import ConfigurationError


@pytest.fixture
def nobody(monkeypatch):
    """A user whom the system does not know, without a home folder, as in a container."""

    def unknown(_user):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)


def _meant(text: str, folder: Path) -> Path:
    return path_written(Written.within(text, folder))


def test_a_relative_path_begins_beside_the_file_it_stands_in(tmp_path, monkeypatch):
    """Text of a file begins in the file's folder, other text in the working directory; absolute paths stay."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert _meant("out", tmp_path) == tmp_path / "out"
    assert _meant("../out", tmp_path / "here") == tmp_path / "out"
    assert path_written("out") == tmp_path / "here" / "out"
    assert _meant("/elsewhere", tmp_path) == Path("/elsewhere")
    assert _meant("//elsewhere/x/", tmp_path) == Path("/elsewhere/x")


def test_every_text_of_a_file_knows_its_folder(tmp_path):
    """However deep it stands; what is no text stays what it is."""
    table = Written.within({"folder": [{"outbox": "a", "n": 3}], "watching": {"x": True}}, tmp_path)
    assert table == {"folder": [{"outbox": "a", "n": 3}], "watching": {"x": True}}
    assert table["folder"][0]["outbox"].folder == tmp_path


def test_a_tilde_is_a_home_folder(tmp_path, monkeypatch):
    """``~`` is one's own, ``~name`` somebody's, and ``./~name`` a folder of that name."""
    monkeypatch.setenv("HOME", "/home/me")
    assert _meant("~", tmp_path) == Path("/home/me")
    assert _meant("~/out", tmp_path) == Path("/home/me/out")
    assert _meant("./~nobodyx", tmp_path) == tmp_path / "~nobodyx"
    user = pwd.getpwuid(os.getuid())
    assert _meant(f"~{user.pw_name}/out", tmp_path) == absolute(f"{user.pw_dir}/out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("~nobodyx/out", "there is no user 'nobodyx'.*./~nobodyx"),
        ("$HOME/Pictures", r"\$HOME are not filled in here; write '~/Pictures'"),
        ("${HOME}/Pictures", "write '~/Pictures'"),
        ("%USERPROFILE%/Pictures", "write '~/Pictures'"),
        ("$HOME", "write '~'"),
        ("$XDG_PICTURES_DIR/out", "write the whole path"),
        ("/srv/${USER}/out", r"\$\{USER\} are not filled in"),
        ("/srv/$USER/out", "not filled in"),
        ("out-${USER}", "not filled in"),
        ("/srv/out-${USER}", "not filled in"),
        ("%OneDrive%/out", "not filled in"),
        ("", "it is empty"),
        ("  ", "it is empty"),
        (" ~/out", "begins with a space"),
        ('"/srv/out"', "has quotes as a part of it"),
        ("'out'", "has quotes as a part of it"),
        (" /out", "begins with a space"),
        ("file:///home/me/out", "is an address"),
        ("smb://nas/out", "is an address"),
        ("C:\\Users\\me", "a path of Windows"),
        ("c:/Users/me", "a path of Windows"),
        ("\\\\nas\\share", "a path of Windows"),
        ("a\0b", "zero byte"),
    ],
)
def test_what_means_no_folder_is_refused_with_what_to_write(tmp_path, text, said):
    """Users that are unknown, variables, addresses and Windows' paths become no folders of that name."""
    with pytest.raises(ValueError, match=said):
        _meant(text, tmp_path)


@pytest.mark.parametrize("name", ["$5 prints", "100%", "a%b%", "pay$", "$RECYCLE.BIN", "~", "50% off%", "[x] ~y"])
def test_odd_names_further_down_are_names(tmp_path, name):
    """A dollar or percent sign that begins no variable is a part of a name."""
    assert _meant(f"/srv/{name}", tmp_path) == Path("/srv") / name


def test_a_folder_that_is_called_like_a_variable_may_be_there(tmp_path):
    """Further down it is taken for what it is, once it exists; at the beginning it never is."""
    with pytest.raises(ValueError, match="not filled in"):
        _meant(f"{tmp_path}/$art/out", tmp_path)
    (tmp_path / "$art").mkdir()
    assert _meant(f"{tmp_path}/$art/out", tmp_path) == tmp_path / "$art" / "out"
    assert _meant("./$art/out", tmp_path) == tmp_path / "$art" / "out"
    with pytest.raises(ValueError, match="not filled in"):
        _meant("$art/out", tmp_path)


def test_dots_after_a_link_lead_where_the_system_leads(tmp_path, monkeypatch):
    """``link/../x`` is beside the link's target; a link alone is not followed."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/deep")
    monkeypatch.chdir(tmp_path)
    assert absolute("link/../x") == tmp_path / "real" / "x"
    assert absolute("link/x") == tmp_path / "link" / "x"
    assert absolute("nowhere/../x") == tmp_path / "x"
    assert absolute("//tmp//x") == Path("/tmp/x")


def test_without_a_home_folder_it_is_said_what_to_set(nobody):
    """No home, no passwd entry: the state folder has no place, the settings file none to be looked for."""
    assert home() is None
    assert default_config_file() is None
    assert settings_file(None) is None
    with pytest.raises(ConfigurationError, match="SHADED_STATE_DIR"):
        default_state_dir()
    with pytest.raises(ValueError, match="no home folder that ~ could mean"):
        path_written("~/out")


def test_platform_folders_need_no_home_where_they_are_named(nobody):
    """XDG's variables are enough on Linux."""
    assert default_state_dir({"XDG_STATE_HOME": "/s"}, "linux") == Path("/s/shaded")
    assert default_config_file({"XDG_CONFIG_HOME": "/c"}, "linux") == Path("/c/shaded/config.toml")
    assert default_config_file({"XDG_CONFIG_HOME": "/c"}, "darwin") is None


@pytest.mark.parametrize("value", ["", "relative", None])
def test_a_home_that_is_no_path_is_asked_of_the_system(value, monkeypatch):
    """``HOME`` that is empty or relative counts as unset."""
    environment = {} if value is None else {"HOME": value}
    assert home(environment) == Path(pwd.getpwuid(os.getuid()).pw_dir)


def test_a_home_that_cannot_be_entered_holds_no_settings(tmp_path, monkeypatch):
    """A container's user may be given root's home; then there is no settings file, and no error."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def denied(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "lstat", denied)
    assert settings_file(None) is None


def test_a_home_that_is_away_is_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    """Where looking fails for another reason, the file is read, and that says why it cannot be."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def stale(path):
        raise OSError(116, "Stale file handle", path)

    monkeypatch.setattr(os, "lstat", stale)
    assert settings_file(None) == tmp_path / "shaded" / "config.toml"


def test_the_named_settings_file_may_begin_with_a_tilde(monkeypatch):
    """Shells leave ``--config=~/x`` alone."""
    monkeypatch.setenv("HOME", "/home/me")
    assert settings_file(Path("~/x.toml")) == Path("/home/me/x.toml")
    with pytest.raises(ConfigurationError, match="--config: there is no user"):
        settings_file(Path("~nobodyx/x.toml"))


def test_a_pipe_is_no_lasting_settings_file(tmp_path):
    """A file is; what is not there is not judged."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    assert not is_lasting(tmp_path / "pipe")
    assert is_lasting(tmp_path / "file")
    assert is_lasting(tmp_path / "nowhere")


def test_one_folder_is_known_by_every_name(tmp_path):
    """Through links, inside each other, and not beside each other."""
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("out")
    assert same_or_inside(tmp_path / "link", tmp_path / "out")
    assert same_or_inside(tmp_path / "out", tmp_path / "link")
    assert same_or_inside(tmp_path / "link" / "new" / "deep", tmp_path / "out")
    assert not same_or_inside(tmp_path / "out", tmp_path / "out" / "sub")
    assert not same_or_inside(tmp_path / "out2", tmp_path / "out")


def test_a_folder_under_two_mounts_is_one(tmp_path, monkeypatch):
    """Device and inode tell it where no link does: a bind mount, or a disk that ignores case."""
    (tmp_path / "out").mkdir()
    (tmp_path / "OUT").mkdir()
    real = os.stat

    def ignoring_case(path, *arguments, **options):
        return real(str(path).replace("OUT", "out"), *arguments, **options)

    monkeypatch.setattr(os, "stat", ignoring_case)
    assert same_or_inside(tmp_path / "OUT" / "x", tmp_path / "out")
    assert known_as(tmp_path / "OUT" / "x.png", [tmp_path / "out"]) == tmp_path / "out" / "x.png"


def test_a_file_is_known_below_the_folder_as_that_is_written(tmp_path):
    """By the real path, by a link to the outbox, to a folder in it, to the file itself; whether or not it is there."""
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "fox.png").touch()
    (tmp_path / "link").symlink_to("out")
    (tmp_path / "short").symlink_to("out/sub")
    (tmp_path / "pic").symlink_to("out/fox.png")
    (tmp_path / "loop").symlink_to("loop")
    for outbox in (tmp_path / "out", tmp_path / "link"):
        for asked in (tmp_path / "out" / "fox.png", tmp_path / "link" / "fox.png", tmp_path / "pic"):
            assert known_as(asked, [outbox]) == outbox / "fox.png"
        assert known_as(tmp_path / "short" / "new.png", [outbox]) == outbox / "sub" / "new.png"
        assert known_as(tmp_path / "link", [outbox]) == outbox
        for other in (tmp_path / "fox.png", tmp_path / "loop" / "fox.png", Path("/")):
            assert known_as(other, [outbox]) == other


def test_a_path_in_an_outbox_stays_what_it_is(tmp_path):
    """What lies behind a link inside an outbox is asked about there: links are not followed, and that is the answer."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "link").symlink_to(tmp_path / "two")
    asked = tmp_path / "one" / "link" / "fox.png"
    assert known_as(asked, [tmp_path / "one", tmp_path / "two"]) == asked
