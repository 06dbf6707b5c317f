"""Publishing a pair whose sidecar goes into a folder of its own: the same promises, in two places at once."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from shaded.errors import Refusal, Transient
from shaded.publishing import atomic
from shaded.publishing.atomic import publish_pair
from shaded.publishing.ownership import Copy, Unrecorded
from shaded.publishing.pairs import read_pair
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.publishing.sidecar_places import BESIDE, SidecarPlaces
from shaded.publishing.temporaries import remove_temporaries
from tests.publishing.names import Names
from tests.publishing.sidecars import a_sidecar


@pytest.fixture
def names():
    """The record of who put what where."""
    return Names()


@pytest.fixture
def web(tmp_path):
    """An empty publish folder."""
    folder = tmp_path / "web"
    folder.mkdir()
    return folder


@pytest.fixture(params=["same disk", "another disk"])
def places(tmp_path, request):
    """An empty folder for sidecars, also on another disk than the publish folder."""
    if request.param == "same disk":
        folder = tmp_path / "private"
        folder.mkdir()
        yield SidecarPlaces(folder)
        return
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk here")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield SidecarPlaces(Path(folder))


@pytest.fixture
def publish(tmp_path, web, places, names):
    """Publishes pixels as a name for a source, the sidecar apart."""
    staging = tmp_path / "staging"
    staging.mkdir()

    def done(pixels=b"pixels", name="fox.png", source="fox", places=places, ownership=None):
        picture = staging / "render.png"
        picture.write_bytes(pixels)
        sidecar_path(picture).write_text(a_sidecar(pixels, Path(name).name).to_json(), "utf-8")
        owner = names.of(source) if ownership is None else ownership
        return publish_pair(picture, sidecar_path(picture), web, name, owner, places=places)

    return done


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def _sidecars(places):
    return sorted(path.name for path in places.folder.rglob("*") if not path.is_dir())


def _failing(patch, names, number):
    """Let the call of this number among the publisher's calls of ``os`` fail; the list of those that are made."""
    calls = []

    def failing(real):
        def wrapper(*arguments, **options):
            calls.append(real)
            if len(calls) == number:
                raise OSError(28, "No space left on device")
            return real(*arguments, **options)

        return wrapper

    for name in names:
        patch.setattr(atomic.os, name, failing(getattr(os, name)))
    return calls


def test_only_pictures_appear_in_the_publish_folder(web, places, publish):
    """The publish folder shows no trace of a sidecar; the whole document stands in the other, at the picture's path."""
    target = publish(name="a/fox.png")
    assert _files(web) == ["a/fox.png"]
    stated = read_sidecar(places.new(target), places.folder)
    assert (stated.engine.seed, len(stated.target.ground)) == (7, 16)
    assert _sidecars(places) == ["fox.png.shaded.json"]
    assert read_pair(target, web, places).agrees


def test_beside_its_picture_a_sidecar_keeps_ground_and_seed_back(web, publish):
    """What only the owner needs is left out where others may read it, and nothing else is."""
    target = publish(places=BESIDE)
    stated, whole = read_sidecar(sidecar_path(target)), a_sidecar()
    assert (stated.target.ground, stated.engine.seed) == ([], None)
    assert stated == whole.public()
    restored = stated.model_copy(update={"target": whole.target, "engine": whole.engine})
    assert restored == whole


def test_a_newer_version_replaces_both(web, places, publish):
    """Picture and sidecar are replaced, each in its folder, and publishing the same again changes nothing."""
    publish(b"old")
    target = publish(b"new")
    assert target.read_bytes() == b"new"
    assert read_pair(target, web, places).agrees
    before = [path.stat().st_ino for path in (target, places.new(target))]
    assert publish(b"new") == target
    assert [path.stat().st_ino for path in (target, places.new(target))] == before
    assert (_files(web), _sidecars(places)) == (["fox.png"], ["fox.png.shaded.json"])


def test_a_picture_that_stands_already_is_not_written_again_for_its_sidecar(web, places, publish):
    """Where only the sidecar is another or goes elsewhere, the picture is left alone, and no cloud client moves it."""
    target = publish(places=BESIDE)
    before = target.stat()
    assert publish(places=places) == target
    places.new(target).unlink()
    assert publish(places=places) == target
    assert publish(places=BESIDE) == target
    after = target.stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert read_pair(target, web).agrees


