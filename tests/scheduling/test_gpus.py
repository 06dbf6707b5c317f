from __future__ import annotations

import os
from pathlib import Path

import pytest

from shaded.scheduling.gpus import Gpu, ask_driver, read_gpus

MEBIBYTE = 1 << 20
MEMORY = """GPU-aaaa, 70000, 81559
GPU-bbbb, 1000, 24576
"""
USERS = """GPU-aaaa, 1234, 512
GPU-aaaa, 99, [N/A]
GPU-cccc, 7, 3
"""


def _driver(memory, users):
    return lambda options: memory if "--query-gpu" in options[0] else users


def test_every_gpu_is_read():
    """Free and whole memory in bytes, and the processes that compute on each with what they hold, where it is told."""
    found = read_gpus(_driver(MEMORY, USERS))
    assert found == {
        "GPU-aaaa": Gpu(70000 * MEBIBYTE, 81559 * MEBIBYTE, {1234: 512 * MEBIBYTE, 99: 0}),
        "GPU-bbbb": Gpu(1000 * MEBIBYTE, 24576 * MEBIBYTE, {}),
    }


@pytest.mark.parametrize("memory", ["", "No devices were found\n", "GPU-a, [N/A], [N/A]\n", "GPU-a, 5\n", ",,,\n\n"])
def test_what_makes_no_sense_is_nothing_known(memory):
    """A driver without GPUs, or one that tells no numbers, is as good as none."""
    assert read_gpus(_driver(memory, USERS)) == {}


def test_users_that_are_not_told_are_none():
    """Some drivers name no processes."""
    assert read_gpus(_driver(MEMORY, "GPU-aaaa, [N/A], [N/A]\n"))["GPU-aaaa"].users == {}


@pytest.mark.real_process
def test_the_drivers_own_program_is_asked(tmp_path, monkeypatch):
    """What stands on the search path answers; one that fails, or none at all, says nothing."""
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    program.write_text(f"#!/bin/sh\ncase $1 in *gpu=*) echo 'GPU-x, 5, 9';; *) echo 'GPU-x, {os.getpid()}, 2';; esac\n")
    program.chmod(0o755)
    assert read_gpus() == {"GPU-x": Gpu(5 * MEBIBYTE, 9 * MEBIBYTE, {os.getpid(): 2 * MEBIBYTE})}
    program.write_text("#!/bin/sh\necho 'GPU-x, 5, 9'\nexit 9\n")
    assert read_gpus() == {}
    monkeypatch.setenv("PATH", str(Path(tmp_path) / "none"))
    assert ask_driver(("--query-gpu=uuid",)) == ""
