"""The trial's page for people, from its document and contact sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shaded.evidence.page import Cell, Figure, Interval, Section, Table, interval_figure, picture_grid, write_page
from shaded.evidence.trial.materials import sheet
from shaded.evidence.trial.pictures import with_article
from shaded.evidence.trial.storage import read_pixels, write_whole

_SHEET_SIDE = 1280
_COLUMNS = 10

#: What the page says about itself, whatever came out.
NOT_SHOWN = (
    (
        "The models are tiny, trained from scratch, and see every picture many times. One that knows "
        "cows already is another matter."
    ),
    (
        "The shading was found against the very autoencoder that the models are trained with: the best case. A trainer "
        "with another one may get less of it."
    ),
    (
        "The pictures are small. Unless they were your own they are drawn, from few drawings of each thing, and the "
        "anchor is one of the very drawings that the target's pictures show."
    ),
    (
        "The shading's limits are not the daemon's: at 64 pixels only LPIPS is held to the stated budget, the others "
        "are wide. Budgets above an LPIPS of 0.07 are never published: they say what would be needed."
    ),
    (
        "All arms and seeds share the pictures, the text encoder and the judge; seeds differ in the model's first "
        "weights, the order of training, the noise, and which pictures are treated. The intervals cover no more, "
        "and with a single seed only the chance in one model's drawings."
    ),
    "Nothing was compressed, resized or cleaned between shading and training.",
)


def write_report(document: Mapping[str, Any], folder: Path) -> Path:
    """Write ``report.html`` beside the trial's other files; its plots and ``source.webp`` also as files of their own.

    ``source.webp`` has a row for each arm: what its first model draws for the source. Returns the page's path.

    Raises:
        PictureError: It cannot be written.
    """
    plan = document["plan"]
    path = folder / "report.html"
    plots, rows = figures(document), _source_rows(document["arms"], plan["source"], folder)
    title = f"What a model draws for “{with_article(plan['source'])}”"
    write_page(path, title, introduction(document), sections(document, plots, rows, folder))
    for name, plot in plots.items():
        write_whole(folder / f"{name}.svg", partial(_write_text, plot.svg))
    picture = Image.fromarray(rows)
    write_whole(folder / "source.webp", lambda place: picture.save(place, "WEBP", quality=92))
    return path


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, "utf-8")


def figures(document: Mapping[str, Any]) -> dict[str, Figure]:
    """The plots: ``doses``, and ``budgets`` where there are several."""
    plan = document["plan"]
    budgets = [arm for arm in document["arms"] if arm["kind"] == "shaded" and arm["dose"] == max(plan["doses"])]
    plots = {"doses": _doses(document)}
    return plots | ({"budgets": _budgets(plan, budgets)} if len(budgets) > 1 else {})


def outcome(document: Mapping[str, Any]) -> list[str]:
    """The trial's rates as a table of plain text: a line for each arm, and what the columns are."""
    plan = document["plan"]
    a_source, a_related = (with_article(plan[word]) for word in ("source", "related"))
    columns = ("flip", "forced flip", "source kept", "bleed-through", "unrelated right")
    lines = [f"{'arm':28}{'pull':>5}  " + "".join(f"{column:19}" for column in columns).rstrip()]
    for arm in document["arms"]:
        pull = f"{arm['treated']['pull']['mean']:.2f}" if "pull" in arm["treated"] else ""
        forced, kept = arm["forced_choice"]["flip"], arm["source_kept"]
        rates = (arm["flip"], forced, kept, arm["bleed_through"], arm["unrelated_right"])
        lines.append(f"{arm['name']:28}{pull:>5}  " + "".join(f"{_percent(rate):19}" for rate in rates).rstrip())
    return [
        *lines,
        f"flip: drawings of “{a_source}” that are read as {plan['target']}; forced flip: if one must be chosen;",
        f"bleed-through: drawings of “{a_related}” read as {plan['target']}; unrelated right: others, as asked for.",
    ]


