from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from shaded.configuration.places import default_config_file, default_state_dir
from shaded.errors import ConfigurationError
from shaded.settings import (
    Folder,
    Profile,
    Settings,
    load_settings,
)

EXAMPLE = Path(__file__).parents[1] / "config.example.toml"


def _write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def _keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Every key of a tree of models, dotted."""
    found = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= _keys(inner, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def _table_keys(table: dict, prefix: str = "") -> set[str]:
    found = set()
    for name, value in table.items():
        found |= _table_keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return found


def _uncommented(text: str) -> str:
    """The example with its commented settings put in."""
    return re.sub(r"^# (\[\[folder\]\]$|\w+ = )", r"\1", text, flags=re.MULTILINE)


def test_the_example_shows_exactly_every_key():
    """config.example.toml names every setting there is, and nothing else."""
    shown = tomllib.loads(_uncommented(EXAMPLE.read_text()))
    profile = shown.pop("profile")
    (folder,) = shown.pop("folder")
    assert _table_keys(shown) == _keys(Settings) - {"profile", "folder"}
    assert set(profile) == {"default"}
    assert _table_keys(profile["default"]) == _keys(Profile)
    assert set(folder) == set(Folder.model_fields)


def test_the_example_states_the_defaults(monkeypatch):
    """Loaded as it is, the example gives exactly the default settings."""
    loaded = load_settings(EXAMPLE)
    assert loaded.profile_named("default") == Profile()
    assert loaded.model_copy(update={"profile": {}}).model_dump() == load_settings().model_dump()


def test_the_examples_commented_values_are_valid(tmp_path, monkeypatch):
    """Every commented value of the example is accepted where it is uncommented."""
    monkeypatch.delenv("SHADED_STATE_DIR")
    loaded = load_settings(_write(tmp_path, _uncommented(EXAMPLE.read_text())))
    assert loaded.folder[0].outbox == Path.home() / "Pictures" / "outbox"
    assert loaded.budget.max_lpips == 0.05


def test_flags_win_over_environment_over_file(tmp_path, monkeypatch):
    """The same key set in three places has the flag's value; then the environment's; then the file's."""
    file = _write(tmp_path, "[watching]\nquiet_seconds = 5\nrescan_seconds = 50\n")
    assert load_settings(file).watching.quiet_seconds == 5
    monkeypatch.setenv("SHADED_WATCHING__QUIET_SECONDS", "6")
    loaded = load_settings(file)
    assert (loaded.watching.quiet_seconds, loaded.watching.rescan_seconds) == (6, 50)
    folder = (Folder(outbox="/a", publish="/b"),)
    assert load_settings(_write(tmp_path, '[[folder]]\noutbox="/x"\npublish="/y"'), folder=folder).folder == folder


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[watching]\nquiet = 5", "watching.quiet"),
        ("[watching]\nquiet_seconds = 'soon'", "watching.quiet_seconds"),
        ("[watching]\nquiet_seconds = 0", "watching.quiet_seconds"),
        ("[watching]\nquiet_seconds = 30\nlongest_wait_seconds = 20", "longest_wait_seconds"),
        ("speling = 1", "speling"),
        ("[profile.x]\nintensity = 'huge'", "profile.x.intensity"),
        ("[[folder]]\noutbox = '/a'\npublish = '/b'\nprofile = 'nobody'", "folder.0.profile"),
        ("[[folder]]\noutbox = '/a'", "folder.0.publish"),
        ("[budget]\nmax_lpips = 2", "budget.max_lpips"),
    ],
)
def test_a_wrong_setting_names_its_key(tmp_path, text, key):
    """Unknown keys and impossible values are configuration errors that name the key and the file."""
    file = _write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=re.escape(key)) as caught:
        load_settings(file)
    assert caught.value.exit_code == 78
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("folders", "keys"),
    [
        ([("/a", "/a")], ("folder.0.outbox", "folder.0.publish")),
        ([("/a", "/a/published")], ("folder.0.outbox", "folder.0.publish")),
        ([("/p/out", "/p")], ("folder.0.outbox", "folder.0.publish")),
        ([("/a", "/b"), ("/a/in", "/c")], ("folder.0.outbox", "folder.1.outbox")),
        ([("/a", "/b"), ("/b", "/c")], ("folder.0.publish", "folder.1.outbox")),
    ],
)
def test_overlapping_folders_are_refused(folders, keys):
    """An outbox inside, around or equal to another folder would loop, and is refused by name."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(folder=tuple(Folder(outbox=o, publish=p) for o, p in folders))
    assert all(key in str(caught.value) for key in keys)


def test_state_may_not_lie_in_a_watched_folder(tmp_path, monkeypatch):
    """The state folder inside an outbox is refused."""
    monkeypatch.setenv("SHADED_STATE_DIR", str(tmp_path / "out" / "state"))
    with pytest.raises(ConfigurationError, match="state_dir"):
        load_settings(folder=(Folder(outbox=tmp_path / "out", publish=tmp_path / "pub"),))


def test_links_do_not_hide_an_overlap(tmp_path):
    """Two names for one folder overlap even when a link stands between."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigurationError, match="overlap"):
        load_settings(folder=(Folder(outbox=tmp_path / "real", publish=tmp_path / "link" / "pub"),))


