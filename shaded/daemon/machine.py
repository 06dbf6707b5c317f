"""Telling whether the machine ran out of memory, or went down, since some moment."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


def machine_state(proc: Path = PROC) -> str:
    """This boot's identity and how many processes the kernel ended since, for want of memory.

    Two different answers at two moments mean that the machine went down or ran out of memory in between
    (``boot_id`` of random(4), ``oom_kill`` of /proc/vmstat). Empty where the system does not tell (macOS).
    """
    try:
        boot = (proc / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
        counters = (proc / "vmstat").read_text()
    except OSError:
        return ""
    kills = next((line.split()[1] for line in counters.splitlines() if line.startswith("oom_kill ")), "0")
    return f"{boot} {kills}"
