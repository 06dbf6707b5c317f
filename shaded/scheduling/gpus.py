"""What NVIDIA's driver says of the machine's GPUs: memory that is free, and who computes there.

Asked with ``nvidia-smi``, which comes with the driver, so that the daemon needs no PyTorch for it. Where there is no
such program nothing is known, and a GPU's memory running out is only noticed when it happens.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_PROGRAM = "nvidia-smi"
_MEMORY = ("--query-gpu=uuid,memory.free,memory.total", "--format=csv,noheader,nounits")
_USERS = ("--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader,nounits")
#: A driver that hangs must not hold the daemon up for long.
_SECONDS = 5.0
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Gpu:
    """One GPU: its memory in bytes, and the processes that compute there."""

    free: int
    total: int
    users: frozenset[int] = frozenset()


def ask_driver(options: Sequence[str]) -> str:
    """What the driver's program prints; empty where there is none, or it fails."""
    try:
        done = subprocess.run(
            [_PROGRAM, *options], capture_output=True, text=True, timeout=_SECONDS, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def read_gpus(ask: Callable[[Sequence[str]], str] = ask_driver) -> Mapping[str, Gpu]:
    """Every GPU by its name; empty where the driver tells nothing."""
    memory = {row[0]: row[1:] for row in _rows(ask(_MEMORY), 3)}
    if not memory:
        return {}
    users = _rows(ask(_USERS), 2)
    return {
        name: Gpu(
            int(free) * _MEBIBYTE, int(total) * _MEBIBYTE, frozenset(int(pid) for where, pid in users if where == name)
        )
        for name, (free, total) in memory.items()
    }


def _rows(text: str, columns: int) -> list[list[str]]:
    """The rows of a table whose columns after the first are numbers; others ("[N/A]") say nothing."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return [row for row in rows if len(row) == columns and all(cell.isdecimal() for cell in row[1:])]


#: Tells of every GPU; tests put their own in.
Gpus = Callable[[], Mapping[str, Gpu]]
