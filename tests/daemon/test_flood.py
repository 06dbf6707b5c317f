"""Many pictures at once, with more events than the queue holds: each is published, none is shaded twice."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from shaded.clock import SystemClock
from shaded.daemon.assembly import prepare_folders
from shaded.daemon.instance import LEDGER_NAME
from shaded.daemon.loop import Daemon, Parts
from shaded.daemon.notify import Notifier
from shaded.daemon.remembering import root_memory
from shaded.daemon.wake import Wake
from shaded.ledger import Ledger
from shaded.outbox.arrivals import Outbox
from shaded.outbox.observer import Drained, NativeObserver
from shaded.settings import Folder, Watching, load_settings
from tests.daemon.rig import FakeExecutor, Listening, png

pytestmark = [pytest.mark.real_disk]

#: How many paths the queue of events holds here.
QUEUE = 100


class CountingObserver(NativeObserver):
    """A real observer that remembers how often its queue overflowed."""

    overflows = 0

    def drain(self) -> Drained:
        """Take what was queued."""
        drained = super().drain()
        self.overflows += drained.overflowed
        return drained

    def wait_for_overflow(self) -> None:
        """Let the watching thread catch up."""
        end = time.monotonic() + 30
        while not self._inbox._overflowed and time.monotonic() < end:
            time.sleep(0.01)


class TimedListening(Listening):
    """An audience that remembers when."""

    def __init__(self):
        super().__init__()
        self.at: dict[str, float] = {}

    def finished(self, finished):
        super().finished(finished)
        self.at[finished.path.name] = time.time()


@pytest.fixture
def base(tmp_path):
    """A folder in memory where there is one: how fast a disk flushes is not what is measured."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else tmp_path) as made:
        yield Path(made)


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(250, id="250"),
        pytest.param(10_000, id="10000", marks=[pytest.mark.slow, pytest.mark.timeout(1500)]),
    ],
)
def test_a_flood_of_pictures_is_published_once(base, count):
    """After the queue overflowed a scan finds the rest; latencies and the peak of memory are printed."""
    folder = Folder(outbox=base / "out", publish=base / "pub")
    watching = Watching(quiet_seconds=0.5, longest_wait_seconds=600, rescan_seconds=3600)
    settings = load_settings(folder=(folder,), state_dir=base / "state", watching=watching)
    clock, audience, executor, wake = SystemClock(), TimedListening(), FakeExecutor(), Wake()
    prepare_folders(settings)
    observer = CountingObserver(folder.outbox, wake.ring, limit=QUEUE)
    ledger = Ledger.open(settings.state_dir / LEDGER_NAME, clock, settings.scheduling)

    def outboxes(intake):
        known = partial(intake.already_known, folder.outbox)
        return [Outbox(folder, watching, clock, observer, known, root_memory(ledger, "outbox", folder.outbox))]

    daemon = Daemon(Parts(settings, clock, ledger, executor, outboxes, wake, Notifier({}), audience))
    daemon.start()
    memory_before = _peak_mib()
    dropped = {}
    for number in range(count):
        path = folder.outbox / f"p{number:05}.png"
        path.write_bytes(png(number))
        dropped[path.name] = time.time()
    observer.wait_for_overflow()
    began = time.monotonic()
    while len(audience.at) < count:
        assert time.monotonic() - began < 1400, ledger.counts()
        pause = daemon.step()
        executor.work()
        wake.wait(0.0 if executor.said else pause)
    seconds = time.monotonic() - began
    shaded = Counter(task.name for task in executor.submitted)
    admitted = {p.relative.name: p.seen_at for p in _placements(ledger, folder.outbox, dropped)}
    daemon.stop()
    wake.close()
    assert observer.overflows > 0
    assert shaded == dict.fromkeys(dropped, 1)
    assert Counter(outcome for _, outcome, _ in audience.heard) == {"published": count}
    assert ledger.counts()["published"] == count
    ledger.close()
    published = {name for name in os.listdir(folder.publish) if name.endswith(".png")}  # noqa: PTH208 - names only
    assert published == set(dropped)
    queued = sorted(admitted[name] - dropped[name] for name in dropped)
    done = sorted(audience.at[name] - dropped[name] for name in dropped)
    print(  # noqa: T201 - the figures are what this is for
        f"\n{count} pictures: {observer.overflows} overflows of a queue of {QUEUE}; all done after {seconds:.0f} s; "
        f"admitted after {queued[count // 2]:.1f} s (median), {queued[-1]:.1f} s (last); "
        f"published after {done[count // 2]:.1f} s (median), {done[-1]:.1f} s (last); "
        f"peak memory {_peak_mib():.0f} MiB, {_peak_mib() - memory_before:.0f} MiB more than before"
    )


def _placements(ledger: Ledger, outbox: Path, names):
    return [ledger.find(outbox / name)[-1].placement for name in names]


def _peak_mib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
