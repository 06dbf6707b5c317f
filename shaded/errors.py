"""The error tree, drawn once.

::

    ShadedError
    ├── ConfigurationError      settings are wrong: nothing starts                        (exit 78)
    ├── UsageError              the command line asks for something impossible            (exit 2)
    ├── AlreadyRunning          another instance holds the lock                           (exit 75)
    ├── DaemonNotRunning        the command needs the daemon                              (exit 69)
    ├── Unavailable             a disk or folder cannot be used now: start again later    (exit 74)
    ├── StateUnusable           what the state folder holds cannot be used by this program (exit 65)
    │   └── LedgerDamaged       the ledger's file is broken: `shaded recover` mends it
    ├── ModelError              a bundled or local model is missing, altered or unusable  (exit 1)
    └── PictureError            one picture's trouble: it never stops the others
        ├── Refusal             will not be shaded, and why: a decision, not a fault
        │   └── NoPicture       it is a file of another kind: left alone, and nobody's failure
        ├── Unreadable          broken or unreadable data: permanent until the file changes
        │   └── Incomplete      the data end early or have a hole: the file may still be being written
        ├── SourceChanged       the file changed while it was read: it is looked at again
        └── Transient           no space, busy, a mount that is away: tried again later
            ├── LedgerAway      the ledger's file cannot be reached: it is opened anew
            ├── OutOfMemory     the same, but the picture may be to blame, so that the tries are counted
            └── DeviceLost      the GPU stopped working: another process may find it well again

:data:`POLICIES` says what becomes of a picture that met each. Every error says what happened, to which file, and what
to do about it. The domain raises these; only ``cli`` turns them into exit codes and only ``daemon`` turns them into
ledger states.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


def printable(text: object, keep: str = "") -> str:
    """Text without characters that would move a cursor, turn its direction, end a line or cannot be encoded.

    Those are escaped, except the ones in ``keep``.
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in words)


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


class Unavailable(ShadedError):  # noqa: N818 - see AlreadyRunning
    """A disk, a folder or a service that is needed cannot be used now; starting again later may help."""

    exit_code = 74


class StateUnusable(ShadedError):  # noqa: N818 - see AlreadyRunning
    """What the state folder holds cannot be used; starting again does not help, a person has to."""

    exit_code = 65


class LedgerDamaged(StateUnusable):
    """The ledger's file is broken."""


class ModelError(ShadedError):
    """A model's files are missing, altered or of the wrong shape."""


class PictureError(ShadedError):
    """One picture's trouble; the daemon goes on with the others. :data:`POLICIES` says what becomes of the picture."""

    exit_code = 3


class Refusal(PictureError):  # noqa: N818 - a decision, not a fault
    """The picture will not be shaded, and the message says why."""


class NoPicture(Refusal):
    """The file is no picture and does not claim to be one: it is left alone, told of once, and fails nothing."""


class Unreadable(PictureError):  # noqa: N818 - see AlreadyRunning
    """The data cannot be decoded; nothing helps until the file changes."""


class Incomplete(Unreadable):
    """The data are damaged or end early, as those of a file that is still being written do."""


class SourceChanged(PictureError):  # noqa: N818 - see AlreadyRunning
    """The file is no longer what was settled on; it is looked at again."""


class Transient(PictureError):  # noqa: N818 - see AlreadyRunning
    """A condition that passes and is no picture's fault: no space, busy, a mount that is away."""


class LedgerAway(Transient):
    """The ledger's file cannot be reached through the open connection; another one may reach it again."""


class OutOfMemory(Transient):
    """There is not enough memory; it may pass, or the picture may be too large for this machine."""


class DeviceLost(Transient):
    """The GPU stopped working under the program: after a suspend, say. A new process may find it well again."""


Outcome = Literal["refused", "failed", "changed", "transient"]


@dataclass(frozen=True)
class Policy:
    """What becomes of a picture that met an error.

    Attributes:
        outcome: ``refused`` and ``failed`` are final until something changes, ``changed`` is looked at again,
            ``transient`` is tried again after a pause (``retry_seconds``) that doubles each time, with jitter, up to
            a quarter of an hour.
        counts: Whether a try is counted, so that after ``max_attempts`` the picture has failed.
    """

    outcome: Outcome
    counts: bool


