"""The ``shaded`` command: what a person types.

:func:`main` is the only place where errors become exit codes.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from shaded.errors import ShadedError, printable
from shaded.terminal import guarded_streams

INTERRUPTED = 130


class _Interrupted(BaseException):
    """Ctrl-C; not the built-in one, which the command-line library would turn into another exit code."""


@contextmanager
def _ctrl_c_raises() -> Iterator[None]:
    def handler(_number: int, _frame: FrameType | None) -> NoReturn:
        raise _Interrupted

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, on streams that nobody else's words can steer.

    Args:
        arguments: Its words; ``None`` takes those that the program was started with.

    Returns:
        The exit code: see ``docs/commands.md``.
    """
    with guarded_streams():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    from shaded.cli.app import app  # noqa: PLC0415 - building the commands takes a moment

    try:
        with _ctrl_c_raises():
            app(args=None if arguments is None else list(arguments), prog_name="shaded")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except ShadedError as error:
        print(f"shaded: {printable(error)}", file=sys.stderr)  # noqa: T201 - this is what a person reads
        return error.exit_code
    except (_Interrupted, KeyboardInterrupt):
        print("shaded: interrupted.", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets a sentence first
        traceback.print_exc()
        print(f"shaded: an unexpected error ({type(error).__name__}: {printable(error)}).", file=sys.stderr)  # noqa: T201
        return 1
    return 0
