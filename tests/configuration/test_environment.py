from __future__ import annotations

import pytest

from shaded.configuration.environment import variables_set
from shaded.errors import ConfigurationError
from shaded.settings import Settings


def test_variables_are_told_by_the_settings_that_they_set():
    """Nested ones by two underscores, profiles by a name of one's own; others' and empty variables set nothing."""
    found = variables_set(
        Settings,
        {
            "PATH": "/bin",
            "SHADED_STATE_DIR": "/s",
            "SHADED_WATCHING__QUIET_SECONDS": "5",
            "SHADED_PROFILE__LINES__RIGHTS__CREATOR": "Anna",
            "SHADED_LOGGING__LEVEL": "",
            "SHADED_FOLDER": '[{"outbox": "a", "publish": "b"}]',
            "SHADED_PROFILE__LINES": '{"intensity": "low"}',
        },
    )
    assert found == {
        ("state_dir",): "SHADED_STATE_DIR",
        ("watching", "quiet_seconds"): "SHADED_WATCHING__QUIET_SECONDS",
        ("profile", "lines", "rights", "creator"): "SHADED_PROFILE__LINES__RIGHTS__CREATOR",
        ("folder",): "SHADED_FOLDER",
        ("profile", "lines"): "SHADED_PROFILE__LINES",
    }


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SHADED_STATEDIR", "SHADED_STATE_DIR"),
        ("SHADED_STATE_DIRS", "SHADED_STATE_DIR"),
        ("SHADED_WATCHING__QUIET_SECOND", "SHADED_WATCHING__QUIET_SECONDS"),
        ("SHADED_WATCHING_QUIET_SECONDS", "SHADED_WATCHING__QUIET_SECONDS"),
        ("SHADED_QUIET_SECONDS", "SHADED_WATCHING__QUIET_SECONDS"),
        ("shaded_watching__quiet_second", "SHADED_WATCHING__QUIET_SECONDS"),
        ("SHADED_PROFILE__LINES__INTENSTY", "SHADED_PROFILE__LINES__INTENSITY"),
        ("SHADED_STATE_DIR__X", "SHADED_STATE_DIR"),
        ("SHADED_LOG_LEVEL", "SHADED_LOGGING__LEVEL"),
        ("SHADED_OUTBOX", "SHADED_FOLDER, as JSON"),
        ("SHADED_FOLDER__0__OUTBOX", "SHADED_FOLDER, as JSON"),
        ("SHADED_FOLDER__OUTBOX", "SHADED_FOLDER, as JSON"),
        ("SHADED_CONFIG", "--config"),
        ("SHADED_CONFIG_FILE", "--config"),
        ("SHADED_", "config.example.toml"),
        ("SHADED_ZQXJ", "config.example.toml"),
    ],
)
@pytest.mark.parametrize("value", ["/x", ""])
def test_a_variable_that_sets_nothing_is_a_mistake(name, nearest, value):
    """It is named with the nearest right one, whether it has a value or not."""
    with pytest.raises(ConfigurationError) as caught:
        variables_set(Settings, {name: value})
    assert str(caught.value).startswith(f"{name}: there is no such setting")
    assert nearest in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("SHADED_WATCHING__IGNORE", "*.psd", "watching.ignore"),
        ("SHADED_SHADING__SURROGATES", "/models/vae", "shading.surrogates"),
        ("SHADED_SHADING__SURROGATES", '{"a": 1}', "shading.surrogates"),
        ("SHADED_FOLDER", "{broken", "folder"),
        ("SHADED_FOLDER", "3", "folder"),
        ("SHADED_WATCHING", "[1]", "watching"),
        ("SHADED_PROFILE", "low", "profile"),
        ("SHADED_FOLDER", "[" * 100_000, "folder"),
    ],
)
def test_a_value_that_is_not_the_json_it_has_to_be_is_named(name, value, key):
    """The variable, the key, and an example of what to write."""
    with pytest.raises(ConfigurationError, match=f"{key}: the variable {name} has to be JSON such as"):
        variables_set(Settings, {name: value})


@pytest.mark.parametrize(
    "name",
    ["SHADED_SERVICE_HOST", "SHADED_SERVICE_PORT", "SHADED_SERVICE_PORT_HTTP", "SHADED_PORT", "SHADED_PORT_80_TCP",
     "SHADED_PORT_80_TCP_ADDR", "SHADED_WEB_SERVICE_HOST", "SHADED_WEB_PORT_8080_TCP_PROTO"],
)  # fmt: skip
def test_what_a_cluster_sets_by_itself_is_no_mistake(name):
    """A service that is called "shaded" puts such variables into every container beside it."""
    assert variables_set(Settings, {name: "tcp://10.0.0.1:80"}) == {}
