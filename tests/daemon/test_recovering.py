"""A ledger made again from outboxes and publish folders: nothing is rendered twice, nothing foreign becomes ours."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3

import pytest

from shaded.daemon.holdings import LEDGER_NAME
from shaded.daemon.instance import only_instance
from shaded.daemon.recovering import recover
from shaded.errors import AlreadyRunning, LedgerDamaged, Unavailable
from shaded.ledger import Ledger
from shaded.publishing.sidecar import sidecar_path
from shaded.settings import Folder, Metadata, Profile
from tests.daemon.rig import FakeExecutor, Rig, png

FOX, OWL, WOLF = png(1, size=9), png(2, size=10), png(3, size=11)


@pytest.fixture
def rig(tmp_path):
    """A daemon that has published three pictures, one in a sub-folder, one beside somebody's file; then it ended."""
    made = Rig(tmp_path)
    (made.publish / "wolf.png").write_bytes(b"somebody's")
    made.put("fox.png", FOX)
    made.put("animals/owl.png", OWL)
    made.put("wolf.png", WOLF)
    made.settle(20)
    assert (made.publish / "wolf (shaded).png").exists()
    made.ledger.close()
    yield made
    made.wake.close()


def start_again(rig):
    """Let a new daemon live for a while; what it shaded."""
    rig.ledger = None
    rig.executor = FakeExecutor()
    rig.restart()
    rig.settle(20)
    return [task.name for task in rig.executor.submitted]


def ledger_file(rig):
    return rig.settings.state_dir / LEDGER_NAME


def damage(path):
    """Overwrite all pages but the first, which only says that it is a database."""
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + os.urandom(len(data) - 4096))


def damaged(rig):
    """The ledgers that were moved aside, without what SQLite keeps beside them."""
    return [path for path in rig.settings.state_dir.glob("*damaged*") if not path.name.endswith(("-wal", "-shm"))]


