"""The most memory that this process held since it was last asked to count anew."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
#: Sets the peak of the resident size to the present one (proc_pid_clear_refs(5)).
_RESET_PEAK = "5"


def give_back() -> None:
    """Give memory that is not used back to the system; where the C library cannot do so on demand, nothing happens."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def begin_counting() -> None:
    """Count the peak anew, where the system can."""
    give_back()
    with suppress(OSError):
        _CLEAR.write_text(_RESET_PEAK)


def peak_bytes() -> int:
    """The most that this process held at once since :func:`begin_counting`; elsewhere than on Linux, since it began."""
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
