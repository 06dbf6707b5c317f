"""Letting no one in: the control socket's owner, and files of weights that cannot run code."""

from __future__ import annotations

import ast
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

import shaded
from shaded.clock import SystemClock
from shaded.control import ControlServer, request, socket_path
from shaded.daemon.assembly import prepare_folders
from shaded.daemon.instance import LEDGER_NAME, installation_secret, only_instance
from shaded.ledger import Ledger
from shaded.models.bundle import bundled_models
from shaded.settings import Folder, load_settings

PACKAGE = Path(shaded.__file__).parent
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
    """A client that sends megabytes without a line end neither fills the memory nor stops the others."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(socket_path(served)))
        with connection.makefile("rb") as stream:
            connection.sendall(b"x" * 200_000)
            assert b'"ok": false' in stream.readline()
    assert request(served, "status") == {"pid": 1}


def _calls(tree):
    """Every call in a module: its dotted name, and its keywords' constant values."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            constants = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            yield ast.unparse(node.func), constants


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_nothing_in_the_package_unpickles():
    """No module reads pickles, except one training script, whose reader builds arrays and nothing else."""
    pickling = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    allowed = {"training/lpips_weights.py"}
    for path in PACKAGE.rglob("*.py"):
        name, tree = path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))
        if name not in allowed:
            assert not pickling & {module.split(".")[0] for module in _imports(tree)}, name
        for called, constants in _calls(tree):
            if called in ("torch.load", "torch.jit.load", "torch.package.PackageImporter"):
                assert constants.get("weights_only") is True, f"{name}: {called}"
            if called.endswith("from_pretrained"):
                assert constants.get("use_safetensors") is True, f"{name}: {called}"
            assert not constants.get("allow_pickle"), f"{name}: {called}"
            assert called not in ("eval", "exec", "pd.read_pickle", "yaml.load", "torch.hub.load"), f"{name}: {called}"


def test_the_lpips_metric_does_not_use_its_own_loader():
    """The lpips package would unpickle a file of its own; it is told not to load any."""
    tree = ast.parse((PACKAGE / "shading" / "perceptibility.py").read_text("utf-8"))
    (constants,) = [constants for called, constants in _calls(tree) if called == "lpips.LPIPS"]
    assert constants["pretrained"] is False


def test_every_bundled_weight_file_is_safetensors_with_a_pinned_hash():
    """Each file of weights in the package is listed with a SHA-256, and there is no other kind of weight file."""
    listed = {model.path.name for model in bundled_models().values()}
    assert all(len(model.sha256) == 64 for model in bundled_models().values())
    found = {path.name for path in PACKAGE.rglob("*.safetensors")}
    assert found == listed
    assert not [*PACKAGE.rglob("*.pt"), *PACKAGE.rglob("*.pth"), *PACKAGE.rglob("*.ckpt"), *PACKAGE.rglob("*.pkl"),
                *PACKAGE.rglob("*.bin"), *PACKAGE.rglob("*.npy"), *PACKAGE.rglob("*.npz")]  # fmt: skip
