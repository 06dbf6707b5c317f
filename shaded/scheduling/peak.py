"""The most memory that this process held since it was last asked to count anew, and what happens when none is left."""

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
#: From -1000, never, to 1000, always, added to the share of memory held (proc_pid_oom_score_adj(5)).
_ADJUSTMENT = Path("/proc/self/oom_score_adj")
_EXPENDABLE = 500


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
    with suppress(OSError, ValueError, KeyError):
        return _status()["VmHWM"]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def private_peak_bytes() -> int:
    """The same without pages of files, which processes share and the system drops before memory runs out.

    The system keeps no peak of that, so what files hold now is taken off: hardly anything changes there once the
    libraries are loaded.
    """
    with suppress(OSError, ValueError, KeyError):
        held = _status()
        return held["VmHWM"] - held["RssFile"] - held["RssShmem"]
    return peak_bytes()


def _status() -> dict[str, int]:
    """Sizes of this process in bytes, by their names in proc_pid_status(5)."""
    fields = (line.split(":", 1) for line in _STATUS.read_text().splitlines() if line.endswith(" kB"))
    return {name: int(size.removesuffix("kB")) * 1024 for name, size in fields}


def end_first() -> None:
    """Where memory runs out and Linux ends some process, let it be this one rather than any other of the user's."""
    with suppress(OSError, ValueError):
        _ADJUSTMENT.write_text(str(max(_EXPENDABLE, int(_ADJUSTMENT.read_text()))))
