"""Killing this very process before its ``n``-th durable step: a fault between any two things that reach the disk.

Durable steps are the calls that change what a disk will hold after a power cut: making, renaming, linking and removing
names, flushing, and the ledger's commits. ``SIGKILL`` cannot be caught, so no clean-up of Python's runs.
"""

from __future__ import annotations

import os
import signal

from shaded.ledger import connection

STEPS = ("fsync", "rename", "link", "unlink", "mkdir", "rmdir")


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
        for name in STEPS:
            setattr(os, name, self._counted(getattr(os, name), placing=name in ("rename", "link")))
        open_writable = connection.open_writable

        def opened(path):
            made = open_writable(path)
            made.set_trace_callback(lambda statement: self.step() if statement == "COMMIT" else None)
            return made

        from shaded.ledger import ledger

        ledger.open_writable = opened

    def step(self):
        """One durable step is about to be taken."""
        self.taken += 1
        if self.taken == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, call, *, placing):
        def counted(*arguments, **options):
            self.step()
            result = call(*arguments, **options)
            if placing:
                self._placed(os.fsdecode(arguments[1]))
            return result

        return counted
