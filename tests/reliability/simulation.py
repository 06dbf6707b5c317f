"""One day in the life of a daemon, in seconds: a fake clock and engine, real folders and a real ledger, seeded chance.

People save, edit, copy and delete pictures and touch published ones; the worker is slow and dies; the program is killed
between any two steps and inside publishing; the machine sleeps, the date jumps, disks fill up and mend.
"""

from __future__ import annotations

import errno
import hashlib
import random
from collections import Counter

from shaded.publishing import atomic
from shaded.publishing.sidecar import read_sidecar
from shaded.scheduling.messages import Failure, Ready, WorkerDied
from tests.daemon.rig import FakeExecutor, Rig, png

DAY = 86_400.0
FULL = OSError(errno.ENOSPC, "No space left on device")


class Killed(BaseException):
    """The program ends here."""


class PatchyExecutor(FakeExecutor):
    """Is slow, dies now and then, and finds the disk full when it is."""

    def __init__(self, rng):
        super().__init__()
        self._rng = rng
        self.disk_full = False
        self.deaths = 0

    def events(self, timeout):
        if self.held and self._rng.random() < 0.7:
            if self.disk_full:
                self.said += [
                    Failure(job_id=t.job_id, outcome="transient", what="the disk is full", blames_picture=False)
                    for t in self.held
                ]
                self.held = []
            elif self._rng.random() < 0.03:
                self.deaths += 1
                self.said += [Ready(device="fake", seconds=0.1)]
                self.said += [WorkerDied(job_ids=tuple(t.job_id for t in self.held), detail="killed by chance")]
                self.held = []
            else:
                self.work()
        said, self.said = self.said, []
        return said