def test_publish_folders_may_be_shared():
    """Two outboxes may publish into one folder."""
    folders = (Folder(outbox="/a", publish="/p"), Folder(outbox="/b", publish="/p"))
    assert load_settings(folder=folders).folder == folders


@pytest.mark.parametrize(
    ("sidecars", "key"),
    [
        ("/p", "folder.0.publish"), ("/p/sidecars", "folder.0.publish"), ("/", "folder.0.outbox"),
        ("/a", "folder.0.outbox"), ("/a/sidecars", "folder.0.outbox"),
        ("{state}", "state_dir"), ("{state}/sidecars", "state_dir"), ("/w/sidecars", "publishing.staging"),
    ],
)  # fmt: skip
def test_a_folder_for_sidecars_is_one_of_its_own(tmp_path, monkeypatch, sidecars, key):
    """Inside a publish folder it would be public, and inside any other it would be in the way: both keys are named."""
    monkeypatch.setenv("SHADED_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SHADED_PUBLISHING__STAGING", "/w")
    monkeypatch.setenv("SHADED_PUBLISHING__SIDECARS", sidecars.format(state=tmp_path / "state"))
    with pytest.raises(ConfigurationError, match="give each its own folder") as caught:
        load_settings(folder=(Folder(outbox="/a", publish="/p"),))
    assert key in str(caught.value)
    assert "publishing.sidecars" in str(caught.value) or sidecars == "/"


def test_sidecars_go_beside_their_pictures_unless_a_folder_is_named(tmp_path, monkeypatch):
    """The word "beside" is the default; anything else is a folder, as in any other setting of one."""
    assert load_settings().publishing.sidecars is None
    assert load_settings(_write(tmp_path, '[publishing]\nsidecars = "beside"\n')).publishing.sidecars is None
    named = load_settings(_write(tmp_path, '[publishing]\nsidecars = "~/private"\n'))
    assert named.publishing.sidecars == Path.home() / "private"
    monkeypatch.setenv("SHADED_PUBLISHING__SIDECARS", "/elsewhere")
    assert load_settings().publishing.sidecars == Path("/elsewhere")
    monkeypatch.delenv("SHADED_PUBLISHING__SIDECARS")
    with pytest.raises(ConfigurationError, match=r"publishing\.sidecars"):
        load_settings(_write(tmp_path, "[publishing]\nsidecars = 7\n"))


