from __future__ import annotations

import errno
import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from shaded.errors import Unavailable
from shaded.terminal import Guarded, OutputGone, for_rich, guarded_streams


class Terminal(io.StringIO):
    """A terminal that keeps what it is sent."""

    encoding = "utf-8"

    def isatty(self):
        return True


@given(st.text())
def test_nothing_written_steers_a_terminal(text):
    """Whatever is written, only printable characters and line ends arrive, and printable text arrives unchanged."""
    stream = Terminal()
    Guarded(stream).write(text)
    assert all(c.isprintable() or c == "\n" for c in stream.getvalue())
    if all(c.isprintable() or c == "\n" for c in text):
        assert stream.getvalue() == text


@pytest.mark.parametrize("evil", ["\x1b]0;x\x07", "\x1b[5A", "\x9b2J", "\x1b]8;;http://x\x1b\\", "\x1b[2J", "\u202e"])
def test_beside_richs_own_sequences_nothing_passes(evil):
    """In what rich draws on a terminal its colours stay, and other sequences are escaped."""
    stream = Terminal()
    Guarded(stream, rich=True).write(f"\x1b[1;31mred{evil}\x1b[0m")
    written = stream.getvalue()
    assert written.startswith("\x1b[1;31mred")
    assert written.endswith("\x1b[0m")
    if evil != "\x1b[5A":  # rich moves up to draw its bars anew
        assert evil not in written


def test_rich_has_its_colours_and_print_has_none(monkeypatch):
    """Through guarded streams rich still draws in colour on a terminal, and a progress display is drawn."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    with guarded_streams():
        Console().print("[red]fox[/red]")
        print("\x1b[31mcow")  # noqa: T201 - what is tried
        with Progress(console=Console(file=for_rich(sys.stderr)), transient=True) as bars:
            bars.add_task("shading", total=2)
            bars.refresh()
    assert "\x1b[31mfox\x1b[0m" in sys.stdout.getvalue()
    assert "\\x1b[31mcow" in sys.stdout.getvalue()
    assert "\x1b[?25l" in sys.stderr.getvalue()
    assert "\\x1b" not in sys.stderr.getvalue()


def test_a_pipe_gets_no_colours(monkeypatch):
    """Where the stream is no terminal, no sequence passes at all."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with guarded_streams():
        for_rich(sys.stdout).write("\x1b[31mfox\n")
    assert sys.stdout.getvalue() == "\\x1b[31mfox\n"


def test_a_stream_of_few_letters_gets_escapes():
    """What the stream's encoding lacks is escaped instead of ending the command."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    Guarded(stream).writelines(["fü", "x\udcff\n"])
    assert raw.getvalue() == b"f\\xfcx\\udcff\n"


def test_the_streams_are_put_back():
    """After the commands the standard streams are what they were."""
    before = sys.stdout, sys.stderr
    with guarded_streams():
        assert isinstance(sys.stdout, Guarded)
        with pytest.raises(TypeError):
            sys.stdout.write(b"x")
    assert (sys.stdout, sys.stderr) == before


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error):
        super().__init__()
        self.error = OSError(error, os.strerror(error))

    def write(self, _text):
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [(errno.EPIPE, OutputGone, 141), (errno.ENOSPC, Unavailable, 74), (errno.EIO, Unavailable, 74)],
)
def test_what_cannot_be_written_ends_the_command(error, kind, code):
    """A closed pipe and a full device are errors of their own, and remain so for whoever passed over the first one."""
    stream = Guarded(Broken(error))
    with pytest.raises(kind) as raised:
        stream.write("fox")
    assert raised.value.exit_code == code
    with pytest.raises(kind):
        stream.flush()
    with pytest.raises(kind):
        stream.rich_proxied_file.write("fox")


def test_a_full_device_is_asked_to_write_something():
    """Libraries write nothing to see what a stream takes; that is no failure."""
    assert Guarded(Broken(errno.ENOSPC)).write("") == 0


def test_what_an_expendable_stream_cannot_write_is_lost():
    """Nobody hears that nobody hears it."""
    stream = Guarded(Broken(errno.EPIPE), expendable=True)
    assert stream.write("fox") == 3
    stream.rich_proxied_file.write("fox")
    stream.flush()


def test_a_log_whose_disk_was_full_goes_on():
    """Nothing of what could not be written keeps later lines from the same stream."""
    raw = Broken(errno.ENOSPC)
    stream = Guarded(raw, expendable=True)
    stream.write("lost")
    raw.write = lambda text: io.StringIO.write(raw, text)
    stream.write("kept")
    assert raw.getvalue() == "kept"


def test_bytes_for_a_pipe_are_written_as_they_are():
    """After what was written before, and whatever they are."""
    raw = io.BytesIO()
    stream = Guarded(io.TextIOWrapper(raw, encoding="ascii"))
    stream.write("f\xfc\n")
    stream.write_bytes(b"\xff\x1b[2J")
    stream.flush()
    assert raw.getvalue() == b"f\\xfc\n\xff\x1b[2J"
