from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shaded.errors import ConfigurationError
from shaded.outbox import ignore
from shaded.outbox.ignore import IGNORE_FILE, IgnoreRules, read_ignore_file


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


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 30 + "b", "**/" * 40 + "b", "*" * 200 + "b", "?*" * 60 + "b", "[ab]*" * 50 + "b", "**/*a*a*a*a*a*a*a*a/b"],
)
@pytest.mark.parametrize("layer", ["settings", "file"])
def test_a_pattern_takes_time_by_the_length_of_the_name_alone(pattern, layer):
    """What would keep a backtracking engine busy for years is answered at once, and so is the next name."""
    began = time.monotonic()
    rules = IgnoreRules([pattern]) if layer == "settings" else IgnoreRules([], [pattern])
    for name in ("a" * 250 + ".png", "/".join(["a" * 50] * 60), "a" * 250 + "b"):
        rules.ignored(PurePath(name))
    assert time.monotonic() - began < 5
    assert rules.left_out == ""


def test_many_patterns_cost_little_for_each_name():
    """All patterns are asked at once: a thousand of them take less than a millisecond for a name."""
    rules = IgnoreRules([], [f"*.x{number}" for number in range(ignore.MOST_PATTERNS)])
    assert rules.ignored(PurePath("fox.x999")) == "*.x999 (.shadedignore)"
    began = time.monotonic()
    for number in range(1000):
        assert rules.ignored(PurePath(f"fox{number}.png")) is None
    assert time.monotonic() - began < 1


def test_the_last_of_many_patterns_wins():
    """The reason is the last pattern that holds, over a thousand others, and a negated one takes back."""
    many = [f"*.x{number}" for number in range(900)]
    rules = IgnoreRules([], ["*.png", *many, "!keep*.png", "keep3.png"])
    assert rules.ignored(PurePath("fox.png")) == "*.png (.shadedignore)"
    assert rules.ignored(PurePath("keep1.png")) is None
    assert rules.ignored(PurePath("keep3.png")) == "keep3.png (.shadedignore)"


@pytest.mark.parametrize(
    ("lines", "held", "said"),
    [
        (["*.psd", *(f"{n}.gif" for n in range(2000))], "1.gif", "the last 1001 patterns are too many"),
        (["*.psd", "?" * 200, "x" * 300], "fox.psd", "longer than 255"),
        (["*.psd", *(["?" * 250] * 20)], "fox.psd", "the last 13 patterns are too many"),
        (["*.psd", "draft[z-a].png"], "fox.psd", "no gitignore pattern"),
        (["*.psd", "x\\"], "fox.psd", "no gitignore pattern"),
        (["/"] * 30_000, ".hidden", "the last 29000 patterns are too many"),
        (["*.psd", *(["!"] * 900)], "fox.psd", "and 895 more"),
    ],
    ids=["many", "long", "wildcards", "range", "escape", "nothing", "malformed"],
)
def test_what_cannot_hold_is_left_out_and_said(lines, held, said):
    """A file in the outbox can neither stop nor slow the daemon; the lines that can hold do."""
    began = time.monotonic()
    rules = IgnoreRules([], lines)
    assert time.monotonic() - began < 2
    assert rules.ignored(PurePath(held)) is not None
    assert said.replace("and 895", "895") in rules.left_out


@pytest.mark.parametrize("patterns", [["[z-a]"], ["x" * 300], ["?" * 250] * 20, [f"{n}.gif" for n in range(1001)]])
def test_the_settings_are_refused_where_their_patterns_cannot_hold(patterns):
    """The key is named, and nothing is silently left out."""
    with pytest.raises(ConfigurationError, match=r"watching\.ignore"):
        IgnoreRules(patterns)


def test_patterns_that_are_too_much_for_the_matcher_leave_the_built_in_ones(monkeypatch):
    """When all together cannot be compiled, the file's do not count, and that is said."""
    monkeypatch.setattr(ignore, "MOST_WILDCARDS", 10**6)
    rules = IgnoreRules(["*.gif"], ["?" * 250] * 200)
    assert "too much together" in rules.left_out
    assert rules.ignored(PurePath("fox.tmp")) is not None
    assert rules.ignored(PurePath("fox.gif")) is not None
    with pytest.raises(ConfigurationError, match="too much together"):
        IgnoreRules(["?" * 250] * 200)


