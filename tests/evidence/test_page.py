"""The page: one file that loads nothing and escapes what it is told."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from shaded.errors import ShadedError
from shaded.evidence.page import (
    Interval,
    Section,
    Table,
    bar_figure,
    interval_figure,
    page,
    picture_grid,
    write_page,
)


class _Reader(HTMLParser):
    """Collects every tag and what it refers to."""

    LOADING = ("src", "href", "xlink:href", "srcset", "data", "poster", "action", "background")

    def __init__(self):
        super().__init__()
        self.tags, self.references, self.ids, self.words = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in self.LOADING]
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_data(self, data):
        self.words.append(data)


def _bars(**changes):
    settings = {"x_label": "survival", "marks": {"worst": {"JPEG q75": 0.4, "blur": None}}, "reference": 1.0}
    return bar_figure({"JPEG": {"JPEG q75": 0.8}, "filters": {"blur": None, "median": 0.3}}, **(settings | changes))


def _lines():
    points = [Interval(0.0, 0.1, 0.0, 0.2), Interval(1.0, 0.7, 0.6, 0.9)]
    return interval_figure({"shaded": points, "noise": points[:1]}, x_label="dose", y_label="flips", limits=(0, 1))


def _whole():
    return page(
        "An <audit>",
        ["First & foremost."],
        [
            Section(
                "Everything",
                ["Words."],
                points=["<script>alert(1)</script>"],
                pictures=picture_grid([(np.full((30, 40, 3), 200, np.uint8), 'a "grey" <one>')]),
                figures=[_bars(caption="bars"), _bars(caption="the same again"), _lines()],
                tables=[
                    Table(
                        ["name", "number"],
                        [["<b>", 0.12345], ["none", None], ["less", -0.0001]],
                        "a table",
                        folded=True,
                    )
                ],
            ),
            Section("More"),
            Section("And more"),
        ],
    )


def test_the_page_loads_nothing():
    """No tag and no style refers to anything outside the page: only data URIs and places on the page itself."""
    text = _whole()
    reader = _Reader()
    reader.feed(text)
    assert reader.references
    assert all(value.startswith(("data:image/png;base64,", "#")) for value in reader.references)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(\s*['\"]?([^)'\"]*)", text))


def test_every_name_on_the_page_is_there_once_for_each_figure():
    """References inside a figure lead to a part of a figure with the same content; headings have names of their own."""
    reader = _Reader()
    reader.feed(_whole())
    targets = {value[1:] for value in reader.references if value.startswith("#")}
    assert targets <= set(reader.ids)
    assert {"section-1", "section-2", "section-3"} <= set(reader.ids)


def test_words_are_escaped():
    """What a file is called cannot become markup."""
    text = _whole()
    assert "&lt;script&gt;alert(1)" in text
    assert "An &lt;audit&gt;" in text
    assert "a &#34;grey&#34; &lt;one&gt;" in text
    assert "<b>" not in text


def test_cells_are_shown_for_people():
    """Numbers have three digits, and what cannot be stated is a dash."""
    text = _whole()
    assert "<td>0.123</td>" in text
    assert "<td>0.000</td>" in text
    assert "<td>–</td>" in text  # noqa: RUF001
    assert "<details><summary>a table</summary>" in text


@pytest.mark.parametrize("draw", [_bars, _lines])
def test_figures_are_the_same_each_time_and_take_the_pages_ink(draw):
    """A figure is well-formed SVG, has the same bytes when drawn again, and has no ground and no ink of its own."""
    one, two = draw(), draw()
    assert one.svg == two.svg
    root = ET.fromstring(one.svg)
    assert root.tag.endswith("svg")
    assert "currentColor" in one.svg
    assert "#010203" not in one.svg
    assert "metadata" not in one.svg
    assert "#ffffff" not in one.svg


def test_a_bar_is_as_long_as_its_value():
    """Twice the value is twice the length, and a missing value draws no bar."""

    def lengths(values):
        svg = bar_figure({"group": values}, x_label="x").svg
        bars = re.findall(r'd="M ([\d.]+) [\d.]+ \s*L ([\d.]+)[^"]*z\s*" clip-path[^>]*opacity: 0\.75', svg)
        return [float(right) - float(left) for left, right in bars]

    one, two = lengths({"a": 0.4, "b": 0.8, "c": None})
    assert two == pytest.approx(2 * one, rel=0.01)


def test_large_pictures_are_reduced():
    """A picture on the page has at most the asked longest side; a small one is not enlarged."""
    import io

    from PIL import Image

    large, small = picture_grid([(np.zeros((600, 900, 3), np.uint8), "l"), (np.zeros((20, 30), np.uint8), "s")], 300)
    assert Image.open(io.BytesIO(large.png)).size == (300, 200)
    assert Image.open(io.BytesIO(small.png)).size == (30, 20)


def test_writing_says_what_is_in_the_way(tmp_path):
    """A page that cannot be written is an error that names the file; one that can is complete."""
    write_page(tmp_path / "page.html", "Title", [], [Section("One")])
    assert (tmp_path / "page.html").read_text("utf-8").rstrip().endswith("</html>")
    with pytest.raises(ShadedError, match="missing"):
        write_page(tmp_path / "missing" / "page.html", "Title", [], [])


def test_importing_the_page_is_light():
    """Neither torch nor matplotlib is imported with the module."""
    code = "import sys, shaded.evidence.page; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_that_are_no_text_or_turn_a_line_are_escaped(tmp_path):
    """A name of broken bytes does not keep the page from being written, and none turns the direction of its line."""
    evil = "a\udcff\u202e<b>\x1b.png"
    table = Table(["file"], [[evil]], caption=evil)
    write_page(tmp_path / "x.html", evil, [evil], [Section(evil, text=[evil], points=[evil], tables=[table])])
    text = (tmp_path / "x.html").read_text("utf-8")
    assert text.count(r"a\udcff\u202e&lt;b&gt;\x1b.png") >= 6


def test_a_dollar_sign_in_a_label_is_no_formula():
    """A label with dollar signs is drawn as it is."""
    assert "a$x^{$b" in bar_figure({"g": {"a$x^{$b": 0.5}}, x_label="pull").svg
