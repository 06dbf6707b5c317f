"""Whose a published name is, and that each place of a picture has its own end: a whole daemon over fakes."""

from __future__ import annotations

import hashlib
import json

import pytest

from shaded.daemon.vitals import Stopped
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.reports import explain_document
from shaded.settings import Folder
from tests.daemon.rig import Rig, png

FIRST, SECOND = png(1, size=9), png(2, size=10)


@pytest.fixture
def two(tmp_path):
    """Two outboxes that publish into one folder."""
    made = []

    def make():
        pairs = tuple(Folder(outbox=tmp_path / name, publish=tmp_path / "pub") for name in ("a", "b"))
        made.append(Rig(tmp_path, folders=pairs))
        return made[0]

    yield make()
    made[0].close()


@pytest.fixture
def rig(tmp_path):
    """One outbox, one publish folder."""
    made = Rig(tmp_path)
    yield made
    made.close()


def save(rig, outbox, name, data):
    """A picture is saved into one of several outboxes."""
    folders = [folder.outbox.name for folder in rig.settings.folder]
    path = rig.base / outbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    rig.observers[folders.index(outbox)].see(path)
    rig.settle()
    return path


def published_of(rig, source):
    """Where the ledger says that a source's copy is; the pair there is whole."""
    (record,) = rig.ledger.find(source)
    target = record.placement.published
    assert target is not None
    stated = read_sidecar(sidecar_path(target))
    assert stated.published.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert stated.source.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    return target


def test_two_outboxes_and_somebodys_file_want_one_name(two):
    """With a foreign ``x.png`` in the way, two sources called so get two further names, once and for all."""
    two.publish.mkdir(exist_ok=True)
    (two.publish / "x.png").write_bytes(b"somebody's")
    a, b = save(two, "a", "x.png", FIRST), save(two, "b", "x.png", SECOND)
    for _ in range(2):
        assert published_of(two, a) == two.publish / "x (shaded).png"
        assert published_of(two, b) == two.publish / "x (shaded 2).png"
        assert (two.publish / "x.png").read_bytes() == b"somebody's"
        for source in (a, b):
            two.ledger.retry(source)
        two.daemon.delivery.note()
        two.restart()
        two.settle()


@pytest.mark.parametrize("what", ["edited", "refused", "deleted"])
def test_a_copy_stays_while_its_source_is_edited_refused_or_gone(two, what):
    """Another outbox's picture of the same name never takes the place of a copy whose source is in between."""
    a = save(two, "a", "x.png", FIRST)
    if what == "edited":
        two.executor.automatic = False
        save(two, "a", "x.png", png(3, size=11))
    elif what == "refused":
        save(two, "a", "x.png", b"no picture any more")
    else:
        a.unlink()
        two.observers[0].see(a)
    b = save(two, "b", "x.png", SECOND)
    two.executor.automatic = True
    two.settle(20)
    assert published_of(two, b) == two.publish / "x (shaded).png"
    expected = png(3, size=11) if what == "edited" else FIRST
    assert (two.publish / "x.png").read_bytes() == expected + b"shaded"


def test_a_persons_copy_of_a_published_picture_is_kept(rig):
    """``best.png``, copied from a published picture by a person, is not overwritten by a source called so."""
    rig.put("fox.png", FIRST)
    rig.settle()
    (rig.publish / "best.png").write_bytes((rig.publish / "fox.png").read_bytes())
    source = rig.put("best.png", SECOND)
    rig.settle()
    assert (rig.publish / "best.png").read_bytes() == FIRST + b"shaded"
    assert published_of(rig, source) == rig.publish / "best (shaded).png"


def test_the_same_content_twice_is_published_twice(two):
    """One content in two outboxes that share a publish folder has a copy for each, and no row names the other's."""
    a, b = save(two, "a", "x.png", FIRST), save(two, "b", "x.png", FIRST)
    assert published_of(two, a) != published_of(two, b)
    assert len(two.executor.submitted) == 1


