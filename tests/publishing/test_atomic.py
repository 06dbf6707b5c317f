"""Publishing a pair: whole or not at all, never over somebody else's file, never outside the folder."""

from __future__ import annotations

import errno
import hashlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shaded.errors import Refusal, Transient
from shaded.publishing import atomic
from shaded.publishing.atomic import publish_pair
from shaded.publishing.ownership import Copy, Unrecorded
from shaded.publishing.sidecar import is_own_output, read_sidecar, sidecar_path
from shaded.publishing.temporaries import remove_temporaries
from tests.publishing.names import Names
from tests.publishing.sidecars import a_sidecar


def _names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def nobody():
    """A source that never put anything anywhere."""
    return Unrecorded()


def _sha(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def names():
    """The record of who put what where."""
    return Names()


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
    target = publish_pair(picture, sidecar, publish, "animals/red/fox.png", nobody())
    assert target == publish / "animals/red/fox.png"
    assert target.read_bytes() == b"pixels"
    assert is_own_output(target)
    assert picture.exists()
    assert sidecar.exists()
    assert _names_in(target.parent) == ["fox.png", "fox.png.shaded.json"]


def test_a_published_file_has_one_name(publish, staged):
    """No temporary name of it is left."""
    target = publish_pair(*staged(), publish, "fox.png", nobody())
    assert target.stat().st_nlink == 1


def test_somebody_elses_file_is_kept_and_the_sidecar_names_the_new_place(publish, staged):
    """A foreign file stays as it is; ours gets another name, which its sidecar says."""
    (publish / "fox.png").write_bytes(b"somebody's")
    target = publish_pair(*staged(), publish, "fox.png", nobody())
    assert target.name == "fox (shaded).png"
    assert read_sidecar(sidecar_path(target)).published.name == "fox (shaded).png"
    assert (publish / "fox.png").read_bytes() == b"somebody's"
    assert not sidecar_path(publish / "fox.png").exists()
    other = publish_pair(*staged(b"others"), publish, "fox.png", nobody())
    assert other.name == "fox (shaded 2).png"


def test_an_earlier_output_is_replaced(publish, staged, names):
    """A newer version of the same source takes the place of its own earlier output."""
    publish_pair(*staged(b"old"), publish, "fox.png", names.of("fox"))
    target = publish_pair(*staged(b"new"), publish, "fox.png", names.of("fox"))
    assert target.read_bytes() == b"new"
    assert is_own_output(target)
    assert _names_in(publish) == ["fox.png", "fox.png.shaded.json"]


def test_an_earlier_output_under_another_name_is_replaced_there(publish, staged, names):
    """A source whose copy had to be called otherwise keeps that name, also once the wanted one is free."""
    (publish / "fox.png").write_bytes(b"somebody's")
    publish_pair(*staged(b"old"), publish, "fox.png", names.of("fox"))
    (publish / "fox.png").unlink()
    target = publish_pair(*staged(b"new"), publish, "fox.png", names.of("fox"))
    assert target.name == "fox (shaded).png"
    assert target.read_bytes() == b"new"
    assert _names_in(publish) == ["fox (shaded).png", "fox (shaded).png.shaded.json"]


def test_an_earlier_output_of_another_source_is_kept(publish, staged, names):
    """Two sources that want one name get two, whichever was first and however often either is published."""
    for pixels in (b"first", b"second"):
        publish_pair(*staged(pixels + b" fox"), publish, "x.png", names.of("fox"))
        publish_pair(*staged(pixels + b" wolf"), publish, "x.png", names.of("wolf"))
    assert (publish / "x.png").read_bytes() == b"second fox"
    assert (publish / "x (shaded).png").read_bytes() == b"second wolf"
    assert len(_names_in(publish)) == 4


def test_a_name_stays_its_owners_while_nothing_stands_there(publish, staged, names):
    """Where a person took a copy away, another source does not get its name."""
    taken_away = publish_pair(*staged(b"fox"), publish, "x.png", names.of("fox"))
    taken_away.unlink()
    sidecar_path(taken_away).unlink()
    assert publish_pair(*staged(b"wolf"), publish, "x.png", names.of("wolf")).name == "x (shaded).png"
    assert publish_pair(*staged(b"fox again"), publish, "x.png", names.of("fox")).name == "x.png"


def test_the_same_bytes_of_two_sources_are_two_copies(publish, staged, names):
    """Bytes alone prove nothing: a copy with the very same content is another source's all the same."""
    first = publish_pair(*staged(), publish, "x.png", names.of("fox"))
    second = publish_pair(*staged(), publish, "x.png", names.of("wolf"))
    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_an_own_copy_under_a_name_of_ones_own_choice_is_kept(publish, staged, names):
    """A person's copy of a published picture is theirs, although its bytes are an output of this program."""
    first = publish_pair(*staged(b"best"), publish, "fox.png", names.of("fox"))
    (publish / "best.png").write_bytes(first.read_bytes())
    sidecar_path(publish / "best.png").write_bytes(sidecar_path(first).read_bytes())
    assert publish_pair(*staged(b"new"), publish, "best.png", names.of("best")).name == "best (shaded).png"
    assert (publish / "best.png").read_bytes() == b"best"


def test_publishing_twice_changes_nothing(publish, staged, names):
    """The same result published again lands on itself."""
    first = publish_pair(*staged(), publish, "fox.png", names.of())
    assert publish_pair(*staged(), publish, "fox.png", names.of()) == first
    assert len(_names_in(publish)) == 2


def test_an_edited_output_is_kept(publish, staged, names):
    """When somebody worked on a published file, it is theirs."""
    target = publish_pair(*staged(b"old"), publish, "fox.png", names.of())
    target.write_bytes(b"retouched")
    second = publish_pair(*staged(b"new"), publish, "fox.png", names.of())
    assert second.name == "fox (shaded).png"
    assert target.read_bytes() == b"retouched"


def test_an_edited_sidecar_is_kept(publish, staged, names):
    """When somebody wrote into a published sidecar, the pair is theirs."""
    target = publish_pair(*staged(b"old"), publish, "fox.png", names.of())
    noted = sidecar_path(target).read_text("utf-8").replace('"alt_text": "', '"alt_text": "my words, ')
    sidecar_path(target).write_text(noted, "utf-8")
    assert publish_pair(*staged(b"new"), publish, "fox.png", names.of()).name == "fox (shaded).png"
    assert sidecar_path(target).read_text("utf-8") == noted
    assert target.read_bytes() == b"old"


def test_a_copy_whose_attributes_changed_is_still_replaced(publish, staged, names, monkeypatch):
    """A cloud client that notes something about a file while the next version is copied does not make it foreign."""
    target = publish_pair(*staged(b"old"), publish, "fox.png", names.of())
    write = atomic._write

    def noted(*arguments):
        target.chmod(0o600)
        write(*arguments)

    monkeypatch.setattr(atomic, "_write", noted)
    assert publish_pair(*staged(b"new"), publish, "fox.png", names.of()) == target
    assert target.read_bytes() == b"new"


def test_a_pair_of_an_older_version_is_known_by_its_picture(publish, staged, names):
    """Where only the picture's hash was recorded, its sidecar is ours as long as it names that picture."""
    for name, text in (("fox.png", a_sidecar(b"old").to_json()), ("owl.png", "my notes")):
        (publish / name).write_bytes(b"old")
        sidecar_path(publish / name).write_text(text, "utf-8")
        names.rows.append((name, Copy(publish / name, _sha(b"old"), None)))
    assert publish_pair(*staged(b"new"), publish, "fox.png", names.of("fox.png")).name == "fox.png"
    assert publish_pair(*staged(b"new"), publish, "owl.png", names.of("owl.png")).name == "owl (shaded).png"
    assert sidecar_path(publish / "owl.png").read_text("utf-8") == "my notes"


def test_a_sidecar_left_by_a_crash_is_overwritten_and_a_foreign_one_is_not(publish, staged, names):
    """A sidecar without its picture is ours when it was recorded before it was written, and never by its looks."""
    publish_pair(*staged(b"earlier"), publish, "fox.png", names.of("fox")).unlink()
    assert publish_pair(*staged(), publish, "fox.png", names.of("fox")).name == "fox.png"
    for text in ("my notes", a_sidecar(b"earlier").to_json()):
        sidecar_path(publish / "wolf.png").write_text(text, "utf-8")
        assert publish_pair(*staged(), publish, "wolf.png", names.of(text)).name.startswith("wolf (shaded")
        assert sidecar_path(publish / "wolf.png").read_text("utf-8") == text


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
    assert publish_pair(*staged(), publish, "fox.png", nobody()).name == "fox (shaded).png"
    assert outside.read_bytes() == b"precious"
    assert not (tmp_path / "nothing").exists()


def test_a_link_among_the_folders_is_refused(publish, staged, tmp_path):
    """A link below the publish root never leads the copy out of it."""
    (tmp_path / "elsewhere").mkdir()
    (publish / "animals").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refusal, match="symbolic link"):
        publish_pair(*staged(), publish, "animals/fox.png", nobody())
    assert _names_in(tmp_path / "elsewhere") == []


