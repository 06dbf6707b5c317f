"""A daemon whose sidecars go into a folder that others do not see."""

from __future__ import annotations

import shutil
import stat
import subprocess

import pytest

from shaded.daemon.holdings import LEDGER_NAME
from shaded.daemon.recovering import recover
from shaded.daemon.remembering import sidecar_places, sidecar_places_before
from shaded.errors import Unavailable
from shaded.publishing.pairs import read_pair
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.publishing.sidecar_places import SidecarPlaces
from shaded.reports import explain_document
from shaded.settings import Folder
from tests.daemon.disks import fill, mount, small_disk
from tests.daemon.rig import FakeExecutor, Rig, png

FOX, OWL = png(1, size=9), png(2, size=10)


@pytest.fixture
def rig(tmp_path):
    """A daemon with a folder for sidecars."""
    made = Rig(tmp_path, sidecars=tmp_path / "private", retry_seconds=5)
    yield made
    made.close()


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _sidecars(rig, folder="private"):
    """The sidecars of the rig's publish folder in one of the folders for them."""
    place = SidecarPlaces(rig.base / folder).new(rig.publish / "x").parent
    return _files(place)


def test_the_publish_folder_shows_pictures_alone(rig):
    """Pictures are published, subfolders too, and every sidecar stands in the other folder, which is made private."""
    rig.put("fox.png", FOX)
    rig.put("animals/owl.png", OWL)
    rig.settle()
    assert rig.published() == ["animals/owl.png", "fox.png"]
    assert _files(rig.publish) == ["animals/owl.png", "fox.png"]
    assert _sidecars(rig) == ["animals/owl.png.shaded.json", "fox.png.shaded.json"]
    assert stat.S_IMODE((rig.base / "private").stat().st_mode) == 0o700


def test_a_folder_that_is_there_keeps_its_permissions(tmp_path):
    """A folder that a person made for sidecars is taken as it is."""
    (tmp_path / "private").mkdir(mode=0o750)
    made = Rig(tmp_path, sidecars=tmp_path / "private")
    made.close()
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o750


def test_an_edit_replaces_picture_and_sidecar(rig):
    """A picture that is saved again has one copy and one sidecar, both new."""
    for data in (FOX, OWL):
        rig.put("fox.png", data)
        rig.settle(20)
    assert rig.published() == ["fox.png"]
    assert (rig.publish / "fox.png").read_bytes() == OWL + b"shaded"
    assert _sidecars(rig) == ["fox.png.shaded.json"]


def test_the_same_content_elsewhere_is_not_rendered_again(rig):
    """A further copy is made of what is published, whose sidecar is fetched from its folder."""
    rig.put("fox.png", FOX)
    rig.settle()
    rig.put("again/fox.png", FOX)
    rig.settle()
    assert rig.published() == ["again/fox.png", "fox.png"]
    assert len(rig.executor.submitted) == 1


def test_somebodys_file_where_the_sidecar_goes_is_kept(rig):
    """It makes the picture take another name, as one beside the picture does."""
    theirs = rig.base / "private" / str(rig.publish).lstrip("/") / "fox.png.shaded.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("my notes")
    rig.put("fox.png", FOX)
    rig.settle()
    assert rig.published() == ["fox (shaded).png"]
    assert theirs.read_text() == "my notes"


def test_nested_and_shared_publish_folders_have_one_sidecar_for_each_picture(tmp_path):
    """Two outboxes share a publish folder, a third publishes into a folder inside it: nothing meets."""
    pairs = tuple(
        Folder(outbox=tmp_path / box, publish=tmp_path / publish)
        for box, publish in (("a", "web"), ("b", "web"), ("c", "web/in"))
    )
    rig = Rig(tmp_path, folders=pairs, sidecars=tmp_path / "private")
    for number, (box, name) in enumerate((("a", "in/x.png"), ("b", "in/x.png"), ("c", "x.png"))):
        path = tmp_path / box / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(number, size=9 + number))
        rig.observers[number].see(path)
    rig.settle(20)
    names = ["in/x (shaded 2).png", "in/x (shaded).png", "in/x.png"]
    assert _files(tmp_path / "web") == names
    places = sidecar_places(rig.settings, rig.ledger)
    for name in names:
        for root in (tmp_path / "web", tmp_path / "web" / "in"):
            assert read_pair(tmp_path / "web" / name, root, places).agrees
    assert len(_files(tmp_path / "private")) == 3
    rig.close()


