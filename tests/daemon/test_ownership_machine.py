"""Whose a published name is, under every order of events that hypothesis thinks of: whole daemons on real folders.

Two outboxes share a publish folder and a third has its own. People save, spoil and delete originals, put files, folders
and links under the names that the daemon will want, edit, annotate, copy and take away published files; settings are
read anew, sidecars get another folder, and the program ends between any two steps of publishing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from hypothesis.strategies import booleans, integers, sampled_from

from shaded.daemon.remembering import sidecar_places
from shaded.publishing import atomic
from shaded.publishing.sidecar import parse_sidecar
from shaded.publishing.sidecar_places import sidecar_in
from shaded.settings import Folder, Profile
from tests.daemon.rig import Rig, png

PUBLISHED = {"a": "pub", "b": "pub", "c": "own"}
MEMORY = Path("/dev/shm")
CONTENTS = [png(number, size=8 + number) for number in range(4)]
NAMES = ["x.png", "y.png"]
WANTED = [name.replace(".png", f"{number}.png") for name in NAMES for number in ("", " (shaded)", " (shaded 2)")]
STEPS = ("_copy", "_write", "_place", "settle", "_remove")


class _Killed(BaseException):
    """The program ends here."""


class OwnershipMachine(RuleBasedStateMachine):
    """Every admitted picture has exactly one complete copy that nobody else's row names; nothing foreign changes."""

    def __init__(self) -> None:
        super().__init__()
        # In memory, where there is any: thousands of orders wait for no disk. Power cuts are tried elsewhere.
        self.base = Path(tempfile.mkdtemp(prefix="ownership-", dir=MEMORY if MEMORY.is_dir() else None))
        for folder in set(PUBLISHED.values()):
            (self.base / folder).mkdir()
        pairs = tuple(Folder(outbox=self.base / box, publish=self.base / publish) for box, publish in PUBLISHED.items())
        self.rig = Rig(self.base, folders=pairs)
        self._quick()
        #: Files that are a person's, with their content; ``None`` stands for a folder or a link.
        self.theirs = {}
        #: Pictures whose sidecar a person annotated: from then on nobody need own them.
        self.set_free = set()
        #: Pictures whose sidecar a person took away.
        self.bared = set()
        #: What lies in the outboxes.
        self.saved = {}
        self.kill_in = 0
        self.dead = False

    def teardown(self) -> None:
        self.settle()
        self.rig.close()
        shutil.rmtree(self.base)

    def _quick(self):
        self.rig.ledger._connection.execute("PRAGMA synchronous = OFF")

    # What happens -----------------------------------------------------------------------------------------------

    @rule(box=sampled_from("abc"), name=sampled_from(NAMES), content=integers(-1, 3))
    def save(self, box, name, content):
        """A picture is saved, or something that is none."""
        data = CONTENTS[content] if content >= 0 else b"no picture"
        path = self.base / box / name
        path.write_bytes(data)
        self.saved[path] = data
        self.rig.observers["abc".index(box)].see(path)

    @precondition(lambda self: self.saved)
    @rule(number=integers(0, 99))
    def delete(self, number):
        """An original is deleted."""
        path = sorted(self.saved)[number % len(self.saved)]
        path.unlink()
        del self.saved[path]
        self.rig.observers["abc".index(path.parent.name)].see(path)

    @rule(
        folder=sampled_from(["pub", "own"]), name=sampled_from(WANTED), what=sampled_from(["it", "beside", "sidecar"])
    )
    def put(self, folder, name, what):
        """Somebody's file appears under a name, beside it, or where its sidecar goes."""
        path = self.base / folder / name
        if what != "it":
            path = sidecar_in(None if what == "beside" else self.places.folder, path)
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"somebody's " + name.encode())
            self._is_theirs(path)

    @rule(folder=sampled_from(["pub", "own"]), name=sampled_from(WANTED), link=booleans())
    def obstruct(self, folder, name, link):
        """A folder or a link appears under a name."""
        path = self.base / folder / name
        if not os.path.lexists(path):
            if link:
                path.symlink_to(self.base / "nowhere.png")
            else:
                path.mkdir()
            self.theirs[path] = None

    @precondition(lambda self: self.theirs)
    @rule(number=integers(0, 99))
    def take_back(self, number):
        """Somebody takes an own thing away."""
        path = sorted(self.theirs)[number % len(self.theirs)]
        del self.theirs[path]
        self.bared.add(self.places.picture_of(path))
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)

    @rule(number=integers(0, 99), how=sampled_from(["edit", "annotate", "copy", "remove", "remove sidecar"]))
    def touch(self, number, how):
        """Somebody edits, annotates, copies or takes away a published picture."""
        ours = self.ours()
        if not ours:
            return
        path = ours[number % len(ours)]
        beside = self.rig.sidecar(path)
        if how == "edit":
            path.write_bytes(path.read_bytes() + b"retouched")
            self._is_theirs(path)
        elif how == "annotate" and beside.exists() and beside not in self.theirs:
            beside.write_bytes(beside.read_bytes() + b"\n")
            self._is_theirs(beside)
            self.set_free.add(path)
        elif how == "copy":
            target = path.with_name(WANTED[number % len(WANTED)])
            if not any(map(os.path.lexists, (target, *self.sidecars(target)))):
                shutil.copyfile(path, target)
                self._is_theirs(target)
        elif how == "remove":
            path.unlink()
        elif how == "remove sidecar" and beside not in self.theirs:
            beside.unlink(missing_ok=True)
            self.bared.add(path)

    @rule()
    def restart(self):
        """The program ends between two rounds and starts again."""
        self.rig.executor.held, self.rig.executor.said = [], []
        self.rig.restart()
        self._quick()

    @rule(where=sampled_from([None, "private", "hidden"]))
    def move_sidecars(self, where):
        """From the next start on sidecars go elsewhere."""
        self.rig.executor.held, self.rig.executor.said = [], []
        self.rig.move_sidecars(where and self.base / where)
        self._quick()

    @rule(intensity=sampled_from(["low", "default"]))
    def reload(self, intensity):
        """The settings are read anew, with another profile."""
        fresh = self.rig.settings.model_copy(update={"profile": {"default": Profile(intensity=intensity)}})
        self.rig.settings = fresh
        parts = replace(self.rig.daemon._parts, settings=fresh, outboxes=self.rig._outboxes)
        self.rig.observers = []
        self.rig.daemon._adopt(parts)

    @precondition(lambda self: self.saved)
    @rule(number=integers(0, 99))
    def retry(self, number):
        """Somebody asks for a picture again."""
        self.rig.ledger.retry(sorted(self.saved)[number % len(self.saved)])
        self.rig.daemon.delivery.note()

    @rule(steps=integers(1, 25))
    def die_soon(self, steps):
        """The program will be killed in the middle of publishing."""
        self.kill_in = steps

    @rule(seconds=integers(1, 6))
    def work(self, seconds):
        """The daemon works for some seconds."""
        try:
            with self._mortal():
                self.rig.settle(seconds)
        except _Killed:
            self.restart()
        self._look()

    @rule()
    def settle(self):
        """Nothing happens any more until all is done; then everything must hold."""
        self.kill_in = 0
        for _ in range(3):
            self.rig.settle(8)
            self.rig.clock.advance(1000)
            self.rig.settle(4)
        self._look()
        self._look_closely()

    @contextmanager
    def _mortal(self):
        """Publishing's steps may kill; what comes after a death does nothing, as when a process is gone."""
        self.dead = False
        with pytest.MonkeyPatch.context() as patch:
            for name in STEPS:
                patch.setattr(atomic, name, self._risky(getattr(atomic, name)))
            yield

    def _risky(self, real):
        def call(*arguments):
            if self.dead:
                return 0
            if self.kill_in:
                self.kill_in -= 1
                if not self.kill_in:
                    self.dead = True
                    raise _Killed
            return real(*arguments)

        return call

    # What must hold ---------------------------------------------------------------------------------------------

    @property
    def places(self):
        """Where sidecars go, and where they went before."""
        return sidecar_places(self.rig.settings, self.rig.ledger)

    def sidecars(self, picture):
        """Every path at which a picture's sidecar may stand."""
        return [sidecar_in(place, picture) for place in self.places.all]

    def _is_theirs(self, path):
        self.theirs[path] = path.read_bytes()

    def ours(self):
        """The pictures in the publish folders that no person put there or changed."""
        found = [path for folder in ("pub", "own") for path in sorted((self.base / folder).iterdir())]
        return [path for path in found if path.suffix == ".png" and path not in self.theirs and path.is_file()]

    def _look(self):
        """At any time."""
        for path, data in self.theirs.items():
            assert os.path.lexists(path), f"{path} is gone"
            assert data is None or path.read_bytes() == data, f"{path} was changed"
        for path, data in self.saved.items():
            assert path.read_bytes() == data, f"the original {path} was changed"
        rows = self.rig.ledger._connection.execute(
            "SELECT path FROM (SELECT DISTINCT path, root, relative FROM copies) GROUP BY path HAVING COUNT(*) > 1"
        ).fetchall()
        assert rows == [], "a name has two owners"

    def _look_closely(self):
        """When nothing is under way."""
        named = {}
        for root, relative, path, token in self.rig.ledger._connection.execute(
            "SELECT root, relative, path, token FROM copies"
        ):
            named.setdefault(Path(os.fsdecode(path)), []).append((root, relative, token))
        for path in self.ours():
            assert path in named or path in self.set_free, f"nobody owns {path}"
        assert not list(self.base.rglob("*.tmp"))
        for path, data in self.saved.items():
            (record,) = self.rig.ledger.find(path)
            if data == b"no picture":
                assert record.job.state in ("refused", "failed")
                continue
            target = record.placement.published
            assert record.job.state == "published", (path, record)
            assert target is not None, (path, record)
            assert {Path(os.fsdecode(root)) / os.fsdecode(relative) for root, relative, _ in named[target]} == {path}
            self._is_whole(target, data)

    def _is_whole(self, target, source):
        """What was published for a source stands there complete, but for what a person did to it since."""
        if target in self.theirs or not target.exists():
            return
        published = target.read_bytes()
        assert published == source + b"shaded"
        standing = [path for path in self.sidecars(target) if path.exists()]
        if self.theirs.keys() & standing or (target in self.bared and not standing):
            return
        stated = parse_sidecar(standing[0].read_bytes())
        if stated.published.sha256 != hashlib.sha256(published).hexdigest():
            assert target in self.bared, f"{standing[0]} is another's"
            return
        assert stated.published.name == target.name
        assert stated.source.sha256 == hashlib.sha256(source).hexdigest()
        assert stated.engine.seed is None or standing[0] != sidecar_in(None, target), "the seed is public"


OwnershipMachine.TestCase.__doc__ = OwnershipMachine.__doc__
_HOW = settings(deadline=None, stateful_step_count=30, suppress_health_check=list(HealthCheck))
OwnershipMachine.TestCase.settings = settings(_HOW, max_examples=25)


@pytest.mark.real_disk
class TestOwnership(OwnershipMachine.TestCase):
    """Some orders of events."""


@pytest.mark.slow
@pytest.mark.real_disk
@pytest.mark.timeout(2400)
class TestOwnershipAtLength(OwnershipMachine.TestCase):
    """Two thousand orders of events."""

    settings = settings(_HOW, max_examples=2000)
