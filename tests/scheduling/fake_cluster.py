"""The process between a daemon and a cluster whose engines copy: what a picture's name says is what happens.

Besides the fates of ``fake_worker.py``: a picture whose name contains ``damaged`` loses a byte after it was measured,
the first time that a worker has it. Every picture takes half a second.
"""

from __future__ import annotations

import time

from shaded.scheduling import cluster_driver
from tests.scheduling.fake_worker import CopyingEngine


class DistantEngine(CopyingEngine):
    """Copies, slowly."""

    def __init__(self):
        self._damaged = set()

    def shade(self, task, progress):
        time.sleep(0.5)
        rendered = super().shade(task, progress)
        if "damaged" in task.name and task.name not in self._damaged:
            self._damaged.add(task.name)
            rendered.picture.write_bytes(rendered.picture.read_bytes()[:-1])
        return rendered


def open_distant(start):
    """An engine factory, which the machines of the cluster import by its name."""
    return DistantEngine()


if __name__ == "__main__":
    from tests.scheduling.fake_cluster import open_distant as by_name

    cluster_driver.main(by_name)
