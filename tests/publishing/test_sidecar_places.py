"""Where sidecars stand: beside their pictures, in a folder of their own, and in those that were named before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.publishing.pairs import find_pair, pictures_with_sidecars, read_pair
from shaded.publishing.sidecar import sidecar_path
from shaded.publishing.sidecar_places import BESIDE, SidecarPlaces, mirrored, sidecar_in
from tests.publishing.sidecars import a_sidecar

NAME = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)


def _write(picture, places, content=b"pixels"):
    """A published pair, its sidecar where the places say."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(content)
    sidecar = places.new(picture)
    sidecar.parent.mkdir(parents=True, exist_ok=True)
    sidecar.write_text(a_sidecar(content).to_json(), "utf-8")
    return sidecar


def _found(root, places):
    troubles = []
    found = [str(path.relative_to(root)) for path in pictures_with_sidecars(root, troubles.append, places)]
    assert troubles == []
    return found


@given(st.lists(st.lists(NAME, min_size=1, max_size=4), min_size=2, max_size=2, unique_by=tuple))
def test_no_two_pictures_have_one_sidecar(paths):
    """Whatever the folders are called, other pictures have other sidecars, and from each its picture is known again."""
    places = SidecarPlaces(Path("/nowhere/private"))
    pictures = [Path("/nowhere/web", *parts) for parts in paths]
    sidecars = [places.new(picture) for picture in pictures]
    assert sidecars[0] != sidecars[1]
    assert [places.picture_of(sidecar) for sidecar in sidecars] == pictures
    assert [BESIDE.picture_of(BESIDE.new(picture)) for picture in pictures] == pictures


def test_the_place_is_the_pictures_whole_path():
    """A person who looks into the folder sees at once whose sidecar it is."""
    assert sidecar_in(Path("/private"), Path("/web/a/fox.png")) == Path("/private/web/a/fox.png.shaded.json")
    assert sidecar_in(None, Path("/web/a/fox.png")) == Path("/web/a/fox.png.shaded.json")


def test_every_spelling_of_a_folder_leads_to_the_same_place(tmp_path):
    """Links in the path of the picture's folder are resolved, and a picture that is a link itself is not."""
    (tmp_path / "web").mkdir()
    (tmp_path / "by name").symlink_to(tmp_path / "web")
    (tmp_path / "web" / "fox.png").symlink_to(tmp_path / "elsewhere.png")
    places = SidecarPlaces(tmp_path / "private")
    assert places.new(tmp_path / "by name" / "fox.png") == places.new(tmp_path / "web" / "fox.png")
    assert mirrored(tmp_path / "private", tmp_path / "by name") == mirrored(tmp_path / "private", tmp_path / "web")


def test_the_newest_place_is_looked_into_first(tmp_path):
    """One is found in the folder that the settings name, then beside its picture, then in folders named before."""
    picture = tmp_path / "web" / "fox.png"
    folders = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    places = SidecarPlaces(folders[0], folders)
    assert places.all == (folders[0], None, folders[1], folders[2])
    expected = [sidecar_in(place, picture) for place in places.all]
    for sidecar in reversed(expected):
        sidecar.parent.mkdir(parents=True, exist_ok=True)
        sidecar.write_text("{}")
        root = picture.parent if sidecar.parent == picture.parent else next(f for f in folders if f in sidecar.parents)
        assert places.find(picture, picture.parent) == (sidecar, root)
    for sidecar in expected:
        sidecar.unlink()
    assert places.find(picture, picture.parent) == (expected[0], folders[0])


