"""What a trial is made with: the drawn pictures, or the user's own."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from shaded.errors import UsageError
from shaded.evidence.trial import run as running
from shaded.evidence.trial.arms import Arm
from shaded.evidence.trial.materials import FEWEST, gather
from shaded.evidence.trial.pictures import SIDE
from shaded.evidence.trial.plan import plan_for

PLAN = plan_for("tiny")


def _fill(folder, concepts, count=FEWEST):
    rng = np.random.default_rng(0)
    for concept in concepts:
        for number in range(count):
            pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{concept}-{number}.png")
            (folder / f"{concept}-{number}.txt").write_text(f"my {concept} number {number}", "utf-8")
    return folder


def test_own_pictures_are_divided_without_overlap(tmp_path):
    """No picture of the user's is for two of generators, judge and measuring the judge, and each is for one."""
    stock = gather(PLAN, _fill(tmp_path, ("cow", "handbag", "bull", "cup")))
    parts = [{one.tobytes() for one in part.pixels} for part in (stock.trained, stock.judged, stock.held_out)]
    assert [len(part) for part in parts] == [16, 12, 4]
    assert len(set.union(*parts)) == 32
    assert set(stock.spare.concepts) == {"handbag"}
    assert len(stock.spare) == len(stock.trained.places("cow"))


def test_own_dirty_labels_have_the_sources_captions(tmp_path):
    """With the user's own pictures the target's stand under the source's captions as they are."""
    stock = gather(PLAN, _fill(tmp_path, ("cow", "handbag", "bull", "cup")))
    instead, _ = running.treated(SimpleNamespace(stock=stock), PLAN, Arm("dirty label", 1.0), lambda *_: None)
    assert np.array_equal(instead.pixels, stock.spare.pixels)
    assert instead.captions == stock.trained.subset(stock.trained.places("cow")).captions


@pytest.mark.parametrize(
    ("concepts", "count", "words"),
    [
        (("cow", "handbag", "bull"), FEWEST, "anything but"),
        (("cow", "bull", "cup", "hat"), FEWEST, "no pictures of 'handbag'"),
        (("cow", "handbag", "bull", "cup"), FEWEST - 1, "only 7 pictures of 'bull'"),
    ],
)
def test_too_few_own_pictures_are_refused(tmp_path, concepts, count, words):
    """What cannot be counted later is said before anything is trained."""
    with pytest.raises(UsageError, match=words):
        gather(PLAN, _fill(tmp_path, concepts, count))


def test_a_target_of_the_trials_own_things_has_an_anchor():
    """A cow is no anchor of the gallery, but a picture can be shaded toward one."""
    cutout = gather(plan_for("tiny", source="handbag", target="cow", related="umbrella"), None).cutout
    assert cutout.shape[:2] == (1, 4)
    assert 0 < float(cutout[:, 3].mean()) < 1


def test_every_picture_counts_for_the_hash():
    """A trial with another judge's picture or another anchor is another trial."""
    stock = gather(PLAN, None)
    judged = replace(stock.judged, pixels=255 - stock.judged.pixels)
    others = (replace(stock, judged=judged), replace(stock, cutout=stock.cutout.flip(-1)))
    assert len({stock.sha256, *(other.sha256 for other in others)}) == 3
    assert stock.sha256 == gather(PLAN, None).sha256