@pytest.mark.parametrize("taken", ["picture", "sidecar"])
@pytest.mark.parametrize("kind", ["file", "link", "folder", "pipe", "true sidecar"])
def test_the_next_name_is_one_that_is_free_in_both_folders(web, places, publish, tmp_path, taken, kind):
    """What stands at the picture's or at the sidecar's place is kept, and makes ours take the next name."""
    place = web / "fox.png" if taken == "picture" else places.new(web / "fox.png")
    place.parent.mkdir(parents=True, exist_ok=True)
    {
        "file": lambda: place.write_bytes(b"somebody's"),
        "link": lambda: place.symlink_to(tmp_path / "nowhere"),
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
        "true sidecar": lambda: place.write_text(a_sidecar().to_json()),
    }[kind]()
    before = place.lstat()
    target = publish()
    assert target.name == "fox (shaded).png"
    assert read_pair(target, web, places).stated.published.name == "fox (shaded).png"
    assert place.lstat() == before
    assert not (tmp_path / "nowhere").exists()


def test_somebodys_file_beside_the_picture_is_no_reason_and_stays(web, places, publish):
    """Where no sidecar goes, its name means nothing."""
    (web / "fox.png.shaded.json").write_text("my notes")
    assert publish(b"old").name == "fox.png"
    assert publish(b"new").name == "fox.png"
    assert (web / "fox.png.shaded.json").read_text() == "my notes"


def test_an_edited_sidecar_apart_is_kept(web, places, publish):
    """When somebody wrote into it, the pair is theirs, and the next version gets another name."""
    target = publish(b"old")
    places.new(target).write_text("my notes")
    assert publish(b"new").name == "fox (shaded).png"
    assert target.read_bytes() == b"old"
    assert places.new(target).read_text() == "my notes"


def test_the_sidecar_stands_before_the_picture(web, places, publish, monkeypatch):
    """At every change of a name the picture is not there without its sidecar."""
    seen = []

    def watched(call):
        def wrapper(source, target, **folders):
            call(source, target, **folders)
            seen.append([n for n in (*_sidecars(places), *_files(web)) if not n.startswith(".~")])

        return wrapper

    for call in ("rename", "link"):
        monkeypatch.setattr(atomic.os, call, watched(getattr(os, call)))
    publish()
    assert seen == [["fox.png.shaded.json"], ["fox.png.shaded.json", "fox.png"]]


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("call", range(1, 14))
def test_after_a_failure_at_any_step_nothing_half_done_is_there(web, places, publish, monkeypatch, call, earlier):
    """Whichever call fails, the publish folder shows the old picture or none, no temporary file; a second try works."""
    if earlier:
        publish(b"old")
    with monkeypatch.context() as patch:
        calls = _failing(patch, ("fsync", "rename", "mkdir"), call)
        target = None
        with suppress(Transient):
            target = publish(b"new")
    if target is None:
        assert len(calls) >= call
        standing = {web / name: (web / name).read_bytes() for name in _files(web)}
        assert standing in ({web / "fox.png": b"old"} if earlier else {}, {web / "fox.png": b"new"})
    assert not [name for name in (*_sidecars(places), *_files(web)) if name.endswith(".tmp")]
    assert read_pair(publish(b"new"), web, places).agrees
    assert (_files(web), _sidecars(places)) == (["fox.png"], ["fox.png.shaded.json"])


