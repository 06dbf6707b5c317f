"""``service``: start the daemon at login, with systemd or launchd."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from shaded.cli.words import ConfigOption, absolute, printable
from shaded.configuration import places
from shaded.errors import ConfigurationError, ShadedError
from shaded.services import (
    LABEL,
    PLIST_NAME,
    SANDBOX,
    UNIT_NAME,
    ServicePaths,
    agent_log,
    is_ours,
    launchd_plist,
    systemd_unit,
)
from shaded.settings import load_settings
from shaded.terminal import Guarded

app = typer.Typer(help="Start the daemon at login: a systemd user unit or a launchd agent.", no_args_is_help=True)


@dataclass(frozen=True)
class Plan:
    """What installing means on this machine.

    Attributes:
        file: The service file's place.
        content: Its bytes.
        start: Command lines that make the service manager take it up.
        stop: Command lines that make it let go.
    """

    file: Path
    content: bytes
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]


def program() -> Path:
    """The installed ``shaded`` command: beside the running interpreter, or on the path.

    Raises:
        ShadedError: There is none.
    """
    beside = Path(sys.executable).parent / "shaded"
    found = str(beside) if beside.exists() else shutil.which("shaded")
    if found is None:
        raise ShadedError("the `shaded` command is not installed", remedy="Install the package with pip first")
    return absolute(Path(found))


def plan(config: Path | None, platform: str = sys.platform) -> Plan:
    """Work out the service file and the commands for this machine.

    Raises:
        ConfigurationError: The settings are wrong; a service would not start with them. Or its manager cannot be
            told one of the paths.
        ShadedError: The command is not installed.
    """
    settings = load_settings(config)
    home = places.home()
    if home is None:
        raise ConfigurationError("this user has no home folder for a service file", remedy="Set HOME")
    file = None if config is None else places.settings_file(config)
    if file is not None and not places.is_lasting(file):
        raise ConfigurationError(
            "a service reads its settings file at every start, and this is none that stays",
            path=file,
            remedy="Name a file",
        )
    paths = ServicePaths(
        program=program(),
        config=file,
        state_dir=None if settings.state_dir == places.default_state_dir() else settings.state_dir,
        log=agent_log() if platform == "darwin" else None,
    )
    if platform == "darwin":
        file = home / "Library" / "LaunchAgents" / PLIST_NAME
        domain = f"gui/{os.getuid()}"
        return Plan(
            file,
            launchd_plist(paths),
            start=(("launchctl", "bootstrap", domain, str(file)),),
            stop=(("launchctl", "bootout", f"{domain}/{LABEL}"),),
        )
    base = os.environ.get("XDG_CONFIG_HOME", "")
    file = (Path(base) if base.startswith("/") else home / ".config") / "systemd" / "user" / UNIT_NAME
    systemctl = ("systemctl", "--user")
    return Plan(
        file,
        systemd_unit(paths, sandbox=sandbox_works()).encode(),
        start=((*systemctl, "daemon-reload"), (*systemctl, "enable", "--now", UNIT_NAME)),
        stop=((*systemctl, "disable", "--now", UNIT_NAME),),
    )


def sandbox_works() -> bool:
    """Whether this user's service manager can start a unit with the sandbox; assumed where it cannot be asked.

    systemd.exec(5), "Process Exit Codes": 217 (user), 218 (capabilities) and 226 (namespace) say that it cannot.
    """
    if shutil.which("systemd-run") is None:
        return True
    options = [word for line in SANDBOX for word in ("-p", line)]
    trial = ["systemd-run", "--user", "--wait", "--quiet", "--collect", *options, "true"]
    try:
        done = subprocess.run(trial, capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return True
    return done.returncode not in (217, 218, 226)


@app.command()
def install(config: ConfigOption = None) -> None:
    """Write the service file for this user and start the daemon."""
    planned = plan(config)
    _refuse_foreign(planned.file)
    planned.file.parent.mkdir(parents=True, exist_ok=True)
    planned.file.write_bytes(planned.content)
    typer.echo(f"Wrote {printable(planned.file)}.")
    if not _carry_out(planned.start):
        typer.echo("Nothing was started. To start it, run:")
        _print_commands(planned.start)


@app.command()
def uninstall(config: ConfigOption = None) -> None:
    """Stop the daemon and remove the service file; pictures, settings and state stay."""
    planned = plan(config)
    _refuse_foreign(planned.file)
    if not planned.file.exists():
        typer.echo("No service is installed.")
        return
    if not _carry_out(planned.stop):
        typer.echo("It could not be stopped from here. If it runs, stop it with:")
        _print_commands(planned.stop)
    planned.file.unlink()
    typer.echo(f"Removed {printable(planned.file)}.")


def _refuse_foreign(file: Path) -> None:
    """Leave a service file alone that this program did not write, and a link, such as a masked unit.

    Raises:
        ShadedError: Such a one stands there.
    """
    if file.is_symlink() or (file.exists() and not (file.is_file() and is_ours(file.read_bytes()))):
        raise ShadedError(
            "the service file there was not written by shaded",
            path=file,
            remedy="Move it away first if shaded is to have that name; nothing was changed",
        )


@app.command()
def show(config: ConfigOption = None) -> None:
    """Print the service file and where it would go; changes nothing."""
    planned = plan(config)
    typer.echo(f"# {printable(planned.file)}", err=True)
    # On a terminal what steers it is escaped; a pipe gets the very bytes.
    if sys.stdout.isatty() or not isinstance(sys.stdout, Guarded):
        typer.echo(planned.content.decode(), nl=False)
    else:
        sys.stdout.write_bytes(planned.content)


def _carry_out(commands: Sequence[Sequence[str]]) -> bool:
    """Run the commands in order; whether all of them worked."""
    for command in commands:
        if shutil.which(command[0]) is None:
            return False
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            why = printable(done.stderr.strip() or done.returncode, "\n")
            typer.echo(f"`{printable(shlex.join(command))}` failed: {why}", err=True)
            return False
    return True


def _print_commands(commands: Sequence[Sequence[str]]) -> None:
    for command in commands:
        typer.echo("    " + printable(shlex.join(command)))
