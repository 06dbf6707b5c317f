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