def listing(folder):
    """Every file below a folder with its content, but for the daemon's marker."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_damage_that_shows_only_on_the_way_is_found_too(rig, monkeypatch):
    """A ledger that looks sound and breaks while it is read is moved aside like any other."""
    broken = []

    def known(self, *_arguments):
        if not broken:
            broken.append(self)
            raise LedgerDamaged("the ledger is damaged")
        return False

    monkeypatch.setattr(Ledger, "stat_known", known)
    before = listing(rig.publish)
    found = recover(rig.settings)
    assert (found.ledger, found.pairs, found.taken_over, found.known) == ("made again", 3, 3, 0)
    assert damaged(rig) == [found.moved_to]
    monkeypatch.undo()
    assert start_again(rig) == []
    assert listing(rig.publish) == before


@pytest.mark.parametrize("spoil", ["index", "reference", "structure"])
def test_damage_in_an_index_or_between_tables_is_damage(rig, spoil):
    """Pages that are whole one by one are not enough: an index may say otherwise, or a row refer to nothing."""
    place = ledger_file(rig)
    if spoil == "reference":
        connection = sqlite3.connect(place)
        with connection:
            connection.execute("UPDATE placements SET job_id = 77 WHERE id = 1")
        connection.close()
    else:
        digest = Profile().digest().encode()
        old, new = {
            "index": (digest + b"{", digest[::-1] + b"{"),
            "structure": (b"CREATE TABLE jobs", b"CREATE TABLE j\xffbs"),
        }[spoil]
        data = place.read_bytes()
        assert old in data
        place.write_bytes(data.replace(old, new))
    found = recover(rig.settings)
    assert (found.ledger, found.taken_over, found.to_shade) == ("made again", 3, 0)
    assert start_again(rig) == []


def test_a_damaged_ledger_is_kept_and_made_again(rig):
    """After ``recover`` the daemon knows every picture, shades none, and the damaged file is still there."""
    damage(ledger_file(rig))
    broken, before = ledger_file(rig).read_bytes(), listing(rig.publish)
    with pytest.raises(LedgerDamaged, match="shaded recover"):
        Ledger.open(ledger_file(rig), rig.clock).counts()
    found = recover(rig.settings)
    assert (found.ledger, found.pairs, found.taken_over, found.to_shade) == ("made again", 3, 3, 0)
    assert found.moved_to.read_bytes() == broken
    assert start_again(rig) == []
    assert listing(rig.publish) == before
    assert rig.ledger.counts()["published"] == 3


def test_without_a_ledger_the_daemon_itself_recognises_its_pairs(rig):
    """Whoever moved the ledger away gets no second copy of anything, also without ``recover``."""
    for path in rig.settings.state_dir.glob(f"{LEDGER_NAME}*"):
        path.unlink()
    before = listing(rig.publish)
    assert start_again(rig) == []
    assert listing(rig.publish) == before
    (record,) = rig.ledger.find(rig.outbox / "wolf.png")
    assert record.placement.published == rig.publish / "wolf (shaded).png"
    assert record.job.summary["concept"]


def test_what_was_recovered_is_replaced_by_its_next_version(rig):
    """A recovered copy belongs to its source again: an edit takes its place."""
    ledger_file(rig).unlink()
    recover(rig.settings)
    start_again(rig)
    rig.put("wolf.png", png(7, size=12))
    rig.settle(20)
    assert (rig.publish / "wolf (shaded).png").read_bytes() == png(7, size=12) + b"shaded"
    assert (rig.publish / "wolf.png").read_bytes() == b"somebody's"


def test_the_secret_outlives_the_ledger(rig):
    """Targets stay the same, since the secret is not in the ledger alone."""
    secret = rig.executor.submitted[0].secret
    damage(ledger_file(rig))
    recover(rig.settings)
    start_again(rig)
    rig.put("new.png", png(8, size=12))
    rig.settle(20)
    assert rig.executor.submitted[-1].secret == secret


def test_a_copy_that_is_gone_or_altered_is_not_taken_over(rig):
    """A picture whose copy was edited, or whose sidecar names another picture, is shaded again; both are kept."""
    ledger_file(rig).unlink()
    (rig.publish / "fox.png").write_bytes(b"retouched")
    (rig.publish / "animals" / "owl.png").unlink()
    found = recover(rig.settings)
    assert (found.taken_over, found.to_shade) == (1, 2)
    assert list(found.not_whole) == [str(rig.publish / "fox.png")]
    assert sorted(start_again(rig)) == ["fox.png", "owl.png"]
    assert (rig.publish / "fox.png").read_bytes() == b"retouched"
    assert (rig.publish / "fox (shaded).png").read_bytes() == FOX + b"shaded"


def test_a_pair_of_another_source_is_nobodys(rig):
    """A stranger's pair under the wanted name, whose sidecar names other source bytes, stays as it is."""
    ledger_file(rig).unlink()
    (rig.outbox / "fox.png").write_bytes(png(9, size=14))
    before = (rig.publish / "fox.png").read_bytes()
    found = recover(rig.settings)
    assert (found.taken_over, found.to_shade, found.without_original) == (2, 1, 1)
    assert start_again(rig) == ["fox.png"]
    assert (rig.publish / "fox.png").read_bytes() == before
    assert (rig.publish / "fox (shaded).png").exists()


def test_a_picture_that_was_moved_is_published_from_its_old_copy(rig):
    """The result that stands under another name is used for the new one, and not rendered again."""
    ledger_file(rig).unlink()
    (rig.outbox / "fox.png").rename(rig.outbox / "red fox.png")
    found = recover(rig.settings)
    assert (found.taken_over, found.to_publish, found.to_shade) == (2, 1, 0)
    assert start_again(rig) == []
    assert (rig.publish / "red fox.png").read_bytes() == FOX + b"shaded"


def test_recovering_twice_changes_nothing(rig):
    """A sound ledger is kept, and what it knows is not entered again."""
    damage(ledger_file(rig))
    recover(rig.settings)
    found = recover(rig.settings)
    assert (found.ledger, found.known, found.taken_over, found.to_shade) == ("kept", 3, 0, 0)
    assert len(damaged(rig)) == 1
    assert start_again(rig) == []


