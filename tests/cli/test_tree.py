from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from shaded.cli.app import app

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"


def _leaves(command, words=()):
    """Every command without commands of its own: its words and itself."""
    children = getattr(command, "commands", {})
    if not children:
        yield words, command
    for name, child in children.items():
        yield from _leaves(child, (*words, name))


LEAVES = [pytest.param(words, command, id=" ".join(words)) for words, command in _leaves(typer.main.get_command(app))]


@pytest.mark.parametrize(("words", "command"), LEAVES)
def test_every_command_is_helped_and_documented(words, command):
    """Every command has help, so has each of its options and arguments, and all of them are in docs/commands.md."""
    docs = DOCS.read_text()
    assert command.help
    assert f"shaded {' '.join(words)}" in docs
    for parameter in command.params:
        assert parameter.help, f"{parameter.name} has no help"
        if parameter.param_type_name == "option" and parameter.name != "help" and not parameter.hidden:
            assert max(parameter.opts, key=len) in docs


def test_the_tree_is_the_interface():
    """The commands are exactly those that are promised."""
    assert {" ".join(words) for words, _ in _leaves(typer.main.get_command(app))} == {
        "run",
        "shade",
        "status",
        "queue",
        "explain",
        "pause",
        "reload",
        "resume",
        "retry",
        "bump",
        "recover",
        "verify",
        "audit",
        "trial",
        "check",
        "service install",
        "service uninstall",
        "service show",
    }


def test_every_exit_code_is_documented():
    """Each exit code of the error tree stands in the table."""
    from shaded import errors

    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ShadedError)
    }
    assert all(f"| {code} |" in DOCS.read_text() for code in {0, 130, *codes})


def _fresh(script):
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(DOCS.parents[1])},
    )
    return done.stdout


HEAVY = {"torch", "torchvision", "diffusers", "timm", "lpips"}


@pytest.mark.real_process
@pytest.mark.parametrize(
    "module",
    [
        "shaded.settings",
        "shaded.errors",
        "shaded.outbox.arrivals",
        "shaded.outbox.screening",
        "shaded.ledger",
        "shaded.publishing.atomic",
        "shaded.publishing.reading",
        "shaded.publishing.writing",
        "shaded.publishing.sidecar",
        "shaded.scheduling.process",
        "shaded.scheduling.worker",
        "shaded.daemon.assembly",
        "shaded.control",
        "shaded.services",
        "shaded.reports",
        "shaded.cli.app",
        "shaded.cli.display",
        "shaded.models.bundle",
    ],
)
def test_nothing_above_the_engine_imports_torch(module):
    """Importing any part above the engine loads no deep-learning library."""
    loaded = set(json.loads(_fresh(f"import json, sys, {module}; print(json.dumps(list(sys.modules)))")))
    assert not loaded & HEAVY


@pytest.mark.real_process
def test_the_daemon_needs_no_imaging_library_either():
    """What the idle daemon loads has neither numpy nor Pillow in it."""
    loaded = set(json.loads(_fresh("import json, sys, shaded.daemon.assembly; print(json.dumps(list(sys.modules)))")))
    assert not loaded & {"numpy", "PIL", "pillow_heif", "tifffile"}


@pytest.mark.real_process
def test_status_is_quick_and_imports_no_torch():
    """`shaded status` without a daemon takes under half a second of computing and loads no heavy library."""
    script = "import json, sys; from shaded.cli import main; main(['status']); print(json.dumps(list(sys.modules)))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    loaded = set(json.loads(_fresh(script).splitlines()[-1]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert not loaded & (HEAVY | {"numpy", "PIL", "rich", "watchdog"})
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
