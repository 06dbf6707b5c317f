"""One self-contained HTML page for people: words, tables, plots as inline SVG, pictures inside the page.

The page loads nothing: no script, no font, no style and no picture from elsewhere. It is readable in light and dark
and on a phone. Plots are drawn with matplotlib, which is imported when the first one is drawn.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from shaded.errors import from_os_error, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

#: What stands in a table's cell; ``None`` is shown as a dash.
Cell = str | int | float | None

#: Okabe and Ito's colours, which people with any kind of colour vision tell apart; the blue is lighter than theirs, so
#: that it shows on dark ground too.
COLOURS = ("#2a86c8", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")

#: Drawn by matplotlib in this colour, which nothing else uses; on the page it becomes the colour of the text.
_INK = "#010203"


#: Stands in the head of every page; see ``page.html``.
_GENERATOR = b'<meta name="generator" content="shaded">'


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; the first column names the row. ``folded`` shows it on a click only."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A plot as SVG, from :func:`bar_figure` or :func:`interval_figure`; never from a stranger, it is not escaped."""

    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Shown:
    """A picture for the page, as PNG."""

    png: bytes
    caption: str

    @property
    def base64(self) -> str:
        """As a data URI wants it."""
        return base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A heading and, in this order, paragraphs, a list of points, pictures, figures and tables."""

    heading: str
    text: Sequence[str] = ()
    points: Sequence[str] = ()
    pictures: Sequence[Shown] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Interval:
    """A measured value with its confidence interval, at a place on the axis."""

    place: float
    value: float
    low: float
    high: float


def page(title: str, introduction: Sequence[str], sections: Sequence[Section]) -> str:
    """The page's HTML; all words are escaped, and those that turn the direction of a line or cannot be written too."""
    environment = Environment(autoescape=True, trim_blocks=True, finalize=_plain)
    template = environment.from_string(Path(__file__).with_name("page.html").read_text("utf-8"))
    return template.render(title=title, introduction=introduction, sections=sections, shown=_shown, is_words=_is_words)


def is_own_page(path: Path) -> bool:
    """Whether a file is a page that this program wrote, and may be replaced by a newer one."""
    try:
        with path.open("rb") as stream:
            return not path.is_symlink() and _GENERATOR in stream.read(4096)
    except OSError:
        return False


