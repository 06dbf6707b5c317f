from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from shaded import services
from shaded.cli import service


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, with the command installed and a service manager that remembers what it was told."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(service, "program", lambda: Path("/opt/shaded/bin/shaded"))
    monkeypatch.delenv("SHADED_STATE_DIR")
    return tmp_path


@pytest.fixture
def manager(monkeypatch):
    """A service manager that does what it is told."""
    told = []
    monkeypatch.setattr(service, "_carry_out", lambda commands: told.extend(commands) or True)
    return told


def test_show_prints_the_unit_and_changes_nothing(home, shaded):
    """Show prints exactly the file, and where it would go on standard error."""
    code, out, err = shaded("service", "show")
    assert code == 0
    assert "ExecStart=/opt/shaded/bin/shaded run\n" in out
    assert err == f"# {home}/config/systemd/user/shaded.service\n"
    assert not (home / "config").exists()


def test_install_writes_the_unit_and_starts_it(home, manager, shaded, tmp_path):
    """Install writes the unit with the named settings file and has it enabled and started."""
    (tmp_path / "c.toml").write_text(f'state_dir = "{tmp_path}/state"\n')
    code, out, _ = shaded("service", "install", "--config", tmp_path / "c.toml")
    unit = home / "config" / "systemd" / "user" / "shaded.service"
    assert code == 0
    assert str(unit) in out
    assert f"run --config {tmp_path}/c.toml" in unit.read_text()
    assert f"SHADED_STATE_DIR={tmp_path}/state" in unit.read_text()
    assert manager == [
        ("systemctl", "--user", "daemon-reload"),
        ("systemctl", "--user", "enable", "--now", "shaded.service"),
    ]


def test_install_says_what_to_run_where_it_cannot(home, shaded, monkeypatch):
    """Without a reachable service manager the commands are printed, and the file is there."""
    monkeypatch.setenv("PATH", str(home))
    code, out, _ = shaded("service", "install")
    assert code == 0
    assert "    systemctl --user enable --now shaded.service\n" in out
    assert (home / "config" / "systemd" / "user" / "shaded.service").exists()


def test_a_failing_service_manager_is_reported(home, shaded, monkeypatch):
    """What the service manager says against it is passed on."""
    (home / "systemctl").write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")
    (home / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:/bin:/usr/bin")
    code, out, err = shaded("service", "install")
    assert code == 0
    assert "no bus" in err
    assert "Nothing was started" in out


def test_uninstall_removes_the_unit(home, manager, shaded):
    """Uninstall stops the daemon and removes the file; without one it says so."""
    shaded("service", "install")
    code, out, _ = shaded("service", "uninstall")
    assert code == 0
    assert "Removed" in out
    assert manager[-1] == ("systemctl", "--user", "disable", "--now", "shaded.service")
    assert shaded("service", "uninstall")[1] == "No service is installed.\n"


def test_wrong_settings_are_not_installed(home, manager, shaded, tmp_path):
    """A settings file that is wrong is refused before any service is written."""
    (tmp_path / "c.toml").write_text("speling = 1")
    assert shaded("service", "install", "--config", tmp_path / "c.toml")[0] == 78
    assert manager == []


def test_macos_has_an_agent(home):
    """On macOS the plan is a launchd agent with its log, bootstrapped into the user's session."""
    planned = service.plan(None, platform="darwin")
    assert planned.file == home / "Library" / "LaunchAgents" / "org.shaded.daemon.plist"
    agent = plistlib.loads(planned.content)
    assert agent["ProgramArguments"] == ["/opt/shaded/bin/shaded", "run", "--agent"]
    assert agent["StandardErrorPath"] == str(home / "Library" / "Logs" / "shaded.log")
    assert planned.start[0][:2] == ("launchctl", "bootstrap")
    assert planned.stop[0][:2] == ("launchctl", "bootout")


@pytest.mark.parametrize("theirs", [b"[Service]\nExecStart=/bin/true\n", b"", b"\x00\xff", "link"])
def test_a_service_file_of_somebody_else_stays(home, manager, shaded, theirs):
    """Neither install nor uninstall touches a unit that shaded did not write, or a link such as a masked unit's."""
    unit = home / "config" / "systemd" / "user" / "shaded.service"
    unit.parent.mkdir(parents=True)
    if theirs == "link":
        unit.symlink_to("/dev/null")
    else:
        unit.write_bytes(theirs)
    for command in ("install", "uninstall"):
        code, _, err = shaded("service", command)
        assert code == 1
        assert "was not written by shaded" in err
    assert manager == []
    assert unit.is_symlink() if theirs == "link" else unit.read_bytes() == theirs


def test_every_service_file_of_our_own_is_known(home):
    """Units and agents, of this version and of one without the agent's option, count as written by shaded."""
    for platform in ("linux", "darwin"):
        content = service.plan(None, platform=platform).content
        assert services.is_ours(content)
        assert services.is_ours(content.replace(b"\t\t<string>--agent</string>\n", b""))
    theirs = plistlib.dumps({"Label": "org.somebody", "ProgramArguments": ["/bin/shaded"]})
    assert not services.is_ours(theirs)


def test_commands_can_be_pasted(home, shaded, monkeypatch):
    """A command with a space in it is printed as a shell reads it."""
    planned = service.Plan(
        home / "x", b"", start=(("launchctl", "bootstrap", "gui/1", "/my home/x $y.plist"),), stop=()
    )
    monkeypatch.setattr(service, "plan", lambda _config: planned)
    monkeypatch.setenv("PATH", str(home))
    _, out, _ = shaded("service", "install")
    assert "    launchctl bootstrap gui/1 '/my home/x $y.plist'\n" in out


def test_a_line_end_in_a_path_is_refused(home, shaded, tmp_path):
    """A settings file whose name would add a line to the unit is refused, and nothing is written."""
    config = tmp_path / "c\nExecStartPre=evil.toml"
    config.write_text("")
    code, out, err = shaded("service", "install", "--config", config)
    assert (code, out) == (78, "")
    assert "c\\nExecStartPre=evil.toml" in err
    assert not (home / "config").exists()


def test_where_the_file_goes_steers_no_terminal(home, shaded, monkeypatch, tmp_path):
    """Escapes in XDG_CONFIG_HOME and in what the service manager says are escaped in the messages."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "a\x1b[2J\n b"))
    (home / "systemctl").write_text("#!/bin/sh\nprintf 'no\\033[2J\\377bus' >&2\nexit 1\n")
    (home / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:/bin:/usr/bin")
    code, out, err = shaded("service", "install")
    assert code == 0
    assert "bus" in err
    assert not [c for c in out + err if not c.isprintable() and c != "\n"]
    assert (tmp_path / "a\x1b[2J\n b" / "systemd" / "user" / "shaded.service").exists()
