from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
import structlog

from shaded import logs
from shaded.cli import main
from shaded.daemon import assembly, executors

FAKE_WORKER = Path(__file__).parents[1] / "scheduling" / "fake_worker.py"


@pytest.fixture(autouse=True)
def _logs_are_quiet():
    logs.configure("error", "json")
    yield
    structlog.reset_defaults()


@pytest.fixture
def shaded(capsys):
    """Run a command: exit code, standard output, standard error."""

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def fake_engine(monkeypatch):
    """Let every command use the worker that copies."""
    command = (sys.executable, str(FAKE_WORKER))
    monkeypatch.setenv("PYTHONPATH", str(FAKE_WORKER.parents[2]))
    monkeypatch.setattr(assembly, "run_daemon", partial(assembly.run_daemon, command=command))
    monkeypatch.setattr(executors, "process_executor", partial(executors.process_executor, command=command))
    monkeypatch.setattr(executors, "open_pool", partial(executors.open_pool, command=command))
