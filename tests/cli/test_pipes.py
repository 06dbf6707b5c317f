"""Commands whose standard streams are closed, full or of few letters, as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.rig import png

pytestmark = pytest.mark.real_process

COPYING = Path(__file__).with_name("copying.py")
TREE = COPYING.parents[2]
FULL = Path("/dev/full")


@pytest.fixture
def sh(tmp_path):
    """Run a line of a shell in which `shaded` is the command, with workers that copy; code, output and errors."""
    worker = tmp_path / "worker"
    worker.write_text(f"#!/bin/sh\nexec {sys.executable} {TREE}/tests/scheduling/fake_worker.py\n")
    worker.chmod(0o755)
    command = tmp_path / "shaded"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {COPYING} "$@"\n')
    command.chmod(0o755)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    environment = plain | {
        "PYTHONPATH": str(TREE),
        "COPYING_WORKER": str(worker),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SHADED_WATCHING__QUIET_SECONDS": "0.2",
    }

    def run(line, *words, **more):
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line}", "bash", *words],
            env=environment | more, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip

    return run


ANSWERS = [
    *("status", "explain fox.png", "--help", "service show"),
    *(pytest.param(more, marks=pytest.mark.slow)
      for more in ("queue", "check --skip-models", "shade --help", "status --json", "--version")),
]  # fmt: skip


@pytest.mark.parametrize("words", ANSWERS)
def test_a_closed_pipe_ends_a_command_quietly(sh, words):
    """Whoever has read enough closes the pipe: nothing is said, and the code is that of SIGPIPE."""
    done = sh(f"shaded {words} 2>errors | true; echo ${{PIPESTATUS[0]}} >&2; grep -v '^# ' errors")
    assert done.stderr.splitlines()[0] == b"141"
    assert done.stdout == b""


@pytest.mark.parametrize("words", ["status", "explain fox.png", "--help"])
def test_head_has_its_line(sh, words):
    """The first line is printed, and nothing is said."""
    done = sh(f"shaded {words} | head -1")
    assert done.returncode in (0, 141)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == b""


@pytest.mark.skipif(not FULL.exists(), reason="there is no full device here")
@pytest.mark.parametrize("words", ANSWERS)
def test_a_full_device_is_said(sh, words):
    """One line says what cannot be written, and the code is 74."""
    done = sh(f"shaded {words} > /dev/full")
    assert done.returncode == 74
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith(b"# ")]
    assert line.startswith(b"shaded: standard output cannot be written: No space left on device.")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize(("words", "code"), [("status", 0), ("--help", 0), ("dance", 2)])
def test_closed_streams_change_no_exit_code(sh, words, code, closed):
    """What would be said is lost, and there is no traceback; where nothing can be told apart, the code tells."""
    if "/dev/full" in closed and not FULL.exists():
        pytest.skip("there is no full device here")
    done = sh(f"shaded {words} {closed}")
    assert done.returncode == code
    assert b"Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("closed", ["", ">&-", "2>&-", "<&- >&- 2>&-", "> /dev/null 2>&1"])
def test_pictures_are_shaded_whatever_becomes_of_the_words(sh, tmp_path, closed):
    """Closed streams keep nobody from the work, and no file gets their numbers and their words."""
    (tmp_path / "fox.png").write_bytes(png(1))
    assert sh(f"shaded shade fox.png --out pub {closed}").returncode == 0
    assert sorted(path.name for path in (tmp_path / "pub").iterdir()) == ["fox.png", "fox.png.shaded.json"]
    assert (tmp_path / "pub" / "fox.png").read_bytes() == png(1) + b"shaded"


TERMINALS = {
    "C, not UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "narrow": {"COLUMNS": "20", "TERM": "dumb", "NO_COLOR": "1"},
}
NAMES = ["füx 🦊.png", "fox\n\x1b[2J\x9b.png", "\u202efox.png", os.fsdecode(b"f\xfcx.png")]


@pytest.mark.parametrize(
    "terminal",
    ["C, not UTF-8", "Latin-1", *(pytest.param(more, marks=pytest.mark.slow) for more in ("ASCII", "narrow"))],
)
@pytest.mark.parametrize("name", NAMES, ids=["letters", "steering", "turned", "bytes"])
def test_a_name_that_a_terminal_cannot_show_is_escaped(sh, tmp_path, terminal, name):
    """The picture is shaded, or refused where its name is no text, and what is printed has only printable signs."""
    path = os.fsencode(tmp_path / name)
    (tmp_path / name).write_bytes(png(1))
    is_text = "\udcfc" not in name
    for line, code in (
        ('shaded shade "$1" --out pub', 0 if is_text else 3),
        ('shaded explain "$1"', 0),
        ('shaded verify "$1"', 3),
        ('shaded status --config "$1"', 78),
        ('shaded "$1"', 2),
        ('shaded shade "$1.gone" --out pub', 3),
    ):
        done = sh(line, path, **TERMINALS[terminal])
        assert done.returncode == code, line
        shown = (done.stdout + done.stderr).decode("latin-1" if terminal == "Latin-1" else "utf-8")
        assert all(sign.isprintable() or sign == "\n" for sign in shown)
        assert "Traceback" not in shown
        if terminal in ("ASCII", "C, not UTF-8"):
            assert shown.isascii()
    if is_text:
        assert (tmp_path / "pub" / name).read_bytes() == png(1) + b"shaded"