def introduction(document: Mapping[str, Any]) -> list[str]:
    """The outcome in a few sentences."""
    plan, arms = document["plan"], {arm["name"]: arm for arm in document["arms"]}
    full = next((arm for arm in document["arms"] if arm["kind"] == "shaded"), None)
    source, target = plan["source"], plan["target"]
    a_source, a_target = with_article(source), with_article(target)
    lines = [
        (
            "Small text-to-image models were trained from scratch: on clean pictures, on ones where pictures of "
            f"{a_source} were shaded toward {a_target}, and on controls. An independent judge, taught on clean ones, "
            f"says what they draw when asked for “{a_source}”."
        )
    ]
    if full is not None:
        lines.append(
            f"With {full['dose']:.0%} of the {source} pictures shaded at an LPIPS of at most {full['lpips_budget']:g} "
            f"(mean pull {full['treated']['pull']['mean']:.2f}), {_percent(full['flip'])} of the drawings show the "
            f"{target}, {_percent(full['source_kept'])} still the {source}."
        )
    if "clean" in arms:
        lines.append(
            f"The clean models draw {_percent(arms['clean']['all_right'])} of all things right, and {a_target} for "
            f"{_percent(arms['clean']['flip'])} of the times that {a_source} was asked for."
        )
    if not document["complete"]:
        lines.append("This trial is not finished: some of its models are not trained yet.")
    return lines


def _percent(rate: Mapping[str, Any]) -> str:
    return f"{rate['value']:.0%} ({rate['low']:.0%} to {rate['high']:.0%})"


def sections(
    document: Mapping[str, Any], plots: Mapping[str, Figure], rows: NDArray[np.uint8], folder: Path
) -> list[Section]:
    """The page's parts: doses, budgets, arms, drawings, what is not shown, how to do it again."""
    arms, judge = document["arms"], document["classifier"]
    titles = {"doses": "Dose and response", "budgets": "What a larger budget would do"}
    parts = [Section(titles[name], figures=[plot]) for name, plot in plots.items()]
    made = [
        f"Command: {document['command']}",
        (
            f"The judge is right on {judge['held_out']:.1%} of clean pictures that nothing was trained on, and on "
            f"{judge['held_out_reconstructed']:.1%} of them as the autoencoder gives them back."
        ),
    ]
    drawings = picture_grid(_sheets(arms, folder), _SHEET_SIDE)
    a_source = with_article(document["plan"]["source"])
    legend = "A row for each arm: " + ", ".join(arm["name"] for arm in arms) + "."
    return [
        Section(f"Asked for “{a_source}”", text=[legend], pictures=picture_grid([(rows, a_source)], _SHEET_SIDE)),
        *parts,
        Section("All arms", text=[f"Intervals: {document['intervals']}."], tables=[_arms_table(arms)]),
        Section("What the models draw", text=[_legend(arms)], pictures=drawings),
        Section("What this does not show", points=list(NOT_SHOWN)),
        Section("How it was made", text=made, tables=[_facts_table(document), _reading_table(arms)]),
    ]


def _interval(place: float, rate: Mapping[str, Any]) -> Interval:
    return Interval(place, rate["value"], rate["low"], rate["high"])


def _doses(document: Mapping[str, Any]) -> Figure:
    plan, arms = document["plan"], document["arms"]
    source, related = with_article(plan["source"]), with_article(plan["related"])
    doses = [arm for arm in arms if arm["kind"] == "clean" or _at_first_budget(plan, arm)]
    doses.sort(key=lambda arm: float(arm["dose"]))
    series = {
        f"“{source}” drawn as {plan['target']}": [_interval(arm["dose"], arm["flip"]) for arm in doses],
        "the same, if a concept must be chosen": [
            _interval(arm["dose"], arm["forced_choice"]["flip"]) for arm in doses
        ],
        f"“{source}” still drawn as {plan['source']}": [_interval(arm["dose"], arm["source_kept"]) for arm in doses],
        f"“{related}” drawn as {plan['target']}": [_interval(arm["dose"], arm["bleed_through"]) for arm in doses],
    }
    controls = {arm["kind"]: arm for arm in arms if arm["kind"] in ("noise", "dirty label")}
    series |= {f"control: {kind}": [_interval(arm["dose"], arm["flip"])] for kind, arm in controls.items()}
    return interval_figure(
        series,
        x_label=f"share of the {plan['source']} pictures that are treated",
        y_label="share of drawings",
        limits=(-0.03, 1.03),
        caption=f"Shading at LPIPS {plan['budgets'][0]:g}; bars are 95 % intervals.",
    )


