"""The floors of the house: a room imports only from floors below it, and light rooms stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import shaded

PACKAGE = Path(shaded.__file__).parent

FLOORS = {
    "errors": 0, "clock": 0, "settings": 0, "logs": 0, "filestat": 0, "durable": 0, "models": 0, "terminal": 0,
    "configuration": 0, "signalling": 0,
    "shading": 1, "evidence": 1, "training": 1,
    "outbox": 2, "ledger": 2, "publishing": 2,
    "scheduling": 3,
    "daemon": 4, "control": 4, "services": 4, "reports": 4,
    "cli": 5, "__main__": 6, "__init__": 0,
}  # fmt: skip


def _modules():
    return sorted(PACKAGE.rglob("*.py"))


def _room(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _imported_rooms(path):
    """Every room of this package that a module imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "shaded" else [node.module]
            )
        for name in names:
            parts = name.split(".")
            if parts[0] == "shaded" and len(parts) > 1 and parts[1] in FLOORS:
                yield parts[1]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_floors_below(path):
    """No room reaches up: its imports are from its own room or from lower floors; rooms of one floor are neighbours."""
    room = _room(path)
    above = {other for other in _imported_rooms(path) if FLOORS[other] > FLOORS[room]}
    assert not above, f"{room} (floor {FLOORS[room]}) imports from above: {above}"


def test_every_room_has_a_floor():
    """A new room is given its place in the house before it is built."""
    assert {_room(path) for path in _modules()} <= set(FLOORS)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_outgrows_its_room(path):
    """A module of more than 400 lines is missing an idea."""
    assert len(path.read_text("utf-8").splitlines()) <= 400


def test_shading_is_pure():
    """The engine touches no files, no clock and no settings."""
    forbidden = {"os", "io", "pathlib", "time", "datetime", "shaded.settings", "pydantic", "structlog"}
    for path in (PACKAGE / "shading").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = set()
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {node.module or ""}
            assert not names & forbidden, f"{path.name} imports {names & forbidden}"


LIGHT = ["settings", "errors", "logs", "outbox.arrivals", "outbox.screening", "ledger", "publishing.sidecar",
         "publishing.atomic", "publishing.naming", "scheduling.executor", "scheduling.process", "scheduling.messages",
         "daemon", "control", "services", "cli", "models.bundle"]  # fmt: skip


def test_rooms_above_the_engine_import_no_torch():
    """Importing everything that the daemon and the commands need brings in no torch and no diffusers."""
    code = "\n".join(
        [f"import shaded.{name}" for name in LIGHT]
        + ["import sys", "print([m for m in ('torch', 'diffusers', 'timm', 'lpips') if m in sys.modules])"]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_test_says_what_it_holds():
    """Each test function in the suite has a docstring."""
    silent = []
    for path in Path(__file__).parent.rglob("test_*.py"):
        functions = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.FunctionDef)]
        tests = [function for function in functions if function.name.startswith("test_")]
        silent += [f"{path.name}::{test.name}" for test in tests if not ast.get_docstring(test)]
    assert not silent
