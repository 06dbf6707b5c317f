"""Real signals to real commands: from the moment on at which they are listened for, every one ends in one way."""

from __future__ import annotations

import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from shaded.cli import process
from shaded.signalling import ignore_strays
from tests.daemon.rig import png

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes in /proc"),
]

COPYING = Path(__file__).with_name("copying.py")
TREE = COPYING.parents[2]
LINES = {
    signal.SIGINT: "shaded: interrupted.\n",
    signal.SIGTERM: "shaded: ended by a signal (SIGTERM).\n",
    signal.SIGQUIT: "shaded: ended by a signal (SIGQUIT).\n",
    signal.SIGXCPU: "shaded: ended, since it has used up its time on the CPU (SIGXCPU).\n",
    signal.SIGHUP: "shaded: ended, since its terminal was closed.\n",
}


@pytest.fixture
def environment(tmp_path):
    """That of a command whose workers copy, and whose temporary files are seen."""
    worker = tmp_path / "worker"
    worker.write_text(f"#!/bin/sh\nexec {sys.executable} {TREE}/tests/scheduling/fake_worker.py\n")
    worker.chmod(0o755)
    (tmp_path / "shaded").touch(0o755)  # the command that `service show` looks for beside the interpreter
    (tmp_path / "tmp").mkdir()
    return os.environ | {
        "PYTHONPATH": str(TREE),
        "TMPDIR": str(tmp_path / "tmp"),
        "COPYING_WORKER": str(worker),
        "SHADED_WATCHING__QUIET_SECONDS": "0.2",
        "TERM": "xterm-256color",
    }


@pytest.fixture
def started(environment):
    """Start a command in a process group of its own; none outlives the test."""
    ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as nohup has it, which is inherited
    processes = []

    def start(*words, program=(sys.executable, str(COPYING)), **more):
        processes.append(
            subprocess.Popen(
                [*program, *map(str, words)],
                env=environment | more,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        )
        return processes[-1]

    yield start
    signal.signal(signal.SIGHUP, ignored)
    for each in processes:
        each.kill()
        each.communicate()


def _status(pid, field):
    try:
        found = re.search(rf"^{field}:\t(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1], 16) if found else 0


def _until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.001)


def _listens(running):
    """Whether `main` has begun: it alone catches SIGTERM, and Python's own start does not."""
    return running.poll() is not None or _status(running.pid, "SigCgt") >> (signal.SIGTERM - 1) & 1


def _signalled(running, number):
    try:
        os.killpg(running.pid, number)
    except ProcessLookupError:
        return
    except PermissionError:  # macOS says so of one that has ended
        return


def _workers(environment):
    """Processes that were started with this test's temporary folder."""
    mark = f"TMPDIR={environment['TMPDIR']}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes() and b"fake_worker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _ended(running, number):
    """Assert that it ended by the signal with its line, or had been done before, and nothing else was said."""
    _, err = running.communicate(timeout=30)
    err = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("# "))  # of `service show`
    assert "Traceback" not in err
    if running.returncode == 128 + number:
        assert err == LINES[number]
        return True
    assert running.returncode in (0, 2, 3, 4, 69, 78), err
    assert "interrupted" not in err
    return False


