"""Saving a finished result into its staging folder."""

from __future__ import annotations

from pathlib import Path

from shaded.durable import settle_folder, write_durably
from shaded.publishing.sidecar import sidecar_path
from shaded.scheduling.messages import ShadeTask


def save_result(task: ShadeTask, picture: bytes, sidecar: bytes) -> tuple[Path, Path]:
    """Write picture and sidecar, and wait until the disk has both: the ledger will say that they are there.

    Returns:
        The paths of the two.

    Raises:
        OSError: They cannot be written.
    """
    place = task.staging / task.output_name
    beside = sidecar_path(place)
    write_durably(place, picture)
    write_durably(beside, sidecar)
    settle_folder(task.staging)
    return place, beside