def test_a_file_where_a_folder_must_be_is_refused(publish, staged):
    """The message says that a file stands in the way."""
    (publish / "animals").write_bytes(b"")
    with pytest.raises(Refusal, match="a file stands"):
        publish_pair(*staged(), publish, "animals/fox.png", nobody())


@pytest.mark.parametrize("relative", ["../fox.png", "/tmp/fox.png", "a/../../fox.png", "."])
def test_nothing_is_published_outside(publish, staged, relative):
    """Names that climb out of the folder are refused."""
    with pytest.raises(Refusal):
        publish_pair(*staged(), publish, relative, nobody())


def test_a_missing_root_is_not_made(tmp_path, staged):
    """An unmounted publish folder is waited for and not created on the wrong disk."""
    with pytest.raises(Transient, match="missing"):
        publish_pair(*staged(), tmp_path / "unmounted", "fox.png", nobody())
    assert not (tmp_path / "unmounted").exists()


def test_the_root_itself_may_be_a_link(publish, staged, tmp_path):
    """The user's own choice of folder is followed."""
    (tmp_path / "link").symlink_to(publish)
    publish_pair(*staged(), tmp_path / "link", "fox.png", nobody())
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
    publish_pair(*staged(), publish, "fox.png", nobody())
    assert seen == [["fox.png.shaded.json"], ["fox.png", "fox.png.shaded.json"]]


