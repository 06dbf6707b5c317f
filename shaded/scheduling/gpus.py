"""What NVIDIA's driver says of the machine's GPUs: memory that is free, and who computes there.

Asked with ``nvidia-smi``, which comes with the driver, so that the daemon needs no PyTorch for it. Where there is no
such program nothing is known, and a GPU's memory running out is only noticed when it happens.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_PROGRAM = "nvidia-smi"
_MEMORY = ("--query-gpu=uuid,memory.free,memory.total", "--format=csv,noheader,nounits")
_USERS = ("--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits")
#: A driver that hangs must not hold the daemon up for long.
_SECONDS = 5.0
_MEBIBYTE = 1 << 20
#: What a process holds of a GPU before it has computed anything: its context, with the kernels that are loaded into it.
#: Such as is told of recent GPUs and drivers; not measured here.
CONTEXT_BYTES = 600 * _MEBIBYTE


@dataclass(frozen=True)
class Gpu:
    """One GPU: its memory in bytes, and the processes that compute there with what each holds; 0: it is not told."""

    free: int
    total: int
    users: Mapping[int, int] = field(default_factory=dict)


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
    memory = _rows(ask(_MEMORY))
    users = _rows(ask(_USERS)) if memory else []
    return {
        name: Gpu(
            free * _MEBIBYTE,
            total * _MEBIBYTE,
            {pid: (held or 0) * _MEBIBYTE for where, pid, held in users if where == name and pid is not None},
        )
        for name, free, total in memory
        if free is not None and total is not None
    }


def _rows(text: str) -> list[tuple[str, int | None, int | None]]:
    """The rows of a table of a name and two numbers; ``None`` for one that is not told ("[N/A]")."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return [(row[0], _number(row[1]), _number(row[2])) for row in rows if len(row) == 3]


def _number(cell: str) -> int | None:
    return int(cell) if cell.isdecimal() else None


#: Tells of every GPU; tests put their own in.
Gpus = Callable[[], Mapping[str, Gpu]]
