"""The service files: a systemd user unit and a launchd agent, as pure functions of paths.

A path may have any name. What systemd or launchd would read otherwise is quoted as they want it; what neither can be
told is refused with a :class:`~shaded.errors.ConfigurationError` that names the path.

``systemd/shaded.service`` and ``launchd/org.shaded.daemon.plist`` in the source tree are what these functions give for
the paths in :data:`TREE_SYSTEMD` and :data:`TREE_LAUNCHD`; a test keeps them equal.
"""

from __future__ import annotations

import os
import plistlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shaded.errors import ConfigurationError

#: Exit codes that starting again would not change: a state that a person has to mend, another instance, wrong settings.
FINAL_CODES = (65, 75, 78)

LABEL = "org.shaded.daemon"
UNIT_NAME = "shaded.service"
PLIST_NAME = f"{LABEL}.plist"

_HEADER = "# Made by `shaded service show`"

#: A daemon that gave no sign of life for so long is started anew; the longest thing it does in one go is to look
#: through its folders.
WATCHDOG_SECONDS = 300

#: What only a user namespace lets a user's own service manager do. Where it cannot make one (some distributions forbid
#: it), a unit with these lines would not start: `shaded service install` tries, and leaves them out there.
SANDBOX = (
    "PrivateUsers=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=full",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
)

#: How long a stop may take: the picture under way is finished first.
STOP_SECONDS = 900


@dataclass(frozen=True)
class ServicePaths:
    """Where things are on this machine.

    Attributes:
        program: The ``shaded`` command; absolute.
        config: The settings file; ``None`` leaves the daemon to look in the platform's place.
        state_dir: Only where it is not the platform's own.
        log: The file that launchd appends standard error to; systemd has its journal.
    """

    program: Path
    config: Path | None = None
    state_dir: Path | None = None
    log: Path | None = None


#: What the files in the source tree are built from; ``shaded service install`` puts the real paths in.
TREE_SYSTEMD = ServicePaths(program=Path("/usr/local/bin/shaded"))
TREE_LAUNCHD = ServicePaths(program=Path("/usr/local/bin/shaded"), log=Path("/Users/artist/Library/Logs/shaded.log"))


def agent_log() -> Path:
    """The file that the launchd agent's standard error goes to."""
    return Path(os.path.expanduser("~/Library/Logs/shaded.log"))  # noqa: PTH111 - never fails


def is_ours(content: bytes) -> bool:
    """Whether a service file was written by this program."""
    if content.startswith(_HEADER.encode()):
        return True
    with suppress(Exception):  # whatever keeps it from being read, it is nobody's agent then
        agent = plistlib.loads(content)
        return bool(agent["Label"] == LABEL and Path(agent["ProgramArguments"][0]).name == "shaded")
    return False


def command(paths: ServicePaths) -> list[str]:
    """The daemon's command line."""
    config = [] if paths.config is None else ["--config", str(paths.config)]
    return [str(paths.program), "run", *config]


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_NO_XML = re.compile(r"[\ud800-\udfff\ufffe\uffff]")
#: Bytes that are no UTF-8, as Python has them in text, and the code points that Unicode keeps free for ever: systemd
#: calls text with either of them invalid.
_FREE = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_NO_TEXT = re.compile(rf"[\ud800-\udfff\ufdd0-\ufdef{_FREE}]")
_NO_PROGRAM = re.compile(r"""['"\\\t]""")


def _refuse(path: Path | None, wrong: re.Pattern[str], why: str) -> None:
    """Raise where a path has a character of a kind."""
    if path is not None and wrong.search(str(path)):
        raise ConfigurationError(why, path=path, remedy="Rename that file or folder, or choose another place for it")


def _refuse_control_characters(paths: ServicePaths) -> None:
    for path in (paths.program, paths.config, paths.state_dir, paths.log):
        _refuse(path, _CONTROL, "a path with a line end or a control character cannot stand in a service file")


def _escaped(word: str) -> str:
    """The inside of a quoted word: a backslash, a quote, and the bytes of what cannot be printed, as C escapes them.

    systemd.syntax(7), "Quoting". A line that is not UTF-8 would be passed over as a whole, so its bytes are escaped.
    ``%`` begins a specifier wherever a word is expanded, and stands for itself when it is doubled.
    """
    return "".join(
        f"\\{c}" if c in '\\"'
        else "%%" if c == "%"
        else c if c.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(c))
        for c in word
    )  # fmt: skip


