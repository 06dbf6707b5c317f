"""The command ``trial``."""

from __future__ import annotations

import json

import pytest
import torch

from shaded.evidence.trial.storage import alone_in
from tests.evidence.trial.conftest import autoencoder_file

__all__ = ["autoencoder_file"]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def test_a_tiny_trial_runs_from_the_command_line(shaded, autoencoder_file, tmp_path):
    """One document on standard output, the stages on standard error, and a page beside the document."""
    words = ("trial", "--tiny", "--out", tmp_path / "out", "--autoencoder", autoencoder_file, "--threads", 1)
    code, out, err = shaded(*words, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["complete"] is True
    assert document["plan"]["mode"] == "tiny"
    assert "training clean, seed 0" in err
    assert (tmp_path / "out" / "report.html").is_file()
    code, out, err = shaded(*words)
    assert code == 0, err
    assert "training" not in err
    assert "dirty-label-dose1" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--quick", "--full"), "exclude one another"),
        (("--doses", "0.5,much"), "no list of numbers"),
        (("--doses", "0,1"), "no list of numbers"),
        (("--tiny", "--source", "zebra"), "no pictures of 'zebra'"),
        (("--tiny", "--related", "cow"), "must differ"),
        (("--tiny", "--device", "abacus"), "no 'abacus'"),
    ],
)
def test_impossible_wishes_are_wrong_usage(shaded, autoencoder_file, tmp_path, words, reason):
    """What cannot be is said before anything is trained."""
    code, out, err = shaded("trial", "--out", tmp_path / "out", "--autoencoder", autoencoder_file, *words)
    assert code == 2
    assert out == ""
    assert reason in err


def test_two_trials_do_not_share_a_folder(shaded, autoencoder_file, tmp_path):
    """While one trial is at work in a folder another one is refused there, and begins when it has ended."""
    words = ("trial", "--tiny", "--out", tmp_path, "--autoencoder", autoencoder_file, "--threads", 1)
    with alone_in(tmp_path):
        code, _, err = shaded(*words)
    assert code == 2
    assert "at work in this folder" in err
    assert not (tmp_path / "trial.json").exists()
    assert shaded(*words)[0] == 0


def test_a_folder_of_other_things_takes_no_trial(shaded, tmp_path):
    """A person's own `report.html` is not written over: the folder is refused before anything is done."""
    (tmp_path / "report.html").write_text("mine")
    code, _, err = shaded("trial", "--tiny", "--out", tmp_path)
    assert (code, "other things (report.html)" in err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "mine"
