from __future__ import annotations

import pytest

from shaded.configuration.keys import header, instead_of, keys_of, plain
from shaded.settings import Settings


def test_the_tree_has_every_key_with_its_kind():
    """Tables, lists of tables, tables with names of one's own, lists, and values."""
    kinds = {".".join(key.path): key.kind for key in keys_of(Settings)}
    assert kinds["watching"] == "table"
    assert kinds["folder"] == "tables"
    assert kinds["profile"] == "named"
    assert kinds["profile.NAME"] == "table"
    assert kinds["profile.NAME.rights.creator"] == "value"
    assert kinds["watching.ignore"] == kinds["shading.surrogates"] == "list"
    assert kinds["shading.anchors"] == kinds["state_dir"] == "value"


def test_a_place_is_told_without_numbers_and_chosen_names():
    """``folder.0.outbox`` is folder.outbox, ``profile.lines.intensity`` is a profile's."""
    assert plain(Settings, ("folder", 0, "outbox")) == ("folder", "outbox")
    assert plain(Settings, ("profile", "lines", "rights", "creator")) == ("profile", "NAME", "rights", "creator")


def test_tables_are_begun_as_toml_begins_them():
    """One bracket for one table, two for one of several, none for the top."""
    assert header(Settings, ("watching",)) == "[watching]"
    assert header(Settings, ("folder",)) == "[[folder]]"
    assert header(Settings, ("profile", "NAME", "rights")) == "[profile.NAME.rights]"
    assert header(Settings, ()) == ""


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("watching", "quiet_second"), "did you mean quiet_seconds?"),
        (("watching", "quiet-seconds"), "did you mean quiet_seconds?"),
        (("watching", "QUIET_SECONDS"), "did you mean quiet_seconds?"),
        (("folders",), "did you mean [[folder]]?"),
        (("profiles",), "did you mean [profile.NAME]?"),
        (("watch",), "did you mean [watching]?"),
        (("statedir",), "did you mean state_dir?"),
        (("outbox",), "it belongs under [[folder]]"),
        (("quiet_seconds",), "it belongs under [watching]"),
        (("folder", 0, "state_dir"), "it belongs at the top of the file, before the first [table]"),
        (("folder", 0, "intensity"), "it belongs under [profile.NAME]"),
        (("profile", "lines", "intensty"), "did you mean intensity?"),
        (("folder", 0, "outbx"), "did you mean outbox?"),
        (("watching", "max_atempts"), "did you mean max_attempts? it belongs under [scheduling]"),
        (("watching", "colour"), ""),
        (("zzz",), ""),
    ],
)
def test_a_key_that_there_is_not_has_a_nearest_one(place, said):
    """A misspelt one, one in the wrong table, or neither."""
    assert instead_of(Settings, place) == said
