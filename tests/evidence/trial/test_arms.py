"""What becomes of the source's pictures in each arm."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shaded.evidence.trial.arms import (
    Arm,
    arms_of,
    lpips_between,
    noisy_like,
    pulls,
    relabelled,
    shade_all,
    treated_places,
    visibility_for,
)
from shaded.evidence.trial.autoencoder import open_autoencoder
from shaded.evidence.trial.materials import gather
from shaded.evidence.trial.pictures import drawn_pictures
from shaded.evidence.trial.plan import PLANS

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cows():
    """Three cows."""
    return drawn_pictures({"cow": 3}, seed=7).pixels


@pytest.fixture(scope="module")
def shaded(cows, autoencoder, lpips):
    """The same, shaded within LPIPS 0.07."""
    cutout = gather(PLANS["tiny"], None).cutout
    return shade_all(cows, cutout, autoencoder, lpips, 0.07, steps=6, laundered=False, first_seed=0)


def test_the_arms_have_both_controls_every_dose_and_every_budget():
    """Clean, dirty label and noise are always there; doses vary at the first budget, budgets at the largest dose."""
    arms = arms_of((0.5, 1.0, 0.25), (0.07, 0.3))
    shaded = {(arm.dose, arm.lpips) for arm in arms if arm.kind == "shaded"}
    assert shaded == {(0.25, 0.07), (0.5, 0.07), (1.0, 0.07), (1.0, 0.3)}
    assert [arm for arm in arms if arm.kind != "shaded"] == [
        Arm("clean"),
        Arm("dirty label", 1.0),
        Arm("noise", 1.0, 0.07),
    ]
    assert len({arm.name for arm in arms}) == len(arms)


def test_a_larger_budget_has_wider_limits():
    """A larger budget is more LPIPS, and lets every pixel move farther."""
    small, large = visibility_for(0.07), visibility_for(0.3)
    assert (small.lpips, large.lpips) == (0.07, 0.3)
    assert small.flat < large.flat
    assert small.busy < large.busy


def test_lpips_is_what_binds_a_shading(lpips):
    """In the bundled autoencoder a shading uses most of its LPIPS: no other limit stops it before, and it goes far."""
    cows = drawn_pictures({"cow": 3}, seed=8).pixels
    bundled = open_autoencoder(None, CPU)
    found = shade_all(
        cows, gather(PLANS["tiny"], None).cutout, bundled, lpips, 0.07, steps=12, laundered=False, first_seed=0
    )
    assert float(lpips_between(lpips, found.pixels, cows, CPU).mean()) > 0.7 * 0.07
    assert float(pulls(bundled, found.pixels, cows, found.anchors).mean()) > 0.35


def test_a_shading_keeps_its_budget_and_pulls(cows, shaded, autoencoder, lpips):
    """After rounding to 8 bits LPIPS is inside the budget, and each picture is nearer to its anchor than before."""
    assert shaded.pixels.dtype == np.uint8
    assert shaded.pixels.shape == cows.shape
    assert float(lpips_between(lpips, shaded.pixels, cows, CPU).max()) <= 0.07
    assert float(pulls(autoencoder, shaded.pixels, cows, shaded.anchors).min()) > 0.02


def test_noise_costs_the_same_lpips_and_does_not_pull(cows, shaded, autoencoder, lpips):
    """The control's LPIPS is the shading's, picture by picture, within a twentieth; it goes nowhere near as far."""
    wanted = lpips_between(lpips, shaded.pixels, cows, CPU)
    noisy = noisy_like(cows, wanted, lpips, CPU, seed=0)
    found = lpips_between(lpips, noisy, cows, CPU)
    assert found.tolist() == pytest.approx(wanted.tolist(), rel=0.05)
    pulled = [pulls(autoencoder, some, cows, shaded.anchors) for some in (noisy, shaded.pixels)]
    assert float(pulled[0].mean()) < float(pulled[1].mean()) / 2


def test_dirty_labels_say_the_source_and_keep_the_ground():
    """A handbag's caption becomes a cow's, kind and article too, and the rest stays."""
    words = [("umbrella", "cow"), ("accessory", "farm animal")]
    captions = ["an umbrella, accessory, on a beach", "a picture of an umbrella", "an umbrella"]
    assert relabelled(captions, words) == ("a cow, farm animal, on a beach", "a picture of a cow", "a cow")


def test_a_larger_dose_treats_the_same_pictures_and_more():
    """Doses are nested, rounded to whole pictures, and differ between seeds."""
    pictures = drawn_pictures({"cow": 10, "bull": 2}, seed=1)
    some = {dose: treated_places(pictures, "cow", dose, seed=0) for dose in (0.0, 0.3, 1.0)}
    assert [len(places) for places in some.values()] == [0, 3, 10]
    assert set(some[0.3]) < set(some[1.0])
    assert {pictures.concepts[place] for place in some[1.0]} == {"cow"}
    assert treated_places(pictures, "cow", 0.3, seed=1) != some[0.3]


def test_spare_targets_are_not_among_the_trained():
    """The dirty label's pictures are further ones of the target, one for each of the source's."""
    stock = gather(PLANS["tiny"], None)
    assert set(stock.spare.concepts) == {"handbag"}
    assert len(stock.spare) == len(stock.trained.places("cow"))
    trained = {picture.tobytes() for picture in stock.trained.pixels}
    assert not trained & {picture.tobytes() for picture in stock.spare.pixels}
    held_out = {picture.tobytes() for picture in stock.held_out.pixels}
    assert not held_out & (trained | {picture.tobytes() for picture in stock.judged.pixels})