#: One policy for each class of error; a class that is not named has its base's.
POLICIES: dict[type[Exception], Policy] = {
    Refusal: Policy("refused", counts=False),
    Unreadable: Policy("failed", counts=False),
    SourceChanged: Policy("changed", counts=False),
    OutOfMemory: Policy("transient", counts=True),
    Transient: Policy("transient", counts=False),
    # A bug: trying the same bytes again would meet it again.
    Exception: Policy("failed", counts=False),
}


def policy_of(error: Exception) -> Policy:
    """The policy of the nearest class that has one."""
    return next(POLICIES[kind] for kind in type(error).__mro__ if kind in POLICIES)


#: What the daemon does about what passes.
TRIED_AGAIN = "It is tried again by itself"
_PASSING = {
    errno.ENOSPC: ("the disk is full", "Free some space; it is tried again by itself"),
    errno.EDQUOT: ("the disk quota is used up", "Free some space; it is tried again by itself"),
    errno.EBUSY: ("the file is busy", TRIED_AGAIN),
    errno.EAGAIN: ("the file is busy", TRIED_AGAIN),
    errno.ENOMEM: ("there is not enough memory", "Close other programs; it is tried again by itself"),
    errno.EMFILE: ("too many files are open", TRIED_AGAIN),
    errno.EIO: ("the disk reported an error", "Check the disk; it is tried again by itself"),
    errno.EROFS: ("the file system is read-only", "Mount it writable; it is tried again by itself"),
    errno.EACCES: ("permission is denied", "Give your user access to it; it is tried again by itself"),
    errno.EPERM: ("permission is denied", "Give your user access to it; it is tried again by itself"),
    # What network and cloud file systems say while they are away; a placeholder's content is "deadlocked" on macOS.
    errno.ENOTCONN: ("the file system is not connected", "Connect it again; it is tried again by itself"),
    errno.ESTALE: ("the network folder was replaced", "Mount it again; it is tried again by itself"),
    errno.ETIMEDOUT: ("the file system does not answer", "Check the network; it is tried again by itself"),
    errno.EHOSTDOWN: ("the file server is not reached", "Check the network; it is tried again by itself"),
    errno.ENODEV: ("the disk is gone", "Plug it in again; it is tried again by itself"),
    errno.ENXIO: ("the disk is gone", "Plug it in again; it is tried again by itself"),
    errno.EDEADLK: ("its content is not on this machine yet", "Let the cloud client fetch it; then it is taken"),
    errno.ENFILE: ("too many files are open", TRIED_AGAIN),
}


def from_os_error(error: OSError, path: Path | str | None = None) -> PictureError:
    """Translate an ``OSError`` into this tree; the only place that looks at ``errno``."""
    where = path if path is not None else error.filename
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return SourceChanged("the file is gone", path=where, remedy="Nothing needs doing if you moved it")
    if error.errno == errno.ELOOP:
        return Refusal("it is a symbolic link", path=where, remedy="Put the file itself there")
    if error.errno == errno.ENAMETOOLONG:
        return Refusal("its name is too long for the file system", path=where, remedy="Give it a shorter name")
    what, remedy = _PASSING.get(
        error.errno or 0, (error.strerror or str(error) or "reading or writing failed", TRIED_AGAIN)
    )
    return Transient(what, path=where, remedy=remedy)


#: What is wrong about a path itself: no time and no disk will mend it.
_WRONG_PATH = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}


def unusable_folder(error: OSError, key: str, path: Path) -> ConfigurationError | Unavailable:
    """A folder that the setting ``key`` names cannot be made or used: the setting is wrong, or it may pass."""
    what = f"{key}: the folder cannot be made or used: {error.strerror or error}"
    if error.errno in _WRONG_PATH:
        return ConfigurationError(what, path=path, remedy="Name another folder, or mend this one")
    return Unavailable(what, path=path, remedy="Mount its disk, free some space, or give your user access to it")
