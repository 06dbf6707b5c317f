from __future__ import annotations

import errno
from pathlib import Path

from shaded.outbox.limits import explained, read_limit

ROOT = Path("/o")


def told(number: int, *, limit: int | None = 8192, full: int | None = None) -> str:
    return explained(OSError(number, "the system's words"), ROOT, lambda _: limit, lambda: full).strerror


def test_the_limit_on_watches_is_explained():
    """The sentence names the limit, its value now, the number to set and the command for it."""
    said = told(errno.ENOSPC)
    assert "fs.inotify.max_user_watches (8192 now)" in said
    assert "sudo sysctl fs.inotify.max_user_watches=524288" in said
    assert "No space left" not in said


def test_a_limit_that_is_large_already_is_doubled():
    """The number to set is always more than what did not suffice."""
    assert "max_user_watches=2000000" in told(errno.ENOSPC, limit=1_000_000)


def test_the_limit_on_instances_is_explained():
    """Too many watching programs are another limit than too many watched folders."""
    said = told(errno.EMFILE, limit=128)
    assert "fs.inotify.max_user_instances (128 now)" in said
    assert "max_user_instances=512" in said


def test_running_out_of_descriptors_is_told_from_the_limit_on_instances():
    """The system says the same of both; the process's own limit is named where that one is reached."""
    said = told(errno.EMFILE, full=1024)
    assert "ulimit -n 4096" in said
    assert "inotify" not in said


def test_an_unknown_limit_is_still_named():
    """Where the system does not tell the value, the advice stands without it."""
    said = told(errno.ENOSPC, limit=None)
    assert "fs.inotify.max_user_watches with" in said
    assert "=524288" in said


def test_other_errors_stay_as_they_are():
    """Number and words of any other error are the system's own."""
    error = explained(OSError(errno.EACCES, "Permission denied"), ROOT)
    assert (error.errno, error.strerror, error.filename) == (errno.EACCES, "Permission denied", "/o")


def test_a_limit_is_read_as_a_number_or_not_at_all():
    """On systems without inotify, and of a name that is none, nothing is known."""
    assert read_limit("no_such_limit") is None
    value = read_limit("max_user_watches")
    assert value is None or value > 0
