"""A whole daemon with the copying worker, as a process of its own: ``python real_daemon.py CONFIG [--once]``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from shaded import logs
from shaded.daemon.assembly import run_daemon
from shaded.errors import ShadedError
from shaded.settings import load_settings

FAKE_WORKER = Path(__file__).parents[1] / "scheduling" / "fake_worker.py"


def main() -> int:
    """Run until told to stop; the exit code."""
    logs.configure("info", "json")
    command = (sys.executable, str(FAKE_WORKER), *sys.argv[3:])
    try:
        read = partial(load_settings, Path(sys.argv[1]))
        run_daemon(read(), once="--once" in sys.argv[2:3], command=command, read=read)
    except ShadedError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