@pytest.mark.parametrize("step", ["rename", "link", "fsync"])
@pytest.mark.parametrize("call", [1, 2])
def test_after_a_failure_at_any_step_no_torn_picture_is_there_and_a_second_try_works(
    publish, staged, names, monkeypatch, step, call
):
    """No temporary file and no picture stay behind a failed step, and publishing again succeeds."""
    real, calls = getattr(os, step), []
    earlier = step == "rename"  # a new pair gets its names by links, a later version by renames
    if earlier:
        publish_pair(*staged(b"old"), publish, "fox.png", names.of())

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == call:
            raise OSError(28, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(atomic.os, step, failing)
    if step == "link":  # a file system without hard links falls back to renaming
        assert publish_pair(*staged(), publish, "fox.png", names.of()).exists()
        return
    with pytest.raises(Transient, match="disk is full"):
        publish_pair(*staged(), publish, "fox.png", names.of())
    left = {name for name in _names_in(publish) if name.endswith((".png", ".tmp"))}
    assert left == ({"fox.png"} if earlier else set())
    assert not earlier or (publish / "fox.png").read_bytes() == b"old"
    monkeypatch.setattr(atomic.os, step, real)
    assert publish_pair(*staged(), publish, "fox.png", names.of()).name == "fox.png"
    assert is_own_output(publish / "fox.png")


def test_a_file_that_appears_in_the_last_moment_is_not_overwritten(publish, staged, monkeypatch):
    """Between looking and renaming, somebody else's file wins, and our sidecar does not stay beside it."""
    link = os.link

    def raced(source, target, **folders):
        if target == "fox.png":
            (publish / "fox.png").write_bytes(b"somebody's")
        link(source, target, **folders)

    monkeypatch.setattr(atomic.os, "link", raced)
    assert publish_pair(*staged(), publish, "fox.png", nobody()).name == "fox (shaded).png"
    assert (publish / "fox.png").read_bytes() == b"somebody's"
    assert not sidecar_path(publish / "fox.png").exists()


def test_a_staged_picture_that_is_not_what_its_sidecar_says_is_not_published(publish, staged):
    """A torn or exchanged staged file never gets out."""
    picture, sidecar = staged()
    picture.write_bytes(b"torn")
    with pytest.raises(Transient, match="not what its sidecar says"):
        publish_pair(picture, sidecar, publish, "fox.png", nobody())
    assert _names_in(publish) == []


_NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 230)


