"""Letting no one in: the control socket answers its owner, and nobody else."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from shaded.clock import SystemClock
from shaded.control import ControlServer, request, socket_path
from shaded.daemon.assembly import prepare_folders
from shaded.daemon.instance import LEDGER_NAME, installation_secret, only_instance
from shaded.ledger import Ledger
from shaded.settings import Folder, load_settings

NOBODY = 65534
KNOCK = (
    "import socket, sys\n"
    "s = socket.socket(socket.AF_UNIX)\n"
    "s.settimeout(5)\n"
    "try:\n"
    "    s.connect(sys.argv[1])\n"
    '    s.sendall(b\'{"command": "status"}\\n\')\n'
    "    print('answer:', s.recv(1000))\n"
    "except OSError as error:\n"
    "    print(type(error).__name__)\n"
)


@pytest.fixture
def served():
    """A server whose folder other users may enter, which the daemon's own never is."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    server = ControlServer(folder, lambda _asked: {"pid": 1})
    server.start()
    yield folder
    server.stop()
    shutil.rmtree(folder)


def knock_as_nobody(folder):
    """What another user's process is told."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if os.getuid() != 0 or python is None:
        pytest.skip("only root can become another user")
    done = subprocess.run(
        [python, "-c", KNOCK, str(socket_path(folder))], user=NOBODY, group=NOBODY, extra_groups=[],
        capture_output=True, text=True, check=False, env={}, cwd="/",
    )  # fmt: skip
    return done.stdout.strip() or done.stderr


def test_another_user_cannot_connect(served):
    """The socket's own permissions keep another user's process out."""
    assert stat.S_IMODE(socket_path(served).stat().st_mode) == 0o600
    assert knock_as_nobody(served) == "PermissionError"
    assert request(served, "status") == {"pid": 1}


def test_another_user_who_gets_in_is_hung_up_on(served):
    """Even through a socket that anybody may open, a process of another user gets no answer."""
    socket_path(served).chmod(0o666)
    assert knock_as_nobody(served) in ("answer: b''", "ConnectionResetError", "BrokenPipeError")
    assert request(served, "status") == {"pid": 1}


def test_the_state_folder_is_its_owners(tmp_path):
    """A state folder that is made is closed to others; in one that was open before, everything inside is."""
    for name in ("made", "open"):
        state = tmp_path / name / "state"
        if name == "open":
            state.mkdir(parents=True)
            state.chmod(0o777)
        settings = load_settings(folder=(Folder(outbox=tmp_path / "out", publish=tmp_path / "pub"),), state_dir=state)
        before = os.umask(0)
        try:
            prepare_folders(settings)
            with only_instance(state), Ledger.open(state / LEDGER_NAME, SystemClock()) as ledger:
                installation_secret(settings, ledger)
                server = ControlServer(state, lambda _asked: {})
                server.start()
                modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()}
                server.stop()
        finally:
            os.umask(before)
        assert modes.pop("staging") == 0o700
        assert {"control.sock", "daemon.lock", LEDGER_NAME, "installation.secret"} <= set(modes)
        assert set(modes.values()) == {0o600}
        assert stat.S_IMODE(state.stat().st_mode) == (0o700 if name == "made" else 0o777)


def test_a_request_without_end_is_cut(served):
    """A client that sends 64 megabytes without a line end is answered or hung up on, and costs the daemon no memory."""
    piece = b"x" * (1 << 20)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        answers, hung_up = _send_without_end(served, piece, 64)
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert b'"ok": false' in answers or hung_up
    assert most < 2 << 20
    assert request(served, "status") == {"pid": 1}


def _send_without_end(folder, piece, times):
    """What was answered, and whether the server hung up before everything was sent."""
    answers = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(socket_path(folder)))
        try:
            for _ in range(times):
                connection.sendall(piece)
                with suppress(BlockingIOError):
                    answers += connection.recv(100_000, socket.MSG_DONTWAIT)
        except (BrokenPipeError, ConnectionResetError):
            return answers, True
    return answers, False
