"""The ``shaded`` command: what a person types.

Ctrl-C may come from the first moment on. So next to nothing is loaded before it is listened for; ``entry`` and
everything else comes later. Before that is Python's own start, some 20 milliseconds, in which the system ends the
process, or Python does in its own words.
"""

from __future__ import annotations

import os

try:
    from collections.abc import Sequence

    from shaded.cli.process import finish, heard, keep_own_access, open_missing_descriptors, speak_utf8
except KeyboardInterrupt:
    os.write(2, b"shaded: interrupted.\n")
    os._exit(130)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, on streams that nobody else's words can steer.

    Args:
        arguments: Its words; ``None`` takes those that the program was started with, and the process as its own, which
            it ends.

    Returns:
        The exit code: see ``docs/commands.md``.
    """
    own = arguments is None
    if own:
        open_missing_descriptors()
        keep_own_access()
    with heard(own=own) as ending:
        if own:
            speak_utf8()
        from shaded.cli.entry import run  # noqa: PLC0415 - see above

        code = run(arguments, ending)
        if own:
            finish(code)
        return code