def test_an_older_damaged_ledger_is_not_overwritten_by_the_next(rig):
    """Two damaged ledgers of one second are both kept."""
    for _ in range(2):
        damage(ledger_file(rig))
        recover(rig.settings)
    assert len({path.read_bytes() for path in damaged(rig)}) == 2


def test_twins_in_one_publish_folder_get_their_own_copies_back(tmp_path):
    """The same content under the same name in two outboxes has two copies, and each keeps its own."""
    pairs = tuple(Folder(outbox=tmp_path / name, publish=tmp_path / "pub") for name in "ab")
    rig = Rig(tmp_path, folders=pairs)
    for number, name in enumerate("ab"):
        path = tmp_path / name / "x.png"
        path.write_bytes(FOX)
        rig.observers[number].see(path)
        rig.settle()
    rig.ledger.close()
    before = listing(tmp_path / "pub")
    assert set(before) >= {"x.png", "x (shaded).png"}
    ledger_file(rig).unlink()
    assert recover(rig.settings).taken_over == 2
    assert start_again(rig) == []
    assert listing(tmp_path / "pub") == before
    copies = {rig.ledger.find(tmp_path / name / "x.png")[0].placement.published.name for name in "ab"}
    assert copies == {"x.png", "x (shaded).png"}
    rig.close()


def test_the_daemon_does_not_take_over_another_intensity(rig):
    """A pair that was made with other settings than the profile's is left alone, and the picture is shaded anew."""
    ledger_file(rig).unlink()
    rig.settings = rig.settings.model_copy(update={"profile": {"default": Profile(intensity="high")}})
    assert len(start_again(rig)) == 3
    assert (rig.publish / "fox.png").exists()
    assert (rig.publish / "fox (shaded).png").exists()


def test_a_published_copy_in_an_outbox_is_still_not_shaded(rig):
    """An output that somebody drops into the outbox is known by its hash after the ledger was lost."""
    damage(ledger_file(rig))
    recover(rig.settings)
    (rig.outbox / "again.png").write_bytes((rig.publish / "fox.png").read_bytes())
    assert start_again(rig) == []


def test_damage_deep_inside_is_found(rig):
    """A file that opens and answers, and has one broken page, is no sound ledger."""
    connection = sqlite3.connect(ledger_file(rig))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'placements'").fetchone()
    connection.close()
    data = bytearray(ledger_file(rig).read_bytes())
    data[(root - 1) * 4096 : root * 4096] = bytes(4096)
    ledger_file(rig).write_bytes(data)
    found = recover(rig.settings)
    assert (found.ledger, found.taken_over) == ("made again", 3)


def test_hostile_sidecars_take_nothing_over(rig, tmp_path):
    """Links, folders, pipes and huge or foreign sidecars in the publish folder are passed over, one line each."""
    ledger_file(rig).unlink()
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"outside")
    for number, kind in enumerate(("link", "folder", "pipe", "huge", "words")):
        picture = rig.publish / f"odd{number}.png"
        picture.write_bytes(b"x")
        beside = sidecar_path(picture)
        if kind == "link":
            beside.symlink_to(sidecar_path(rig.publish / "fox.png"))
        elif kind == "folder":
            beside.mkdir()
        elif kind == "pipe":
            os.mkfifo(beside)
        elif kind == "huge":
            beside.write_bytes(b"[" * 3_000_000)
        else:
            beside.write_text(json.dumps({"schema_version": 1}))
    (rig.publish / "loop").symlink_to(rig.publish)
    found = recover(rig.settings)
    assert (found.pairs, found.taken_over) == (3, 3)
    assert len(found.not_whole) == 5


def put(rig, outbox, name, data):
    """Save a picture into one of several outboxes, and let the daemon work."""
    folders = [folder.outbox for folder in rig.settings.folder]
    path = rig.base / outbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    rig.observers[folders.index(rig.base / outbox)].see(path)
    rig.settle(20)
    return path


