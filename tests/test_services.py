from __future__ import annotations

import configparser
import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shaded import services
from shaded.services import ServicePaths, launchd_plist, systemd_unit

TREE = Path(__file__).parents[1]


def _unit(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(text)
    return parser


def test_the_unit_in_the_tree_is_the_built_one():
    """systemd/shaded.service is exactly what the function gives."""
    assert (TREE / "systemd" / services.UNIT_NAME).read_text() == systemd_unit(services.TREE_SYSTEMD)


def test_the_plist_in_the_tree_is_the_built_one():
    """Launchd's property list in the tree is exactly what the function gives."""
    assert (TREE / "launchd" / services.PLIST_NAME).read_bytes() == launchd_plist(services.TREE_LAUNCHD)


def test_the_unit_waits_for_ready_and_drains():
    """The unit is of type notify, hears the daemon only, and leaves it time to finish a picture."""
    service = _unit(systemd_unit(ServicePaths(Path("/opt/shaded"))))["Service"]
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) >= 600
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"].split() == ["65", "75", "78"]


@pytest.mark.parametrize(
    "key",
    [
        "PrivateDevices", "MemoryDenyWriteExecute", "ProcSubset", "DevicePolicy", "DeviceAllow", "ProtectClock",
        "ProtectHome", "PrivateTmp", "RootDirectory", "ReadOnlyPaths", "InaccessiblePaths",
    ],
)  # fmt: skip
def test_the_unit_leaves_the_gpu_visible(key):
    """Nothing in the unit hides a GPU or a folder, or forbids compilers that make code at run time."""
    assert key not in _unit(systemd_unit(ServicePaths(Path("/opt/shaded"))))["Service"]


def test_awkward_paths_survive_in_the_command_line():
    """Spaces, quotes, percent and dollar signs in paths reach the daemon as they are."""
    paths = ServicePaths(
        Path("/opt/my tools/shaded"), config=Path('/home/a/50% $x "q".toml'), state_dir=Path("/s p/100%")
    )
    service = _unit(systemd_unit(paths))["Service"]
    assert service["ExecStart"] == '"/opt/my tools/shaded" run --config "/home/a/50%% $$x \\"q\\".toml"'
    assert service["Environment"] == '"SHADED_STATE_DIR=/s p/100%%"'


def test_the_plist_starts_at_login_and_after_failures():
    """The agent runs at load, comes back after a failure only, and stays in the background."""
    agent = plistlib.loads(
        launchd_plist(
            ServicePaths(
                Path("/opt/my tools/shaded"),
                config=Path("/a & b.toml"),
                state_dir=Path("/s"),
                log=Path("/l.log"),
            )
        )
    )
    assert agent["ProgramArguments"] == ["/opt/my tools/shaded", "run", "--config", "/a & b.toml", "--agent"]
    assert agent["RunAtLoad"] is True
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["ProcessType"] == "Background"
    assert agent["LowPriorityIO"] is True
    assert agent["EnvironmentVariables"] == {"SHADED_STATE_DIR": "/s"}
    assert agent["StandardErrorPath"] == "/l.log"
    assert agent["ExitTimeOut"] >= 600


@pytest.mark.real_process
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_accepts_the_unit(tmp_path):
    """systemd-analyze verify finds nothing to say about the unit."""
    unit = tmp_path / services.UNIT_NAME
    unit.write_text(systemd_unit(ServicePaths(Path(sys.executable), config=tmp_path / "my config.toml")))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_the_unit_reloads_and_is_watched():
    """The unit sends SIGHUP for a reload, has a watchdog, and is started again for as long as it takes."""
    unit = _unit(systemd_unit(ServicePaths(Path("/opt/shaded"))))
    assert unit["Service"]["ExecReload"] == "kill -HUP $MAINPID"
    assert int(unit["Service"]["WatchdogSec"]) >= 60
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_unit_can_do_without_a_user_namespace():
    """Without the sandbox the unit has none of the lines that a restricted service manager cannot carry out."""
    with_it = systemd_unit(ServicePaths(Path("/opt/shaded"))).splitlines()
    without = systemd_unit(ServicePaths(Path("/opt/shaded")), sandbox=False).splitlines()
    assert set(with_it) - set(without) == set(services.SANDBOX)


@pytest.mark.real_process
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_the_units_exposure_is_small():
    """`systemd-analyze security` calls the unit's exposure 4.0 or less."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(TREE / "systemd" / services.UNIT_NAME)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for .*: (\d+\.\d)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= 4.0
