"""Whether the daemon keeps to little memory: it shades a folder inside control groups that hold it to a few gigabytes.

    python benchmarks/memory_limits.py PICTURES [--limits 1 2 4 8] [--count 8] [--sides 512 6000] [--canvas 1048576]
        [--quality fast] [--believe 0.1] [--patience 300] [--json rows.json]

A control group is the system's own word: what goes over it is ended by the kernel, whatever the daemon believes. Each
limit has a daemon, a ledger and a queue of its own; the pictures are made from those of PICTURES, in several sizes.
Needs Linux and the right to make control groups (root, or a delegated group). Swap is not used. Pages of files count as
used here until the kernel drops them, so that the peak may come up to the limit with nothing wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from scheduler import make_queue

from shaded.scheduling.room import PATIENCE_SECONDS

_SECOND = Path("/sys/fs/cgroup")
_FIRST = _SECOND / "memory"
NAME = "shaded-memory-limits"
SETTINGS = """
state_dir = "{base}/state"

[[folder]]
outbox = "{outbox}"
publish = "{base}/published"
profile = "limited"

[profile.limited]
quality = "{quality}"

[shading]
canvas_pixels = {canvas}
device = "cpu"

[logging]
level = "debug"
format = "json"
"""
#: The daemon, with a memory model that starts from so much of what is right, and another patience.
BELIEVING = """
from shaded.cli import main
from shaded.scheduling import room
from shaded.scheduling.memory import MemoryModel
MemoryModel.START = tuple({share} * number for number in MemoryModel.START)
room.PATIENCE_SECONDS = {patience}
main()
"""
#: A daemon that has done nothing for so long hangs.
_LONGEST = 3600.0


@dataclass(frozen=True)
class Row:
    """What came of one limit; bytes, seconds."""

    limit: int
    pictures: int
    published: int
    smaller_canvases: int
    kernel_ended: int
    reached: int
    peaks: list[int]
    seconds: float


class ControlGroup:
    """A control group of either version with a limit, for one process and its children."""

    def __init__(self, limit: int) -> None:
        second = (_SECOND / "cgroup.controllers").exists()
        base = _SECOND if second else _FIRST
        self.path = base / f"{NAME}-{os.getpid()}"
        self.path.mkdir()
        self._ended = "memory.events" if second else "memory.oom_control"
        self._peak = "memory.peak" if second else "memory.max_usage_in_bytes"
        (self.path / ("memory.max" if second else "memory.limit_in_bytes")).write_text(str(limit))
        swap, none = ("memory.swap.max", "0") if second else ("memory.swappiness", "0")
        (self.path / swap).write_text(none)

    def command(self, *words: str) -> list[str]:
        """A command line that runs inside."""
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs; exec "$@"', "sh", *words]

    @property
    def kernel_ended(self) -> int:
        """How many processes were ended because memory ran out."""
        found = re.search(r"^oom_kill (\d+)$", (self.path / self._ended).read_text(), re.MULTILINE)
        return int(found[1]) if found else 0

    @property
    def reached(self) -> int:
        """The most that was in use, pages of files included."""
        return int((self.path / self._peak).read_text())

    def close(self) -> None:
        """Remove it, with whatever is still inside after a daemon that was ended."""
        while left := (self.path / "cgroup.procs").read_text().split():
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            time.sleep(0.1)
        self.path.rmdir()


def shade_within(limit: int, outbox: Path, options: argparse.Namespace) -> Row:
    """Let a daemon shade a folder inside a control group."""
    base = outbox.parent / f"{limit}"
    base.mkdir()
    group = ControlGroup(limit)
    (base / "config.toml").write_text(
        SETTINGS.format(base=base, outbox=outbox, canvas=options.canvas, quality=options.quality)
    )
    program = BELIEVING.format(share=options.believe, patience=options.patience)
    words = ("-c", program, "run", "--once", "--config", str(base / "config.toml"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHADED_")}
    begun = time.monotonic()
    try:
        with (base / "log").open("wb") as log:
            subprocess.run(
                group.command(sys.executable, *words), env=environment, stdout=log, stderr=log, check=False,
                timeout=_LONGEST,
            )  # fmt: skip
        seconds = time.monotonic() - begun
        sidecars = [json.loads(path.read_text()) for path in (base / "published").rglob("*.shaded.json")]
        return Row(
            limit=limit,
            pictures=len(list(outbox.glob("*.jpg"))),
            published=len(sidecars),
            smaller_canvases=sum(one["engine"]["canvas_pixels"] < options.canvas for one in sidecars),
            kernel_ended=group.kernel_ended,
            reached=group.reached,
            peaks=sorted(one["engine"]["peak_memory_bytes"] for one in sidecars),
            seconds=round(seconds, 1),
        )
    finally:
        group.close()


def main() -> None:
    """Shade within each limit and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--limits", type=float, nargs="+", default=[1, 2, 4, 8], help="in GB")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--sides", type=int, nargs=2, default=(512, 6000), help="the longer side, in pixels")
    parser.add_argument("--canvas", type=int, default=1_048_576, help="pixels of the canvas, where there is memory")
    parser.add_argument("--quality", choices=("fast", "balanced", "thorough"), default="fast")
    parser.add_argument("--believe", type=float, default=1.0, help="the model starts from so much of what is right")
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, help="seconds before a smaller canvas")
    parser.add_argument("--keep", type=Path, help="a new folder for logs and pictures; otherwise they are removed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir()
    rows = []
    with tempfile.TemporaryDirectory() if not options.keep else nullcontext(options.keep) as name:
        outbox = Path(name) / "outbox"
        outbox.mkdir()
        make_queue(options.pictures, outbox, options.count, options.sides)
        for gigabytes in options.limits:
            row = shade_within(round(gigabytes * 1e9), outbox, options)
            rows.append(row)
            print(
                f"{gigabytes:g} GB: {row.published} of {row.pictures} published in {row.seconds:.0f} s, "
                f"{row.smaller_canvases} on a smaller canvas; the kernel ended {row.kernel_ended}; "
                f"a worker held at most {max(row.peaks, default=0) / 1e9:.2f} GB",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
