"""A watched folder on a real disk, under a fake clock, with the real tracker, intake and ledger; nothing is shaded."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePath

from PIL import Image

from shaded.clock import FakeClock
from shaded.daemon.audience import Nobody
from shaded.daemon.intake import Intake
from shaded.ledger import Ledger
from shaded.outbox.arrivals import Arrival, Outbox
from shaded.outbox.mounts import Mount
from shaded.outbox.observer import FakeObserver
from shaded.outbox.roots import ShortMemory
from shaded.settings import Folder, Watching, load_settings

DISK = Mount(PurePath("/"), "ext4", "/dev/sda")
WATCHING = Watching(quiet_seconds=3, longest_wait_seconds=60, rescan_seconds=300, poll_seconds=10)


def png(number: int = 0, size: int = 24) -> bytes:
    """A real picture of a few hundred bytes; another number gives another one."""
    stream = io.BytesIO()
    noise = hashlib.shake_128(str(number).encode()).digest(3 * size * size)
    Image.frombytes("RGB", (size, size), noise).save(stream, "PNG")
    return stream.getvalue()


class Desk:
    """What programs do to the files, and what the daemon makes of it.

    Args:
        base: A folder of its own.
        events: Whether the daemon hears of changes, or has to find them: ``folder.events``.
        mounts: The table of mounts at first.
        on_arrival: Told of each arrival before it is taken up.
    """

    def __init__(
        self,
        base: Path,
        *,
        events="native",
        mounts: Sequence[Mount] = (DISK,),
        on_arrival: Callable[[Arrival], None] = lambda _: None,
    ) -> None:
        self.root = base / "outbox"
        self.root.mkdir(parents=True)
        folder = Folder(outbox=self.root, publish=base / "published", events=events)
        settings = load_settings(folder=(folder,), state_dir=base / "state", watching=WATCHING)
        self.clock = FakeClock()
        self.observer = FakeObserver()
        self.mounts = list(mounts)
        self.ledger = Ledger.open(":memory:", self.clock, settings.scheduling)
        self.intake = Intake(self.ledger, settings, Nobody(), clock=self.clock)
        self.outbox = Outbox(
            folder,
            WATCHING,
            self.clock,
            self.observer,
            partial(self.intake.already_known, self.root),
            memory=ShortMemory(),
            table=lambda: self.mounts,
        )
        self.on_arrival = on_arrival
        self.shaded: Counter[str] = Counter()
        self.arrived: list[str] = []
        self.outbox.start()

    # What programs do ------------------------------------------------------------------------------------------

    def _touch(self, path: Path) -> None:
        """Date a change by the fake clock: the real one hardly moves during a test."""
        now = int(self.clock.time() * 1e9)
        os.utime(path, ns=(now, now))
        self.hear(path)

    def hear(self, path: Path) -> None:
        """An event, where there are any."""
        if self.observer.running:
            self.observer.see(path)

    def write(self, name: str, data: bytes, *, append: bool = False) -> None:
        """Make a file, or write into the one that is there, keeping its inode."""
        path = self.root / name
        with path.open("ab" if append else "wb") as stream:
            stream.write(data)
        self._touch(path)

    def patch(self, name: str, at: int, data: bytes) -> None:
        """Overwrite some bytes in the middle."""
        with (self.root / name).open("r+b") as stream:
            stream.seek(at)
            stream.write(data)
        self._touch(self.root / name)

    def preallocate(self, name: str, size: int) -> None:
        """Give a file its final size before its content."""
        with (self.root / name).open("wb") as stream:
            stream.truncate(size)
        self._touch(self.root / name)

    def rename(self, old: str, new: str) -> None:
        """Move over whatever is there; the date of the content is kept."""
        (self.root / old).replace(self.root / new)
        self.hear(self.root / new)

    def delete(self, name: str) -> None:
        """Remove a file."""
        (self.root / name).unlink()
        self.hear(self.root / name)

    def folder(self, name: str) -> None:
        """Make a folder."""
        (self.root / name).mkdir()
        self.hear(self.root / name)

    # What the daemon does --------------------------------------------------------------------------------------

    def live(self, seconds: float) -> list[str]:
        """Let time pass from deadline to deadline; the names that were admitted for shading."""
        end = self.clock.monotonic() + seconds
        before = len(self.arrived)
        while True:
            self._work()
            if self.clock.monotonic() >= end:
                return self.arrived[before:]
            deadlines = [self.outbox.next_deadline(), self.intake.next_deadline or end]
            pause = min(max(min(deadlines), self.clock.monotonic() + 0.001), end)
            self.clock.advance(pause - self.clock.monotonic())

    def _work(self) -> None:
        arrivals = self.outbox.poll()
        for arrival in arrivals:
            self.on_arrival(arrival)
            self.arrived.append(str(arrival.relative))
        self.intake.add(arrivals)
        self.intake.work(60)
        while len(self.intake):
            self.intake.work(60)
        for claim in self.ledger.claim(100):
            self.shaded[claim.job.sha256] += 1
            done = Path("/staging", claim.job.id)
            output = hashlib.sha256(claim.job.id.encode()).hexdigest()
            self.ledger.rendered(claim.job.id, done.with_suffix(".png"), done.with_suffix(".json"), output, 5, {})
        for job, placement in self.ledger.pending_publications():
            self.ledger.published(placement.id, Path("/published") / placement.relative, job.output_sha256 or "")

    def states(self) -> dict[str, int]:
        """How many jobs are in each state that has any."""
        return {state: count for state, count in self.ledger.counts().items() if count}


def sha256(data: bytes) -> str:
    """What the ledger knows a content by."""
    return hashlib.sha256(data).hexdigest()