def test_a_note_in_a_published_sidecar_is_kept(rig):
    """A person's words in a sidecar stay, and the next version gets another name."""
    source = rig.put("fox.png", FIRST)
    rig.settle()
    beside = sidecar_path(rig.publish / "fox.png")
    noted = json.loads(beside.read_text("utf-8")) | {"note": "my words"}
    beside.write_text(json.dumps(noted), "utf-8")
    rig.put("fox.png", SECOND)
    rig.settle()
    assert json.loads(beside.read_text("utf-8"))["note"] == "my words"
    assert published_of(rig, source) == rig.publish / "fox (shaded).png"


def test_a_source_that_is_edited_while_it_is_shaded_still_owns_its_copy(rig):
    """A place that was forgotten in between, since its file changed, replaces its earlier copy all the same."""
    source = rig.put("fox.png", FIRST)
    rig.settle()
    rig.executor.automatic = False
    rig.put("fox.png", SECOND)
    rig.settle()
    source.write_bytes(png(3, size=12))
    rig.observers[0].see(source)
    rig.executor.automatic = True
    rig.settle(20)
    assert published_of(rig, source) == rig.publish / "fox.png"
    assert rig.published() == ["fox.png"]


def test_two_rows_that_claim_one_name_are_told_apart_at_the_start(two):
    """A ledger in which an older version let two places claim one file has a copy for each after a start."""
    a, b = save(two, "a", "x.png", FIRST), save(two, "b", "y.png", SECOND)
    theirs = published_of(two, b)
    two.ledger._connection.execute(
        "UPDATE placements SET published = ? WHERE published_sha256 = ?",
        (bytes(theirs), hashlib.sha256(FIRST + b"shaded").hexdigest()),
    )
    two.ledger._connection.execute("UPDATE copies SET path = ?", (bytes(theirs),))
    two.restart()
    two.settle()
    assert published_of(two, b) == theirs
    assert published_of(two, a) not in (None, theirs)


@pytest.fixture
def three(tmp_path):
    """Three outboxes, each with its own publish folder; what is wanted in ``b/sub`` meets a link."""
    pairs = tuple(Folder(outbox=tmp_path / name, publish=tmp_path / f"pub-{name}") for name in "abc")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pub-b").mkdir()
    (tmp_path / "pub-b" / "sub").symlink_to(tmp_path / "elsewhere")
    made = Rig(tmp_path, folders=pairs)
    yield made
    made.close()


@pytest.mark.parametrize("order", ["abc", "bac", "cab"])
def test_a_place_that_is_refused_keeps_no_other_from_its_copy(three, order):
    """The same content in three places, one of which is a link: two are published, one is refused, said once."""
    sources = {name: save(three, name, "sub/fox.png", FIRST) for name in order}
    for name in "ac":
        assert published_of(three, sources[name]) == three.base / f"pub-{name}" / "sub" / "fox.png"
    (record,) = three.ledger.find(sources["b"])
    assert "symbolic link" in record.placement.refusal
    save(three, "a", "owl.png", SECOND)
    three.settle(50)
    told = [outcome for name, outcome, _ in three.audience.heard if outcome == "refused"]
    assert told == ["refused"]
    assert list((three.base / "elsewhere").iterdir()) == []
    assert len(three.executor.submitted) == 2
    explained = explain_document(three.ledger, three.settings, sources["b"], None, running=True)
    assert "cannot be published here" in explained["why"]
    assert "until the file changes" in explained["next"]


def test_a_refused_place_gets_its_copy_when_it_is_asked_for_again(three):
    """Once the link is moved away, ``retry`` publishes the finished result there, without shading again."""
    source = save(three, "b", "sub/fox.png", FIRST)
    three.restart()
    three.settle()
    (three.base / "pub-b" / "sub").unlink()
    assert three.ledger.retry(source) == 1
    three.daemon.delivery.note()
    three.settle()
    assert published_of(three, source) == three.base / "pub-b" / "sub" / "fox.png"
    assert len(three.executor.submitted) == 1
    assert three.ledger.recent_errors() == []


def test_a_refused_place_is_among_the_last_troubles(three):
    """``status`` names the one place with its reason, not the picture."""
    save(three, "b", "sub/fox.png", FIRST)
    save(three, "a", "sub/fox.png", FIRST)
    (record,) = three.ledger.recent_errors()
    assert record.placement.path == three.base / "b" / "sub" / "fox.png"
    assert record.job.state == "published"