def test_a_missing_folder_for_sidecars_is_waited_for(rig):
    """Nothing is begun or published while it is away, also after a restart; it is not made; then all goes on."""
    rig.put("fox.png", FOX)
    rig.settle()
    (rig.base / "private").rename(rig.base / "away")
    rig.put("owl.png", OWL)
    rig.settle(30)
    rig.restart()
    rig.settle(30)
    assert not (rig.base / "private").exists()
    assert _files(rig.publish) == ["fox.png"]
    assert len(rig.executor.submitted) == 1
    assert any("sidecars folder is missing" in problem for problem in rig.daemon.view.problems())
    (rig.base / "away").rename(rig.base / "private")
    rig.settle(60)
    assert rig.published() == ["fox.png", "owl.png"]
    assert rig.daemon.view.problems() == []


def test_a_finished_picture_waits_for_the_folder_for_sidecars(rig):
    """One that was being shaded when the folder went away is published when it is back, without a second rendering."""
    rig.executor.automatic = False
    rig.put("fox.png", FOX)
    rig.settle()
    (rig.base / "private").rename(rig.base / "away")
    rig.executor.automatic = True
    rig.settle(30)
    assert _files(rig.publish) == []
    assert any("sidecars folder is missing" in what for what in rig.daemon.view.troubles.values())
    (rig.base / "away").rename(rig.base / "private")
    rig.settle(60)
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 1


@pytest.mark.real_disk
def test_no_sidecar_goes_into_the_mount_point_of_a_disk_that_is_away(tmp_path):
    """The empty mount point is not taken for the folder, also after a restart."""
    with small_disk(tmp_path / "private"):
        rig = Rig(tmp_path, sidecars=tmp_path / "private", retry_seconds=5)
        rig.put("fox.png", FOX)
        rig.settle(10)
        assert rig.published() == ["fox.png"]
        subprocess.run(["umount", str(tmp_path / "private")], check=True)
        rig.put("owl.png", OWL)
        rig.settle(30)
        rig.restart()
        rig.settle(30)
        assert list((tmp_path / "private").iterdir()) == []
        assert _files(rig.publish) == ["fox.png"]
        assert any("sidecars folder is missing" in problem for problem in rig.daemon.view.problems())
        assert mount("-t", "tmpfs", "tmpfs", str(tmp_path / "private"))
        rig.settle(60)
        assert _files(rig.publish) == ["fox.png", "owl.png"]
        assert rig.daemon.view.problems() == []
        rig.close()


@pytest.mark.real_disk
@pytest.mark.parametrize("check", [True, False])
def test_a_full_disk_for_sidecars_is_waited_out(tmp_path, monkeypatch, check):
    """While there is no room for a sidecar its picture is not published; then it is, rendered once."""
    if not check:
        monkeypatch.setenv("SHADED_SPACE__PUBLISH", "0")
    with small_disk(tmp_path / "private") as disk:
        rig = Rig(tmp_path, sidecars=tmp_path / "private", retry_seconds=5)
        filler = fill(disk)
        rig.put("fox.png", FOX)
        rig.settle(30)
        assert _files(rig.publish) == []
        told = [*rig.daemon.view.problems(), *rig.daemon.view.troubles.values()]
        assert any("full" in what for what in told)
        assert not check or any("lower space.publish" in what for what in told)
        filler.unlink()
        rig.settle(60)
        rig.settle(60)
        assert rig.published() == ["fox.png"]
        assert len(rig.executor.submitted) == 1
        assert rig.daemon.view.problems() == []
        rig.close()


def test_old_sidecars_stay_and_are_found_when_new_ones_go_elsewhere(rig):
    """Whatever the settings named before, each picture's sidecar is found, and none is moved."""
    rig.move_sidecars(None)
    rig.put("beside.png", png(1, size=9))
    rig.settle()
    rig.move_sidecars(rig.base / "private")
    rig.put("private.png", png(2, size=10))
    rig.settle()
    rig.move_sidecars(rig.base / "hidden")
    rig.put("hidden.png", png(3, size=11))
    rig.settle()
    rig.move_sidecars(None)
    assert rig.published() == ["beside.png", "hidden.png", "private.png"]
    assert _files(rig.publish) == ["beside.png", "beside.png.shaded.json", "hidden.png", "private.png"]
    assert (_sidecars(rig), _sidecars(rig, "hidden")) == (["private.png.shaded.json"], ["hidden.png.shaded.json"])
    assert sidecar_places_before(rig.settings).earlier == (rig.base / "hidden", rig.base / "private")


@pytest.mark.parametrize("before", [None, "private"])
def test_a_newer_version_takes_its_sidecar_along(rig, before):
    """After the setting changed, an edited picture's new sidecar stands in the new place and the old one is gone."""
    rig.move_sidecars(before and rig.base / before)
    rig.put("fox.png", FOX)
    rig.put("owl.png", OWL)
    rig.settle(20)
    rig.move_sidecars(rig.base / "hidden")
    rig.put("fox.png", png(3, size=11))
    rig.settle(20)
    assert rig.published() == ["fox.png", "owl.png"]
    assert _sidecars(rig, "hidden") == ["fox.png.shaded.json"]
    old = _sidecars(rig) if before else [name for name in _files(rig.publish) if name.endswith(".json")]
    assert old == ["owl.png.shaded.json"]


