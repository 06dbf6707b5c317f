"""The error tree, drawn once.

::

    ShadedError
    ├── ConfigurationError      settings are wrong: nothing starts                        (exit 78)
    ├── UsageError              the command line asks for something impossible            (exit 2)
    ├── AlreadyRunning          another instance holds the lock                           (exit 75)
    ├── DaemonNotRunning        the command needs the daemon                              (exit 69)
    ├── ModelError              a bundled or local model is missing, altered or unusable  (exit 1)
    └── PictureError            one picture's trouble: it never stops the others
        ├── Refusal             will not be shaded, and why: a decision, not a fault
        ├── Unreadable          broken or unreadable data: permanent until the file changes
        ├── SourceChanged       the file changed while it was read: it is looked at again
        └── Transient           no space, busy, out of memory: tried again later

Every error says what happened, to which file, and what to do about it. The domain raises these; only ``cli`` turns
them into exit codes and only ``daemon`` turns them into ledger states.
"""

from __future__ import annotations

import errno
from pathlib import Path


def printable(text: object) -> str:
    """Text without characters that would move a cursor, end a line or cannot be encoded; those are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


class ShadedError(Exception):
    """Something went wrong, said for a person.

    Args:
        what: What happened, one clause without a final stop.
        path: The file or folder it happened to, where there is one.
        remedy: What to do, one sentence without a final stop.
    """

    exit_code = 1

    def __init__(self, what: str, *, path: Path | str | None = None, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.path = None if path is None else Path(path)
        self.remedy = remedy

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path}: "
        todo = f". {self.remedy}" if self.remedy else ""
        return f"{where}{self.what}{todo}."


class ConfigurationError(ShadedError):
    """The settings are wrong; the message names the key."""

    exit_code = 78


class UsageError(ShadedError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class AlreadyRunning(ShadedError):  # noqa: N818 - named for what it says, like the standard library's FileExistsError
    """Another instance holds the lock."""

    exit_code = 75


class DaemonNotRunning(ShadedError):  # noqa: N818 - see AlreadyRunning
    """The command needs a running daemon."""

    exit_code = 69


class ModelError(ShadedError):
    """A model's files are missing, altered or of the wrong shape."""


class PictureError(ShadedError):
    """One picture's trouble; the daemon goes on with the others."""

    exit_code = 3
    #: Whether trying the same bytes again later may succeed.
    may_pass = False


class Refusal(PictureError):  # noqa: N818 - a decision, not a fault
    """The picture will not be shaded, and the message says why."""


class Unreadable(PictureError):  # noqa: N818 - see AlreadyRunning
    """The data cannot be decoded; nothing helps until the file changes."""


class SourceChanged(PictureError):  # noqa: N818 - see AlreadyRunning
    """The file is no longer what was settled on; it is looked at again."""

    may_pass = True


class Transient(PictureError):  # noqa: N818 - see AlreadyRunning
    """A condition that passes: no space, busy, out of memory."""

    may_pass = True


_PASSING = {
    errno.ENOSPC: ("the disk is full", "Free some space; it is tried again by itself"),
    errno.EDQUOT: ("the disk quota is used up", "Free some space; it is tried again by itself"),
    errno.EBUSY: ("the file is busy", "It is tried again by itself"),
    errno.EAGAIN: ("the file is busy", "It is tried again by itself"),
    errno.ENOMEM: ("there is not enough memory", "Close other programs; it is tried again by itself"),
    errno.EMFILE: ("too many files are open", "It is tried again by itself"),
    errno.EIO: ("the disk reported an error", "Check the disk; it is tried again by itself"),
    errno.EROFS: ("the file system is read-only", "Mount it writable; it is tried again by itself"),
    errno.EACCES: ("permission is denied", "Give your user access to it; it is tried again by itself"),
    errno.EPERM: ("permission is denied", "Give your user access to it; it is tried again by itself"),
}


def from_os_error(error: OSError, path: Path | str | None = None) -> PictureError:
    """Translate an ``OSError`` into this tree; the only place that looks at ``errno``."""
    where = path if path is not None else error.filename
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return SourceChanged("the file is gone", path=where, remedy="Nothing needs doing if you moved it")
    if error.errno == errno.ELOOP:
        return Refusal("it is a symbolic link", path=where, remedy="Put the picture itself into the outbox")
    what, remedy = _PASSING.get(
        error.errno or 0, (error.strerror or str(error) or "reading or writing failed", "It is tried again by itself")
    )
    return Transient(what, path=where, remedy=remedy)
