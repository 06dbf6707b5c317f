from __future__ import annotations

import json
import os
import socket
import stat
import threading

import pytest

from shaded import control
from shaded.control import ControlServer, request, socket_path
from shaded.errors import DaemonNotRunning, ShadedError


def _echo(asked):
    if asked["command"] == "fail":
        raise ShadedError("it cannot be", path="/a/b.png", remedy="Do otherwise")
    if asked["command"] == "bug":
        raise ZeroDivisionError("oops")
    return {"asked": dict(asked)}


@pytest.fixture
def served(tmp_path):
    """A state folder with a server that echoes."""
    server = ControlServer(tmp_path, _echo)
    server.start()
    yield tmp_path
    server.stop()


def test_a_request_is_answered(served):
    """Command and arguments reach the daemon and its result comes back."""
    assert request(served, "pause", seconds=7) == {"asked": {"command": "pause", "seconds": 7}}


def test_names_that_are_not_unicode_survive(served):
    """A path with bytes that are not UTF-8 comes back as it went."""
    path = os.fsdecode(b"/out/f\xff.png")
    assert request(served, "explain", path=path)["asked"]["path"] == path


def test_errors_are_passed_on(served):
    """What the daemon says is wrong arrives as an error with what, path and remedy."""
    with pytest.raises(ShadedError) as caught:
        request(served, "fail")
    assert str(caught.value) == "/a/b.png: it cannot be. Do otherwise."


def test_a_bug_in_an_answer_does_not_end_the_server(served):
    """An unexpected exception is an answer, and the next request is served."""
    with pytest.raises(ShadedError, match="ZeroDivisionError: oops"):
        request(served, "bug")
    assert request(served, "status")["asked"]["command"] == "status"


def test_nonsense_is_answered(served):
    """Lines that are no JSON object get an error, and the connection goes on."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path(served)))
        stream = connection.makefile("rwb")
        with stream:
            for line in (b"nonsense\n", b"[1]\n", b'{"command": "status"}\n'):
                stream.write(line)
            stream.flush()
            answers = [json.loads(stream.readline())["ok"] for _ in range(3)]
    assert answers == [False, False, True]


def test_the_socket_is_its_owners(served):
    """Nobody else can connect: mode 0600."""
    assert stat.S_IMODE(socket_path(served).stat().st_mode) == 0o600


def test_other_users_are_not_answered(served, monkeypatch):
    """A peer with another user id is hung up on."""
    monkeypatch.setattr(control, "peer_uid", lambda _: os.getuid() + 1)
    with pytest.raises(DaemonNotRunning):
        request(served, "status", timeout=2)


def test_the_peer_is_known():
    """The system tells who is at the other end of a socket."""
    one, two = socket.socketpair(socket.AF_UNIX)
    with one, two:
        assert control.peer_uid(one) == os.getuid()


def test_no_daemon_is_said_so(tmp_path):
    """Without a socket, and with a socket that nobody serves, the error says to start the daemon."""
    with pytest.raises(DaemonNotRunning, match="shaded run"):
        request(tmp_path, "status")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path(tmp_path)))
    with pytest.raises(DaemonNotRunning):
        request(tmp_path, "status")


def test_a_dead_daemons_socket_is_replaced(tmp_path):
    """A socket left behind by a killed daemon does not stop the next one."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path(tmp_path)))
    server = ControlServer(tmp_path, _echo)
    server.start()
    assert request(tmp_path, "status")
    server.stop()
    assert not socket_path(tmp_path).exists()


def test_long_state_folders_get_a_short_socket(tmp_path, monkeypatch):
    """Where the path is too long for a socket, a short one is used, found through the pointer, and cleaned up."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    state = tmp_path / ("d" * 120)
    state.mkdir()
    server = ControlServer(state, _echo)
    server.start()
    place = socket_path(state)
    assert len(os.fsencode(place)) <= control.LONGEST_PATH
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert request(state, "status")["asked"]["command"] == "status"
    server.stop()
    assert not place.parent.exists()
    assert list(state.iterdir()) == []


def test_a_killed_daemons_short_socket_is_cleaned_up(tmp_path, monkeypatch):
    """The short folder of a killed daemon goes when the next one starts, and nothing else does."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    state = tmp_path / ("d" * 120)
    state.mkdir()
    (state / "ledger").write_text("precious")
    killed = ControlServer(state, _echo)
    killed.start()
    left = socket_path(state).parent
    server = ControlServer(state, _echo)
    server.start()
    assert not left.exists()
    assert request(state, "status")
    server.stop()
    killed._socket.close()
    assert [path.name for path in state.iterdir()] == ["ledger"]


def test_many_clients_are_served_at_once(served):
    """A client that says nothing does not keep the others waiting."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(socket_path(served)))
        answers = []
        threads = [threading.Thread(target=lambda n=n: answers.append(request(served, "x", n=n))) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
    assert sorted(a["asked"]["n"] for a in answers) == list(range(20))
