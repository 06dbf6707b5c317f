from __future__ import annotations

import errno
import json
import os
import resource
import socket
import stat
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import structlog

from shaded import control, logs
from shaded.control import ControlServer, request, socket_path
from shaded.daemon import rendezvous
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
    """A peer with another user id is hung up on, and one whose id the system does not tell now."""
    for told in (lambda _: os.getuid() + 1, _refuse):
        monkeypatch.setattr(control, "peer_uid", told)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(socket_path(served)))
            assert connection.recv(100) == b""
    monkeypatch.undo()
    assert request(served, "status")


def _refuse(*_arguments):
    raise OSError(errno.ENOTCONN, "not connected")


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


# Hostile and broken clients -----------------------------------------------------------------------------------------


def say(state_dir, data):
    """What a client that sends these bytes hears until the server hangs up or waits for more."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(socket_path(state_dir)))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return [json.loads(line) for line in stream]


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b'{"command": "status", "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'"' + b"\\" * 60_000,
        b'{"command": ' + b"9" * 60_000 + b"}",
        b"\xff\xfe\x00",
        b"null",
        b'{"command"',
    ],
    ids=["lists", "objects", "balanced", "backslashes", "digits", "bytes", "null", "half"],
)
def test_a_hostile_line_is_answered(served, line):
    """Deep, endless and broken JSON gets an error, the next line on the same connection its answer."""
    first, second = say(served, line + b'\n{"command": "status"}\n')
    assert first == {"ok": False, "error": {"what": "a request is one JSON object on one line"}}
    assert second["ok"]


def test_brackets_in_a_name_are_no_levels(served):
    """A path that is made of brackets, quotes and backslashes is a path."""
    path = '/out/[[[[{{{{[[[[{{{{"\\[[{{[[{{[[{{[[{{.png'
    assert request(served, "explain", path=path)["asked"]["path"] == path


@pytest.mark.parametrize("size", [control.LONGEST_REQUEST + 1, 10_000_000])
def test_a_line_that_is_too_long_is_answered_once_and_ends_the_connection(served, size):
    """However much comes, there is one error and no answer to what follows."""
    answers = say(served, b"x" * size + b'\n{"command": "status"}\n')
    assert answers == [{"ok": False, "error": {"what": f"a request has at most {control.LONGEST_REQUEST} bytes"}}]
    assert request(served, "status")


def test_a_client_that_dribbles_is_hung_up_on(served, monkeypatch):
    """A request has its time as a whole: a byte now and then does not keep the place."""
    monkeypatch.setattr(control, "PATIENCE", 0.5)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(socket_path(served)))
        wait_until(lambda: not _takes_a_byte(connection), seconds=5)


def _takes_a_byte(connection):
    try:
        connection.sendall(b"x")
    except OSError:
        return False
    return True


def test_too_many_clients_are_turned_away(served, monkeypatch):
    """Beyond the limit a client is told so at once; when one of the others leaves, the next is served."""
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(control.MOST_CLIENTS)]
        for connection in silent:
            connection.connect(str(socket_path(served)))
        wait_until(lambda: not _answers(served), seconds=4)
        with pytest.raises(ShadedError, match="too many ask at once"):
            request(served, "status")
        silent[0].close()
        wait_until(lambda: _answers(served))


def _answers(state_dir):
    try:
        return bool(request(state_dir, "status"))
    except ShadedError:
        return False


def wait_until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def _log():
    """A log of this test's own, in which nothing is thinned out."""
    logs.configure("info", "console", repeat_seconds=0.0)
    yield
    structlog.reset_defaults()


def said(capsys):
    """The log, wherever it goes now."""
    return "".join(capsys.readouterr())


def test_an_answer_that_is_a_bug_is_logged_with_its_traceback(served, capsys):
    """The client hears of it, and the log has where it happened."""
    with pytest.raises(ShadedError, match="ZeroDivisionError"):
        request(served, "bug")
    assert "Traceback" in said(capsys)


# Errors of the system -----------------------------------------------------------------------------------------------


@contextmanager
def no_descriptors():
    """A process that has none left."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            taken.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(512))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_no_descriptors_left_only_delays(served, capsys):
    """A client that comes while no descriptor is left is served when there are some again; the log says it once."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        with no_descriptors():
            connection.connect(str(socket_path(served)))
            time.sleep(4 * control.PAUSE_SECONDS)
        connection.sendall(b'{"command": "status"}\n')
        assert json.loads(connection.recv(1000))["ok"]
    assert said(capsys).count("no client of the control socket can be taken now") == 1


def test_no_thread_for_a_client_only_delays(served, monkeypatch):
    """Where no thread can be started the client is told, and the next one is served."""
    real = threading.Thread.start

    def start(thread):
        if thread.name == "control-client":
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ShadedError, match="no thread"):
        request(served, "status")
    monkeypatch.undo()
    wait_until(lambda: _answers(served))


def test_a_bug_in_the_loop_that_takes_clients_does_not_end_it(served, monkeypatch, capsys):
    """Whatever happens there is logged, and the next client is served."""
    monkeypatch.setattr(ControlServer, "_take_one", lambda *_: 1 / 0)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path(served)))
        time.sleep(0.2)
        monkeypatch.undo()
        connection.settimeout(5)
        connection.sendall(b'{"command": "status"}\n')
        assert json.loads(connection.recv(1000))["ok"]
    assert "ZeroDivisionError" in said(capsys)


