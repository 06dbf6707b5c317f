"""Publishing a pair: whole or not at all, never over somebody else's file, never outside the folder."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shaded.errors import Refusal, Transient
from shaded.publishing import atomic
from shaded.publishing.atomic import publish_pair, remove_orphans
from shaded.publishing.sidecar import is_own_output, read_sidecar, sidecar_path
from tests.publishing.sidecars import a_sidecar


def _names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def nobody(_sha256):
    """Nothing is known as our own."""
    return False


def _sha(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def publish(tmp_path):
    """An empty publish folder."""
    folder = tmp_path / "publish"
    folder.mkdir()
    return folder


@pytest.fixture
def staged(tmp_path):
    """A maker of staged pairs."""
    folder = tmp_path / "staging"
    folder.mkdir()

    def make(pixels=b"pixels", name="fox.png"):
        picture = folder / "render.png"
        picture.write_bytes(pixels)
        sidecar_path(picture).write_text(a_sidecar(pixels, name).to_json(), "utf-8")
        return picture, sidecar_path(picture)

    return make


def test_a_pair_appears_and_the_staged_files_stay(publish, staged):
    """Picture and sidecar stand in the mirrored sub-folder, and nothing else does."""
    picture, sidecar = staged()
    target = publish_pair(picture, sidecar, publish, "animals/red/fox.png", nobody)
    assert target == publish / "animals/red/fox.png"
    assert target.read_bytes() == b"pixels"
    assert is_own_output(target)
    assert picture.exists()
    assert sidecar.exists()
    assert _names_in(target.parent) == ["fox.png", "fox.png.shaded.json"]


def test_the_files_have_ordinary_permissions(publish, staged):
    """Published files are readable as the user's umask allows."""
    before = os.umask(0o022)
    try:
        target = publish_pair(*staged(), publish, "fox.png", nobody)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert stat.S_IMODE(sidecar_path(target).stat().st_mode) == 0o644
    assert target.stat().st_nlink == 1


def test_somebody_elses_file_is_kept_and_the_sidecar_names_the_new_place(publish, staged):
    """A foreign file stays as it is; ours gets another name, which its sidecar says."""
    (publish / "fox.png").write_bytes(b"somebody's")
    target = publish_pair(*staged(), publish, "fox.png", nobody)
    assert target.name == "fox (shaded).png"
    assert read_sidecar(sidecar_path(target)).published.name == "fox (shaded).png"
    assert (publish / "fox.png").read_bytes() == b"somebody's"
    assert not sidecar_path(publish / "fox.png").exists()
    other = publish_pair(*staged(b"others"), publish, "fox.png", nobody)
    assert other.name == "fox (shaded 2).png"


def test_an_earlier_output_is_replaced(publish, staged):
    """A newer version of the same source takes the place of its own earlier output."""
    publish_pair(*staged(b"old"), publish, "fox.png", nobody)
    target = publish_pair(*staged(b"new"), publish, "fox.png", lambda sha256: sha256 == _sha(b"old"))
    assert target.read_bytes() == b"new"
    assert is_own_output(target)
    assert _names_in(publish) == ["fox.png", "fox.png.shaded.json"]


def test_publishing_twice_changes_nothing(publish, staged):
    """The same result published again lands on itself."""
    first = publish_pair(*staged(), publish, "fox.png", nobody)
    assert publish_pair(*staged(), publish, "fox.png", nobody) == first
    assert len(_names_in(publish)) == 2


def test_an_edited_output_is_kept(publish, staged):
    """When somebody worked on a published file, it is theirs."""
    target = publish_pair(*staged(b"old"), publish, "fox.png", nobody)
    target.write_bytes(b"retouched")
    second = publish_pair(*staged(b"new"), publish, "fox.png", lambda sha256: sha256 == _sha(b"old"))
    assert second.name == "fox (shaded).png"
    assert target.read_bytes() == b"retouched"


def test_a_sidecar_left_by_a_crash_is_overwritten_and_a_foreign_one_is_not(publish, staged):
    """A sidecar without its picture is ours when it reads as one."""
    sidecar_path(publish / "fox.png").write_text(a_sidecar(b"earlier").to_json(), "utf-8")
    assert publish_pair(*staged(), publish, "fox.png", nobody).name == "fox.png"
    sidecar_path(publish / "wolf.png").write_text("my notes", "utf-8")
    assert publish_pair(*staged(), publish, "wolf.png", nobody).name == "wolf (shaded).png"
    assert sidecar_path(publish / "wolf.png").read_text("utf-8") == "my notes"


@pytest.mark.parametrize("kind", ["link to file", "link to nothing", "folder", "pipe"])
def test_whatever_else_has_the_name_is_left_alone(publish, staged, tmp_path, kind):
    """Links, folders and pipes under the wanted name are neither followed nor replaced."""
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"precious")
    place = publish / "fox.png"
    if kind == "link to file":
        place.symlink_to(outside)
    elif kind == "link to nothing":
        place.symlink_to(tmp_path / "nothing")
    elif kind == "folder":
        place.mkdir()
    else:
        os.mkfifo(place)
    assert publish_pair(*staged(), publish, "fox.png", lambda _sha256: True).name == "fox (shaded).png"
    assert outside.read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()


def test_a_link_among_the_folders_is_refused(publish, staged, tmp_path):
    """A link below the publish root never leads the copy out of it."""
    (tmp_path / "elsewhere").mkdir()
    (publish / "animals").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refusal, match="symbolic link"):
        publish_pair(*staged(), publish, "animals/fox.png", nobody)
    assert _names_in(tmp_path / "elsewhere") == []


