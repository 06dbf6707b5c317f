"""The benchmark programs, on pictures and runs small enough for a test."""

from __future__ import annotations

import json
import os
import runpy
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.publishing.samples import smooth

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

#: They compute with the real engine, which is slow where another program has the cores.
pytestmark = pytest.mark.timeout(300)


def _run(monkeypatch, name: str, *arguments: object) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # as Python does for a program that is run by its path
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(BENCHMARKS / name), run_name="__main__")


def _may_make_control_groups() -> bool:
    for base in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")):
        with suppress(OSError):
            group = base / f"shaded-try-{os.getpid()}"
            group.mkdir()
            try:
                return any((group / name).exists() for name in ("memory.max", "memory.limit_in_bytes"))
            finally:
                group.rmdir()
    return False


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


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A training corpus of eight noisy pictures in two groups, one of them with a transparent rim."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(8):
        grain = rng.integers(0, 40, (80, 96, 3), dtype=np.uint8)
        levels = np.concatenate([smooth(80, 96) // 2 + grain, np.full((80, 96, 1), 255, np.uint8)], axis=2)
        levels[: 9 * (index == 0), :, 3] = 0
        np.save(folder / f"{('painting', 'photo')[index % 2]}-{index:04d}-harbour.npy", levels)
    np.save(folder / "photo-0099-small.npy", np.zeros((63, 96, 4), np.uint8))
    return folder


def test_detectability_is_judged_and_resumed(corpus, tmp_path, monkeypatch, capsys) -> None:
    """Both detectors get a rate, an area and what noise does; the second run makes no pair and trains nothing anew."""
    folder, out = tmp_path / "pairs", tmp_path / "found.json"
    arguments = (
        "--cache", corpus, "--pairs", folder, "--out", out, "--train", 6, "--test", 3, "--clean", 99, "--side", 64,
        "--intensities", "high", "--quality", "fast", "--steps", 2, "--width", 4, "--threads", 1,
    )  # fmt: skip
    _run(monkeypatch, "detectability.py", *arguments)
    first = json.loads(out.read_text())
    assert first["pairs"] == {"train": 6, "test": 3}
    assert first["clean_pictures"] == 2
    high = first["intensities"]["high"]
    for detector in ("spectral", "convolutional"):
        assert 0 <= high[detector]["found"]["low"] <= high[detector]["found"]["rate"] <= 1
        assert 0 <= high[detector]["auc"] <= 1
        assert high[detector]["noise_taken_for_shading"]["count"] == 3
    assert set(high["subtraction"]["pull"]) == {"flux2-meter", "sana-meter"}
    assert high["subtraction"]["psnr_db"]["shaded"] > 25
    assert "| high | convolutional |" in capsys.readouterr().out
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "made.json"}
    assert len(made) == 2 * 9 + 1
    _run(monkeypatch, "detectability.py", *arguments)
    assert json.loads(out.read_text()) == first
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "made.json"} == made
    with pytest.raises(SystemExit, match="made otherwise"):
        _run(monkeypatch, "detectability.py", *arguments, "--seed", 1)
    with pytest.raises(SystemExit, match="too few clean"):
        _run(monkeypatch, "detectability.py", *arguments, "--unseen-source", "photo")


def test_detectors_are_tested_on_other_pictures(corpus) -> None:
    """No picture is on both sides, all that are large enough take part, and a longer plan begins as a shorter one."""
    program = runpy.run_path(str(BENCHMARKS / "pairs.py"))
    parts = program["divided"](corpus, 64)
    train, test = ({path for paths in parts[part].values() for path in paths} for part in ("train", "test"))
    assert not train & test
    assert len(train) + len(test) == 8
    assert train
    assert test
    plan = program["planned"](parts["train"], "train", 20, 0)
    assert program["planned"](parts["train"], "train", 5, 0) == plan[:5]
    assert {crop.path for crop in plan} == train
    window = program["cut"](plan[0], 64)
    assert window.shape == (1, 3, 64, 64)
    assert float(window.min()) >= 0
    assert (window == program["cut"](plan[0], 64)).all()


@pytest.mark.slow
@pytest.mark.real_encoder
@pytest.mark.timeout(600)
def test_scheduler_compares_one_worker_with_several(pictures, tmp_path, monkeypatch, capsys) -> None:
    """Each way gets its seconds and its memory, and what ran beside what changes no byte."""
    out = tmp_path / "scheduler.json"
    _run(monkeypatch, "scheduler.py", pictures, "--count", 3, "--sides", 64, 300, "--canvas", 65536, "--json", out)
    found = json.loads(out.read_text())
    assert set(found["ways"]) == {"one", "overlap", "groups", "pool"}
    assert all(way["seconds"] > 0 and way["most_bytes"] > 0 for way in found["ways"].values())
    assert found["same_bytes"]
    assert "times the throughput of one" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.real_encoder
@pytest.mark.timeout(900)
@pytest.mark.skipif(not _may_make_control_groups(), reason="control groups cannot be made here")
@pytest.mark.parametrize(("limit", "canvas", "believe"), [(1.2, 65_536, 1.0), (2.0, 1_048_576, 0.1)])
def test_the_daemon_keeps_to_the_memory_of_its_control_group(
    limit, canvas, believe, pictures, tmp_path, monkeypatch
) -> None:
    """Each picture is published within the limit; one that was begun on a wrong belief is, on a smaller canvas."""
    out = tmp_path / "limits.json"
    _run(
        monkeypatch, "memory_limits.py", pictures, "--limits", limit, "--count", 3, "--sides", 1100, 1200,
        "--canvas", canvas, "--believe", believe, "--patience", 5, "--json", out,
    )  # fmt: skip
    (row,) = json.loads(out.read_text())
    assert row["published"] == row["pictures"] == 3
    assert row["reached"] <= row["limit"] == round(limit * 1e9)
    if believe == 1.0:
        assert (row["kernel_ended"], row["smaller_canvases"]) == (0, 0)
    else:
        assert 1 <= row["kernel_ended"] <= 6
        assert row["smaller_canvases"] == 3


@pytest.mark.parametrize("more", [(), ("--pictures", "--flat")])
def test_rounds_prints_a_row_for_each_phase(more, tmp_path, monkeypatch, capsys) -> None:
    """Each phase of the loop's work has its longest stretch, in seconds, its time in all, and its number of rounds."""
    _run(monkeypatch, "rounds.py", "--count", 40, "--burst", 5, "--folder", tmp_path, *more)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)}
    phases = {"first scan", "settling and taking up", "scan when all is known", "burst of 5"}
    assert phases <= set(rows)
    assert all(float(rows[phase][0]) < float(rows[phase][1]) + 1 for phase in phases)
    assert all(int(rows[phase][-1]) >= 1 for phase in phases)
