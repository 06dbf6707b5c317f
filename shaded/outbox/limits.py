"""The system's limits on watching folders, in words that say what to do."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

#: What to raise a limit to at least: watches cost about a kilobyte each, and only when used.
WATCHES = 524_288
INSTANCES = 512
#: From this share of the process's descriptors on they are what ran out.
_FULL = 0.95


def read_limit(name: str) -> int | None:
    """The value of ``fs.inotify.NAME``; ``None`` where there is none."""
    try:
        return int(Path("/proc/sys/fs/inotify", name).read_text())
    except (OSError, ValueError):
        return None


def _descriptors_full() -> int | None:
    """The limit on this process's descriptors, where it is as good as reached."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        used = len(os.listdir("/dev/fd"))  # noqa: PTH208 - names only
    except OSError:
        return None
    return soft if used >= soft * _FULL else None


def explained(
    error: OSError,
    root: Path,
    limit: Callable[[str], int | None] = read_limit,
    descriptors_full: Callable[[], int | None] = _descriptors_full,
) -> OSError:
    """The same error with a sentence that names the limit, its value, the one to set, and the command for it."""
    if error.errno == errno.ENOSPC:
        advice = _raise("too many folders are watched", "max_user_watches", limit("max_user_watches"), WATCHES)
    elif error.errno == errno.EMFILE and (full := descriptors_full()) is not None:
        advice = f"this process may open no more than {full} files: raise the limit with `ulimit -n {4 * full}`"
    elif error.errno == errno.EMFILE:
        advice = _raise("too many programs watch folders", "max_user_instances", limit("max_user_instances"), INSTANCES)
    else:
        advice = error.strerror or str(error)
    return OSError(error.errno or 0, advice, os.fspath(root))


def _raise(what: str, name: str, now: int | None, least: int) -> str:
    wanted = least if now is None else max(least, 2 * now)
    value = "" if now is None else f" ({now} now)"
    return (
        f"{what}: raise the system's limit fs.inotify.{name}{value} with `sudo sysctl fs.inotify.{name}={wanted}`, "
        f"and keep it with that line in /etc/sysctl.d/"
    )