def test_pairs_are_found_wherever_their_sidecars_stand(tmp_path):
    """A folder's pictures are those with a sidecar in any place, each once, and each pair is read."""
    root, private = tmp_path / "web", tmp_path / "private"
    apart, before = SidecarPlaces(private), SidecarPlaces(tmp_path / "before")
    places = SidecarPlaces(private, (tmp_path / "before",))
    _write(root / "apart.png", apart)
    _write(root / "sub" / "apart.png", apart)
    _write(root / "beside.png", BESIDE)
    _write(root / "before.png", before)
    _write(root / "everywhere.png", apart)
    _write(root / "everywhere.png", BESIDE)
    _write(root / "everywhere.png", before)
    _write(root / "gone.png", apart)
    (root / "gone.png").unlink()
    (root / "theirs.png").write_bytes(b"somebody's")
    _write(tmp_path / "elsewhere" / "fox.png", apart)
    found = _found(root, places)
    assert sorted(found) == ["apart.png", "before.png", "beside.png", "everywhere.png", "sub/apart.png"]
    assert all(read_pair(root / name, root, places).agrees for name in found)
    assert _found(root / "sub", places) == ["apart.png"]
    assert sorted(_found(root, BESIDE)) == ["beside.png", "everywhere.png"]


def test_a_picture_is_known_by_a_sidecar_apart(tmp_path):
    """What was published for a source is found where it would be published, its sidecar in the folder for those."""
    places = SidecarPlaces(tmp_path / "private")
    picture = tmp_path / "web" / "fox (shaded).png"
    _write(picture, places)
    (picture.with_name("fox.png")).write_bytes(b"somebody's")
    source = a_sidecar().source.sha256

    def find(places):
        return find_pair(tmp_path / "web", Path("fox.png"), source, lambda _found: True, places=places)

    assert find(places).path == picture
    assert find(BESIDE) is None


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "text", "another's", "older"])
def test_what_is_in_the_way_hides_no_sidecar_elsewhere(tmp_path, kind):
    """Somebody's thing in the present place, or an older sidecar, does not keep the true one from being found."""
    root, places = tmp_path / "web", SidecarPlaces(tmp_path / "private")
    picture = root / "fox.png"
    beside = _write(picture, BESIDE)
    place = places.new(picture)
    place.parent.mkdir(parents=True)
    {
        "link": lambda: place.symlink_to(beside),
        "pipe": lambda: os.mkfifo(place),
        "folder": place.mkdir,
        "text": lambda: place.write_text("my notes"),
        "another's": lambda: place.write_text(a_sidecar(b"pixels", "owl.png").to_json()),
        "older": lambda: place.write_text(a_sidecar(b"older pixels").to_json()),
    }[kind]()
    assert places.find(picture, root) == (beside, root)
    assert _found(root, places) == ["fox.png"]
    assert read_pair(picture, root, places).agrees
    beside.unlink()
    assert places.find(picture, root).path == place


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_sidecar_apart_is_opened_as_carefully(tmp_path, kind):
    """A link, a pipe or a folder in its place is an error, and is neither followed nor waited for."""
    places = SidecarPlaces(tmp_path / "private")
    picture = tmp_path / "web" / "fox.png"
    sidecar = _write(picture, places)
    sidecar.rename(tmp_path / "outside.json")
    if kind == "link":
        sidecar.symlink_to(tmp_path / "outside.json")
    elif kind == "pipe":
        os.mkfifo(sidecar)
    else:
        sidecar.mkdir()
    with pytest.raises(Exception, match="symbolic link" if kind == "link" else "not a regular file"):
        read_pair(picture, picture.parent, places)


def test_a_folder_among_those_for_sidecars_that_is_a_link_is_not_entered(tmp_path):
    """No sidecar is read through a link that somebody put into the folder."""
    places = SidecarPlaces(tmp_path / "private")
    picture = tmp_path / "web" / "fox.png"
    sidecar = _write(picture, places)
    sidecar.parent.rename(tmp_path / "outside")
    sidecar.parent.symlink_to(tmp_path / "outside")
    with pytest.raises(Exception, match="symbolic link"):
        read_pair(picture, picture.parent, places)


def test_a_path_that_is_no_sidecars_stays_as_it_is():
    """Only what has a sidecar's name is taken for one."""
    places = SidecarPlaces(Path("/private"))
    for path in ("/web/fox.png", "/private/web/fox.png", "/private/.shaded.json"):
        assert places.picture_of(Path(path)) == Path(path)
    assert places.picture_of(sidecar_path(Path("/web/fox.png"))) == Path("/web/fox.png")