COMMANDS = [
    ("status",),
    ("status", "--json"),
    ("queue",),
    ("explain", "fox.png"),
    ("check", "--skip-models"),
    ("check",),
    ("--help",),
    ("--version",),
    ("shade", "nothing.png", "--out", "pub"),
    ("verify", "nothing.png"),
    ("audit", "nothing.png"),
    ("recover",),
    ("retry", "fox.png"),
    ("pause", "--for", "1h"),
    ("run", "--once"),
    ("service", "show"),
    ("trial", "--doses", "7"),
    ("dance",),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_ctrl_c_ends_every_command_with_130_and_one_line(started, tmp_path, words):
    """Whatever it does just then, importing or parsing: 130, one line and no traceback; or it was done before."""
    rng = random.Random(" ".join(words))
    interrupted = []
    for most in (0.4, 0.0, 0.0, 0.0, 0.0):  # on a busy machine it may be done before anything is sent
        running = started(*words, SHADED_STATE_DIR=str(tmp_path / "state"))
        _until(lambda: _listens(running))  # noqa: B023 - it is called in this round
        time.sleep(rng.uniform(0, most))
        _signalled(running, signal.SIGINT)
        interrupted.append(_ended(running, signal.SIGINT))
        if not most and interrupted[-1]:
            break
    assert interrupted[-1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("program", [(sys.executable, str(COPYING)), (sys.executable, "-m", "shaded")])
def test_ctrl_c_at_any_moment(started, tmp_path, program):
    """The same at hundreds of moments, from the very start: before `main` the end is Python's own, and is one."""
    rng = random.Random(7)
    early = 0
    for _ in range(100):
        words = rng.choice(COMMANDS)
        running = started(*words, program=program, SHADED_STATE_DIR=str(tmp_path / "state"))
        time.sleep(rng.choice((rng.uniform(0, 0.06), rng.uniform(0, 0.8))))
        listened = _listens(running)
        _signalled(running, signal.SIGINT)
        if listened:
            _ended(running, signal.SIGINT)
        else:
            running.communicate(timeout=30)  # its code may be 0: a signal in Python's first moments can be lost
            early += 1
    assert early < 50


@pytest.mark.parametrize("number", LINES, ids=lambda number: number.name)
def test_every_signal_that_ends_a_command_ends_it_in_this_way(started, number):
    """SIGTERM, a closed terminal and the like have their own code and line."""
    code = _SWALLOWED.format(deed="print(1, flush=True)").replace("time.sleep(5)", "time.sleep(50)")
    running = started(program=(sys.executable, "-c", code))
    assert running.stdout.readline() == "1\n"
    _signalled(running, number)
    assert _ended(running, number)


#: Signals whose default is to end a program without a word. Real-time signals are some of them.
STRAYS = [
    number
    for name in ("USR1", "USR2", "IO", "ALRM", "VTALRM", "PROF", "PWR", "STKFLT", "RTMIN", "RTMAX")
    if (number := getattr(signal, f"SIG{name}", None)) is not None
]


@pytest.mark.parametrize("daemon", [False, True], ids=["shade", "run"])
def test_signals_that_nobody_should_send_end_neither_a_command_nor_its_workers(
    started, environment, tmp_path, pictures, daemon
):
    """They are ignored: all pictures are shaded, by the daemon as well."""
    (tmp_path / "o").mkdir()
    for path in pictures if daemon else ():
        path.rename(tmp_path / "o" / path.name)
    words = ("run", "--once", "--outbox", tmp_path / "o", "--publish", tmp_path / "pub")
    words = words if daemon else ("shade", *pictures, "--out", tmp_path / "pub")
    running = started(*words, SHADED_STATE_DIR=str(tmp_path / "state"))
    _until(lambda: _listens(running))
    _until(lambda: _workers(environment) or running.poll() is not None)
    for number in STRAYS:
        _signalled(running, number)
        for worker in _workers(environment):
            with suppress(ProcessLookupError):
                os.kill(worker, number)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, "died" in err) == (0, False), err
    assert out.splitlines()[-1] == "3 published."


def test_a_signal_that_somebody_listens_to_is_left_to_them():
    """A profiler's own handler stays."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        signal.signal(signal.SIGPROF, test_a_signal_that_somebody_listens_to_is_left_to_them)
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        ignore_strays()
        assert signal.getsignal(signal.SIGPROF) is test_a_signal_that_somebody_listens_to_is_left_to_them
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
        for kept in (signal.SIGSEGV, signal.SIGCHLD, signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP):
            assert signal.getsignal(kept) is before[kept]
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _in_a_deleted_folder(tmp_path):
    """A program that is started in a folder which is gone then."""
    script = f'mkdir "$0" && cd "$0" && rmdir "$0" && exec {sys.executable} {COPYING} "$@"'
    return ("/bin/sh", "-c", script, str(tmp_path / "gone"))


@pytest.mark.parametrize(
    "words",
    [*COMMANDS, ("check", "--config", "c.toml"), ("service", "show", "--config", "c.toml"),
     ("run", "--once", "--outbox", "o", "--publish", "p")],
    ids=" ".join,
)  # fmt: skip
def test_a_deleted_working_directory_is_said_in_a_sentence(started, tmp_path, words):
    """No command has a traceback there, whatever relative paths it is given or takes by itself."""
    running = started(*words, program=_in_a_deleted_folder(tmp_path), SHADED_STATE_DIR=str(tmp_path / "state"))
    _, err = running.communicate(timeout=60)
    assert "Traceback" not in err
    assert running.returncode in (0, 2, 3, 69, 78), err
    if any(word.endswith((".png", ".toml")) for word in words[1:] if words[0] not in ("explain", "retry")):
        assert "folder that it was started in is not there any more" in err


def test_whole_paths_work_in_a_deleted_working_directory(started, tmp_path, pictures):
    """Nothing that is done needs the folder."""
    program = _in_a_deleted_folder(tmp_path)
    running = started("shade", pictures[0], "--out", tmp_path / "pub", program=program)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "1 published."


def test_a_command_that_was_started_with_nohup_outlives_its_terminal(started):
    """Where SIGHUP was ignored from the start it stays so."""
    nohup = ("/bin/sh", "-c", f'trap "" HUP; exec {sys.executable} {COPYING} "$@"', "sh")
    running = started("status", program=nohup)
    _until(lambda: _listens(running))
    _signalled(running, signal.SIGHUP)
    assert not _ended(running, signal.SIGHUP)


@pytest.fixture
def pictures(tmp_path):
    """Some that take a second each."""
    for number in range(3):
        (tmp_path / f"slow-{number}.png").write_bytes(png(number))
    return sorted(tmp_path.glob("slow-*.png"))


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_ctrl_c_while_pictures_are_shaded_leaves_nothing_behind(started, environment, tmp_path, pictures, twice):
    """At any moment: no worker goes on, no temporary file stays, and what is published is whole."""
    rng = random.Random(twice)
    for delay in (0.0, rng.uniform(0, 0.5), rng.uniform(0.5, 1.0), rng.uniform(1.0, 2.5)):
        running = started("shade", *pictures, "--out", tmp_path / "pub")
        _until(lambda: _listens(running))  # noqa: B023
        time.sleep(delay)
        _signalled(running, signal.SIGINT)
        if twice:
            time.sleep(rng.uniform(0, 0.05))
            _signalled(running, signal.SIGINT)
        assert _ended(running, signal.SIGINT)
        _until(lambda: not _workers(environment))
        assert not list((tmp_path / "tmp").iterdir())
        left = {path.name for path in (tmp_path / "pub").glob("*")}
        assert left == {name for path in pictures for name in (path.name, f"{path.name}.shaded.json")} & left
        assert all(f"{name}.shaded.json" in left for name in left if name.endswith(".png"))


def test_sigterm_while_pictures_are_shaded_leaves_nothing_behind(started, environment, tmp_path, pictures):
    """What a system sends that shuts down ends it as cleanly."""
    running = started("shade", *pictures, "--out", tmp_path / "pub")
    _until(lambda: _workers(environment))
    _signalled(running, signal.SIGTERM)
    assert _ended(running, signal.SIGTERM)
    _until(lambda: not _workers(environment))
    assert not list((tmp_path / "tmp").iterdir())


def test_ctrl_c_that_reaches_a_worker_is_not_heard_there(started, environment, tmp_path, pictures):
    """From its first moment on, while it imports, too: the picture is shaded, and nothing is said."""
    running = started("shade", pictures[0], "--out", tmp_path / "pub")
    _until(lambda: _workers(environment) or running.poll() is not None)
    for _ in range(40):
        for worker in _workers(environment):
            try:
                os.kill(worker, signal.SIGINT)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "1 published."


def test_ctrl_c_at_a_terminal(environment, tmp_path, pictures):
    """The terminal's own Ctrl-C: one line, 130, and the cursor that the progress display hides is shown again."""
    words = [sys.executable, str(COPYING), "shade", *map(str, pictures), "--out", str(tmp_path / "pub")]
    pid, terminal = pty.fork()
    if not pid:
        os.execve(sys.executable, words, environment)
    shown, pressed, end = b"", False, time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # Linux says so at the end
                break
        if not pressed and b"shade 2/10" in shown:
            pressed = os.write(terminal, b"\x03") == 1
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = shown.decode()
    assert os.waitstatus_to_exitcode(status) == 130
    assert text.count("interrupted.") == 1
    assert "Traceback" not in text
    assert text.rstrip().endswith("shaded: interrupted.")
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0


_SWALLOWED = """
import os, signal, sys, time
from shaded.cli import main
from shaded.cli import entry, process

class Careless:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)

def careless(arguments):
    with process.unwound():
        {deed}
        time.sleep(5)
    return 0

entry._call = careless
sys.exit(main())
"""


@pytest.mark.parametrize(
    "deed",
    [
        "Careless()",
        "try: Careless().__del__()\n        except BaseException: raise ImportError('it is broken')",
        "try: Careless().__del__()\n        except BaseException: return 0",
    ],
    ids=["lost", "made another", "passed over"],
)
def test_an_interruption_that_a_library_loses_is_one_all_the_same(started, deed):
    """Raised where nothing can be raised, made another exception, or passed over: 130 and one line."""
    running = started(program=(sys.executable, "-c", _SWALLOWED.format(deed=deed)))
    began = time.monotonic()
    assert _ended(running, signal.SIGINT)
    assert time.monotonic() - began < 4


def test_a_command_that_does_not_unwind_is_ended_by_the_next_ctrl_c(started):
    """What hangs on the way out can be left, after a while; the line is said once."""
    code = _SWALLOWED.replace("time.sleep(5)", "\n        try: time.sleep(50)\n        finally: time.sleep(50)")
    running = started(program=(sys.executable, "-c", code.format(deed="process.PATIENCE = 0.3; print(1, flush=True)")))
    assert running.stdout.readline() == "1\n"
    for _ in range(3):
        time.sleep(0.4)
        _signalled(running, signal.SIGINT)
    assert _ended(running, signal.SIGINT)


def test_the_handlers_of_a_program_that_calls_a_command_are_put_back():
    """`main` with words of its own changes nothing for good."""
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with process.heard(own=False) as ending:
        with pytest.raises(process.Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
        assert ending.number == signal.SIGINT
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before


@pytest.mark.parametrize("mask", [0o777, 0o277, 0o027])
def test_no_umask_keeps_a_command_out_of_what_it_makes(started, tmp_path, mask):
    """A umask that takes rights from the user too would make folders that nobody can enter; of others it takes all."""
    (tmp_path / "fox.png").write_bytes(png(1))
    before = os.umask(mask)
    try:
        running = started("shade", tmp_path / "fox.png", "--out", tmp_path / "copies")
    finally:
        os.umask(before)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "copies", tmp_path / "copies" / "fox.png")]
    assert modes == [0o777 & ~(mask & 0o077), 0o666 & ~(mask & 0o077)]
