from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from shaded import logs


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    logging.captureWarnings(False)


def test_json_lines_carry_level_room_and_facts(capsys):
    """A JSON line is one object with the event, its level, its room, a UTC date and its facts."""
    logs.configure("info", "json")
    logs.get_logger("daemon").info("picture published", file="fox.png")
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert out == ""
    assert {k: line[k] for k in ("event", "level", "room", "file")} == {
        "event": "picture published",
        "level": "info",
        "room": "daemon",
        "file": "fox.png",
    }
    assert line["timestamp"].endswith("Z")


def test_lines_of_one_job_are_bound_to_it(capsys):
    """Inside about_job every line carries the job, outside none does."""
    logs.configure("info", "json")
    logger = logs.get_logger("daemon")
    with logs.about_job("j1"):
        logger.info("one")
        logs.get_logger("publishing").info("two")
    logger.info("three")
    jobs = [json.loads(line).get("job") for line in capsys.readouterr().err.splitlines()]
    assert jobs == ["j1", "j1", None]


def test_lower_levels_are_dropped(capsys):
    """A level that is not wanted writes nothing."""
    logs.configure("warning", "json")
    logs.get_logger("x").info("quiet")
    logs.get_logger("x").warning("loud")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["loud"]


def test_exceptions_are_one_json_line(capsys):
    """A traceback stays inside its one JSON line."""
    logs.configure("info", "json")
    try:
        int("broken")
    except ValueError:
        logs.get_logger("x").exception("it failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["level"] == "error"
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_console_lines_are_readable(capsys):
    """On the console a line reads as words with its facts behind."""
    logs.configure("info", "console")
    logs.get_logger("daemon").info("picture published", file="fox.png")
    err = capsys.readouterr().err
    assert "picture published" in err
    assert "file=fox.png" in err
    assert not err.startswith("{")


def test_libraries_speak_through_the_same_format(capsys):
    """Warnings logged by a library through the standard library come out as our lines; its chatter does not."""
    logs.configure("info", "json")
    logging.getLogger("somelibrary").info("chatter")
    logging.getLogger("somelibrary").warning("careful %d", 3)
    (line,) = capsys.readouterr().err.splitlines()
    assert (json.loads(line)["room"], json.loads(line)["event"]) == ("somelibrary", "careful 3")


@pytest.mark.parametrize(
    ("wanted", "terminal", "expected"),
    [
        ("auto", True, "console"),
        ("auto", False, "json"),
        ("json", True, "json"),
        ("console", False, "console"),
    ],
)
def test_auto_depends_on_the_terminal(wanted, terminal, expected):
    """Auto is console on a terminal and JSON elsewhere; a stated format always wins."""
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    assert logs.resolve_format(wanted, stream) == expected


def test_a_warning_that_repeats_itself_is_thinned_out(capsys, monkeypatch):
    """The same warning about the same file is written once an hour with a count; others, and news, always."""
    now = [0.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    logs.configure("info", "json", repeat_seconds=3600)
    logger = logs.get_logger("daemon")
    for _ in range(100):
        logger.warning("cannot be read now", file="a.png", why="busy", again_in=now[0])
        logger.warning("cannot be read now", file="b.png", why="busy")
        logger.info("picture published", file="a.png")
        now[0] += 60.0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert sum(line["event"] == "picture published" for line in lines) == 100
    of_a = [line.get("repeated") for line in lines if line["level"] == "warning" and line["file"] == "a.png"]
    assert of_a == [None, 59]
    assert sum(line["level"] == "warning" for line in lines) == 4


def test_thinning_can_be_switched_off(capsys):
    """With repeat_seconds = 0 every warning is written."""
    logs.configure("info", "json", repeat_seconds=0)
    for _ in range(5):
        logs.get_logger("daemon").warning("again", file="a.png")
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_thinning_remembers_a_bounded_number_of_warnings():
    """A million different warnings take no more memory than a thousand."""
    thin = logs.Thinning(3600.0, lambda: 1.0)
    for number in range(5000):
        thin(None, "warning", {"level": "warning", "event": "odd", "file": str(number)})
    assert len(thin._seen) == thin.MOST


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch):
    """On a full disk or a closed terminal the line is lost, and the program goes on."""

    class Broken(io.StringIO):
        def write(self, _text):
            raise OSError(28, "No space left on device")

    logs.configure("info", "json")
    monkeypatch.setattr("sys.stderr", Broken())
    logs.get_logger("daemon").error("it goes on")


def test_a_log_file_that_outgrew_its_limit_is_cut(tmp_path):
    """A file opened for appending keeps whole lines of its end; a small one, or one not for appending, stays."""
    file = tmp_path / "shaded.log"
    file.write_bytes(b"".join(b"line %06d\n" % number for number in range(10_000)))
    with file.open("r+b") as plain:
        assert not logs.shorten(1000, 100, plain.fileno())
    with file.open("ab", buffering=0) as stream:
        assert not logs.shorten(1_000_000, 100, stream.fileno())
        assert logs.shorten(1000, 100, stream.fileno())
        stream.write(b"new\n")
    assert file.read_bytes().splitlines() == [*(b"line %06d" % n for n in range(9_992, 10_000)), b"new"]


def test_a_log_that_is_somebody_elses_is_not_cut(tmp_path):
    """A file that a person had the log appended to stays whole, however large; only the agent's own log is cut."""
    theirs, own = tmp_path / "notes.txt", tmp_path / "shaded.log"
    for file in (theirs, own):
        file.write_bytes(b"a line\n" * 1000)
    with theirs.open("ab") as stream:
        assert not logs.shorten(1000, 100, stream.fileno(), own=own)
        assert not logs.shorten(1000, 100, stream.fileno(), own=tmp_path / "missing")
    with own.open("ab") as stream:
        assert logs.shorten(1000, 100, stream.fileno(), own=own)
    assert theirs.stat().st_size == 7000