def _plain(value: object) -> object:
    return printable(value, "\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


def write_page(path: Path, title: str, introduction: Sequence[str], sections: Sequence[Section]) -> None:
    """Write the page, replacing an older one.

    Raises:
        PictureError: The file cannot be written; the error names it.
    """
    text = page(title, introduction, sections)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise from_os_error(error, path) from error


def _shown(cell: Cell) -> str:
    if cell is None:
        return "–"  # noqa: RUF001 - a dash for "nothing to state"
    # Adding 0 makes of a rounded "-0.000" what it is.
    return f"{round(cell, 3) + 0.0:.3f}" if isinstance(cell, float) else str(cell)


def _is_words(cell: Cell) -> bool:
    return isinstance(cell, str) and not re.fullmatch(r"[-+\d.,% ]*", cell)


def picture_grid(pictures: Sequence[tuple[NDArray[np.uint8], str]], longest: int = 480) -> tuple[Shown, ...]:
    """Pictures with captions, for ``Section.pictures``.

    Args:
        pictures: ``(H, W, 3)`` or ``(H, W)``, 8 bits, each with its caption.
        longest: Larger ones are reduced to this longest side; smaller ones stay as they are.
    """
    return tuple(Shown(_png(pixels, longest), caption) for pixels, caption in pictures)


def _png(pixels: NDArray[np.uint8], longest: int) -> bytes:
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def bar_figure(
    groups: Mapping[str, Mapping[str, float | None]],
    *,
    x_label: str,
    marks: Mapping[str, Mapping[str, float | None]] | None = None,
    reference: float | None = None,
    caption: str = "",
) -> Figure:
    """Lying bars, one for each label, under the headings of their groups.

    Args:
        groups: Heading to label to the bar's length; ``None`` draws no bar. No label stands in two groups.
        x_label: What the bars' length means.
        marks: Name in the legend to label to a value that is marked on the label's bar.
        reference: A thin line at this value.
        caption: Stands under the figure.
    """
    with _style():
        count = sum(len(bars) for bars in groups.values()) + len(groups)
        figure, axes = _canvas(7.6, 0.9 + 0.185 * count)
        places: dict[str, int] = {}
        ticks: list[tuple[int, str]] = []
        row = 0
        for heading, bars in groups.items():
            axes.text(0, row, heading, transform=axes.get_yaxis_transform(), ha="left", va="center", fontweight="bold")
            row += 1
            for label in bars:
                places[label] = row
                ticks.append((row, label))
                row += 1
        lengths = {label: value for bars in groups.values() for label, value in bars.items() if value is not None}
        axes.barh([places[label] for label in lengths], list(lengths.values()), 0.62, color=COLOURS[0], alpha=0.75)
        for number, (name, values) in enumerate((marks or {}).items(), start=1):
            known = [(value, places[label]) for label, value in values.items() if value is not None]
            axes.plot(
                [value for value, _ in known], [place for _, place in known],
                linestyle="", marker="oDx+"[(number - 1) % 4], markersize=4.5, color=COLOURS[number], label=name,
            )  # fmt: skip
        axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
        axes.set_ylim(row - 0.4, -0.7)
        axes.axvline(0, color=_INK, linewidth=0.8)
        if reference is not None:
            axes.axvline(reference, color=_INK, linewidth=0.8, linestyle=":")
        axes.grid(axis="x", color=_INK, alpha=0.15)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(x_label)
        _legend(figure, axes)
        return Figure(_svg(figure), caption)


def interval_figure(
    series: Mapping[str, Sequence[Interval]],
    *,
    x_label: str,
    y_label: str,
    limits: tuple[float, float] | None = None,
    caption: str = "",
) -> Figure:
    """Points with confidence intervals over an axis such as a dose; a line joins the points of each series.

    Args:
        series: Name in the legend to its points.
        x_label: What the places mean.
        y_label: What the values mean.
        limits: The least and the largest value shown.
        caption: Stands under the figure.
    """
    with _style():
        figure, axes = _canvas(7.0, 4.0)
        for number, (name, points) in enumerate(series.items()):
            axes.errorbar(
                [one.place for one in points],
                [one.value for one in points],
                yerr=[[one.value - one.low for one in points], [one.high - one.value for one in points]],
                marker="osD^vP"[number % 6], markersize=5, capsize=3, linewidth=1.4,
                color=COLOURS[number % len(COLOURS)], label=name,
            )  # fmt: skip
        axes.grid(color=_INK, alpha=0.15)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if limits is not None:
            axes.set_ylim(*limits)
        _legend(figure, axes)
        return Figure(_svg(figure), caption)


def _style() -> AbstractContextManager[None]:
    import matplotlib as mpl  # noqa: PLC0415 - heavy, and only plots need it

    style: AbstractContextManager[None] = mpl.rc_context(
        {
            "text.parse_math": False,  # a dollar sign in a name is one
            "svg.fonttype": "none",  # letters stay letters: small, selectable, in the page's own font
            "svg.hashsalt": "shaded",  # the same plot has the same bytes
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
        }
    )
    return style


def _canvas(width: float, height: float) -> tuple[Canvas, Axes]:
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - see _style

    figure = Canvas(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _legend(figure: Canvas, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=3)


def _svg(figure: Canvas) -> str:
    """The figure for the inside of a page: no prolog, no metadata, names that no other figure on the page has."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    whole = buffer.getvalue()
    whole = whole[whole.index("<svg") :].replace(_INK, "currentColor")
    whole = re.sub(r"<metadata>.*?</metadata>", "", whole, flags=re.DOTALL)
    used = set(re.findall(r"""(?:url\(|href=")#([^)"]+)""", whole))
    own = hashlib.sha256(whole.encode()).hexdigest()[:8]
    whole = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", whole)
    whole = re.sub(r'(url\(#|href="#| id=")', rf"\g<1>f{own}-", whole)
    return whole
