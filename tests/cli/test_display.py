from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from shaded.cli.display import Display, summary_line, summary_table
from shaded.daemon.audience import Finished, Flight

ROWS = [
    Finished(
        Path("/o/a[b].png"),
        "published",
        published=Path("/p/a[b].png"),
        summary={
            "concept": "cow",
            "target": "handbag",
            "pull": 0.2514,
            "lpips": 0.0421,
            "psnr_db": 39.96,
            "seconds": 12.34,
        },
    ),
    Finished(Path("/o/c.gif"), "refused", reason="it is animated", remedy="Save one frame of it"),
]


def _printed(thing, width=160):
    console = Console(file=io.StringIO(), width=width)
    console.print(thing)
    return console.file.getvalue()


def test_the_table_has_a_row_for_each_picture():
    """Each row has file, outcome, concepts, the numbers and the reason; brackets in names are no markup."""
    text = _printed(summary_table(ROWS, [Path("/o")]))
    (published,) = [line for line in text.splitlines() if "a[b].png" in line]
    assert [word for word in published.replace("│", " ").split() if word] == [
        "a[b].png",
        "published",
        "cow",
        "->",
        "handbag",
        "0.25",
        "0.042",
        "40.0",
        "12.3",
    ]
    assert "it is animated. Save one frame of it" in text


def test_outcomes_are_counted():
    """The closing line counts each outcome that occurred."""
    assert summary_line(ROWS) == "1 published, 1 refused"
    assert summary_line([]) == "nothing to do"


def test_bars_are_drawn_on_a_terminal():
    """A picture under way has a bar with its stage, steps and pull, and leaves a line when it ends."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={})
    with Display(console) as display:
        display.progress(Flight("1", Path("/o/fox.png"), 0.0, stage="shading", step=3, steps=60, pull=0.12))
        display._progress.refresh()
        display.finished(Finished(Path("/o/fox.png"), "published"))
        display.finished(Finished(Path("/o/c.gif"), "refused", reason="it is animated"))
    text = console.file.getvalue()
    assert "shading 3/60, pull 0.12" in text
    assert "published fox.png" in text
    assert "it is animated" in text
    assert set(display.finished_pictures) == {Path("/o/fox.png"), Path("/o/c.gif")}


def test_nothing_is_drawn_elsewhere():
    """Where standard error is no terminal nothing is drawn, and outcomes are remembered all the same."""
    console = Console(file=io.StringIO(), force_terminal=False)
    with Display(console) as display:
        display.progress(Flight("1", Path("/o/fox.png"), 0.0, stage="shading", step=3, steps=60))
        display.finished(ROWS[1])
    assert console.file.getvalue().strip() == ""
    assert list(display.finished_pictures.values()) == [ROWS[1]]


EVIL = "a\x1b]0;x\x07\x9b2J\u202e\x7f[red]"


def test_other_peoples_words_steer_no_terminal():
    """Names, concept words from metadata, reasons and stages are escaped in the table, the bars and the lines."""
    facts = {"concept": EVIL, "target": EVIL, "pull": 0.2}
    row = Finished(Path("/o", EVIL), "published", summary=facts, reason=EVIL, remedy=EVIL)
    assert not [c for c in _printed(summary_table([row])) if not c.isprintable() and c != "\n"]
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
    with Display(console) as display:
        display.progress(Flight("1", Path("/o", EVIL), started_at=0.0, stage=EVIL))
        display._progress.refresh()
        display.finished(row)
    drawn = console.file.getvalue()
    assert "]0;x" in drawn
    assert "[red]" in drawn
    assert not [bad for bad in ("\x1b]", "\x07", "\x9b", "\u202e", "\x7f") if bad in drawn]
