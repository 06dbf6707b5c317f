"""Whatever programs, events, observers and disks do, in any order: what rests is a job, once, and nothing else is."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePath

from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import booleans, floats, sampled_from

from shaded.outbox.hearing import LONGEST_BACK_OFF
from shaded.outbox.mounts import Mount
from tests.outbox.saving import DISK, WATCHING, Desk, png, sha256

NAMES = sampled_from(["a.png", "b.png", "c.png"])
ANY_NAME = sampled_from(["a.png", "b.png", "c.png", "a.png.tmp", ".goutputstream-1"])
#: Enough for everything: the longest pause of a failed observer, a scan, a quiet period.
LONG = WATCHING.rescan_seconds + LONGEST_BACK_OFF + 2 * WATCHING.quiet_seconds + 10
#: Each picture's parts are broken pictures: none is a picture by itself.
WHOLE = [png(number) for number in range(60)]


#: 5.0014 + 3 - 5.0014 is a little less than 3 in floating point; in seconds.
ROUNDING = 1e-6


class SavingMachine(RuleBasedStateMachine):
    """Writes, partial writes, renames, deletions, lost events, dead watchers, unmounted disks, scans and waits."""

    @initialize(events=sampled_from(["native", "polling", "auto"]))
    def begin(self, events):
        self.base = tempfile.TemporaryDirectory()
        self.share = Mount(PurePath(self.base.name, "outbox"), "xfs", "/dev/sdb")
        mounts = (DISK, self.share)
        self.desk = Desk(Path(self.base.name), events=events, mounts=mounts, on_arrival=self.check_arrival)
        self.away = None
        self.files: dict[str, bytes] = {}
        self.changed_at: dict[str, float] = {}
        self.seen: dict[str, bytes] = {}
        self.next = 0
        self.hear = self.desk.hear

    def check_arrival(self, arrival):
        name, now = str(arrival.relative), self.desk.clock.monotonic()
        rested = now - self.changed_at[name]
        assert rested >= WATCHING.quiet_seconds - ROUNDING, f"{name} was taken before it had rested"
        assert arrival.path.read_bytes() == self.files[name]
        assert self.seen.get(name) != self.files[name], f"{name} arrived twice with the same content"
        self.seen[name] = self.files[name]

    def listening(self, heard):
        self.desk.hear = self.hear if heard else lambda _path: None

    def now_is(self, name, data):
        if data is None:
            self.files.pop(name, None)
            self.seen.pop(name, None)
        else:
            self.files[name] = data
        self.changed_at[name] = self.desk.clock.monotonic()

    def here(self):
        return self.away is None

    def fresh(self):
        self.next += 1
        return WHOLE[self.next % len(WHOLE)] + str(self.next).encode()  # what follows a PNG's end is no part of it

    @precondition(here)
    @rule(name=ANY_NAME, heard=booleans())
    def save(self, name, heard):
        self.listening(heard)
        data = self.fresh()
        self.desk.write(name, data)
        self.now_is(name, data)

    @precondition(here)
    @rule(name=ANY_NAME, heard=booleans(), share=sampled_from([0.0, 0.3, 0.9]))
    def save_a_part(self, name, heard, share):
        self.listening(heard)
        data = self.fresh()
        data = data[: int(share * len(data))]
        self.desk.write(name, data)
        self.now_is(name, data)

    @precondition(here)
    @rule(name=NAMES, heard=booleans())
    def write_slowly(self, name, heard):
        self.listening(heard)
        data = self.fresh()
        for part in range(4):
            self.desk.write(name, data[: len(data) * (part + 1) // 4])
            self.now_is(name, data[: len(data) * (part + 1) // 4])
            assert name not in self.desk.live(2.5)

    @precondition(here)
    @rule(old=ANY_NAME, new=ANY_NAME, heard=booleans())
    def rename(self, old, new, heard):
        if old in self.files and old != new:
            self.listening(heard)
            self.desk.rename(old, new)
            self.now_is(new, self.files[old])
            self.seen.pop(new, None)
            self.now_is(old, None)

    @precondition(here)
    @rule(name=ANY_NAME, heard=booleans())
    def delete(self, name, heard):
        if name in self.files:
            self.listening(heard)
            self.desk.delete(name)
            self.now_is(name, None)

    @rule(name=NAMES)
    def hear_of_nothing(self, name):
        self.desk.observer.see(self.desk.root / name)

    @rule()
    def overflow(self):
        self.desk.observer.overflow()

    @rule()
    def the_watcher_dies(self):
        self.desk.observer.broken = True

    @rule(refused=booleans())
    def limits_are_used_up_or_raised(self, refused):
        self.desk.observer.refuse = OSError(28, "too many folders are watched") if refused else None

    @precondition(here)
    @rule()
    def unmount(self):
        self.away = self.desk.root.with_name("away")
        self.desk.root.rename(self.away)
        self.desk.root.mkdir()
        self.desk.mounts[:] = [DISK]

    @precondition(lambda self: not self.here())
    @rule()
    def mount(self):
        self.desk.root.rmdir()  # fails if anything was written into the empty mount point
        self.away.rename(self.desk.root)
        self.away = None
        self.desk.mounts[:] = [DISK, self.share]
        for name in self.files:
            self.changed_at[name] = -WATCHING.quiet_seconds

    @rule()
    def scan(self):
        self.desk.outbox.rescan()

    @rule(seconds=floats(0.05, 8.0))
    def wait(self, seconds):
        self.desk.live(seconds)

    @precondition(here)
    @rule()
    def wait_long(self):
        self.desk.live(LONG)
        wanted = {name: data for name, data in self.files.items() if name in {"a.png", "b.png", "c.png"} and data}
        assert {name: self.seen.get(name) for name in wanted} == wanted, "what rests was not taken"
        for name, data in wanted.items():
            whole = data.find(b"IEND") > 0
            assert self.desk.shaded[sha256(data)] == whole, f"{name} is shaded once if it is whole, and else never"
        assert self.desk.outbox.unsettled == 0

    @invariant()
    def nothing_is_shaded_twice(self):
        if hasattr(self, "desk"):
            assert all(count == 1 for count in self.desk.shaded.values())

    def teardown(self):
        if hasattr(self, "desk"):
            if self.here():
                self.wait_long()
            self.desk.ledger.close()
            self.base.cleanup()


SavingMachine.TestCase.__doc__ = SavingMachine.__doc__
SavingMachine.TestCase.settings = hypothesis_settings(max_examples=20, stateful_step_count=30, deadline=None)
TestSaving = SavingMachine.TestCase
