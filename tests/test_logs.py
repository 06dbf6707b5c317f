from __future__ import annotations

import io
import json
import logging
from contextlib import suppress

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


def test_thousands_of_different_warnings_in_rotation_are_bounded(capsys, monkeypatch):
    """Of 5,000 warnings in rotation for four hours a few an hour are written, with the count of the others."""
    now = [0.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    logs.configure("info", "json", repeat_seconds=3600)
    logger = logs.get_logger("daemon")
    rounds = 20
    for _ in range(rounds):
        for number in range(5000):
            logger.warning("cannot be read now", file=f"{number}.png", why="busy")
        now[0] += 4 * 3600 / rounds
    logger.info("picture published", file="a.png")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    written = [line for line in lines if line["event"] == "cannot be read now"]
    most = logs.Thinning.MOST
    assert most <= len(written) <= 5 * most
    counts = [line["count"] for line in lines if line["event"] == "warnings of one kind were left out"]
    repeated = sum(line.get("repeated", 0) for line in written)
    assert len(lines) <= len(written) + 15
    assert {line["of"] for line in lines if "of" in line} == {"cannot be read now"}
    assert sum(counts) + len(written) + repeated >= rounds * (5000 - most)
    assert all("shaded explain" in line["see"] for line in lines if "of" in line)


def test_a_flood_of_one_kind_hides_no_other(capsys):
    """While one kind of warning is left out, another kind, an error and news are written."""
    logs.configure("info", "json")
    logger = logs.get_logger("daemon")
    for number in range(3000):
        logger.warning("cannot be read now", file=f"{number}.png")
    logger.warning("the disk is full")
    logger.error("the worker died", detail="x")
    logger.info("stopped")
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events[-3:] == ["the disk is full", "the worker died", "stopped"]
    assert events[-4] == "further warnings of one kind are left out for a while"


def test_thinning_remembers_a_bounded_number_of_warnings(capsys):
    """A library whose every message is another one takes no more memory than a few, and no more lines."""
    logs.configure("info", "json")
    for number in range(20_000):
        logging.getLogger("pillow").warning("odd tag in %d.png", number)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= logs.Thinning.MOST_KINDS + logs.Thinning.MOST + 1
    thin = logs.Thinning(3600.0, lambda: 1.0)
    for number in range(20_000):
        with suppress(structlog.DropEvent):
            thin(None, "warning", {"level": "warning", "event": f"odd {number}", "file": str(number)})
    assert len(thin._kinds) <= thin.MOST_KINDS + 1
    assert sum(len(kind.told) for kind in thin._kinds.values()) <= thin.MOST_KINDS + thin.MOST


def test_an_error_that_repeats_itself_has_one_traceback(capsys):
    """The same error again within the hour writes no second traceback."""
    logs.configure("info", "json")
    for _ in range(50):
        try:
            int("broken")
        except ValueError:
            logs.get_logger("x").exception("it failed")
    assert len(capsys.readouterr().err.splitlines()) == 1


def _raise(text):
    raise ValueError(text)


EVIL = "a\x1b]0;x\x07\x9b2J\u202e\x7f\r\udcff.png"


@pytest.mark.parametrize("style", ["console", "json"])
def test_nothing_in_a_line_steers_a_terminal(capsys, style):
    """Names, library messages, lists and tracebacks with steering characters are escaped in both formats."""
    logs.configure("info", style)
    try:
        _raise(f"{EVIL}\n12:00:00 [info     ] picture published")
    except ValueError as error:
        logs.get_logger("x").exception("it failed", file=EVIL, files=[EVIL], why=error)
    logging.getLogger("pillow").warning("odd %s", EVIL)
    logs.get_logger("x").info(EVIL)
    err = capsys.readouterr().err
    assert not [c for c in err if not c.isprintable() and c != "\n"]
    assert not [line for line in err.splitlines() if line.startswith("12:00:00 [info")]
    if style == "json":
        assert json.loads(err.splitlines()[0])["file"] == EVIL


def test_what_a_worker_wrote_is_passed_on_as_words(capsys):
    """A line of a log is passed on as it is; anything else is escaped, and one JSON line where the log is JSON."""
    logs.configure("info", "json")
    logs.pass_on('{"event": "shading", "level": "info"}')
    logs.pass_on(EVIL)
    logs.pass_on("{" * 9000)
    logs.pass_on('{"a":' * 9000)
    logs.configure("info", "console")
    logs.pass_on(EVIL)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == '{"event": "shading", "level": "info"}'
    assert [json.loads(line)["event"] for line in lines[1:4]] == ["a worker wrote"] * 3
    assert json.loads(lines[1])["line"] == EVIL
    assert all(line.isprintable() for line in lines)


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
