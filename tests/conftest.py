"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A first example waits for torch to load, and a busy machine is no fault of the code: the suite's own timeout stands.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Two processes that each compute with every core get in each other's way; this is read when torch is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Names that are no UTF-8 may stand in what a test logged; one process tells another only text that is."""
    return _sayable((yield))


def _sayable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _sayable(one) for key, one in value.items()}
    return type(value)(map(_sayable, value)) if type(value) in (list, tuple) else value


SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the reference {name} are not at hand ({folder})")
    return folder


@pytest.fixture(scope="session")
def shared_pictures() -> Path:
    """The folder of real pictures, or a skip that says so."""
    return _shared("pictures")


@pytest.fixture(scope="session")
def shared_encoders() -> Path:
    """The folder of real encoders, or a skip that says so."""
    return _shared("encoders")


@pytest.fixture(autouse=True)
def _private_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's own settings and state."""
    for key in list(os.environ):
        if key.startswith("SHADED_"):
            monkeypatch.delenv(key)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SHADED_STATE_DIR", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "local-state"))