def test_an_error_of_the_folder_for_sidecars_names_it(web, places, publish, monkeypatch):
    """Where the disk for sidecars is full, the message names the sidecar and not the picture."""
    monkeypatch.setattr(atomic, "_write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(Transient, match="disk is full") as caught:
        publish()
    assert caught.value.path == places.new(web / "fox.png")


def test_a_picture_that_appears_in_the_last_moment_takes_no_sidecar_of_ours(web, places, publish, monkeypatch):
    """Between looking and naming somebody else's picture wins, and our sidecar for it goes."""
    link = os.link

    def raced(source, target, **folders):
        if target == "fox.png":
            (web / "fox.png").write_bytes(b"somebody's")
        link(source, target, **folders)

    monkeypatch.setattr(atomic.os, "link", raced)
    assert publish().name == "fox (shaded).png"
    assert (web / "fox.png").read_bytes() == b"somebody's"
    assert _sidecars(places) == ["fox (shaded).png.shaded.json"]


def test_without_the_folder_for_sidecars_nothing_is_published(web, tmp_path, publish):
    """A folder that is not mounted is waited for: it is not made, and no picture appears without its sidecar."""
    with pytest.raises(Transient, match="the folder for sidecars is missing"):
        publish(name="a/fox.png", places=SidecarPlaces(tmp_path / "unmounted"))
    assert not (tmp_path / "unmounted").exists()
    assert list(web.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_stands_where_a_folder_for_sidecars_must_be_is_named(web, tmp_path, publish, kind):
    """A link is not followed out of the folder, and a file is not replaced by one: that place is refused."""
    places = SidecarPlaces(tmp_path / "private")
    blocked = places.new(web / "a" / "fox.png").parent
    blocked.parent.mkdir(parents=True)
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        blocked.symlink_to(tmp_path / "elsewhere")
    else:
        blocked.write_text("somebody's")
    with pytest.raises(Refusal, match="a symbolic link" if kind == "link" else "a file") as caught:
        publish(name="a/fox.png", places=places)
    assert caught.value.path == blocked
    assert _files(web) == []


def test_two_publish_folders_have_sidecars_of_their_own(tmp_path, web, places, publish):
    """Pictures of one name in two publish folders, and in one inside the other, have a sidecar each."""
    other = tmp_path / "other"
    other.mkdir()
    picture = tmp_path / "staging" / "render.png"
    publish()
    second = publish_pair(picture, sidecar_path(picture), other, "fox.png", Unrecorded(), places=places)
    third = publish_pair(picture, sidecar_path(picture), web, "in/fox.png", Unrecorded(), places=places)
    (web / "in").joinpath("deeper").mkdir()
    fourth = publish_pair(picture, sidecar_path(picture), web / "in", "deeper/fox.png", Unrecorded(), places=places)
    assert len({places.new(path) for path in (web / "fox.png", second, third, fourth)}) == 4
    assert read_pair(fourth, web, places).agrees
    assert read_pair(fourth, web / "in" / "deeper", places).agrees


def test_two_spellings_of_a_publish_folder_have_one_sidecar(tmp_path, web, places, publish):
    """A later version that comes through a link to the folder replaces picture and sidecar."""
    publish(b"old")
    (tmp_path / "by name").symlink_to(web)
    picture = tmp_path / "staging" / "render.png"
    picture.write_bytes(b"new")
    sidecar_path(picture).write_text(a_sidecar(b"new").to_json())
    own = Copy(web / "fox.png", read_pair(web / "fox.png", web, places).sha256, None)
    publish_pair(picture, sidecar_path(picture), tmp_path / "by name", "fox.png", Unrecorded(own), places=places)
    assert read_pair(web / "fox.png", web, places).sha256 == a_sidecar(b"new").published.sha256
    assert _sidecars(places) == ["fox.png.shaded.json"]


MOVES = {
    "apart from now on": lambda a, _b: (BESIDE, SidecarPlaces(a)),
    "beside from now on": lambda a, _b: (SidecarPlaces(a), SidecarPlaces(None, (a,))),
    "another folder from now on": lambda a, b: (SidecarPlaces(a), SidecarPlaces(b, (b, a))),
}


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("move", MOVES)
def test_when_sidecars_go_elsewhere_the_old_one_goes_with_its_picture(tmp_path, web, publish, move, edited):
    """A newer version takes the old sidecar away from where none goes any more, unless a person changed that."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before, after = MOVES[move](tmp_path / "a", tmp_path / "b")
    target = publish(b"old", places=before)
    old = before.new(target)
    if edited:
        old.write_text("my notes")
    assert publish(b"new", places=after) == target
    assert read_pair(target, web, after).agrees
    assert after.new(target) != old
    assert old.exists() == edited
    assert not edited or old.read_text() == "my notes"
    assert publish(b"new", places=after) == target
    assert read_pair(target, web, after).agrees


@pytest.mark.parametrize("touched", ["nothing", "the picture", "the sidecar"])
@pytest.mark.parametrize("move", MOVES)
def test_where_somebodys_file_stands_at_the_sidecars_new_place_the_whole_pair_moves(
    tmp_path, web, publish, move, touched
):
    """The pair gets the next name, and the earlier one goes, unless a person changed a part of it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before, after = MOVES[move](tmp_path / "a", tmp_path / "b")
    old = publish(b"old", places=before)
    theirs = after.new(old)
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("somebody's")
    if touched == "the picture":
        old.write_bytes(b"edited")
    elif touched == "the sidecar":
        before.new(old).write_text("edited")
    target = publish(b"new", places=after)
    assert target.name == "fox (shaded).png"
    assert read_pair(target, web, after).agrees
    assert theirs.read_text() == "somebody's"
    assert (old.exists(), before.new(old).exists()) == ((False, False) if touched == "nothing" else (True, True))


@pytest.mark.parametrize("call", range(1, 15))
def test_a_crash_while_the_whole_pair_moves_leaves_one_after_the_next_try(tmp_path, web, publish, monkeypatch, call):
    """Whichever of its calls fails, to the last one, the next try leaves the new pair alone."""
    places = SidecarPlaces(tmp_path / "a")
    places.folder.mkdir()
    old = publish(b"old", places=places)
    after = SidecarPlaces(None, (places.folder,))
    after.new(old).write_text("somebody's")
    with monkeypatch.context() as patch:
        calls = _failing(patch, ("fsync", "rename", "unlink"), call)
        with suppress(Transient):
            publish(b"new", places=after)
    assert len(calls) >= call
    assert read_pair(publish(b"new", places=after), web, after).agrees
    assert _files(web) == ["fox (shaded).png", "fox (shaded).png.shaded.json", "fox.png.shaded.json"]
    assert _sidecars(places) == []


def test_one_folder_under_two_names_is_one(tmp_path, web, publish):
    """Where the folder that was named before is the present one by another path, its sidecars are not taken away."""
    (tmp_path / "real").mkdir()
    (tmp_path / "by name").symlink_to(tmp_path / "real")
    before = SidecarPlaces(tmp_path / "real")
    after = SidecarPlaces(tmp_path / "by name", (tmp_path / "by name", tmp_path / "real"))
    target = publish(places=before)
    assert publish(places=after) == target
    assert publish(b"new", places=after) == target
    assert read_pair(target, web, after).agrees
    assert _sidecars(before) == ["fox.png.shaded.json"]


def test_another_sources_old_sidecar_is_not_taken_away(tmp_path, web, publish):
    """Only the sidecar of the same source's earlier pair goes; another's of the same name in another folder stays."""
    (tmp_path / "a").mkdir()
    (web / "in").mkdir()
    kept = publish(b"wolf", "in/fox.png", "wolf", places=BESIDE)
    publish(b"old", "fox.png", places=BESIDE)
    publish(b"new", "fox.png", places=SidecarPlaces(tmp_path / "a"))
    assert _files(web) == ["fox.png", "in/fox.png", "in/fox.png.shaded.json"]
    assert read_pair(kept, web).agrees


def test_leftovers_of_a_crash_are_removed_from_both_folders(web, places, tmp_path):
    """The two temporary files go, each from its folder, also from one that was named before; others stay."""
    before = tmp_path / "before"
    places = SidecarPlaces(places.folder, (before,))
    begun = Copy(web / "fox.png", "00", "11", 5, "0123456789abcdef")
    ours = [
        web / ".~fox.png.0123456789abcdef-1.tmp",
        *(
            SidecarPlaces(folder).new(web / "fox.png").with_name(".~fox.png.0123456789abcdef-2.tmp")
            for folder in (places.folder, before)
        ),
    ]
    other = ours[1].with_name(".~fox.png.0123abcd-2.tmp")
    for path in (*ours, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert remove_temporaries([begun], places) == 3
    assert not any(path.exists() for path in ours)
    assert other.exists()


def test_sidecars_apart_have_ordinary_permissions_inside_their_folder(web, places, publish):
    """The folder keeps others out; the files in it follow the umask as published ones do."""
    before = os.umask(0o022)
    try:
        target = publish()
    finally:
        os.umask(before)
    assert stat.S_IMODE(places.new(target).stat().st_mode) == 0o644
    assert places.new(target).stat().st_nlink == 1
