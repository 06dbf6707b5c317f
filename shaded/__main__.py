"""Lets ``python -m shaded`` stand for the ``shaded`` command."""

from __future__ import annotations

from shaded.cli import main

if __name__ == "__main__":
    main()
