"""Killing this very process before its ``n``-th durable step: a fault between any two things that reach the disk.

Durable steps are the calls that change what a disk will hold after a power cut: making, renaming, linking and removing
names, making, emptying and flushing files, and the ledger's commits. ``SIGKILL`` cannot be caught, so no clean-up of
Python's runs.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
import sqlite3
from functools import partial

from tests.reliability.power import CHANGING, FLUSHING, changes


class Mortality:
    """Counts durable steps from now on.

    Args:
        last: The step before which the process is killed; 0 never kills.
        placed: Called with a name after something was linked or renamed to it.
    """

    def __init__(self, last=0, placed=lambda _name: None):
        self.taken = 0
        self._last = last
        self._placed = placed
        for module, names in ((os, (*CHANGING, *FLUSHING, "open")), (io, ("open",)), (builtins, ("open",))):
            for name in names:
                setattr(module, name, self._counted(name, getattr(module, name)))
        step = self.step

        class Counted(sqlite3.Connection):
            def execute(self, statement, *parameters):
                if statement == "COMMIT":
                    step()
                return super().execute(statement, *parameters)

        sqlite3.connect = partial(sqlite3.connect, factory=Counted)

    def step(self):
        """One durable step is about to be taken."""
        self.taken += 1
        if self.taken == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, name, call):
        def counted(*arguments, **options):
            if changes(name, arguments, options):
                self.step()
            result = call(*arguments, **options)
            if name in ("rename", "replace", "link"):
                self._placed(os.fsdecode(arguments[1]))
            return result

        return counted
