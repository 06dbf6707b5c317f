"""A whole daemon with engines that copy, as a process of its own: ``python real_daemon.py CONFIG [--once]``."""

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
    try:
        read = partial(load_settings, Path(sys.argv[1]))
        settings = read()
        script = FAKE_WORKER.with_name("fake_cluster.py") if settings.cluster.address else FAKE_WORKER
        command = (sys.executable, str(script), *sys.argv[3:])
        run_daemon(settings, once="--once" in sys.argv[2:3], command=command, read=read)
    except ShadedError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