def test_classes_of_characters_mean_what_they_say():
    """Ranges and negated ranges hold for any letters; a named class, which is not known here, is refused."""
    rules = IgnoreRules(["owl[!a-c].png", "[ö-ü].png"])
    assert rules.ignored(PurePath("owla.png")) is None
    assert rules.ignored(PurePath("owld.png")) is not None
    assert rules.ignored(PurePath("ü.png")) is not None
    assert "no gitignore pattern" in IgnoreRules([], ["fox[[:digit:]].png"]).left_out


@pytest.mark.parametrize("raw", [b"f\xff.png", b"\x80/fox.png", "ö\U0001f98a".encode() + b"\xc3.png", b"a\n\xff.png"])
def test_bytes_that_are_no_text_match_wildcards_and_themselves(raw):
    """Each stands for one character of its own, in names and in patterns."""
    name = os.fsdecode(raw)
    assert IgnoreRules().ignored(PurePath(name)) is None
    assert IgnoreRules([], [f"/{name}"]).ignored(PurePath(name)) is not None
    assert IgnoreRules(["*.png"]).ignored(PurePath(name)) is not None
    assert IgnoreRules(["f?.png"]).ignored(PurePath(os.fsdecode(b"f\xff.png"))) is not None


def test_a_very_deep_path_is_judged(tmp_path):
    """A path of thousands of folders, which nobody can make, is asked about without an error."""
    deep = PurePath(*["d"] * 5000, "fox.png")
    assert IgnoreRules().ignored(deep) is None
    assert IgnoreRules(["d/"]).ignored(deep) == "d/ (watching.ignore)"


def test_a_large_ignore_file_counts_up_to_a_whole_line(tmp_path):
    """A pattern that is cut off may mean more than it did, such as ``*``; it does not count, and that is said."""
    lines = ["*.psd"] + [f"some folder/{'ü' * 40}/{number}.gif" for number in range(2000)]
    (tmp_path / IGNORE_FILE).write_text("\n".join(lines), "utf-8")
    found = read_ignore_file(tmp_path)
    assert "only its first" in found.trouble
    assert set(found.lines) <= {*lines, ""}
    assert len(found.lines) > 500


def test_an_ignore_file_from_windows_is_understood(tmp_path):
    """A byte order mark and line ends of two characters say nothing."""
    (tmp_path / IGNORE_FILE).write_bytes(b"\xef\xbb\xbf*.psd\r\n*.gif\r\n")
    rules = IgnoreRules.for_root(tmp_path)
    assert rules.ignored(PurePath("fox.psd")) is not None
    assert rules.ignored(PurePath("fox.gif")) is not None


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "binary", "closed"])
def test_looking_at_an_odd_ignore_file_holds_nothing_open(tmp_path, kind):
    """It is looked at with every scan, for months; each time the reason is the same and no descriptor is left."""
    place = tmp_path / IGNORE_FILE
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "link":
        place.symlink_to(tmp_path)
    else:
        place.write_bytes(b"\xff\xfe\x00")
    if kind == "closed":
        if os.geteuid() == 0:
            pytest.skip("the superuser is denied nothing")
        place.chmod(0)
    before = len(list(Path("/dev/fd").iterdir()))
    found = {read_ignore_file(tmp_path) for _ in range(5)}
    assert len(list(Path("/dev/fd").iterdir())) == before
    assert len(found) == 1
    assert "it does not count" in found.pop().trouble


#: Git counts bytes where ``?`` counts characters here, so these are one byte each.
_NAMES = st.text("ab", min_size=1, max_size=3)
_PATTERNS = st.text("ab*?/!", min_size=1, max_size=8)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the measure")
@given(patterns=st.lists(_PATTERNS, min_size=1, max_size=5), paths=st.lists(st.lists(_NAMES, min_size=1, max_size=3)))
@hypothesis_settings(max_examples=60, deadline=None)
def test_patterns_mean_what_they_mean_to_git(patterns, paths):
    """What git ignores is ignored here, for the same pattern, and nothing else."""
    wanted = [pattern for pattern in patterns if pattern.strip("/!")]
    files = sorted({"/".join(path) for path in paths})
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path in files:
            if not any(other.startswith(f"{path}/") for other in files):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).touch()
        there = [path for path in files if (root / path).is_file()]
        subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
        (root / ".gitignore").write_text("\n".join(wanted) + "\n", "utf-8")
        asked = subprocess.run(
            ["git", "check-ignore", "--no-index", "--stdin", "-z"],
            cwd=root, input=b"\0".join(map(os.fsencode, there)), capture_output=True, check=False,
        )  # fmt: skip
        told = {os.fsdecode(path) for path in asked.stdout.split(b"\0") if path}
    rules = IgnoreRules(wanted)
    assert {path for path in there if rules.ignored(PurePath(path)) is not None} == told