def test_a_socket_that_somebody_removed_is_made_anew(tmp_path, monkeypatch):
    """Cleaners of temporary folders take sockets away; the daemon can be asked again after a while."""
    monkeypatch.setattr(control, "LOOK_SECONDS", 0.2)
    server = ControlServer(tmp_path, _echo)
    server.start()
    socket_path(tmp_path).unlink()
    wait_until(lambda: _answers(tmp_path))
    server.stop()
    assert list(tmp_path.iterdir()) == []


# What stands in the socket's place ----------------------------------------------------------------------------------


def _stand(place, kind, elsewhere):
    """Put something into a place; what must still be there afterwards."""
    if kind == "folder":
        place.mkdir()
        (place / "fox.png").write_bytes(b"a picture")
    elif kind == "file":
        place.write_text("a person's words")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        elsewhere.write_text("a person's words")
        place.symlink_to(elsewhere)


@pytest.mark.parametrize("kind", ["folder", "file", "pipe", "link"])
def test_something_in_the_sockets_place_is_gone_round(tmp_path, kind, monkeypatch):
    """The socket stands in a short folder instead, clients find it, and what stood there stays; later it moves back."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    state = tmp_path / "state"
    state.mkdir()
    _stand(state / "control.sock", kind, tmp_path / "theirs")
    before = (state / "control.sock").lstat()
    server = ControlServer(state, _echo)
    server.start()
    assert request(state, "status")["asked"] == {"command": "status"}
    short = socket_path(state).parent
    server.stop()
    assert not short.exists()
    assert [path.name for path in state.iterdir()] == ["control.sock"]
    after = (state / "control.sock").lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    if kind == "link":
        assert (tmp_path / "theirs").read_text() == "a person's words"


@pytest.mark.parametrize("kind", ["folder", "file", "link", "pipe"])
def test_without_any_place_the_daemon_runs_without_a_socket(tmp_path, kind, capsys, monkeypatch):
    """With something in the pointer's place too, that is said once, nothing is touched, and it mends itself."""
    monkeypatch.setattr(control, "LOOK_SECONDS", 0.1)
    for name in ("control.sock", "control.path"):
        _stand(tmp_path / name, kind, tmp_path / f"{name}.theirs")
    there = {path.name for path in tmp_path.iterdir()}
    server = ControlServer(tmp_path, _echo)
    server.start()
    with pytest.raises(DaemonNotRunning):
        request(tmp_path, "status", timeout=1)
    time.sleep(0.5)
    assert {path.name for path in tmp_path.iterdir()} == there
    assert said(capsys).count("the daemon runs without its control socket") == 1
    (tmp_path / "control.sock").rename(tmp_path / "aside")
    wait_until(lambda: _answers(tmp_path))
    server.stop()


@pytest.mark.parametrize("kind", ["file", "socket", "other state"])
def test_a_pointer_to_somebody_elses_folder_removes_nothing(tmp_path, kind, monkeypatch):
    """Only a short folder that says that it serves this state folder is removed, whatever the pointer says."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    short = Path("/tmp") / "shaded-abcd1234"
    state = tmp_path / ("d" * 120)
    state.mkdir()
    short.mkdir(mode=0o700)
    theirs = short / "control.sock"
    try:
        if kind == "file":
            theirs.write_text("a person's words")
        else:
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(theirs))
        if kind == "other state":
            (short / rendezvous.SERVES_NAME).write_text("/another/state")
        (state / "control.path").write_bytes(os.fsencode(theirs))
        server = ControlServer(state, _echo)
        server.start()
        assert theirs.exists()
        assert _answers(state)
        server.stop()
        assert theirs.exists()
    finally:
        for path in short.iterdir():
            path.unlink()
        short.rmdir()


# Hostile answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\n",
        b"nonsense\n",
        b"[1]\n",
        b"[" * 200_000 + b"\n",
        b'{"ok": true}\n',
        b'{"ok": true, "result": [1]}\n',
        b'{"ok": false, "error": "no"}\n',
        b'{"ok": false}\n',
        b"9" * 5000 + b"\n",
    ],
    ids=range(10),
)
def test_nonsense_in_the_daemons_place_is_no_daemon(tmp_path, answer):
    """Whatever is said by something else that listens there, the command says that no daemon answers."""
    with impostor(tmp_path, answer), pytest.raises(DaemonNotRunning):
        request(tmp_path, "status", timeout=5)


def test_an_error_of_odd_types_is_an_error(tmp_path):
    """What, path and remedy are text, whatever was sent."""
    with impostor(tmp_path, b'{"ok": false, "error": {"what": [1], "path": {"a": 2}, "remedy": 3}}\n'):
        with pytest.raises(ShadedError) as caught:
            request(tmp_path, "status", timeout=5)
        assert str(caught.value) == "{'a': 2}: [1]. 3."


def test_an_answer_without_an_end_is_cut(tmp_path, monkeypatch):
    """An endless answer costs a bounded time and memory."""
    monkeypatch.setattr(control, "LONGEST_ANSWER", 100_000)
    with impostor(tmp_path, b"x" * 1_000_000), pytest.raises(DaemonNotRunning):
        request(tmp_path, "status", timeout=5)


@contextmanager
def impostor(state_dir, answer):
    """Something that listens in the daemon's place and says this."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(state_dir / "control.sock"))
        listening.listen(1)

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                try:
                    connection.sendall(answer)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)
