from __future__ import annotations

import os
import stat

import pytest
import torch

from shaded.evidence.trial.storage import write_json, write_state


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_what_a_trial_writes_follows_the_umask(tmp_path, mask, mode):
    """Documents and weights may be read by whom the umask lets, whichever library writes them, and again later."""
    before = os.umask(mask)
    try:
        for _ in range(2):
            write_json(tmp_path / "trial.json", {"a": 1})
            write_state(tmp_path / "weights.safetensors", {"a": torch.ones(2)})
    finally:
        os.umask(before)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {
        "trial.json": mode,
        "weights.safetensors": mode,
    }
