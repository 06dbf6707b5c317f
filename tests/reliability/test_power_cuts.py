"""Power cuts, on a disk that loses what was not synced: what is promised holds, and takes every single sync."""

from __future__ import annotations

import ast
import os
import shutil
import sys
import tempfile
from itertools import count, starmap
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.reliability.cuts import SCENES, Judge, cut_life, faults_after_an_error, killed_life
from tests.reliability.power import PACKAGE, Disk

pytestmark = pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="folders are watched by Linux's descriptors")

#: For lives that are lived again for each call in them: with sidecars apart the way is the same but for its folders.
AT_LENGTH = [scene for scene in SCENES if "apart" not in scene or scene.startswith("the first")]
#: Rooms that sync nothing that the daemon promises.
ELSEWHERE = ("evidence", "training")
#: Syncs that a life of a daemon does without, by a function on the way, and why they are there all the same.
SPARED = {
    "_mark": "a state folder is known by what lies in it too; a staging folder of a person's own choice is not",
    "installation_secret": "the ledger keeps a copy of the secret, and `shaded shade` has no ledger",
    "claim_staging": "the folder is made again where it is missing, and then waited for",
}


@pytest.fixture
def base(tmp_path):
    """Where a life takes place: in memory, where there is such a disk, since thousands of states are laid out."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory)) if memory.is_dir() else tmp_path
    with capture_logs():  # thousands of daemons have much to say
        yield folder / "life"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scene", SCENES)
def test_nothing_is_lost_by_a_power_cut(base, scene):
    """Whatever a power cut before any call leaves: nothing owned is lost, and the next daemon publishes all, once."""
    life = cut_life(base, scene)
    judge = Judge(life, daemons=3)
    faults = sorted(set(judge.faults()))
    sys.stdout.write(f"{scene}: {len(life.disk.moments)} moments, {judge.looked} possible disks\n")
    assert faults == []
    assert len(life.disk.moments) > 20
    assert judge.looked > len(life.disk.moments) / 2


def killed_lives(base, scene, **options):
    """A life for each call before which the daemon can be killed."""
    for step in count(1):
        life = killed_life(base, scene, step, **options)
        if life is None:
            return
        yield life


def killed_and_cut(base, scene, **options):
    """The faults after a daemon was killed before each of its calls, another did the rest, and the power went."""
    judges, faults = [], set()
    for life in killed_lives(base, scene):
        judges.append(Judge(life, **options))
        faults |= set(judges[-1].faults())
    looked = sum(judge.looked for judge in judges)
    sys.stdout.write(f"{scene}: killed before {len(judges)} calls, {looked} possible disks\n")
    assert len(judges) > 20
    return sorted(faults)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scene", AT_LENGTH)
def test_a_disk_that_is_full_for_one_call_is_waited_out(base, scene):
    """Whichever call fails, the daemon goes on by itself: all is published, once, and nothing half-done stays."""
    faults, call = [], 1
    while (found := faults_after_an_error(base, scene, call)) is not None:
        faults += [f"call {call}: {fault}" for fault in found]
        call += 1
    sys.stdout.write(f"{scene}: {call - 1} calls failed\n")
    assert faults == []
    assert call > 20


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scene", SCENES)
def test_nothing_is_lost_by_many_power_cuts(base, scene):
    """The same as the first with more of what is possible."""
    assert list(Judge(cut_life(base, scene), seed=1, chances=25).faults()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scene", AT_LENGTH)
def test_nothing_is_lost_by_many_power_cuts_after_a_kill(base, scene):
    """What a killed daemon left unsynced is synced by the next one before it says that it is published."""
    assert killed_and_cut(base, scene, chances=6) == []


def _sync_calls():
    """Each call of ``os.fsync`` and ``os.fdatasync`` in the package, as ``file:line``."""
    for path in sorted(Path(PACKAGE).rglob("*.py")):
        name = path.relative_to(PACKAGE)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute | ast.Name) and name.parts[0] not in ELSEWHERE:
                called = node.attr if isinstance(node, ast.Attribute) else node.id
                if called in ("fsync", "fdatasync"):
                    yield f"{name}:{node.lineno}"


def _needs(base, line, scene):
    """What goes wrong in a scene when one line syncs nothing; ``None``: nothing does."""
    return next(Judge(cut_life(base, scene, deaf_to=line)).faults(), None)


def _needs_after_a_kill(base, line, scene, step):
    """The same in a life with a kill, whose faults without that are not counted."""
    usual = set(Judge(killed_life(base, scene, step)).faults())
    faults = Judge(killed_life(base, scene, step, deaf_to=line)).faults()
    return next((fault for fault in faults if fault not in usual), None)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_sync_is_needed(base):
    """Without any one of the ways by which the package comes to sync something, something is lost by a power cut."""
    heard, killed = {}, {}
    for scene in SCENES:
        for line in cut_life(base, scene).disk.heard:
            heard.setdefault(line, []).append((base, line, scene))
        for step, life in enumerate(killed_lives(base, scene), start=1):
            for line in life.disk.heard:
                killed.setdefault(line, []).append((base, line, scene, step))
    only_after_kills = {line: lives for line, lives in killed.items() if line not in heard}
    assert {line[0].split(" ")[0] for line in (*heard, *only_after_kills)} == set(_sync_calls())
    found = {line: next(filter(None, starmap(_needs, lives)), None) for line, lives in heard.items()}
    found |= {
        line: next(filter(None, starmap(_needs_after_a_kill, lives)), None) for line, lives in only_after_kills.items()
    }
    for line, fault in found.items():
        sys.stdout.write(f"{' from '.join(line[:5])}: {fault}\n")
    spared = {line for line in found if any(step.split(" ")[1] in SPARED for step in line)}
    assert [line for line, fault in found.items() if fault is None and line not in spared] == []
    assert len(found) - len(spared) >= 10


@pytest.mark.timeout(300)
def test_the_ledger_must_wait_for_the_disk(base):
    """With ``PRAGMA synchronous = NORMAL`` a finished picture is rendered again, or a published one is not known."""
    assert next(Judge(cut_life(base, "the first picture", relaxed=True)).faults(), None) is not None


def test_the_disk_loses_what_was_not_synced(tmp_path):
    """The disk itself: unsynced contents and names may be lost each by itself, synced ones never are."""
    root = tmp_path / "root"
    root.mkdir()
    with Disk(root, root / "ledger") as disk:
        (root / "a").write_bytes(b"long ago")
        disk.all_is_safe()
        (root / "a").write_bytes(b"new")
        (root / "a").rename(root / "b")
        disk.moment("unsynced")
        descriptor = os.open(root, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        disk.moment("names are synced")
        with (root / "b").open("r+b") as stream:
            os.fsync(stream.fileno())
        disk.moment("all is synced")
    moments = {moment.where: moment for moment in disk.moments}

    def possible(where):
        return {tuple((path, image.data(path)) for path in sorted(image.found)) for image in moments[where].images()}

    contents = (b"long ago", b"n", b"new")
    assert possible("unsynced") == {((name, data),) for name in "ab" for data in contents}
    assert possible("names are synced") == {(("b", data),) for data in contents}
    assert possible("all is synced") == {(("b", b"new"),)}
