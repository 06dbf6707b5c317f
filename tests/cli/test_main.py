from __future__ import annotations

import json
import os
import signal

import pytest

from shaded import __version__
from shaded.cli import asking, main, words
from shaded.errors import ModelError, UsageError


def test_the_version_is_printed(shaded):
    """--version prints the version and nothing else."""
    assert shaded("--version") == (0, f"shaded {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("dance",),
        ("status", "--loud"),
        ("explain",),
        ("shade", "a.png"),
        ("shade", "a.png", "--out", "x", "--intensity", "huge"),
    ],
)
def test_wrong_usage_is_2(shaded, arguments):
    """Unknown commands and options, missing arguments and impossible choices exit with 2 and say so."""
    code, out, err = shaded(*arguments)
    assert (code, out) == (2, "")
    assert err


def test_wrong_settings_are_78(shaded, tmp_path):
    """A wrong setting exits with 78 and names the key on standard error."""
    (tmp_path / "c.toml").write_text("speling = 1")
    code, out, err = shaded("status", "--config", tmp_path / "c.toml")
    assert (code, out) == (78, "")
    assert "speling" in err


@pytest.mark.parametrize("words_", [("pause",), ("resume",), ("retry", "--all-failed"), ("bump", "a.png")])
def test_orders_without_a_daemon_are_69(shaded, words_):
    """Commands that need the daemon exit with 69 when there is none, and say how to start it."""
    code, out, err = shaded(*words_)
    assert (code, out) == (69, "")
    assert "shaded run" in err


def test_errors_have_their_exit_codes(shaded, monkeypatch):
    """Whatever error of the tree a command raises becomes its exit code and one line on standard error."""

    def broken(_config):
        raise ModelError("the weights are altered", path="/m/shader", remedy="Reinstall")

    monkeypatch.setattr(asking, "load_settings", broken)
    assert shaded("status") == (1, "", "shaded: /m/shader: the weights are altered. Reinstall.\n")


def test_bugs_are_1(shaded, monkeypatch):
    """An unexpected exception exits with 1 and leaves its traceback on standard error."""
    monkeypatch.setattr(asking, "load_settings", lambda _: 1 / 0)
    code, out, err = shaded("status")
    assert (code, out) == (1, "")
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("shaded: an unexpected error (ZeroDivisionError")


def test_ctrl_c_is_130(shaded, monkeypatch):
    """Ctrl-C exits with 130 without a traceback, and the handler is put back."""
    before = signal.getsignal(signal.SIGINT)

    def interrupted(_config):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(asking, "load_settings", interrupted)
    code, _, err = shaded("status")
    assert (code, err) == (130, "shaded: interrupted.\n")
    assert signal.getsignal(signal.SIGINT) is before


def test_no_command_shows_the_help(capsys):
    """Without a command the help is shown."""
    main([])
    captured = capsys.readouterr()
    assert "verify" in captured.out + captured.err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("1h30m", 5400), ("0.5h", 1800)],
)
def test_durations(text, seconds):
    """Durations are numbers with a unit, also several in a row."""
    assert words.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-2h", "0s", "2h!", "9" * 40 + "d"])
def test_no_durations(text):
    """Anything else is wrong usage."""
    with pytest.raises(UsageError):
        words.duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 s"), (720, "12 min"), (12600, "3.5 h"), (7200, "2 h"), (200_000, "2 days")]
)
def test_spoken_durations(seconds, text):
    """A duration is said in the unit that fits."""
    assert words.spoken(seconds) == text


def test_names_cannot_move_the_cursor():
    """Control characters and broken bytes in names are escaped before they are printed."""
    assert words.printable("f\x1b[2J\n\udcffü.png") == "f\\x1b[2J\\n\\udcffü.png"


EVIL = "\x1b]0;x\x07\x9b2J\u202e\x7f"


@pytest.mark.parametrize(
    "arguments",
    [
        (EVIL,),
        ("status", f"--{EVIL}"),
        ("status", EVIL),
        ("explain", f"/tmp/{EVIL}"),
        ("explain", f"/tmp/{EVIL}", "--json"),
        ("pause", "--for", EVIL),
        ("shade", EVIL, "--out", "/tmp/x", "--intensity", EVIL),
        ("status", "--config", f"/tmp/{EVIL}.toml"),
        ("trial", "--device", EVIL),
        ("verify", f"/tmp/{EVIL}"),
    ],
)
def test_words_from_the_command_line_steer_no_terminal(shaded, arguments):
    """Whatever is wrong with an argument, its steering characters are escaped where it is quoted."""
    _, out, err = shaded(*arguments)
    assert out + err
    assert not [c for c in out + err if not c.isprintable() and c != "\n"]


