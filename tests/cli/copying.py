"""``shaded`` as a program of its own, whose workers copy instead of shading: ``python copying.py WORD...``.

``COPYING_WORKER`` names a program that is such a worker, whatever it is told. Nothing else is loaded before ``main``.
"""

from __future__ import annotations

import os
import sys

from shaded.cli import main

if __name__ == "__main__":
    if sys.getfilesystemencoding() == "utf-8":  # else it begins anew with the real interpreter
        sys.executable = os.environ["COPYING_WORKER"]
    sys.exit(main())