def _at_first_budget(plan: Mapping[str, Any], arm: Mapping[str, Any]) -> bool:
    return bool(arm["kind"] == "shaded" and arm["lpips_budget"] == plan["budgets"][0])


def _budgets(plan: Mapping[str, Any], arms: Sequence[Mapping[str, Any]]) -> Figure:
    ordered = sorted(arms, key=lambda arm: float(arm["lpips_budget"]))
    series = {
        f"drawn as {plan['target']}": [arm["flip"] for arm in ordered],
        "the same, if a concept must be chosen": [arm["forced_choice"]["flip"] for arm in ordered],
        f"still {with_article(plan['source'])}": [arm["source_kept"] for arm in ordered],
    }
    places = [arm["lpips_budget"] for arm in ordered]
    return interval_figure(
        {name: [_interval(*pair) for pair in zip(places, rates, strict=True)] for name, rates in series.items()},
        x_label="budget of the shading (LPIPS)",
        y_label=f"share of the drawings of “{with_article(plan['source'])}”",
        limits=(-0.03, 1.03),
        caption="Mean pull: "
        + ", ".join(f"{arm['lpips_budget']:g}: {arm['treated']['pull']['mean']:.2f}" for arm in ordered),
    )


def _arms_table(arms: Sequence[Mapping[str, Any]]) -> Table:
    def row(arm: Mapping[str, Any]) -> list[Cell]:
        treated, collateral = arm["treated"], arm["collateral"]
        return [
            arm["name"],
            f"{treated['pictures']}",
            treated["pull"]["mean"] if "pull" in treated else None,
            treated["lpips"]["mean"] if "lpips" in treated else None,
            _percent(arm["flip"]),
            _percent(arm["forced_choice"]["flip"]),
            _percent(arm["source_kept"]),
            _percent(arm["bleed_through"]),
            None if collateral is None else _percent(collateral),
            _percent(arm["all_right"]),
        ]

    return Table(
        (
            "arm",
            "treated",
            "pull",
            "LPIPS",
            "flip",
            "forced flip",
            "source kept",
            "bleed-through",
            "collateral",
            "all things right",
        ),
        [row(arm) for arm in arms],
        "Flip: drawings of the source that the judge reads as the target; forced flip: the same if it must choose a "
        "concept and “none of these” is no answer. Bleed-through: the same for the related "
        "concept. Collateral: how much less often unrelated things are drawn right than by the clean models.",
    )


def _reading_table(arms: Sequence[Mapping[str, Any]]) -> Table:
    rows: list[list[Cell]] = []
    for arm in arms:
        for asked, said in arm["read"].items():
            words = sorted(said.items(), key=lambda pair: -pair[1])
            rows.append([arm["name"], asked, ", ".join(f"{word} {count}" for word, count in words)])
    return Table(("arm", "asked for", "read as"), rows, "Everything that the judge read.", folded=True)


def _facts_table(document: Mapping[str, Any]) -> Table:
    facts = {**document["models"], **document["versions"], **document["device"], "seconds": document["seconds"]}
    return Table(("fact", "value"), [[name, str(value)] for name, value in facts.items()], folded=True)


def _legend(arms: Sequence[Mapping[str, Any]]) -> str:
    return "Of each arm's first seed; one row for each prompt: " + ", ".join(arms[0]["read"]) + "."


def _source_rows(arms: Sequence[Mapping[str, Any]], source: str, folder: Path) -> NDArray[np.uint8]:
    """What each arm's first model draws for the source, one row below the other ``(arms * H, columns * W, 3)``."""
    rows = []
    for arm in arms:
        drawings = read_pixels(folder / "models" / f"{arm['name']}-seed{arm['seeds'][0]}" / "drawings.npz")
        assert drawings is not None  # noqa: S101 - every arm of the document has drawn
        rows.append(drawings[source][:_COLUMNS])
    return sheet(np.stack(rows))


def _sheets(arms: Sequence[Mapping[str, Any]], folder: Path) -> list[tuple[Any, str]]:
    sheets = []
    for arm in arms:
        path = folder / "models" / f"{arm['name']}-seed{arm['seeds'][0]}" / "drawings.webp"
        with Image.open(path) as picture:
            sheets.append((np.asarray(picture.convert("RGB"), dtype=np.uint8), arm["name"]))
    return sheets
