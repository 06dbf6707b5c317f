from __future__ import annotations

import errno
import inspect

import pytest

from shaded import errors
from shaded.errors import PictureError, Refusal, ShadedError, SourceChanged, Transient, from_os_error


def test_an_error_says_where_what_and_what_to_do():
    """The text of an error is file, what happened, and the remedy, as sentences."""
    error = ShadedError("it is animated", path="/out/fox.gif", remedy="Save one frame of it")
    assert str(error) == "/out/fox.gif: it is animated. Save one frame of it."
    assert str(ShadedError("it failed")) == "it failed."


def test_exit_codes_are_those_of_the_interface():
    """Each error has the exit code that the documentation promises."""
    codes = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, ShadedError)
    }
    assert codes == {
        "ShadedError": 1,
        "ConfigurationError": 78,
        "UsageError": 2,
        "AlreadyRunning": 75,
        "DaemonNotRunning": 69,
        "Unavailable": 74,
        "StateUnusable": 65,
        "LedgerDamaged": 65,
        "ModelError": 1,
        "PictureError": 3,
        "Refusal": 3,
        "NoPicture": 3,
        "Unreadable": 3,
        "Incomplete": 3,
        "SourceChanged": 3,
        "Transient": 3,
        "LedgerAway": 3,
        "OutOfMemory": 3,
        "DeviceLost": 3,
    }


def test_the_drawn_tree_is_the_real_one():
    """Every class of the module stands in the drawing at its top, and no other."""
    drawn = {line.split("── ")[1].split()[0] for line in errors.__doc__.splitlines() if "── " in line}
    real = {
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, ShadedError) and kind is not ShadedError
    }
    assert drawn == real


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, SourceChanged),
        (errno.ENOTDIR, SourceChanged),
        (errno.ELOOP, Refusal),
        (errno.ENOSPC, Transient),
        (errno.EACCES, Transient),
        (errno.EROFS, Transient),
        (errno.EIO, Transient),
        (errno.ENXIO, Transient),
        (errno.ESTALE, Transient),
        (errno.ENOTCONN, Transient),
    ],
)
def test_system_errors_have_their_place(number, kind):
    """Each system error becomes the picture's error that it means, with file and remedy."""
    error = from_os_error(OSError(number, "as the system says", "/out/fox.png"))
    assert type(error) is kind
    assert isinstance(error, PictureError)
    assert str(error.path) == "/out/fox.png"
    assert error.remedy


def test_a_stated_path_wins():
    """The caller's path replaces the one in the system's error."""
    assert str(from_os_error(OSError(errno.ENOSPC, "full", "/tmp/x"), "/out/fox.png").path) == "/out/fox.png"