@pytest.fixture
def spelled(tmp_path):
    """Two outboxes that publish into one folder, spelled by its path and by a link to it."""
    (tmp_path / "pub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "pub")
    pairs = (
        Folder(outbox=tmp_path / "a", publish=tmp_path / "pub"),
        Folder(outbox=tmp_path / "b", publish=tmp_path / "link"),
    )
    made = Rig(tmp_path, folders=pairs)
    yield made
    made.close()


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("command", [False, True])
def test_two_spellings_of_one_publish_folder_are_one(spelled, lost, command):
    """The same picture in two outboxes has two copies, with a ledger, without one, and made again."""
    first = put(spelled, "a", "x.png", FOX)
    if lost:
        spelled.ledger.close()
        ledger_file(spelled).unlink()
        (spelled.base / "b" / "x.png").write_bytes(FOX)
        if command:
            recover(spelled.settings)
        start_again(spelled)
    second = put(spelled, "b", "x.png", FOX)
    spelled.settle(20)
    assert set(listing(spelled.base / "pub")) >= {"x.png", "x (shaded).png"}
    put(spelled, "a", "x.png", OWL)
    copies = {spelled.ledger.find(path)[0].placement.published.name for path in (first, second)}
    assert copies == {"x.png", "x (shaded).png"}
    contents = {path.read_bytes() for path in (spelled.base / "pub").glob("*.png")}
    assert contents == {FOX + b"shaded", OWL + b"shaded"}


def test_a_pair_that_a_person_copied_is_not_taken_over(rig):
    """With a ledger that knows better, a pair at another picture's name is a person's, and stays after any edit."""
    start_again(rig)
    for kind in ("", ".shaded.json"):
        (rig.publish / "best").mkdir(exist_ok=True)
        data = (rig.publish / f"fox.png{kind}").read_bytes()
        (rig.publish / "best" / f"fox.png{kind}").write_bytes(data)
        (rig.publish / f"favourite.png{kind}").write_bytes(data)
    rig.put("best/fox.png", FOX)
    rig.put("favourite.png", FOX)
    rig.settle(20)
    for name in ("best/fox.png", "favourite.png"):
        rig.put(name, png(7, size=13))
    rig.settle(30)
    for name in ("best/fox.png", "favourite.png"):
        assert (rig.publish / name).read_bytes() == FOX + b"shaded"
        assert rig.ledger.find(rig.outbox / name)[0].placement.published != rig.publish / name


def test_a_renamed_pair_is_nobodys_without_a_ledger(rig):
    """A person's copy under another name says in its sidecar how it was called; nobody takes it over."""
    ledger_file(rig).unlink()
    for kind in ("", ".shaded.json"):
        (rig.publish / f"favourite.png{kind}").write_bytes((rig.publish / f"fox.png{kind}").read_bytes())
    (rig.outbox / "favourite.png").write_bytes(FOX)
    start_again(rig)
    assert rig.ledger.find(rig.outbox / "favourite.png")[0].placement.published.name == "favourite (shaded).png"


@pytest.mark.parametrize("when", ["before the edit", "while it waited"])
def test_a_ledger_that_was_restored_from_a_backup_shades_nothing_again(rig, when):
    """What was published after the backup was made is recognised, and gets no second copy."""
    start_again(rig)
    if when == "while it waited":
        rig.daemon.pause(None)
    rig.put("fox.png", png(7, size=13)) if when == "while it waited" else None
    rig.settle(10)
    rig.ledger.compact()
    backup = ledger_file(rig).read_bytes()
    if when == "before the edit":
        rig.put("fox.png", png(7, size=13))
    rig.daemon.resume()
    rig.settle(20)
    before = listing(rig.publish)
    rig.ledger.close()
    for ending in ("-wal", "-shm"):
        ledger_file(rig).with_name(LEDGER_NAME + ending).unlink(missing_ok=True)
    ledger_file(rig).write_bytes(backup)
    recover(rig.settings)
    assert start_again(rig) == []
    assert listing(rig.publish) == before


@pytest.mark.parametrize("kind", ["outbox", "publish"])
def test_a_folder_that_is_away_is_no_empty_one(rig, kind):
    """While a folder is missing nothing is recovered, since everything would be shaded again."""
    ledger_file(rig).unlink()
    folder = getattr(rig.settings.folder[0], kind)
    folder.rename(rig.base / "away")
    with pytest.raises(Unavailable, match=f"folder.0.{kind}: the folder is missing"):
        recover(rig.settings)
    assert not ledger_file(rig).exists()
    assert not folder.exists()


def test_what_another_profile_would_make_is_not_handed_on(rig):
    """A copy of another format, or one whose profile keeps a place that this one strips, is made anew."""
    ledger_file(rig).unlink()
    rig.settings = rig.settings.model_copy(update={"profile": {"default": Profile(output_format="webp")}})
    found = recover(rig.settings)
    assert (found.taken_over, found.to_publish, found.to_shade) == (0, 0, 3)


def test_what_a_second_outbox_keeps_private_is_not_handed_on(tmp_path):
    """Of two outboxes that share a publish folder only the one with the same profile uses a moved picture's copy."""
    pairs = (
        Folder(outbox=tmp_path / "a", publish=tmp_path / "pub", profile="with"),
        Folder(outbox=tmp_path / "b", publish=tmp_path / "pub"),
    )
    rig = Rig(tmp_path)
    rig.settings = rig.settings.model_copy(
        update={"folder": pairs, "profile": {"with": Profile(metadata=Metadata(gps=True)), "default": Profile()}}
    )
    rig.restart()
    put(rig, "a", "fox.png", FOX)
    rig.ledger.close()
    ledger_file(rig).unlink()
    (tmp_path / "a" / "fox.png").rename(tmp_path / "b" / "owl.png")
    found = recover(rig.settings)
    assert (found.to_publish, found.to_shade) == (0, 1)
    rig.wake.close()


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_what_stands_in_the_ledgers_place_is_moved_aside(rig, kind):
    """A folder, a pipe or a link that leads nowhere is kept under another name, and a ledger is made."""
    place = ledger_file(rig)
    place.unlink()
    {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place), "dangling link": lambda: place.symlink_to("/nowhere/x")}[
        kind
    ]()
    found = recover(rig.settings)
    assert (found.ledger, found.taken_over) == ("made again", 3)
    assert os.path.lexists(found.moved_to)


