"""The benchmark programs, on pictures and runs small enough for a test."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.publishing.samples import smooth

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def _run(monkeypatch, name: str, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(BENCHMARKS / name), run_name="__main__")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of one picture."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(smooth(96, 128)).save(folder / "harbour.png")
    return folder


@pytest.mark.slow
@pytest.mark.real_encoder
def test_strength_compares_ours_with_the_recipe(pictures, shared_encoders, tmp_path, monkeypatch, capsys) -> None:
    """Every method gets a row with its measurements; the recipe, cut to our LPIPS, keeps to it; ratios are printed."""
    pytest.importorskip("ssimulacra2", reason="the judge comes with the dev extra")
    rows, frontier = tmp_path / "rows.json", tmp_path / "frontier.svg"
    _run(
        monkeypatch, "strength.py", pictures, shared_encoders,
        "--canvas", 16384, "--intensities", "low", "high", "--qualities", "fast", "--recipe-steps", 4,
        "--survival", "--json", rows, "--plot", frontier,
    )  # fmt: skip
    measured = {(row["method"], row["intensity"]): row for row in json.loads(rows.read_text())}
    assert set(measured) == {
        ("bundled", "low"), ("bundled", "high"), ("real", "low"), ("real", "high"),
        ("recipe", "-"), ("recipe-cut", "-"),
    }  # fmt: skip
    assert measured["real", "high"]["pull"]["flux2"] > measured["real", "low"]["pull"]["flux2"] > 0
    assert measured["recipe-cut", "-"]["lpips"] <= measured["recipe", "-"]["lpips"]
    assert measured["real", "low"]["psnr_db"] > measured["real", "high"]["psnr_db"]
    assert set(measured["real", "high"]["survival"]) == {"jpeg_q75", "resize_half", "blur_1", "crop_10"}
    printed = capsys.readouterr().out
    assert "of the recipe's pull at" in printed
    assert "meter gap" in printed
    assert "<svg" in frontier.read_text()


@pytest.mark.slow
@pytest.mark.real_encoder
def test_transfer_leaves_one_family_out_at_a_time(pictures, shared_encoders, tmp_path, monkeypatch, capsys) -> None:
    """Each source and choice of families gets a row on every encoder, and what was left out is starred."""
    pytest.importorskip("ssimulacra2", reason="the judge comes with the dev extra")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    rows = tmp_path / "rows.json"
    _run(
        monkeypatch, "transfer.py", pictures, shared_encoders,
        "--canvas", 16384, "--only", "harbour", "--quality", "fast", "--json", rows,
    )  # fmt: skip
    measured = {(row["source"], tuple(row["families"])): row for row in json.loads(rows.read_text())}
    choices = {("flux2",), ("sana",), ("flux2", "sana")}
    assert set(measured) == {(source, choice) for source in ("bundled", "real") for choice in choices}
    alone, other = measured["real", ("flux2",)]["real"], measured["real", ("sana",)]["real"]
    assert alone["flux2"] > other["flux2"]
    assert other["sana"] > alone["sana"]
    lines = {
        line.split("|")[1].strip(): line.split("|") for line in capsys.readouterr().out.splitlines() if "|" in line
    }
    assert [cell.strip().endswith("*") for cell in lines["real flux2"][2:6]] == [False, True, False, True]
    assert [cell.strip().endswith("*") for cell in lines["bundled flux2 + sana"][2:6]] == [False] * 4


def test_the_contact_sheet_has_a_row_for_each_picture(pictures, tmp_path, monkeypatch) -> None:
    """The picture and the four drawn ones stand in a row each, unchanged at first and then at three intensities."""
    _run(monkeypatch, "contact_sheet.py", tmp_path / "sheet.png", "--pictures", pictures, "--side", 64, "--shown", 32)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * 36, 5 * 54)
        paper = [np.asarray(sheet)[3 * 54 + 22 : 4 * 54, column * 36 : column * 36 + 32] for column in range(4)]
    assert all((np.ptp(one, axis=2) == 0).all() for one in paper)
    assert (paper[0] != paper[3]).any()
