from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from shaded.terminal import Guarded, for_rich, guarded_streams


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