def test_a_sidecar_that_a_stranger_altered_is_not_copied(rig):
    """A further copy of a picture is not made from a published pair whose sidecar was changed; it is shaded again."""
    rig.put("fox.png", FIRST)
    rig.settle()
    beside = sidecar_path(rig.publish / "fox.png")
    altered = json.loads(beside.read_text("utf-8")) | {"alt_text": "buy here"}
    beside.write_text(json.dumps(altered), "utf-8")
    source = rig.put("owl.png", FIRST)
    rig.settle()
    assert "buy here" not in sidecar_path(published_of(rig, source)).read_text("utf-8")


def test_many_copies_do_not_keep_the_daemon_from_the_rest(rig, monkeypatch):
    """Of 400 copies that take a second each, one round makes one, and the next round is due at once."""
    from shaded.publishing import atomic

    for number in range(40):
        rig.put(f"{number}.png", FIRST)
    real = atomic.settle

    def slow(folder):
        rig.clock.advance(0.5)
        real(folder)

    monkeypatch.setattr(atomic, "settle", slow)
    for _ in range(20):
        rig.clock.advance(0.25)
        before = rig.clock.monotonic()
        sleep = rig.daemon.step()
        assert rig.clock.monotonic() - before <= 1.5
    assert sleep == 0.0
    assert 5 <= len(rig.published()) < 40
    monkeypatch.undo()
    rig.settle(60)
    assert len(rig.published()) == 40


def test_a_long_copy_feeds_the_watchdog_and_can_be_stopped(rig, monkeypatch):
    """Between the pieces of a copy the watchdog is told, and ten seconds after a stop was asked for it is given up."""
    from shaded.daemon import delivery

    beats = []
    rig.daemon._notifier.beat_seconds = 100.0
    monkeypatch.setattr(rig.daemon._notifier, "alive", lambda: beats.append(rig.clock.monotonic()))
    real = delivery.publish_pair

    def slow(*arguments, **options):
        for _ in range(400):
            rig.clock.advance(1.0)
            arguments[-1]()
            if rig.clock.monotonic() > 350:
                rig.daemon.request_stop()
        return real(*arguments, **options)

    monkeypatch.setattr(delivery, "publish_pair", slow)
    rig.put("fox.png")
    with pytest.raises(Stopped):
        rig.settle(20)
    assert len(beats) >= 3
    assert rig.published() == []
    monkeypatch.undo()
    rig.restart()
    rig.settle()
    assert rig.published() == ["fox.png"]


def test_a_long_read_of_an_arrival_feeds_the_watchdog(rig, monkeypatch):
    """While a large arrival is read the watchdog is told between the pieces."""
    beats = []
    rig.daemon._notifier.beat_seconds = 0.0
    monkeypatch.setattr(rig.daemon._notifier, "alive", lambda: beats.append(1))
    rig.put("large.png", FIRST + bytes(6 << 20))
    rig.clock.advance(5)
    rig.daemon.step()
    rig.clock.advance(5)
    rig.daemon.step()
    assert len(beats) >= 7


def test_what_is_as_large_as_a_disk_is_not_fetched_back(rig, monkeypatch):
    """For a further copy, a published file that grew since is not even read."""
    from shaded.daemon import delivery

    rig.put("fox.png", FIRST)
    rig.settle()
    with (rig.publish / "fox.png").open("ab") as stream:
        stream.truncate(50 << 20)
    pieces = []
    real = delivery._fetch

    def counted(place, size, scratch, _alive, places):
        return real(place, size, scratch, lambda: pieces.append(1), places)

    monkeypatch.setattr(delivery, "_fetch", counted)
    source = rig.put("owl.png", FIRST)
    rig.settle()
    assert pieces == []
    assert published_of(rig, source) == rig.publish / "owl.png"


@pytest.mark.parametrize("which", ["picture", "sidecar"])
def test_a_file_that_claims_to_be_huge_is_not_read(rig, which):
    """What was made four terabytes large under a published name, without holding anything, costs no time."""
    source = rig.put("fox.png", FIRST)
    rig.settle()
    target = rig.publish / "fox.png"
    with (target if which == "picture" else sidecar_path(target)).open("ab") as stream:
        stream.truncate(4 << 40)
    rig.put("fox.png", SECOND)
    rig.put("owl.png", png(3, size=11))
    rig.settle(20)
    assert published_of(rig, source) == rig.publish / "fox (shaded).png"
    assert (rig.publish / "owl.png").exists()


