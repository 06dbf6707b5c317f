"""A whole daemon that may be told to die: ``python mortal_daemon.py CONFIG LAST_STEP RENDER_LOG PLACED_LOG SECONDS``.

Everything but the engine is the product's own. ``LAST_STEP`` is the durable step before which it kills itself.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from shaded import logs
from shaded.daemon.assembly import run_daemon
from shaded.settings import load_settings
from tests.reliability.engine import note
from tests.reliability.mortality import Mortality

WORKER = Path(__file__).with_name("mortal_worker.py")


def main():
    """Run until told to stop, or until the step."""
    config, last, renders, placed, seconds = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
    logs.configure("info", "json")
    Mortality(last, lambda name: note(placed, name.replace(" ", "?")) if not name.startswith(".~") else None)
    doom = str(config.with_name("doom"))
    read = partial(load_settings, config)
    run_daemon(read(), command=(sys.executable, str(WORKER), renders, doom, seconds), read=read)


if __name__ == "__main__":
    main()
