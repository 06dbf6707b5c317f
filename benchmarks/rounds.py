"""How long the daemon's loop is away at most: ``python benchmarks/rounds.py --count 100000``.

A daemon with a real ledger, real intake and real events watches an outbox of many tiny files; its executor takes no
picture, so nothing is shaded. Printed for each phase: the longest single stretch of the main thread, in which nothing
else is answered, the seconds in all, those of the processor, and how many rounds there were. The phases are the first
scan, settling (with everything taken up), a scan when all is known, and a burst of new files.

The files are no pictures, so each is read once, refused and then known. With ``--pictures`` they are real ones, and
wait in the queue. ``--folder /dev/shm`` keeps the disk out of the figures.
"""

from __future__ import annotations

import argparse
import os
import platform
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from shaded import logs
from shaded.clock import SystemClock
from shaded.daemon.assembly import prepare_folders
from shaded.daemon.audience import Nobody
from shaded.daemon.instance import LEDGER_NAME
from shaded.daemon.intake import Intake
from shaded.daemon.loop import Daemon
from shaded.daemon.notify import Notifier
from shaded.daemon.parts import Parts
from shaded.daemon.remembering import root_memory
from shaded.daemon.wake import Wake
from shaded.ledger import Ledger
from shaded.outbox.arrivals import Outbox
from shaded.outbox.observer import NativeObserver
from shaded.scheduling.executor import AnyEvent, AnyTask, Candidate, Pick
from shaded.settings import Folder, Settings, Watching, load_settings

#: Files in one folder; real outboxes have some in each.
PER_FOLDER = 1000
#: A phase that takes longer is given up.
PATIENCE = 1800.0


class Occupied:
    """An executor that is always full."""

    busy = False
    full = True
    next_check = None
    shortage = ""
    courtesy = ""

    def pick(self, _candidates: Sequence[Candidate]) -> Pick | None:
        """Nothing."""
        return None

    def backlog(self, _candidates: Sequence[Candidate]) -> float | None:
        """Nobody knows."""
        return None

    def submit(self, _batch: Sequence[AnyTask]) -> None:
        """Never asked for."""
        raise AssertionError

    def events(self, _timeout: float) -> list[AnyEvent]:
        """Nothing happens."""
        return []

    def close(self, *, now: bool = False) -> None:
        """Nothing to end."""


def picture(number: int) -> bytes:
    """A PNG of one pixel and its own bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = struct.pack(">I", number)[1:]
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + colour))
        + chunk(b"tEXt", b"n\0%d" % number) + chunk(b"IEND", b"")
    )  # fmt: skip


def fill(outbox: Path, first: int, count: int, *, pictures: bool, flat: bool) -> None:
    """Write files of their own content."""
    for number in range(first, first + count):
        folder = outbox if flat else outbox / f"{number // PER_FOLDER:04}"
        if number % PER_FOLDER == 0 or number == first:
            folder.mkdir(exist_ok=True)
        (folder / f"p{number:06}.png").write_bytes(
            picture(number) if pictures else b"no picture %d".ljust(100) % number
        )


class Rounds:
    """The daemon's rounds, timed."""

    def __init__(self, daemon: Daemon, wake: Wake) -> None:
        self.daemon = daemon
        self._wake = wake
        self._longest = 0.0
        self._rounds = 0

    def timed(self, do: Callable[[], object]) -> object:
        """Count one stretch of the main thread."""
        begun = time.perf_counter()
        try:
            return do()
        finally:
            self._longest = max(self._longest, time.perf_counter() - begun)
            self._rounds += 1

    def once(self, name: str, do: Callable[[], object]) -> None:
        """Do one thing beside the rounds, and print its row."""
        busy = time.thread_time()
        self.timed(do)
        busy = time.thread_time() - busy
        print(f"| ({name}) | {self._longest:.3f} | {self._longest:.1f} | {busy:.1f} | |", flush=True)
        self._longest, self._rounds = 0.0, 0

    def phase(self, name: str, done: Callable[[], bool]) -> None:
        """Let the daemon work until something holds; print the row."""
        begun, busy = time.perf_counter(), time.thread_time()
        while True:
            sleep = self.timed(self.daemon.step)
            if done():
                break
            if time.perf_counter() - begun > PATIENCE:
                name = f"{name} (given up)"
                break
            self._wake.wait(min(1.0, 1.0 if not isinstance(sleep, float) else sleep))
        taken = time.perf_counter() - begun
        busy = time.thread_time() - busy
        print(f"| {name} | {self._longest:.3f} | {taken:.1f} | {busy:.1f} | {self._rounds} |", flush=True)
        self._longest, self._rounds = 0.0, 0


def cpu_name() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def assembled(settings: Settings, wake: Wake, ledger: Ledger, clock: SystemClock) -> tuple[Daemon, list[Outbox]]:
    """The daemon and its outboxes."""
    made: list[Outbox] = []

    def outboxes(intake: Intake) -> list[Outbox]:
        made.extend(
            Outbox(
                folder, settings.watching, clock, NativeObserver(folder.outbox, wake.ring),
                partial(intake.already_known, folder.outbox), root_memory(ledger, "outbox", folder.outbox),
            )
            for folder in settings.folder
        )  # fmt: skip
        return made

    parts = Parts(settings, clock, ledger, Occupied(), outboxes, wake, Notifier({}), Nobody())
    return Daemon(parts), made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="Where the temporary folder is made.")
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--flat", action="store_true", help="All files in one folder.")
    options = parser.parse_args()
    logs.configure("error", "console")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        base = Path(name)
        folder = Folder(outbox=base / "out", publish=base / "pub", events="native")
        watching = Watching(quiet_seconds=1.0, rescan_seconds=86_400)
        settings = load_settings(folder=(folder,), state_dir=base / "state", watching=watching)
        clock, wake = SystemClock(), Wake()
        prepare_folders(settings)
        how = {"pictures": options.pictures, "flat": options.flat}
        fill(folder.outbox, 0, options.count, **how)
        ledger = Ledger.open(settings.state_dir / LEDGER_NAME, clock, settings.scheduling)
        daemon, (outbox,) = assembled(settings, wake, ledger, clock)
        rounds = Rounds(daemon, wake)

        def scanned() -> bool:
            status = outbox.status()
            return status["last_scan_age"] is not None and not status.get("scanning", False)

        def taken_up(count: int) -> bool:
            return outbox.unsettled == 0 and len(daemon.intake) == 0 and sum(ledger.counts().values()) >= count

        print(f"{options.count} files, {os.cpu_count()} x {cpu_name()}, Python {platform.python_version()}\n")
        print("| phase | longest stretch (s) | in all (s) | processor (s) | rounds |\n| --- | --- | --- | --- | --- |")
        try:
            rounds.once("start", daemon.start)
            rounds.phase("first scan", scanned)
            rounds.phase("settling and taking up", partial(taken_up, options.count))
            rounds.once("a scan is asked for", outbox.rescan)
            rounds.phase("scan when all is known", scanned)
            fill(folder.outbox, options.count, options.burst, **how)
            rounds.phase(f"burst of {options.burst}", partial(taken_up, options.count + options.burst))
        finally:
            daemon.stop()
            ledger.close()
            wake.close()


if __name__ == "__main__":
    main()
