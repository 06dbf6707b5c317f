"""A ledger made again from outboxes and publish folders: nothing is rendered twice, nothing foreign becomes ours."""

from __future__ import annotations

import json
import os
import sqlite3

import pytest

from shaded.daemon.holdings import LEDGER_NAME
from shaded.daemon.instance import only_instance
from shaded.daemon.recovering import recover
from shaded.errors import AlreadyRunning, LedgerDamaged
from shaded.ledger import Ledger
from shaded.publishing.sidecar import sidecar_path
from shaded.settings import Folder, Profile
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


def test_recover_waits_for_no_daemon(rig):
    """While a daemon holds the state folder nothing is touched."""
    before = ledger_file(rig).read_bytes()
    with only_instance(rig.settings.state_dir), pytest.raises(AlreadyRunning):
        recover(rig.settings)
    assert ledger_file(rig).read_bytes() == before
