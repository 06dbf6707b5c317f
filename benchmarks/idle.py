"""What the idle daemon costs, and how fast ``shaded status`` answers: ``python benchmarks/idle.py``.

A daemon on an empty outbox is left alone for a while. Printed: its resident memory, its share of one core, and the
seconds that ``shaded status --json`` takes as a whole process, beside ``python -c pass`` as the baseline.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def seconds(command: list[str], environment: dict[str, str], runs: int = 5) -> float:
    """The median wall time of a whole process."""
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = os.environ | {
            "SHADED_STATE_DIR": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        command = [
            sys.executable,
            "-m",
            "shaded",
            "run",
            "--outbox",
            str(folder / "in"),
            "--publish",
            str(folder / "out"),
        ]
        daemon = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            time.sleep(5)
            before, begun = cpu_seconds(daemon.pid), time.perf_counter()
            time.sleep(options.seconds)
            share = (cpu_seconds(daemon.pid) - before) / (time.perf_counter() - begun)
            print(f"idle daemon: {resident_bytes(daemon.pid) / 1e6:.1f} MB resident, {share:.3%} of a core")
            status = seconds([sys.executable, "-m", "shaded", "status", "--json"], environment)
            bare = seconds([sys.executable, "-c", "pass"], environment)
            print(f"shaded status: {status:.2f} s; python -c pass: {bare:.2f} s; ratio {status / bare:.1f}")
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(30)


if __name__ == "__main__":
    main()