class Day:
    """A day.

    Args:
        base: An empty folder.
        seed: Decides everything that happens. On odd days the sidecars have a folder of their own.
    """

    def __init__(self, base, seed):
        self.rng = random.Random(seed)
        # That a picture is set aside whose worker dies twice is tried elsewhere; here chance alone ends workers.
        sidecars = base / "private" if seed % 2 else None
        self.rig = Rig(
            base, executor=PatchyExecutor(self.rng), sidecars=sidecars, retry_seconds=30.0, max_deaths=100
        )  # fmt: skip
        self.saved = {}
        self.versions = Counter()
        self.theirs = {}
        self.happened = Counter()
        self._number = 0
        self._mend_at = {}
        self._fatal = 0
        self._real = {name: getattr(atomic, name) for name in ("_copy", "settle", "_write")}
        for name in self._real:
            setattr(atomic, name, self._risky(name))

    def close(self):
        """Give back what was borrowed."""
        for name, real in self._real.items():
            setattr(atomic, name, real)
        self.rig.close()

    def _risky(self, name):
        def call(*arguments):
            if "publish" in self._mend_at:
                raise FULL
            if self._fatal:
                self._fatal -= 1
                if not self._fatal:
                    raise Killed
            return self._real[name](*arguments)

        return call

    # What happens -----------------------------------------------------------------------------------------------

    def arrive(self):
        """A new picture."""
        self._save(f"p{len(self.versions):04}.png")

    def edit(self):
        """A picture is saved again."""
        if self.saved:
            self._save(self.rng.choice(sorted(self.saved)))

    def copy(self):
        """A picture's content lies under another name, too."""
        if self.saved:
            self._save(f"p{len(self.versions):04} copy.png", self.saved[self.rng.choice(sorted(self.saved))])

    def delete(self):
        """A picture is deleted, done or not."""
        if self.saved:
            name = self.rng.choice(sorted(self.saved))
            (self.rig.outbox / name).unlink()
            del self.saved[name]

    def retouch(self):
        """Somebody edits a published file: from now on it is theirs."""
        published = sorted(set(self.rig.publish.glob("*.png")) - set(self.theirs))
        if published:
            path = self.rng.choice(published)
            self._number += 1
            path.write_bytes(b"retouched %d" % self._number)
            self.theirs[path] = path.read_bytes()

    def kill(self):
        """The program ends between two steps."""
        self._restart()

    def kill_inside(self):
        """The program will end in the middle of publishing."""
        self._fatal = self.rng.randint(1, 6)

    def sleep(self):
        """The machine sleeps: the date goes on, the other clock does not; or the date is set back."""
        self.rig.clock.set_date(self.rig.clock.time() + self.rng.choice((-7200, -60, 60, 3600, 5 * 3600)))

    def fill(self):
        """A disk is full for some minutes."""
        which = self.rng.choice(("publish", "staging", "ledger"))
        self._mend_at[which] = self.rig.clock.monotonic() + self.rng.uniform(30, 900)
        self.rig.executor.disk_full = "staging" in self._mend_at
        if which == "ledger":
            connection = self.rig.ledger._connection
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")

    CHANCES = (
        (arrive, 30), (edit, 12), (copy, 6), (delete, 6), (retouch, 3), (kill, 5), (kill_inside, 4), (sleep, 4),
        (fill, 3),
    )  # fmt: skip

    # The day ----------------------------------------------------------------------------------------------------

    def live(self):
        """Let a day pass."""
        acts, weights = zip(*self.CHANCES, strict=True)
        clock = self.rig.clock
        while clock.monotonic() < DAY:
            until = clock.monotonic() + self.rng.expovariate(1 / 180)
            act = self.rng.choices(acts, weights)[0]
            self.happened[act.__name__] += 1
            act(self)
            while clock.monotonic() < until:
                self._step(until)
            if sum(self.happened.values()) % 20 == 0:
                self.look()

    def end(self):
        """Everything mends, nothing happens any more, and the daemon has some hours, with no help of a person."""
        self._fatal = 0
        self._mend(float("inf"))
        until = self.rig.clock.monotonic() + 3 * 7200
        while self.rig.clock.monotonic() < until:
            self._step(until, shortest=20.0)
        self._restart()
        self.rig.settle(20)

    def _step(self, until, shortest=None):
        clock = self.rig.clock
        self._mend(clock.monotonic())
        try:
            sleep = self.rig.daemon.step()
        except Killed:
            self.happened["killed inside"] += 1
            self._restart()
            sleep = 0.0
        slept = max(sleep or 0.0, shortest or self.rng.choice((0.5, 4.0, 40.0, 90.0)))
        clock.advance(min(slept, max(0.01, until - clock.monotonic()), 90.0))

    def _mend(self, now):
        for which in [name for name, at in self._mend_at.items() if at <= now]:
            del self._mend_at[which]
            if which == "ledger":
                self.rig.ledger._connection.execute("PRAGMA max_page_count = 1073741823")
        self.rig.executor.disk_full = "staging" in self._mend_at

    def _restart(self):
        self._fatal = 0
        self._mend_at.pop("ledger", None)  # a new connection has room
        self.rig.executor.held, self.rig.executor.said = [], []
        self.rig.restart()

    def _save(self, name, data=None):
        self._number += 1
        data = png(self._number % 65_000, size=8 + self._number % 3) if data is None else data
        self.rig.put(name, data)
        self.saved[name] = data
        self.versions[name] += 1

    # What must hold ---------------------------------------------------------------------------------------------

    def look(self):
        """At any time: originals and other people's files are untouched, and a picture that is there is complete."""
        for name, data in self.saved.items():
            assert (self.rig.outbox / name).read_bytes() == data, name
        for path, data in self.theirs.items():
            assert path.read_bytes() == data, path
        for path in self.rig.publish.glob("*.png"):
            if path not in self.theirs:
                # While a newer version takes an older one's place, the sidecar is there first.
                assert read_sidecar(self.rig.sidecar(path)).published.name == path.name
                assert self.rig.ledger.is_own_output(hashlib.sha256(path.read_bytes()).hexdigest()), path

    def look_at_the_end(self):
        """Every picture that still lies in the outbox is published, once a version, and nothing is left over."""
        self.look()
        counts = self.rig.ledger.counts()
        assert {state for state, count in counts.items() if count} <= {"published"}, counts
        for name, data in self.saved.items():
            (record,) = self.rig.ledger.find(self.rig.outbox / name)
            target = record.placement.published
            assert target is not None, name
            if target not in self.theirs:
                published = target.read_bytes()
                assert published == data + b"shaded", name
                assert read_sidecar(self.rig.sidecar(target)).published.sha256 == hashlib.sha256(published).hexdigest()
            story = [what for _, what in self.rig.ledger.story(self.rig.outbox / name)]
            assert story.count("It was published.") <= self.versions[name], (name, story)
        assert not [*self.rig.base.rglob("*.tmp")]
        assert [*self.rig.settings.staging_dir.iterdir()] == []
        renders = Counter(task.sha256 for task in self.rig.executor.submitted)
        again = sum(renders.values()) - len(renders)
        excuses = sum(self.happened[what] for what in ("kill", "killed inside", "fill")) + self.rig.executor.deaths
        assert again <= excuses + self._gone() + self.happened["delete"], (again, self.happened)
        return sum(renders.values()), len(renders)

    def _gone(self):
        """How often a finished result had to be made again: its file was edited, or lost with a kill."""
        rows = self.rig.ledger._connection.execute(
            "SELECT COUNT(*) FROM events WHERE what LIKE 'The finished result was gone%' OR what LIKE '%disk is full%'"
        ).fetchall()
        return rows[0][0]