def test_a_file_where_a_folder_must_be_is_refused(publish, staged):
    """The message says that a file stands in the way."""
    (publish / "animals").write_bytes(b"")
    with pytest.raises(Refusal, match="a file stands"):
        publish_pair(*staged(), publish, "animals/fox.png", nobody)


@pytest.mark.parametrize("relative", ["../fox.png", "/tmp/fox.png", "a/../../fox.png", "."])
def test_nothing_is_published_outside(publish, staged, relative):
    """Names that climb out of the folder are refused."""
    with pytest.raises(Refusal):
        publish_pair(*staged(), publish, relative, nobody)


def test_a_missing_root_is_not_made(tmp_path, staged):
    """An unmounted publish folder is waited for and not created on the wrong disk."""
    with pytest.raises(Transient, match="missing"):
        publish_pair(*staged(), tmp_path / "unmounted", "fox.png", nobody)
    assert not (tmp_path / "unmounted").exists()


def test_the_root_itself_may_be_a_link(publish, staged, tmp_path):
    """The user's own choice of folder is followed."""
    (tmp_path / "link").symlink_to(publish)
    publish_pair(*staged(), tmp_path / "link", "fox.png", nobody)
    assert (publish / "fox.png").exists()


def test_the_sidecar_comes_first_and_the_picture_last(publish, staged, monkeypatch):
    """At every rename the folder never shows a picture without its sidecar."""
    seen = []
    rename, link = os.rename, os.link

    def watched(call):
        def wrapper(source, target, **folders):
            call(source, target, **folders)
            seen.append([name for name in _names_in(publish) if not name.startswith(".~")])

        return wrapper

    monkeypatch.setattr(atomic.os, "rename", watched(rename))
    monkeypatch.setattr(atomic.os, "link", watched(link))
    publish_pair(*staged(), publish, "fox.png", nobody)
    assert seen == [["fox.png.shaded.json"], ["fox.png", "fox.png.shaded.json"]]


@pytest.mark.parametrize("step", ["rename", "link", "fsync"])
def test_after_a_failure_at_any_step_no_torn_picture_is_there_and_a_second_try_works(
    publish, staged, monkeypatch, step
):
    """No temporary file and no picture stay behind a failed step, and publishing again succeeds."""
    real = getattr(os, step)

    def failing(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, step, failing)
    if step == "link":  # a file system without hard links falls back to renaming
        assert publish_pair(*staged(), publish, "fox.png", nobody).exists()
        return
    with pytest.raises(Transient, match="disk is full"):
        publish_pair(*staged(), publish, "fox.png", nobody)
    assert not any(name.endswith((".png", ".tmp")) for name in _names_in(publish))
    monkeypatch.setattr(atomic.os, step, real)
    assert publish_pair(*staged(), publish, "fox.png", nobody).name == "fox.png"


def test_a_file_that_appears_in_the_last_moment_is_not_overwritten(publish, staged, monkeypatch):
    """Between looking and renaming, somebody else's file wins, and our sidecar does not stay beside it."""
    link = os.link

    def raced(source, target, **folders):
        if target == "fox.png":
            (publish / "fox.png").write_bytes(b"somebody's")
        link(source, target, **folders)

    monkeypatch.setattr(atomic.os, "link", raced)
    assert publish_pair(*staged(), publish, "fox.png", nobody).name == "fox (shaded).png"
    assert (publish / "fox.png").read_bytes() == b"somebody's"
    assert not sidecar_path(publish / "fox.png").exists()


def test_a_staged_picture_that_is_not_what_its_sidecar_says_is_not_published(publish, staged):
    """A torn or exchanged staged file never gets out."""
    picture, sidecar = staged()
    picture.write_bytes(b"torn")
    with pytest.raises(Transient, match="not what its sidecar says"):
        publish_pair(picture, sidecar, publish, "fox.png", nobody)
    assert _names_in(publish) == []


_NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 230)


@given(name=_NAMES | st.binary(min_size=1, max_size=60).filter(
    lambda raw: not set(raw) & {0, 47} and raw not in (b".", b"..")).map(os.fsdecode))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_name_that_a_file_system_takes_can_be_published(publish, staged, name):
    """New lines, stray bytes and odd letters in a name neither fail nor lead elsewhere."""
    target = publish_pair(*staged(), publish, name, nobody)
    assert target.read_bytes() == b"pixels"
    assert target.parent == publish
    assert is_own_output(target)


def test_the_longest_name_is_published_and_a_longer_one_refused(publish, staged):
    """243 bytes fit with the sidecar's suffix; the temporary names are shortened to fit too."""
    target = publish_pair(*staged(), publish, "f" * 239 + ".png", nobody)
    assert target.exists()
    with pytest.raises(Refusal, match="too long"):
        publish_pair(*staged(), publish, "f" * 240 + ".png", nobody)


def test_leftovers_of_a_crash_are_removed_and_nothing_else(publish, tmp_path):
    """Only this program's temporary files go, at any depth; links are not followed."""
    inner = publish / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (publish / "link").symlink_to(tmp_path / "elsewhere")
    ours = [publish / ".~fox.png.0123abcd.tmp", inner / ".~f\nx.png.89abcdef.tmp"]
    others = [publish / ".~lock.tmp", publish / "fox.png.0123abcd.tmp", inner / "fox.png",
              tmp_path / "elsewhere" / ".~fox.png.0123abcd.tmp"]  # fmt: skip
    for path in (*ours, *others):
        path.write_bytes(b"")
    assert remove_orphans(publish) == 2
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)
    assert remove_orphans(tmp_path / "nowhere") == 0
