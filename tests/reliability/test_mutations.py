"""Damaged and hostile files, the whole way from the outbox to the publish folder: published correctly, or refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile

from shaded.errors import PictureError
from shaded.outbox.screening import screen
from shaded.publishing import xmp
from shaded.publishing.ifd import read_directory, read_header
from tests.publishing.samples import saved, smooth
from tests.reliability.crafted import CRAFTED, strip_tiff, tiff, wide_packet
from tests.reliability.torment import ROOT

WORKER = Path(__file__).with_name("mutation_worker.py")
#: What one file may take beyond the libraries; pictures here have at most two million pixels.
MOST_BYTES = 512 << 20


def ordeal(folder, what):
    """How each file ended; one that ended its process is named with the way in which."""
    left, ends = list(what), {}
    while left:
        done = subprocess.run(
            [sys.executable, str(WORKER), str(folder), str(MOST_BYTES), *left],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=3000,
        )  # fmt: skip
        begun = {}
        for line in done.stdout.splitlines():
            told = json.loads(line)
            if "begin" in told:
                begun = told
            else:
                ends[told["end"]] = {**told, "label": begun["label"]}
                left.remove(told["end"])
        if left:
            assert begun.get("begin") == left[0], done.stderr[-2000:]
            how = f"WRONG: its process ended with {done.returncode}: {done.stderr[-500:]}"
            ends[left[0]] = {"how": how, "label": begun["label"], "seconds": 0.0, "cpu": 0.0, "peak_kb": 0}
            left.pop(0)
    return ends


def judge(ends):
    """Fail with every file that was neither published correctly nor refused with a reason."""
    wrong = {f"{what} ({end['label']})": end["how"] for what, end in ends.items() if end["how"].startswith("WRONG")}
    kinds = Counter(end["how"].split(":")[0] for end in ends.values())
    slowest = max(end["cpu"] for end in ends.values())
    sys.stdout.write(
        f"{len(ends)} files: {dict(kinds)}; the slowest took {slowest:.1f} s of computing, "
        f"the peak was {max(end['peak_kb'] for end in ends.values()) / 1024:.0f} MiB\n"
    )
    assert not wrong, "\n".join(f"{what}: {how}" for what, how in wrong.items())
    return kinds


@pytest.mark.timeout(900)
def test_sixty_mutated_files(tmp_path):
    """Sixty damaged files of every format: each is published correctly or refused with a reason."""
    kinds = judge(ordeal(tmp_path, [str(number) for number in range(60)]))
    assert kinds["published"] >= 5
    assert kinds["refused"] >= 5


@pytest.mark.timeout(900)
def test_files_that_were_made_to_hurt(tmp_path):
    """Bombs, loops, entity expansions and files that contradict themselves cost neither the process nor the memory."""
    judge(ordeal(tmp_path, list(CRAFTED)))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a TIFF of 65,535 samples a pixel", "65535 channels"),
        ("a TIFF with a huge JPEG inside", "larger than its place"),
        ("a TIFF with a huge PNG inside", "scheme 34933"),
        ("a TIFF whose values overlap", "overlap"),
        ("a JPEG of three thousand scans", "number of passes"),
    ],
)
def test_bombs_are_known_by_their_headers(name, reason):
    """What would fill the memory or take minutes is refused before a pixel is decoded, with the reason."""
    with pytest.raises(PictureError, match=reason):
        screen(CRAFTED[name](), None, 2_000_000)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"rowsperstrip": 16}])
def test_an_honest_jpeg_in_a_tiff_is_accepted(options):
    """Strips and tiles that are JPEGs of the right size are no bombs."""
    out = io.BytesIO()
    tifffile.imwrite(out, smooth(), metadata=None, photometric="rgb", compression="jpeg", **options)
    assert screen(out.getvalue(), None, 2_000_000).format == "tiff"
    assert screen(saved(smooth(), "JPEG", progressive=True), None, 2_000_000).format == "jpeg"


def test_a_tiff_with_some_saved_selections_is_accepted():
    """A dozen further channels are no bomb."""
    data = strip_tiff(1, bytes(8 * 8 * 12), samples=12)
    assert screen(data, None, 2_000_000).format == "tiff"


def test_a_packet_of_very_many_parts_is_not_built():
    """What is not listed is passed over, and what is listed is built up to a bound."""
    assert xmp.parse(wide_packet("<a/>")).properties == []
    assert len(xmp.parse(wide_packet("<e:Flash/>")).properties) <= 20_000


def test_values_that_overlap_without_filling_the_memory_are_read():
    """Two tags may share their bytes, as some programs write both resolutions."""
    data = tiff([(282, 5, 1, 100), (283, 5, 1, 100)], np.arange(200, dtype=np.uint8).tobytes())
    header = read_header(data)
    assert set(read_directory(data, header.first, header).entries) == {282, 283}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_thousand_mutated_files(tmp_path):
    """The same with three thousand."""
    judge(ordeal(tmp_path, [str(number) for number in range(1000, 4000)]))
