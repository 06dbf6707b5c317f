from __future__ import annotations

import os
from pathlib import PurePath

import pytest

from shaded.errors import ConfigurationError
from shaded.outbox.ignore import IGNORE_FILE, IgnoreRules


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.png",
        ".hidden/fox.png",
        ".~fox.png.x1y2.tmp",
        "fox.png~",
        "fox.TMP",
        "fox.png.part",
        "fox.png.crdownload",
        "fox.png.sb-1a2b3c4d-ABCDEF",
        ".krita-4711-autosave.kra",
        "fox_ottmp1.png",
        "@eaDir/fox.png/SYNOPHOTO_THUMB_M.jpg",
        "deep/below/.DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "._fox.png",
        ".stfolder",
        ".stversions/fox.png",
        ".sync/fox.png",
        ".dropbox.cache/fox.png",
        "~$fox.png",
        "fox.png.shaded.json",
        ".git/objects/aa.png",
        "#recycle/fox.png",
        "$RECYCLE.BIN/fox.png",
    ],
)
def test_what_programs_leave_behind_is_ignored(name):
    """Temporary, hidden, synchronisation and system files are never pictures to take."""
    assert IgnoreRules().ignored(PurePath(name)) is not None


@pytest.mark.parametrize(
    "name",
    [
        "fox.png",
        "a b/ö.jpeg",
        "part.png",
        "fox.tmp.png",
        "thumbs.db.png",
        "sb-1.png",
        "new\nline.png",
        "-.png",
    ],
)
def test_ordinary_pictures_are_not_ignored(name):
    """Nothing in the built-in list catches a picture by an unlucky name."""
    assert IgnoreRules().ignored(PurePath(name)) is None


def test_a_name_that_is_no_text_is_judged_like_any_other():
    """Names with bytes that are no UTF-8 pass, or are ignored by their readable part."""
    name = os.fsdecode(b"f\xff\xfex")
    assert IgnoreRules().ignored(PurePath(name + ".png")) is None
    assert IgnoreRules().ignored(PurePath(name + ".tmp")) is not None


def test_the_reason_names_the_pattern_and_its_origin():
    """The answer can be shown to a person: the pattern as written, and where it stands."""
    rules = IgnoreRules(["drafts/"], ["*.psd"])
    assert rules.ignored(PurePath("fox.TMP")) == "*.tmp (built in)"
    assert rules.ignored(PurePath("drafts/fox.png")) == "drafts/ (watching.ignore)"
    assert rules.ignored(PurePath("fox.psd")) == "*.psd (.shadedignore)"


def test_the_more_telling_pattern_is_the_reason():
    """A hidden file that a program is known for is explained by that program's pattern."""
    assert IgnoreRules().ignored(PurePath(".DS_Store")) == ".ds_store (built in)"


def test_the_settings_can_take_back_a_built_in_pattern():
    """A negated pattern takes files back."""
    rules = IgnoreRules(["!*.tmp"])
    assert rules.ignored(PurePath("fox.tmp")) is None
    assert rules.ignored(PurePath("fox.part")) is not None


def test_the_settings_win_over_the_ignore_file():
    """Later layers win: the file over the built-in list, the settings over the file."""
    assert IgnoreRules(["!*.psd"], ["*.psd"]).ignored(PurePath("fox.psd")) is None
    assert IgnoreRules([], ["!*.tmp"]).ignored(PurePath("fox.tmp")) is None


def test_nothing_in_an_ignored_folder_is_taken_back_alone():
    """As in git, the folder has to be taken back first."""
    inside = PurePath("drafts/fox.png")
    assert IgnoreRules(["drafts/", "!drafts/fox.png"]).ignored(inside) == "drafts/ (watching.ignore)"
    assert IgnoreRules(["drafts/*", "!drafts/fox.png"]).ignored(inside) is None


def test_a_folder_pattern_does_not_catch_a_file_of_that_name():
    """``drafts/`` means the folder."""
    rules = IgnoreRules(["drafts/"])
    assert rules.ignored(PurePath("drafts")) is None
    assert rules.ignored(PurePath("drafts"), is_dir=True) is not None


def test_an_anchored_pattern_means_the_outbox_itself():
    """``/only.png`` is the file at the top, not one further down."""
    rules = IgnoreRules(["/only.png"])
    assert rules.ignored(PurePath("only.png")) is not None
    assert rules.ignored(PurePath("below/only.png")) is None


def test_comments_and_blank_lines_say_nothing():
    """They are allowed, and shift no pattern's name."""
    rules = IgnoreRules(["# sketches", "", "   ", "*.psd"])
    assert rules.ignored(PurePath("fox.psd")) == "*.psd (watching.ignore)"
    assert rules.ignored(PurePath("# sketches")) is None


def test_a_malformed_pattern_in_the_settings_names_the_key():
    """It is a configuration error, not a pattern that silently matches nothing."""
    with pytest.raises(ConfigurationError, match=r"watching\.ignore: '!'"):
        IgnoreRules(["!"])


def test_a_malformed_line_in_the_ignore_file_is_left_out():
    """A file in the outbox cannot stop the daemon; its other lines hold."""
    rules = IgnoreRules([], ["!", "*.psd"])
    assert rules.ignored(PurePath("fox.psd")) is not None


def test_the_ignore_file_is_read_from_the_outbox(tmp_path):
    """``.shadedignore`` in the root counts; without one there is nothing to complain of."""
    assert IgnoreRules.for_root(tmp_path).ignored(PurePath("fox.psd")) is None
    (tmp_path / IGNORE_FILE).write_text("*.psd\n")
    assert IgnoreRules.for_root(tmp_path).ignored(PurePath("fox.psd")) is not None


@pytest.mark.parametrize("kind", ["link", "binary", "folder", "pipe"])
def test_an_ignore_file_that_is_no_text_file_counts_as_absent(tmp_path, kind):
    """Links are not followed, pipes do not block, and what cannot be read changes nothing."""
    place = tmp_path / IGNORE_FILE
    if kind == "link":
        (tmp_path / "elsewhere").write_text("*.psd")
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "binary":
        place.write_bytes(b"\xff\xfe*.psd")
    elif kind == "folder":
        place.mkdir()
    else:
        os.mkfifo(place)
    assert IgnoreRules.for_root(tmp_path).ignored(PurePath("fox.psd")) is None