def test_a_text_in_the_ledger_that_names_no_folders_is_read_as_none(rig):
    """Whatever stands in the row that remembers folders, the places are those of the settings."""
    for text in ("", "null", "7", '["relative", 5, "/no\\u0000name", null]', "[" * 100_000, "{"):
        rig.ledger.meta_set("folders for sidecars", text)
        assert sidecar_places(rig.settings, rig.ledger) == SidecarPlaces(rig.base / "private")
    rig.restart()
    rig.put("fox.png", FOX)
    rig.settle()
    assert rig.published() == ["fox.png"]


def _lose_the_state(rig):
    rig.close()
    shutil.rmtree(rig.settings.state_dir)
    rig.ledger, rig.executor = None, FakeExecutor()


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_pairs_are_recognised_after_the_state_folder_was_lost(tmp_path, apart, asked):
    """With recover, and by the daemon alone: nothing is rendered twice, whether the sidecars are apart or public."""
    rig = Rig(tmp_path, sidecars=tmp_path / "private" if apart else None)
    (rig.publish / "owl.png").write_bytes(b"somebody's")
    rig.put("fox.png", FOX)
    rig.put("owl.png", OWL)
    rig.settle(20)
    before = _files(rig.publish), _files(tmp_path / "private")
    assert bool(before[1]) == apart
    _lose_the_state(rig)
    if asked:
        found = recover(rig.settings)
        assert (found.pairs, found.taken_over, found.to_shade, found.not_whole) == (2, 2, 0, {})
    rig.restart()
    rig.settle(20)
    assert rig.executor.submitted == []
    assert (_files(rig.publish), _files(tmp_path / "private")) == before
    rig.put("owl.png", png(5, size=12))
    rig.settle(20)
    assert (rig.publish / "owl (shaded).png").read_bytes() == png(5, size=12) + b"shaded"
    assert (_files(rig.publish), _files(tmp_path / "private")) == before
    rig.close()


def test_recover_waits_for_the_folder_for_sidecars(rig):
    """Without it every picture would seem to have no pair: the command says so and changes nothing."""
    rig.put("fox.png", FOX)
    rig.settle()
    rig.ledger.close()
    (rig.settings.state_dir / LEDGER_NAME).unlink()
    (rig.base / "private").rename(rig.base / "away")
    with pytest.raises(Unavailable, match=r"publishing\.sidecars: the folder is missing"):
        recover(rig.settings)
    assert not (rig.settings.state_dir / LEDGER_NAME).exists()
    (rig.base / "away").rename(rig.base / "private")
    rig.ledger = None
    rig.restart()


def test_explain_says_where_the_sidecar_is_and_knows_a_picture_by_it(rig):
    """Asked of the original, the copy or the sidecar, it names all three."""
    source = rig.put("fox.png", FOX)
    rig.settle()
    target = rig.publish / "fox.png"
    sidecar = rig.sidecar(target)
    for path in (source, target, sidecar):
        document = explain_document(rig.ledger, rig.settings, path, None, running=True)
        (record,) = document["records"]
        assert (record["source"], record["published"], record["sidecar"]) == tuple(map(str, (source, target, sidecar)))
    sidecar.unlink()
    document = explain_document(rig.ledger, rig.settings, target, None, running=True)
    assert document["records"][0]["sidecar"] is None


def test_a_crash_leaves_no_temporary_file_in_the_folder_for_sidecars(rig):
    """What a killed daemon was writing there is removed by the next one; nothing else is."""
    rig.put("fox.png", FOX)
    rig.settle()
    target = rig.publish / "fox.png"
    rig.ledger._connection.execute("UPDATE copies SET token = '0123456789abcdef'")
    left = rig.sidecar(target).with_name(".~fox.png.0123456789abcdef-2.tmp")
    other = left.with_name(".~fox.png.0123456789abcde0-2.tmp")
    for path in (left, other):
        path.write_bytes(b"half")
    rig.restart()
    assert not left.exists()
    assert other.exists()
    other.unlink()


def test_beside_the_picture_stands_the_public_form(tmp_path):
    """By default neither the seed nor the ground is published."""
    rig = Rig(tmp_path)
    rig.put("fox.png", FOX)
    rig.settle()
    stated = read_sidecar(sidecar_path(rig.publish / "fox.png"))
    assert (stated.engine.seed, stated.target.ground) == (None, [])
    rig.close()
