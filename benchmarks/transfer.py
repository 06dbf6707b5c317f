"""Transfer: pull on encoders of a family that the shading was not optimised against.

    python benchmarks/transfer.py PICTURES ENCODERS [--canvas 262144] [--only cow dune] [--intensity default]
        [--quality balanced] [--json rows.json]

PICTURES and ENCODERS are as for ``strength.py``. Every picture is shaded against one family alone and against both,
with the bundled students and with the real encoders themselves. Pull is measured on every real encoder and on every
bundled meter; a star marks those whose family the optimiser did not use. The students, the real encoder of a family
and its meter learned from one teacher, so that only the other family's columns say anything about transfer to
encoders that nobody here has seen.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from strength import Subject, pulls, real_encoders, subjects

from shaded.scheduling.toolbox import open_toolbox
from shaded.settings import Shading
from shaded.shading.engine import CanvasWork, as_saved, shade_canvas
from shaded.shading.presets import STEPS, VISIBILITIES
from shaded.shading.surrogates import Surrogate

#: What is left out in turn: each choice of families that the optimiser may use.
CHOICES = (("flux2",), ("sana",), ("flux2", "sana"))


@dataclass(frozen=True)
class Row:
    """One picture shaded against some encoders; pull by family on the real encoders and on the meters."""

    picture: str
    source: str
    families: tuple[str, ...]
    real: dict[str, float]
    meters: dict[str, float]
    lpips: float


def measure(
    subject: Subject, source: str, targets: Sequence[Surrogate], real: Sequence[Surrogate],
    meters: Sequence[Surrogate], lpips: object, names: tuple[str, str],
) -> Row:  # fmt: skip
    """Shade one picture against ``targets`` at an intensity and a quality, and measure it everywhere."""
    intensity, quality = names
    work = CanvasWork(**{**vars(subject.work), "visibility": VISIBILITIES[intensity], "steps": STEPS[quality]})
    shaded = as_saved(work.original + shade_canvas(work, targets, lpips).delta)
    with torch.no_grad():
        visible = float(subject.distance(shaded))
    families = tuple(one.family or "" for one in targets)
    on_real, on_meters = pulls(real, subject, shaded), pulls(meters, subject, shaded)
    return Row(subject.name, source, families, on_real, on_meters, visible)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Medians over the pictures, as a Markdown table; a star where the family was left out."""
    families = CHOICES[-1]
    yield (
        "| optimised against | "
        + " | ".join(f"real {f}" for f in families)
        + " | "
        + " | ".join(f"meter {f}" for f in families)
        + " | LPIPS |"
    )
    yield "| --- |" + " --- |" * (2 * len(families) + 1)
    groups: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
    for one in rows:
        groups.setdefault((one.source, one.families), []).append(one)
    for (source, chosen), members in groups.items():
        cells = [
            f"{statistics.median(getattr(one, kind)[family] for one in members):.3f}{'' if family in chosen else '*'}"
            for kind in ("real", "meters")
            for family in families
        ]
        visible = statistics.median(one.lpips for one in members)
        yield f"| {source} {' + '.join(chosen)} | {' | '.join(cells)} | {visible:.3f} |"


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("encoders", type=Path)
    parser.add_argument("--canvas", type=int, default=262_144, help="pixels of the canvas, at most")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--intensity", choices=list(VISIBILITIES), default="default")
    parser.add_argument("--quality", choices=list(STEPS), default="balanced")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    toolbox, real = open_toolbox(Shading()), real_encoders(options.encoders)
    rows = []
    for subject in subjects(options.pictures, options.only, options.canvas, toolbox):
        for source, encoders in (("bundled", toolbox.students), ("real", real)):
            for families in CHOICES:
                targets = [one for one in encoders if one.family in families]
                names = (options.intensity, options.quality)
                rows.append(measure(subject, source, targets, real, toolbox.meters, toolbox.lpips, names))
        print(f"{subject.name}: {len(rows)} rows", flush=True)
    if not rows:
        parser.error("no picture of that name in the folder")
    print(*table(rows), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in rows], indent=1))


if __name__ == "__main__":
    main()