@pytest.mark.parametrize("word", ["Beside", "BESIDE", " beside "])
def test_beside_is_one_word_in_any_spelling(tmp_path, word):
    """Nobody means a folder of that name, and one that is called so can be written with ``./``."""
    assert load_settings(_write(tmp_path, f'[publishing]\nsidecars = "{word}"\n')).publishing.sidecars is None
    named = load_settings(_write(tmp_path, '[publishing]\nsidecars = "./Beside"\n')).publishing.sidecars
    assert named == tmp_path / "Beside"


def test_a_named_file_must_exist(tmp_path):
    """A settings file that was named and is missing is an error; the default place may be empty."""
    with pytest.raises(ConfigurationError, match="no such settings file"):
        load_settings(tmp_path / "nowhere.toml")
    assert load_settings().folder == ()


def test_toml_mistakes_name_the_file(tmp_path):
    """A file that is not TOML is an error with its name and line."""
    file = _write(tmp_path, "[watching\n")
    with pytest.raises(ConfigurationError, match=r"not valid TOML.*line 1") as caught:
        load_settings(file)
    assert caught.value.path == file


def test_an_environment_value_that_is_not_json_is_named(monkeypatch):
    """A nested environment value that cannot be parsed is a configuration error."""
    monkeypatch.setenv("SHADED_WATCHING", "{broken")
    with pytest.raises(ConfigurationError, match="watching"):
        load_settings()


def test_a_profile_is_known_by_its_values():
    """Equal profiles have equal digests; any different value gives another."""
    assert Profile().digest() == Profile(intensity="default").digest()
    others = {
        Profile(intensity="high").digest(),
        Profile(min_pull=0.1).digest(),
        Profile(concept="cow").digest(),
    }
    assert len(others | {Profile().digest()}) == 4


def test_platform_places():
    """Linux follows XDG, and macOS has its Application Support."""
    assert default_state_dir({"HOME": "/h"}, "linux") == Path("/h/.local/state/shaded")
    assert default_state_dir({"HOME": "/h", "XDG_STATE_HOME": "/s"}, "linux") == Path("/s/shaded")
    assert default_state_dir({"HOME": "/h", "XDG_STATE_HOME": "relative"}, "linux") == Path("/h/.local/state/shaded")
    assert default_state_dir({"HOME": "/h"}, "darwin") == Path("/h/Library/Application Support/shaded")
    assert default_config_file({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}, "linux") == Path("/c/shaded/config.toml")
    assert default_config_file({"HOME": "/h"}, "darwin").name == "config.toml"


def test_staging_is_in_the_state_folder_unless_set(tmp_path):
    """Rendered files wait in the state folder, or where the setting says."""
    loaded = load_settings()
    assert loaded.staging_dir == loaded.state_dir / "staging"
    file = _write(tmp_path, f"[publishing]\nstaging = '{tmp_path}/waiting'\n")
    assert load_settings(file).staging_dir == tmp_path / "waiting" / "shaded-jobs"


@pytest.mark.parametrize("header", ["[folder]", "[[folder]]"])
def test_one_folder_may_be_written_as_one_table(tmp_path, header):
    """``[folder]`` can mean nothing else, and mistakes in it are named without a number."""
    file = _write(tmp_path, f"{header}\noutbox = 'out'\npublish = '/p'\n")
    assert load_settings(file).folder == (Folder(outbox=tmp_path / "out", publish="/p"),)
    with pytest.raises(ConfigurationError, match=r"folder\.(0\.)?publish: it is missing"):
        load_settings(_write(tmp_path, f"{header}\noutbox = '/o'\n"))