def test_wrong_settings_steer_no_terminal(shaded, tmp_path):
    """Keys and values of a settings file are escaped in the message about them."""
    (tmp_path / "c.toml").write_text('"spel\\u001b[2Jing" = 1\n[logging]\nlevel = "\\u001b]0;x\\u0007\\u202e"\n')
    code, out, err = shaded("check", "--config", tmp_path / "c.toml")
    assert (code, out) == (78, "")
    assert not [c for c in err if not c.isprintable() and c != "\n"]


def test_a_traceback_steers_no_terminal(shaded, monkeypatch):
    """An unexpected exception's text is escaped in the traceback too."""

    def broken(_config):
        raise RuntimeError(EVIL)

    monkeypatch.setattr(asking, "load_settings", broken)
    code, _, err = shaded("status")
    assert code == 1
    assert "Traceback" in err
    assert not [c for c in err if not c.isprintable() and c != "\n"]


def test_what_the_daemon_answers_steers_no_terminal(shaded, monkeypatch):
    """Every text of the daemon's answer is escaped, also those that nobody expects a name in."""
    monkeypatch.setattr(asking, "request", lambda *_, **__: _evil_status())
    _, out, err = shaded("status")
    assert "]0;x" in out
    assert not [c for c in out + err if not c.isprintable() and c != "\n"]
    _, out, _ = shaded("status", "--json")
    assert json.loads(out)["current"][0]["stage"] == EVIL
    assert not [c for c in out if not c.isprintable() and c != "\n"]


def _evil_status():
    folder = dict.fromkeys(("outbox", "publish", "profile", "watching", "why"), EVIL) | {"there": True}
    current = {"path": EVIL, "stage": EVIL, "steps": 0, "pull": None, "eta_seconds": None}
    daemon = {"running": True, "pid": EVIL, "since": 0.0, "stopping": False, "paused": False}
    return {
        "daemon": daemon,
        "health": {"ok": False, "problems": [EVIL]},
        "folders": [folder | {"trouble": [EVIL], "waits": EVIL}],
        "counts": {EVIL: 1},
        "current": [current],
        "troubles": {EVIL: EVIL},
        "errors": [{"at": 0.0, "state": EVIL, "path": EVIL, "reason": EVIL, "remedy": EVIL}],
    }


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "an empty word stands where a file or folder is to be named"),
        ("-", "standard input and standard output are not supported here"),
        ("https://example.org/fox.png", "https://example.org/fox.png: that is an address"),
        ("HTTP://x", "that is an address"),
        ("data:image/png;base64," + "A" * 500, "(and so on): that is an address"),
        ("file:///tmp/my%20fox.png", "Name the path alone: /tmp/my fox.png"),
        ("smb://nas/fox.png", "that is an address"),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ("shade", "?", "--out", "pub"),
        ("shade", "fox.png", "?", "--out", "pub"),
        ("shade", "fox.png", "--out", "?"),
        ("verify", "?"),
        ("verify", "fox.png", "--anchor-out", "?"),
        ("audit", "fox.png", "--original", "?"),
        ("explain", "?"),
        ("retry", "?"),
        ("bump", "?"),
        ("status", "--config", "?"),
        ("run", "--outbox", "?"),
        ("trial", "--out", "?"),
    ],
    ids=" ".join,
)
def test_what_is_no_path_is_wrong_usage(shaded, tmp_path, monkeypatch, arguments, word, said):
    """Standard input, addresses and empty words are named with a way out, and nothing is begun or made."""
    monkeypatch.chdir(tmp_path)
    code, out, err = shaded(*(word if each == "?" else each for each in arguments))
    assert (code, out) == (2, "")
    assert said in err
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_called_like_an_address_is_one(tmp_path, monkeypatch):
    """What is there is meant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data:fox.png").write_bytes(b"")
    assert words.path_of("data:fox.png").name == "data:fox.png"
    assert words.path_of("./-").name == "-"
    assert words.path_of("fox.png").name == "fox.png"


def test_a_file_in_an_output_folder_s_place_is_wrong_usage(shaded, tmp_path):
    """It says that it is no folder, and it stays."""
    (tmp_path / "file").write_text("precious")
    code, _, err = shaded("shade", tmp_path / "fox.png", "--out", tmp_path / "file")
    assert (code, err) == (2, f"shaded: {tmp_path}/file: --out: that is no folder. Name a folder, or a new one.\n")
    assert (tmp_path / "file").read_text() == "precious"