def _quoted(word: str) -> str:
    """A word, in quotes where it needs them."""
    return word if re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII) else f'"{word}"'


def _exec_start(paths: ServicePaths) -> str:
    """The command line as systemd.service(5), "Command lines", reads it.

    In the arguments ``$`` begins a variable unless it is doubled. In the program's path, the first word, it does not;
    there systemd takes no quotes, backslashes and control characters, however they are escaped.
    """
    _refuse(paths.program, _NO_PROGRAM, "systemd starts no program with a quote, a backslash or a tab in its path")
    program, *arguments = map(_escaped, command(paths))
    return " ".join(map(_quoted, (program, *(word.replace("$", "$$") for word in arguments))))


def _environment(paths: ServicePaths) -> str:
    """The line that says where the state is; systemd takes only sound UTF-8 as a variable's value."""
    if paths.state_dir is None:
        return ""
    _refuse(paths.state_dir, _NO_TEXT, "systemd takes no folder whose path is not valid UTF-8 for the state")
    return f'Environment="{_escaped(f"SHADED_STATE_DIR={paths.state_dir}")}"\n'


def systemd_unit(paths: ServicePaths, *, sandbox: bool = True) -> str:
    """The text of the user unit.

    Hardened as far as shading allows: a GPU needs its device nodes (no ``PrivateDevices``, and no ``ProtectClock``,
    which implies a list of allowed devices), compilers that make code at run time need writable executable memory (no
    ``MemoryDenyWriteExecute``), and CUDA reads all of ``/proc`` (no ``ProcSubset=pid``). Outboxes and publish folders
    may be anywhere the user can write, so the home and ``/tmp`` stay visible. Shading needs no network, so the service
    can open no internet socket. ``Type=notify`` and not ``notify-reload``, which systemd before 253 does not know; the
    daemon says ``RELOADING=1`` either way.

    Args:
        paths: Where things are.
        sandbox: Put :data:`SANDBOX` in.

    Raises:
        ConfigurationError: systemd cannot be told one of the paths.
    """
    sandboxing = "".join(f"{line}\n" for line in SANDBOX) if sandbox else ""
    _refuse_control_characters(paths)
    return f"""\
{_HEADER}. Install it with `shaded service install`.
[Unit]
Description=Publishes shaded copies of an artist's own pictures
# Whatever ended it may pass (a full disk, a lost mount), so it is started again for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={_exec_start(paths)}
# Reads the settings anew.
ExecReload=kill -HUP $MAINPID
{_environment(paths)}Restart=on-failure
RestartSec=30
# 65: the state is damaged. 75: another instance runs. 78: the settings are wrong. Starting again would not help.
RestartPreventExitStatus={" ".join(map(str, FINAL_CODES))}
# A stop before the daemon listens to signals.
SuccessExitStatus=143
# The first scan of a large outbox may take a while before the daemon says READY.
TimeoutStartSec=600
# SIGTERM goes to the daemon alone, which lets its worker finish the picture under way.
KillMode=mixed
TimeoutStopSec={STOP_SECONDS}
WatchdogSec={WATCHDOG_SECONDS}

Nice=10
CPUSchedulingPolicy=batch
IOSchedulingClass=idle
OOMPolicy=continue
OOMScoreAdjust=500

NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
{sandboxing}
[Install]
WantedBy=default.target
"""


def launchd_plist(paths: ServicePaths) -> bytes:
    """The agent's property list: started at login, again after a failure, in the background.

    Raises:
        ConfigurationError: XML cannot hold one of the paths.
    """
    _refuse_control_characters(paths)
    for path in (paths.program, paths.config, paths.state_dir, paths.log):
        _refuse(path, _NO_XML, "launchd takes no path that is not valid UTF-8")
    agent: dict[str, object] = {
        "Label": LABEL,
        "ProgramArguments": [*command(paths), "--agent"],  # launchd has no list of codes: see `shaded run`
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 30,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Nice": 10,
        "ExitTimeOut": STOP_SECONDS,
    }
    if paths.state_dir is not None:
        agent["EnvironmentVariables"] = {"SHADED_STATE_DIR": str(paths.state_dir)}
    if paths.log is not None:
        agent["StandardErrorPath"] = str(paths.log)
        agent["StandardOutPath"] = str(paths.log)
    return plistlib.dumps(agent, sort_keys=False)
