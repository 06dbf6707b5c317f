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
from hypothesis import given, settings
from hypothesis import strategies as st

from shaded import services
from shaded.errors import ConfigurationError
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


def _words(line: bytes) -> list[bytes]:
    """The words of a setting as systemd.syntax(7), "Quoting", and its table of escapes have them."""
    known = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"\\": 92, b'"': 34, b"'": 39, b"s": 32}
    words, word, quote, at = [], None, b"", 0
    while at < len(line):
        c = line[at : at + 1]
        at += 1
        if c == b"\\":
            kind = line[at : at + 1]
            if kind == b"x":
                byte, at = int(line[at + 1 : at + 3], 16), at + 3
                assert byte
            else:
                byte, at = known[kind], at + 1
            word = (word or b"") + bytes([byte])
        elif c == quote:
            assert line[at : at + 1] in (b"", b" "), "a closing quote ends the word"
            quote = b""
        elif not quote and c in (b"'", b'"'):
            assert word is None, "a quote begins a word"
            quote, word = c, b""
        elif not quote and c in b" \t":
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or b"") + c
    assert not quote
    return words + ([] if word is None else [word])


def _specifiers(word: bytes) -> bytes:
    """systemd.unit(5), "Specifiers": only the doubled percent sign may stand here."""
    assert not re.search(rb"%[^%]", word.replace(b"%%", b""))
    return word.replace(b"%%", b"%")


def _command_line(unit: str) -> list[bytes]:
    """What systemd.service(5), "Command lines", makes of ExecStart."""
    (line,) = [line for line in unit.encode().split(b"\n") if line.startswith(b"ExecStart=")]
    program, *arguments = map(_specifiers, _words(line.removeprefix(b"ExecStart=")))
    assert program.startswith(b"/"), "no prefix such as @, -, :, + or !"
    assert not re.search(rb"""['"\\\x00-\x1f\x7f]""", program), "systemd would not start it"
    for word in arguments:
        assert b"$" not in word.replace(b"$$", b"")
        assert word != b";"
    return [program, *(word.replace(b"$$", b"$") for word in arguments)]


def _state(unit: str) -> bytes:
    (line,) = [line for line in unit.encode().split(b"\n") if line.startswith(b"Environment=")]
    (assignment,) = map(_specifiers, _words(line.removeprefix(b"Environment=")))
    assignment.decode()  # else it is passed over
    return assignment.removeprefix(b"SHADED_STATE_DIR=")


_ANY_NAME = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.text(min_size=1, max_size=12).map(lambda text: text.encode("utf-8", "replace")),
    st.text(" $%{}'\"\\;\t\n#-@:+!x", min_size=1, max_size=12).map(str.encode),
).filter(lambda name: b"\0" not in name)
_ANY_PATH = _ANY_NAME.map(lambda name: Path(os.fsdecode(b"/" + name.lstrip(b"/"))))


def _made(make, paths):
    """The service file, or nothing where one of the paths was refused by name."""
    refused = None
    try:
        return make(paths)
    except ConfigurationError as error:
        refused = error
    assert refused.path in (paths.program, paths.config, paths.state_dir)
    assert refused.remedy
    return None


@settings(max_examples=500)
@given(_ANY_PATH, _ANY_PATH, _ANY_PATH)
def test_systemd_reads_every_path_as_it_is(program, config, state):
    """Whatever bytes a path has, systemd reads exactly those from the unit, or the path is refused by name."""
    paths = ServicePaths(program, config=config, state_dir=state)
    unit = _made(systemd_unit, paths)
    if unit is None:
        return
    assert _command_line(unit) == [os.fsencode(program), b"run", b"--config", os.fsencode(config)]
    assert _state(unit) == os.fsencode(state)
    assert all(c.isprintable() or c == "\n" for c in unit)
    assert len(unit.splitlines()) == len(systemd_unit(ServicePaths(Path("/x"), state_dir=Path("/y"))).splitlines())


@settings(max_examples=300)
@given(_ANY_PATH, _ANY_PATH, _ANY_PATH)
def test_launchd_reads_every_path_as_it_is(program, config, state):
    """Whatever letters a path has, launchd reads exactly those from the list, or the path is refused by name."""
    paths = ServicePaths(program, config=config, state_dir=state, log=config)
    text = _made(launchd_plist, paths)
    if text is None:
        return
    agent = plistlib.loads(text)
    assert agent["ProgramArguments"] == [str(program), "run", "--config", str(config), "--agent"]
    assert agent["EnvironmentVariables"] == {"SHADED_STATE_DIR": str(state)}
    assert agent["StandardOutPath"] == str(config)


@pytest.mark.parametrize("name", ["a b", "50%h", "a;b", "#x", "-x", "@x", "ü", "\u202e", "\udcff", "\u3000"])
def test_only_what_cannot_be_said_is_refused(name):
    """Paths that systemd can be told stand in the unit, whatever is odd about them."""
    assert _command_line(systemd_unit(ServicePaths(Path("/", name, "shaded"))))[0] == os.fsencode(f"/{name}/shaded")


def test_a_dollar_in_the_programs_path_stands_for_itself():
    """In the first word systemd expands no variable, so a dollar sign is not doubled there, as it is in arguments."""
    unit = systemd_unit(ServicePaths(Path("/opt/a$b/shaded"), config=Path("/c$HOME.toml")))
    assert 'ExecStart="/opt/a$b/shaded" run --config "/c$$HOME.toml"\n' in unit


@pytest.mark.parametrize("make", [systemd_unit, launchd_plist])
@pytest.mark.parametrize("field", ["program", "config", "state_dir"])
@pytest.mark.parametrize("bad", ["\n", "\r", "\x1b", "\x7f", "\x85"])
def test_control_characters_are_refused(make, field, bad):
    """A line end or a control character in a path is refused with the path's name, for both service managers."""
    path = Path(f"/a{bad}ExecStart=evil")
    with pytest.raises(ConfigurationError) as caught:
        make(ServicePaths(**{"program": Path("/x"), field: path}))
    assert caught.value.path == path


@pytest.mark.real_process
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
@pytest.mark.parametrize("name", ["a b$x$$y${z}", "50%h %%", "a;b #x -@", "\udcff\u202eü", "{}[]!`*?~&|<>()="])
def test_systemd_itself_finds_the_program(tmp_path, name):
    """systemd-analyze verify finds a program below a folder of an odd name: it read the very path."""
    program = tmp_path / name / "shaded"
    program.parent.mkdir()
    shutil.copy("/bin/true", program)
    unit = tmp_path / services.UNIT_NAME
    state = tmp_path / name.replace("\udcff", "x")
    unit.write_text(systemd_unit(ServicePaths(program, config=tmp_path / name / "c'\t\"\\.toml", state_dir=state)))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)],
        capture_output=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr.strip()) == (0, b"")


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