@given(name=_NAMES | st.binary(min_size=1, max_size=60).filter(
    lambda raw: not set(raw) & {0, 47} and raw not in (b".", b"..")).map(os.fsdecode))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_name_that_a_file_system_takes_can_be_published(publish, staged, name):
    """New lines, stray bytes and odd letters in a name neither fail nor lead elsewhere."""
    target = publish_pair(*staged(), publish, name, nobody())
    assert target.read_bytes() == b"pixels"
    assert target.parent == publish
    assert is_own_output(target)


def test_the_longest_name_is_published_and_a_longer_one_refused(publish, staged):
    """243 bytes fit with the sidecar's suffix; the temporary names are shortened to fit too."""
    target = publish_pair(*staged(), publish, "f" * 239 + ".png", nobody())
    assert target.exists()
    with pytest.raises(Refusal, match="too long"):
        publish_pair(*staged(), publish, "f" * 240 + ".png", nobody())


def test_leftovers_of_a_crash_are_removed_and_nothing_else(publish, tmp_path):
    """Only the temporary files go whose very names were recorded; what merely looks like one stays."""
    inner = publish / "a" / "b"
    inner.mkdir(parents=True)
    begun = [
        Copy(publish / "fox.png", "00", "11", 5, "0123456789abcdef"),
        Copy(inner / "f\nx.png", "00", "11", 5, "89ab"),
    ]
    ours = [publish / ".~fox.png.0123456789abcdef-1.tmp", publish / ".~fox.png.0123456789abcdef-2.tmp",
            inner / ".~f\nx.png.89ab-1.tmp"]  # fmt: skip
    others = [publish / ".~lock.tmp", publish / "fox.png.0123abcd.tmp", publish / ".~fox.png.0123abcd.tmp",
              inner / ".~fox.png.0123456789abcdef-1.tmp"]  # fmt: skip
    for path in (*ours, *others):
        path.write_bytes(b"")
    assert remove_temporaries([*begun, Copy(tmp_path / "nowhere" / "fox.png", "00", "11", 5, "00")]) == 3
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


def test_a_long_copy_can_be_stopped(publish, staged, names):
    """What is raised between two pieces ends the copy, and neither the name nor a temporary file is there."""
    pieces = []

    def alive():
        pieces.append(1)
        if len(pieces) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish_pair(*staged(bytes(5 << 20)), publish, "fox.png", names.of(), alive)
    assert _names_in(publish) == []


