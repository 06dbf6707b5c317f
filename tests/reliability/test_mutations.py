"""Damaged and hostile files, the whole way from the outbox to the publish folder: published correctly, or refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.reliability.crafted import CRAFTED

WORKER = Path(__file__).with_name("mutation_worker.py")
#: What one file may take beyond the libraries; pictures here have at most two million pixels.
MOST_BYTES = 512 << 20


def ordeal(folder, what):
    """How each file ended; one that ended its process is named with the way in which."""
    left, ends = list(what), {}
    while left:
        done = subprocess.run(
            [sys.executable, str(WORKER), str(folder), str(MOST_BYTES), *left],
            capture_output=True, text=True, check=False, timeout=3000,
        )  # fmt: skip
        begun = {}
        for line in done.stdout.splitlines():
            told = json.loads(line)
            if "begin" in told:
                begun = told
            else:
                ends[told["end"]] = {**told, "label": begun["label"]}
                left.remove(told["end"])
        if left:
            assert begun.get("begin") == left[0], done.stderr[-2000:]
            how = f"WRONG: its process ended with {done.returncode}: {done.stderr[-500:]}"
            ends[left[0]] = {"how": how, "label": begun["label"], "seconds": 0.0, "cpu": 0.0, "peak_kb": 0}
            left.pop(0)
    return ends


def judge(ends):
    """Fail with every file that was neither published correctly nor refused with a reason."""
    wrong = {f"{what} ({end['label']})": end["how"] for what, end in ends.items() if end["how"].startswith("WRONG")}
    kinds = Counter(end["how"].split(":")[0] for end in ends.values())
    slowest = max(end["cpu"] for end in ends.values())
    sys.stdout.write(
        f"{len(ends)} files: {dict(kinds)}; the slowest took {slowest:.1f} s of computing, "
        f"the peak was {max(end['peak_kb'] for end in ends.values()) / 1024:.0f} MiB\n"
    )
    assert not wrong, "\n".join(f"{what}: {how}" for what, how in wrong.items())
    return kinds


@pytest.mark.timeout(300)
def test_sixty_mutated_files(tmp_path):
    """Sixty damaged files of every format: each is published correctly or refused with a reason."""
    kinds = judge(ordeal(tmp_path, [str(number) for number in range(60)]))
    assert kinds["published"] >= 5
    assert kinds["refused"] >= 5


@pytest.mark.timeout(600)
def test_files_that_were_made_to_hurt(tmp_path):
    """Bombs, loops, entity expansions and files that contradict themselves cost neither the process nor the memory."""
    judge(ordeal(tmp_path, list(CRAFTED)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_thousand_mutated_files(tmp_path):
    """The same with two thousand."""
    judge(ordeal(tmp_path, [str(number) for number in range(1000, 3000)]))
