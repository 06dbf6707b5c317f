"""A worker that may be told to die: ``python mortal_worker.py RENDER_LOG DOOM SECONDS``.

``DOOM`` is a file that holds the number of the durable step to die before; it is used up by the first worker that
finds it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shaded.scheduling import worker
from tests.reliability.engine import RetouchingEngine
from tests.reliability.mortality import Mortality


def doom(path):
    """The step to die before, told once; 0 where there is no such file."""
    try:
        last = int(path.read_text())
        path.unlink()
    except FileNotFoundError:
        return 0
    return last


if __name__ == "__main__":
    Mortality(doom(Path(sys.argv[2])))
    worker.main(lambda _start: RetouchingEngine(sys.argv[1], float(sys.argv[3])))