def test_all_relative_paths_of_the_file_begin_beside_it(tmp_path, monkeypatch):
    """State, folders, staging, anchors and surrogates; those of the environment begin in the working directory."""
    monkeypatch.delenv("SHADED_STATE_DIR")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    text = (
        "state_dir = 'state'\n[folder]\noutbox = 'out'\npublish = 'pub'\n"
        "[publishing]\nstaging = 'staging'\n[shading]\nanchors = 'anchors'\nsurrogates = ['vae']\n"
    )
    loaded = load_settings(_write(tmp_path, text))
    assert loaded.state_dir == tmp_path / "state"
    assert loaded.folders_named == (tmp_path / "out", tmp_path / "pub")
    assert loaded.publishing.staging == tmp_path / "staging"
    assert loaded.shading.anchors == tmp_path / "anchors"
    assert loaded.shading.surrogates == (tmp_path / "vae",)
    monkeypatch.setenv("SHADED_SHADING__ANCHORS", "anchors")
    assert load_settings(tmp_path / "config.toml").shading.anchors == tmp_path / "cwd" / "anchors"


def test_a_link_to_the_settings_file_stands_for_itself(tmp_path):
    """What is linked into the platform's place from a folder of dotfiles begins where the link is."""
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles" / "c.toml").write_text("[folder]\noutbox = 'out'\npublish = 'pub'\n")
    (tmp_path / "c.toml").symlink_to("dotfiles/c.toml")
    assert load_settings(tmp_path / "c.toml").folder[0].outbox == tmp_path / "out"


def test_one_outbox_under_two_names_is_refused(tmp_path):
    """A link and its target are one folder, whichever comes first."""
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    names = [tmp_path / "out", tmp_path / "link"]
    for one, other in (names, names[::-1]):
        with pytest.raises(ConfigurationError, match=r"folder\.0\.outbox and folder\.1\.outbox are one folder"):
            load_settings(folder=(Folder(outbox=one, publish="/p"), Folder(outbox=other, publish="/q")))


def test_infinity_is_no_number_of_seconds(tmp_path):
    """TOML has it, and nothing can wait for so long."""
    for text in ("[watching]\nrescan_seconds = inf", "[scheduling]\nretry_seconds = nan"):
        with pytest.raises(ConfigurationError, match="finite number"):
            load_settings(_write(tmp_path, text))


def test_a_variable_reaches_the_profile_that_it_names_or_is_a_mistake(tmp_path, monkeypatch):
    """Variables have no letter case: one for a profile that nobody knows would change nothing, and says so."""
    config = _write(tmp_path, '[profile.mine]\nintensity = "low"\n[profile.Ada]\nintensity = "low"\n')
    monkeypatch.setenv("SHADED_PROFILE__MINE__QUALITY", "fast")
    assert load_settings(config).profile["mine"] == Profile(intensity="low", quality="fast")
    for name in ("SHADED_PROFILE__ADA__QUALITY", "SHADED_PROFILE__MINES__QUALITY"):
        monkeypatch.setenv(name, "fast")
        with pytest.raises(ConfigurationError, match=rf"{name}: no profile is named .*Ada, default, mine"):
            load_settings(config)
        monkeypatch.delenv(name)
    monkeypatch.setenv("SHADED_PROFILE__NEW__QUALITY", "fast")
    monkeypatch.setenv("SHADED_FOLDER", '{"outbox": "/a", "publish": "/b", "profile": "new"}')
    assert load_settings(config).profile_named("new") == Profile(quality="fast")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("SHADED_PROFILE__DEFAULT__CONCEPT", "concept"),
        ("SHADED_PROFILE__DEFAULT__RIGHTS__CREATOR", "creator"),
        ("SHADED_STATE_DIR", "state_dir"),
        ("SHADED_PUBLISHING__STAGING", "publishing.staging"),
    ],
)
def test_bytes_that_are_no_text_are_refused_where_workers_are_told_of_them(monkeypatch, name, key):
    """A variable may hold any bytes; a daemon that cannot hand them to its workers would wait for ever."""
    monkeypatch.setenv(name, "/srv/\udcff")
    with pytest.raises(ConfigurationError, match=f"{key}: it is not valid UTF-8"):
        load_settings()
