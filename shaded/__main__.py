"""Lets ``python -m shaded`` stand for the ``shaded`` command."""

from __future__ import annotations

import sys

from shaded.cli import main

if __name__ == "__main__":
    sys.exit(main())