def test_a_pair_that_claims_to_be_huge_is_not_taken_over(rig):
    """A sidecar that fits a new picture beside four terabytes of nothing is passed over at once."""
    rig.put("fox.png", FIRST)
    rig.settle()
    stated = json.loads(sidecar_path(rig.publish / "fox.png").read_text("utf-8"))
    stated["source"]["name"] = stated["published"]["name"] = "new.png"
    for size in (stated["published"]["bytes"], 4 << 40):
        stated["published"]["bytes"] = size
        sidecar_path(rig.publish / "new.png").write_text(json.dumps(stated), "utf-8")
        with (rig.publish / "new.png").open("wb") as stream:
            stream.truncate(4 << 40)
    source = rig.put("new.png", FIRST)
    rig.settle()
    assert published_of(rig, source) == rig.publish / "new (shaded).png"


def test_an_outbox_that_was_moved_finds_its_copies_again(rig):
    """After the folder was moved, and the settings follow, nothing is published twice, and an edit finds its place."""
    rig.put("fox.png", FIRST)
    rig.put("sub/owl.png", SECOND)
    rig.settle(20)
    before = rig.published()
    (rig.base / "out").rename(rig.base / "moved")
    rig.outbox = rig.base / "moved"
    rig.settings = rig.settings.model_copy(update={"folder": (Folder(outbox=rig.outbox, publish=rig.publish),)})
    rig.restart()
    rig.settle(20)
    assert rig.published() == before
    assert len(rig.executor.submitted) == 2
    source = rig.put("fox.png", png(3, size=12))
    rig.settle(20)
    assert published_of(rig, source) == rig.publish / "fox.png"
    assert rig.published() == before


def test_an_outbox_that_is_watched_again_gets_copies_of_its_own(rig):
    """Another outbox took its copies over meanwhile, and may replace them: no two places claim one file."""
    first = rig.put("fox.png", FIRST)
    rig.settle(20)
    old, new = (Folder(outbox=rig.base / name, publish=rig.publish) for name in ("out", "other"))
    (rig.base / "other").mkdir()
    second = rig.base / "other" / "fox.png"
    second.write_bytes(FIRST)
    for folders in ((new,), (old, new)):
        rig.settings = rig.settings.model_copy(update={"folder": folders})
        rig.restart()
        rig.settle(20)
        assert published_of(rig, second) == rig.publish / "fox.png"
    own = published_of(rig, first)
    assert own == rig.publish / "fox (shaded).png"
    second.write_bytes(SECOND)
    rig.observers[1].see(second)
    rig.settle(20)
    assert (rig.publish / "fox.png").read_bytes() == SECOND + b"shaded"
    assert own.read_bytes() == FIRST + b"shaded"
    assert len(rig.executor.submitted) == 2


def test_another_outbox_in_its_place_does_not_take_what_was_published(rig):
    """An outbox that is named instead of another has other pictures, and replaces none of the first one's copies."""
    rig.put("fox.png", FIRST)
    rig.settle()
    rig.outbox = rig.base / "other"
    rig.settings = rig.settings.model_copy(update={"folder": (Folder(outbox=rig.outbox, publish=rig.publish),)})
    rig.restart()
    source = rig.put("fox.png", SECOND)
    rig.settle(20)
    assert published_of(rig, source) == rig.publish / "fox (shaded).png"
    assert (rig.publish / "fox.png").read_bytes() == FIRST + b"shaded"


def test_a_ledger_that_is_removed_under_the_daemon_costs_nothing(rig):
    """The file is written again, and an edit still takes the place of its earlier copy."""
    source = rig.put("fox.png", FIRST)
    rig.settle()
    for each in rig.settings.state_dir.glob("ledger.sqlite3*"):
        each.unlink()
    rig.settle(3)
    rig.put("fox.png", SECOND)
    rig.settle()
    rig.restart()
    rig.settle()
    assert published_of(rig, source) == rig.publish / "fox.png"
    assert rig.published() == ["fox.png"]
