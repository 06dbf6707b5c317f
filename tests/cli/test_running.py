"""How ``run`` ends, and what a service manager makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from shaded import services
from shaded.control import request
from shaded.daemon import assembly
from shaded.daemon.instance import LEDGER_NAME
from shaded.errors import ShadedError, Unavailable


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A settings file with one pair of folders."""
    monkeypatch.delenv("SHADED_STATE_DIR")
    path = tmp_path / "c.toml"
    path.write_text(
        f'state_dir = "{tmp_path}/state"\n[[folder]]\noutbox = "{tmp_path}/out"\npublish = "{tmp_path}/pub"\n'
    )
    return path


@pytest.mark.parametrize("when", ["first", "later"])
def test_a_damaged_ledger_has_its_own_code_and_remedy(shaded, config, tmp_path, fake_engine, when):
    """Run ends with 65 and names `shaded recover`, also where no marker was written yet; the file stays as it is."""
    if when == "later":
        assert shaded("run", "--once", "--config", config)[0] == 0
    (tmp_path / "state").mkdir(exist_ok=True)
    damaged = b"this was a database once" * 1000
    for name in ("-wal", "-shm"):
        (tmp_path / "state" / (LEDGER_NAME + name)).unlink(missing_ok=True)
    (tmp_path / "state" / LEDGER_NAME).write_bytes(damaged)
    code, _, err = shaded("run", "--once", "--config", config)
    assert code == 65
    assert "shaded recover" in err
    assert (tmp_path / "state" / LEDGER_NAME).read_bytes() == damaged


def test_a_newer_ledger_is_not_tried_again_and_again(shaded, config, tmp_path, fake_engine):
    """A ledger of a newer version has the same code: only a person can help."""
    import sqlite3

    shaded("run", "--once", "--config", config)
    with sqlite3.connect(tmp_path / "state" / LEDGER_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert shaded("run", "--once", "--config", config)[0] == 65


def test_launchd_is_told_0_where_starting_again_would_not_help(shaded, config, tmp_path, fake_engine, monkeypatch):
    """Damage, another instance and wrong settings end the agent for good; what passes has it started again."""
    agent = ("run", "--agent", "--once", "--config", config)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / LEDGER_NAME).write_bytes(b"damaged" * 1000)
    code, _, err = shaded(*agent)
    assert code == 0
    assert "not started again (code 65)" in err
    config.write_text("speling = 1")
    code, _, err = shaded(*agent)
    assert (code, "(code 78)" in err) == (0, True)

    def away(*_arguments, **_options):
        raise Unavailable("the disk is away")

    monkeypatch.setattr(assembly, "run_daemon", away)
    config.write_text("")
    assert shaded(*agent)[0] == 74


def test_the_codes_that_are_final_are_those_of_the_unit(shaded):
    """Both service managers go by one list, and no code of what passes is on it."""
    assert set(services.FINAL_CODES) == {65, 75, 78}
    assert Unavailable.exit_code not in services.FINAL_CODES
    assert "RestartPreventExitStatus=65 75 78\n" in services.systemd_unit(services.TREE_SYSTEMD)


@pytest.mark.real_process
def test_a_daemon_starts_whatever_stands_in_its_places(tmp_path, config):
    """Folders in the place of socket, pointer, lock and process id keep nothing from running, and stay."""
    names = ("control.sock", "daemon.lock", "daemon.pid")
    for name in names:
        (tmp_path / "state" / name).mkdir(parents=True)
        (tmp_path / "state" / name / "keep.txt").write_text("a person's words")
    with subprocess.Popen(
        [sys.executable, "-m", "shaded", "run", "--config", config], stderr=subprocess.PIPE, env=os.environ
    ) as process:
        try:
            end = time.monotonic() + 40
            told = None
            while told is None and time.monotonic() < end and process.poll() is None:
                try:
                    told = request(tmp_path / "state", "status", timeout=2)
                except ShadedError:
                    time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, log
    assert told is not None, log
    assert told["daemon"]["pid"] == process.pid
    assert b"something else stands in the control socket's place" in log
    for name in names:
        assert (tmp_path / "state" / name / "keep.txt").read_text() == "a person's words"
