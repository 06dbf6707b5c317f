"""Telling whether the machine ran out of memory, or went down, since some moment."""

from __future__ import annotations

from pathlib import Path

from shaded.scheduling.available import kernel_kills

PROC = Path("/proc")


def machine_state(proc: Path = PROC) -> str:
    """This boot's identity and how many processes the kernel ended since, for want of memory.

    Two different answers at two moments mean that the machine went down or ran out of memory in between
    (``boot_id`` of random(4), ``oom_kill`` of /proc/vmstat). Empty where the system does not tell (macOS).
    """
    try:
        boot = (proc / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return ""
    return f"{boot} {kernel_kills(proc / 'vmstat')}"
