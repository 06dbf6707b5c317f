"""Small real disks for tests: a tmpfs that can be filled and made read-only, where mounting is permitted."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager

import pytest


def mount(*words):
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


@contextmanager
def small_disk(path, size="8m"):
    """A tmpfs of that size at ``path``; the test is skipped where this user may not mount one."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        mounted = mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a tmpfs is not permitted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)


def fill(folder):
    """Write a file until not one byte more fits; the file."""
    filler = folder / "filler.shaded.json"  # by this name it is no picture
    with filler.open("wb", buffering=0) as stream:
        for piece in (4096, 1):
            try:
                while True:
                    stream.write(b"x" * piece)
            except OSError:
                continue
    return filler
