"""The documents: what they tell people to type can be typed, and kept results are what the text says."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from shaded.cli.app import app
from shaded.evidence.trial.report import outcome
from shaded.settings import load_settings
from tests.outbox.test_save_patterns import PATTERNS
from tests.reliability.crafted import CRAFTED
from tests.reliability.cuts import SCENES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TRIAL = ROOT / "docs" / "evidence" / "trial.json"


def _blocks(page):
    """Every line of the fenced blocks of a page."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        yield from block.splitlines()


def _typed(page):
    """What a page tells people to type: lines of blocks, and pieces of text set as code."""
    yield from _blocks(page)
    yield from re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))


def _shaded_commands():
    """Each use of ``shaded WORD ...`` in the documents: the words after the program's name."""
    for page in PAGES:
        for text in _typed(page):
            # Perhaps behind another command, with variables or by its path.
            for words in re.findall(r"(?:^|[;&] )(?:[A-Z_]+=\S+ )*(?:\S*/)?shaded ([a-z].*?)(?=$|&&|;)", text):
                yield pytest.param(words, id=f"{page.name}: {words[:60]}")


def _command(words):
    command = typer.main.get_command(app)
    for word in words:
        if word not in getattr(command, "commands", {}):
            return command
        command = command.commands[word]
    return command


@pytest.mark.parametrize("words", list(_shaded_commands()))
def test_documented_commands_can_be_typed(words):
    """The command is there, and so is every option that the documents give it."""
    command = _command(words.split())
    assert not hasattr(command, "commands"), f"shaded {words} is no command"
    known = {name for parameter in command.params for name in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]*", words)) <= known | {"--help"}


def _programs():
    """Each ``python FILE ...`` or ``python -m MODULE ...`` in a block of the documents."""
    for page in PAGES:
        for line in _blocks(page):
            found = re.search(r"\bpython3? (?:(-m shaded[.\w]*)|(benchmarks/\w+\.py))(.*)", line)
            if found:
                module, file, rest = found.groups()
                yield pytest.param(module.split() if module else [file], rest, id=f"{page.name}: {module or file}")


@pytest.mark.parametrize(("program", "rest"), list(_programs()))
def test_documented_programs_have_these_options(program, rest):
    """A benchmark or a training program of the documents knows every option that it is given there."""
    done = subprocess.run(
        [sys.executable, *program, "--help"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"--[a-z][a-z-]*", rest)) <= set(re.findall(r"--[a-z][a-z-]*", done.stdout))


def test_documented_settings_are_settings(monkeypatch, tmp_path):
    """Each TOML block in the documents is a settings file that can be read."""
    monkeypatch.setenv("HOME", str(tmp_path))
    found = [
        text
        for page in PAGES
        for text in re.findall(r"^ *```toml\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    ]
    assert len(found) >= 3
    for text in found:
        (tmp_path / "config.toml").write_text(text)
        load_settings(tmp_path / "config.toml")


@pytest.mark.slow
def test_documented_options_of_ray_are_there():
    """Every option that docs/cluster.md gives to ``ray start`` is one of Ray's."""
    lines = [line for line in _blocks(ROOT / "docs" / "cluster.md") if "ray start" in line]
    done = subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--help"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    wanted = {option for line in lines for option in re.findall(r"--[a-z][a-z-]*", line)}
    assert {"--disable-usage-stats", "--include-dashboard"} <= wanted <= set(re.findall(r"--[a-z][a-z-]*", done.stdout))


#: The test that runs each program of docs/evidence.md at a size that is over in a minute.
TINY = {
    "shaded shade": "tests/cli/test_pictures.py",
    "shaded audit": "tests/cli/test_auditing.py",
    "shaded trial": "tests/cli/test_trialing.py",
    "benchmarks/detectability.py": "tests/test_benchmarks.py",
    "benchmarks/transfer.py": "tests/test_benchmarks.py",
}


def test_every_figure_of_the_evidence_comes_from_a_program_that_is_run_in_the_tests():
    """Each program in a block of docs/evidence.md is run, small, by the tests; each of those is in the document."""
    blocks = "\n".join(_blocks(ROOT / "docs" / "evidence.md"))
    used = set(re.findall(r"\bshaded (?:shade|audit|trial)\b|benchmarks/\w+\.py", blocks))
    assert used == set(TINY)
    for program, file in TINY.items():
        assert f'"{program.split()[-1].split("/")[-1]}"' in (ROOT / file).read_text("utf-8")


def test_the_detectors_in_the_documents_are_those_that_are_kept(monkeypatch):
    """The table of docs/evidence.md is what the program prints of docs/evidence/detectability.json."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    table = runpy.run_path(str(ROOT / "benchmarks" / "detectability.py"))["table"]
    document = json.loads((ROOT / "docs" / "evidence" / "detectability.json").read_text("utf-8"))
    assert "\n".join(table(document)) in (ROOT / "docs" / "evidence.md").read_text("utf-8")


def test_the_trial_in_the_documents_is_the_one_that_is_kept():
    """The table of the poison trial in docs/evidence.md is what ``shaded trial`` says of docs/evidence/trial.json."""
    document = json.loads(TRIAL.read_text("utf-8"))
    assert document["complete"] is True
    assert "\n".join(outcome(document)) in (ROOT / "docs" / "evidence.md").read_text("utf-8")


def test_the_counts_in_the_document_on_reliability_are_those_of_the_tests():
    """Scenes, crafted files and programs' ways of saving are as many as docs/reliability.md says."""
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    for count, what in (
        (len(SCENES), "scenes (the first picture"),
        (len(CRAFTED), "crafted bombs and loops"),
        (len(CRAFTED), "crafted files"),
        (len(PATTERNS), "programs' ways of saving"),
    ):
        assert f" {count} {what}" in text, f"{count} {what}"
