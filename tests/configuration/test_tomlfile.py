from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shaded.configuration import tomlfile
from shaded.configuration.tomlfile import read_toml
from shaded.errors import ConfigurationError, Unavailable

TEXT = '[[folder]]\noutbox = "out"\npublish = "pub"\n'


def _file(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "c.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode(),
    ],
    ids=["plain", "mark", "crlf", "mark and crlf"],
)
def test_a_file_of_any_editor_is_read(tmp_path, content):
    """A byte order mark and Windows' line ends say nothing; its texts begin beside it."""
    table = read_toml(_file(tmp_path, content))
    assert table == {"folder": [{"outbox": "out", "publish": "pub"}]}
    assert table["folder"][0]["outbox"].folder == tmp_path


def test_an_empty_file_holds_nothing(tmp_path):
    """So does one with nothing but a byte order mark, and no error is made of either."""
    assert read_toml(_file(tmp_path, b"")) == {}
    assert read_toml(_file(tmp_path, b"\xef\xbb\xbf")) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode("utf-16"), "saved as UTF-16.*Save it as UTF-8"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "saved as UTF-16"),
        (TEXT.encode("utf-32"), "saved as UTF-32"),
        (TEXT.encode("utf-16-le"), "zero bytes.*UTF-16"),
        (b'[[folder]]\noutbox = "/home/j\xf6rg"\n', "line 2 holds the byte 0xf6.*Save it as UTF-8"),
        ("[[folder]]\noutbox = “out”\n", r"line 2.*outbox = “out”.*plain quotes"),
        ('[[folder]]\noutbox = "out”\n', "line 2.*plain quotes"),
        ("[[folder]]\noutbox = \u2018out\u2019\n", "line 2.*plain quotes"),
        ("[[folder]]\noutbox = «out»\n", "line 2.*plain quotes"),
        ('[[folder]]\noutbox\u00a0= "out"\n', r"line 2.*U\+00A0"),
        ('[[folder]]\n\ufeffoutbox = "out"\n', r"line 2.*U\+FEFF"),
        ("[[folder]]\noutbox = ~/out\n", "line 2.*outbox = ~/out.*quotes around the text"),
        ("[[folder]]\noutbox = /out\n", "quotes around the text"),
        ('[[folder]]\noutbox = "C:\\Users\\me"\n', "'single quotes'"),
        ('[folder]\noutbox = "a"\n[folder]\noutbox = "b"\n', r"line 3.*Write \[\[folder\]\]"),
        ("[watching]\npoll_seconds = 3\npoll_seconds = 4\n", "line 3.*twice"),
        ("[watching]\n[logging]\n[watching]\n", "line 3.*twice"),
        ('[[folder]]\routbox = "a"\r', "line ends of this system"),
        ("[[folder]\n", r"line 1.*\[\[folder\]"),
        ("a = [", "not valid TOML"),
        ("a = " + "[" * 100_000, "nested too deeply"),
        (".".join(["a"] * 5000) + " = 1", "nested too deeply"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("#" * 1_000_001, "more than 1,000,000 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_the_line_and_what_to_do(tmp_path, content, said):
    """Another encoding, typographic quotes, characters that nobody sees, missing quotes, and doubled keys."""
    path = _file(tmp_path, content)
    with pytest.raises(ConfigurationError, match=f"(?s){said}") as caught:
        read_toml(path)
    assert caught.value.path == path
    assert caught.value.remedy


def test_typographic_quotes_inside_a_text_are_text(tmp_path):
    """Only where they stand for plain ones are they wrong."""
    assert read_toml(_file(tmp_path, 'a = "“fox”"')) == {"a": "“fox”"}


def test_a_name_that_leads_to_no_file_is_a_wrong_name(tmp_path):
    """A folder, a missing file, a path through a file, a dangling link, a link to itself."""
    _file(tmp_path, TEXT)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    said = {
        "": "that is a folder",
        "nowhere.toml": "no such settings file",
        "c.toml/x": "no such settings file",
        "dangling": "a link to a file that is not there",
        "loop": "cannot be read",
        "loop/x": "cannot be read",
        "x" * 300: "cannot be read",
    }
    for name, words in said.items():
        with pytest.raises(ConfigurationError, match=words):
            read_toml(tmp_path / name)


def test_a_file_that_may_not_be_read_may_be_readable_later(tmp_path, monkeypatch):
    """A network home that is away passes; the message says what to do."""

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(Unavailable, match=r"Permission denied.*access"):
        read_toml(tmp_path / "c.toml")


def test_a_file_without_an_end_is_not_read_to_it():
    """``/dev/zero`` is refused after a megabyte; ``/dev/null`` is an empty file."""
    with pytest.raises(ConfigurationError, match="no settings file"):
        read_toml(Path("/dev/zero"))
    assert read_toml(Path("/dev/null")) == {}


def test_a_pipe_is_read_once_and_remembered(tmp_path, monkeypatch):
    """Settings are read again on a reload, and a pipe says everything once; its paths begin where one is."""
    monkeypatch.setattr(tomlfile, "_from_pipes", {})
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    writer = threading.Thread(target=pipe.write_text, args=(TEXT,))
    writer.start()
    table = read_toml(pipe)
    writer.join()
    assert table["folder"][0]["outbox"].folder == tmp_path / "here"
    assert read_toml(pipe) == table  # without waiting for another writer
    pipe.unlink()
    assert read_toml(pipe) == table
    pipe.write_text("[watching]")
    assert read_toml(pipe) == {"watching": {}}


@pytest.mark.real_process
def test_process_substitution_is_a_settings_file(tmp_path):
    """``--config <(...)`` works, also where the settings are read twice."""
    script = f"exec {sys.executable} -m shaded check --skip-models --config <(printf '%s' \"$TEXT\")"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path, env=os.environ | {"TEXT": TEXT}, capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert f"{tmp_path}/out -> {tmp_path}/pub" in done.stdout
    assert done.stderr == ""
