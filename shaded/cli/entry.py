"""Running one command: the only place where errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence

from shaded.cli.process import Ending, line_of
from shaded.errors import ShadedError, UsageError, printable
from shaded.terminal import OutputGone, guarded_streams

_NO_FOLDER = (
    "the folder that it was started in is not there any more, and relative paths begin in it. "
    "Change to another folder, or write whole paths."
)


def run(arguments: Sequence[str] | None, ending: Ending) -> int:
    """Run a command; the exit code.

    Args:
        arguments: Its words; ``None`` takes those that the program was started with.
        ending: Knows whether a signal has come, whatever became of the exception that it raised.
    """
    with guarded_streams():
        try:
            code, line = _call(arguments), ""
        except BaseException as error:  # noqa: BLE001 - a library may make any exception of an interruption
            code, line = (1, "") if ending.number is not None else _said(error)
        if ending.number is not None:
            code, line = 128 + ending.number, line_of(ending.number)
        ending.told = bool(line)
        if line:
            print(line, file=sys.stderr)  # noqa: T201 - this is what a person reads
    return code


def _call(arguments: Sequence[str] | None) -> int:
    from shaded.cli.app import app  # noqa: PLC0415 - building the commands takes a moment

    try:
        app(args=None if arguments is None else list(arguments), prog_name="shaded")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    sys.stdout.flush()  # what cannot be written is to be known before the end
    return code


def _said(error: BaseException) -> tuple[int, str]:
    """The exit code for an error, and the line that says it."""
    if isinstance(error, OutputGone):
        return error.exit_code, ""
    if isinstance(error, ShadedError):
        return error.exit_code, f"shaded: {printable(error)}"
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT, line_of(signal.SIGINT)
    if not isinstance(error, Exception):
        raise error
    if isinstance(error, OSError) and not _has_working_folder():
        return UsageError.exit_code, f"shaded: {_NO_FOLDER}"
    traceback.print_exception(error)  # whatever it is, a person gets a sentence last
    return 1, f"shaded: an unexpected error ({type(error).__name__}: {printable(error)})."


def _has_working_folder() -> bool:
    """Whether there still is the folder that relative paths begin in."""
    try:
        return bool(os.getcwd())  # noqa: PTH109 - the same
    except OSError:
        return False