def test_recover_waits_for_no_daemon(rig):
    """While a daemon holds the state folder nothing is touched."""
    before = ledger_file(rig).read_bytes()
    with only_instance(rig.settings.state_dir), pytest.raises(AlreadyRunning):
        recover(rig.settings)
    assert ledger_file(rig).read_bytes() == before


@pytest.mark.parametrize("how", ["recover", "daemon"])
def test_hard_links_between_published_copies_cost_no_second_copy(tmp_path, how):
    """Somebody saves space by linking equal files: each name is still the copy of its own picture."""
    rig = Rig(tmp_path)
    rig.put("a.png", FOX)
    rig.put("b.png", FOX)
    rig.settle(20)
    rig.ledger.close()
    (rig.publish / "b.png").unlink()
    (rig.publish / "b.png").hardlink_to(rig.publish / "a.png")
    before = listing(rig.publish)
    ledger_file(rig).unlink()
    if how == "recover":
        assert recover(rig.settings).taken_over == 2
    assert start_again(rig) == []
    assert listing(rig.publish) == before
    rig.close()


@pytest.mark.parametrize("how", ["recover", "daemon"])
def test_a_picture_that_is_said_to_be_its_own_source_is_no_output(rig, how):
    """Whoever puts such a pair into the publish folder keeps no original from being shaded."""
    told = json.loads(sidecar_path(rig.publish / "fox.png").read_text())
    original = png(77)
    about = {"name": "new.png", "sha256": hashlib.sha256(original).hexdigest(), "bytes": len(original)}
    for side in ("source", "published"):
        told[side] |= about
    (rig.publish / "new.png").write_bytes(original)
    sidecar_path(rig.publish / "new.png").write_text(json.dumps(told))
    if how == "recover":
        ledger_file(rig).unlink()
        assert list(recover(rig.settings).not_whole) == [str(rig.publish / "new.png")]
    (rig.outbox / "new.png").write_bytes(original)
    assert start_again(rig) == ["new.png"]
    assert (rig.publish / "new.png").read_bytes() == original
    assert (rig.publish / "new (shaded).png").exists()
