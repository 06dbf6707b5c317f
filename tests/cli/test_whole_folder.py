"""A whole folder of real pictures through the real commands and the real engine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from PIL import Image

from shaded.outbox.roots import MARKER

pytestmark = [pytest.mark.slow, pytest.mark.real_process, pytest.mark.timeout(3000)]

REFUSED = {"container-animated.gif", "container-cmyk.jpg"}
#: Modes that cannot hold new colours come out in one that can.
WIDENED = {"P": {"P", "RGB", "RGBA", "L"}}


def _shaded(environment, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "shaded", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(shared_pictures, tmp_path_factory):
    """The real pictures after `shaded run --once`, with what the command said."""
    base = tmp_path_factory.mktemp("whole")
    outbox = base / "outbox"
    outbox.mkdir()
    for path in shared_pictures.iterdir():
        if path.suffix != ".md":
            shutil.copyfile(path, outbox / path.name)
    before = _hashes(outbox)
    environment = os.environ | {
        "SHADED_STATE_DIR": str(base / "state"),
        "XDG_CONFIG_HOME": str(base / "config"),
        # A sixteenth of the default canvas: all of it takes half an hour on two cores.
        "SHADED_SHADING__CANVAS_PIXELS": "65536",
    }
    done = _shaded(environment, "run", "--once", "--outbox", outbox, "--publish", base / "published")
    return base, environment, before, done


def test_every_still_is_published_or_refused_and_no_original_changes(folder):
    """The animation and the CMYK picture are refused with reasons, the others published, and the exit code says so."""
    base, _, before, done = folder
    assert done.returncode == 3, done.stderr[-2000:]
    published = {path.name for path in (base / "published").iterdir() if not path.name.endswith(".shaded.json")}
    assert published == set(before) - REFUSED
    assert "GIF" in done.stdout
    assert "CMYK" in done.stdout
    after = _hashes(base / "outbox")
    assert set(after) - set(before) == {MARKER}
    assert {name: after[name] for name in before} == before


def test_published_pictures_keep_size_mode_alpha_and_profile(folder):
    """Size, mode class, alpha, ICC profile and EXIF orientation are the source's; GPS is gone."""
    base, _, before, _ = folder
    for name in sorted(set(before) - REFUSED):
        with Image.open(base / "outbox" / name) as source, Image.open(base / "published" / name) as result:
            assert result.size == source.size, name
            assert result.mode in WIDENED.get(source.mode, {source.mode}), name
            assert result.info.get("icc_profile") == source.info.get("icc_profile"), name
            assert result.getexif().get(0x0112) == source.getexif().get(0x0112), name
            assert not result.getexif().get_ifd(0x8825), name
            if source.mode == "RGBA":
                assert np.array_equal(np.asarray(source)[..., 3], np.asarray(result)[..., 3]), name


def test_sidecars_validate_and_every_file_keeps_its_word(folder):
    """All sidecars are valid against the shipped schema, and `shaded verify` finds every number again."""
    base, environment, _, _ = folder
    schema = json.loads(files("shaded.publishing").joinpath("sidecar.schema.json").read_text())
    sidecars = sorted((base / "published").glob("*.shaded.json"))
    assert sidecars
    for path in sidecars:
        jsonschema.validate(json.loads(path.read_text()), schema)
    done = _shaded(environment, "verify", *sorted((base / "published").iterdir()), "--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_second_run_shades_nothing_again(folder):
    """With everything done, another run leaves every published file as it is."""
    base, environment, _, _ = folder
    before = {path.name: path.stat().st_mtime_ns for path in (base / "published").iterdir()}
    _shaded(environment, "run", "--once", "--outbox", base / "outbox", "--publish", base / "published")
    assert {path.name: path.stat().st_mtime_ns for path in (base / "published").iterdir()} == before