@pytest.mark.parametrize("which", ["picture", "sidecar"])
def test_what_a_person_saves_over_a_copy_while_the_next_version_is_copied_is_kept(
    publish, staged, names, monkeypatch, which
):
    """A save over picture or sidecar, between the look at ours and its replacement, stays; ours goes elsewhere."""
    target = publish_pair(*staged(b"old"), publish, "fox.png", names.of())
    saved = target if which == "picture" else sidecar_path(target)
    write = atomic._write

    def saving(folder, name, data):
        if not name.startswith(".~fox ("):
            saved.write_bytes(b"somebody's")
        write(folder, name, data)

    monkeypatch.setattr(atomic, "_write", saving)
    assert publish_pair(*staged(b"new"), publish, "fox.png", names.of()).name == "fox (shaded).png"
    assert saved.read_bytes() == b"somebody's"
    assert which == "picture" or target.read_bytes() == b"old"


def test_a_sidecar_that_appears_in_the_last_moment_is_kept_too(publish, staged, monkeypatch):
    """Where somebody saves picture and sidecar between the two renames, neither is touched."""
    link = os.link

    def raced(source, target, **folders):
        if target == "fox.png":
            (publish / "fox.png").write_bytes(b"somebody's")
            sidecar_path(publish / "fox.png").unlink()
            sidecar_path(publish / "fox.png").write_bytes(b"somebody's notes")
        link(source, target, **folders)

    monkeypatch.setattr(atomic.os, "link", raced)
    assert publish_pair(*staged(), publish, "fox.png", nobody()).name == "fox (shaded).png"
    assert sidecar_path(publish / "fox.png").read_bytes() == b"somebody's notes"


def test_looking_at_a_large_earlier_copy_can_be_stopped(publish, staged, names):
    """Hashing what stands under a name goes piece by piece, like copying."""
    publish_pair(*staged(bytes(5 << 20)), publish, "fox.png", names.of())
    pieces = []

    def alive():
        pieces.append(1)
        if len(pieces) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish_pair(*staged(b"new"), publish, "fox.png", names.of(), alive)
    assert (publish / "fox.png").stat().st_size == 5 << 20


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
@pytest.mark.parametrize("which", ["picture", "sidecar"])
def test_an_earlier_copy_that_cannot_be_read_now_is_waited_for(publish, staged, names, monkeypatch, which, code):
    """What a disk says for a while does not make a copy somebody else's: the next version takes its place later."""
    target = publish_pair(*staged(b"old"), publish, "fox.png", names.of())
    unread = target if which == "picture" else sidecar_path(target)
    opening = os.open

    def refusing(path, flags, *arguments, **named):
        if path == unread.name and not flags & os.O_CREAT:
            raise OSError(code, os.strerror(code))
        return opening(path, flags, *arguments, **named)

    monkeypatch.setattr(atomic.os, "open", refusing)
    with pytest.raises(Transient):
        publish_pair(*staged(b"new"), publish, "fox.png", names.of())
    monkeypatch.setattr(atomic.os, "open", opening)
    assert target.read_bytes() == b"old"
    assert publish_pair(*staged(b"new"), publish, "fox.png", names.of()) == target
    assert _names_in(publish) == ["fox.png", "fox.png.shaded.json"]


@pytest.mark.parametrize("which", ["picture", "sidecar"])
def test_somebodys_file_that_cannot_be_read_is_not_waited_for(publish, staged, monkeypatch, which):
    """Under a name where this source put nothing, nothing has to be read to know that."""
    theirs = publish / ("fox.png" if which == "picture" else "fox.png.shaded.json")
    theirs.write_bytes(b"somebody's")
    opening = os.open

    def refusing(path, flags, *arguments, **named):
        if path == theirs.name and not flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "denied")
        return opening(path, flags, *arguments, **named)

    monkeypatch.setattr(atomic.os, "open", refusing)
    assert publish_pair(*staged(), publish, "fox.png", nobody()).name == "fox (shaded).png"
