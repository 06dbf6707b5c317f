"""What a person is told to do about a picture that got no shading: only what can help."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from shaded.errors import Refusal
from shaded.scheduling import remedies
from shaded.settings import Budget, Profile


def picture(width=100, height=100, alpha=None, peak=255):
    """As much of a picture as is looked at."""
    plane = None if alpha is None else np.asarray(alpha)
    return SimpleNamespace(size=(width, height), alpha=plane, peak=peak)


@pytest.mark.parametrize(
    ("alpha", "peak", "word"),
    [
        ([[0, 0]], 255, "fully"),
        ([[0, 1]], 255, "almost fully"),
        ([[2, 2]], 255, "almost fully"),
        ([[0]], 65535, "fully"),
    ],
)
def test_what_is_transparent_all_over_needs_no_shading(alpha, peak, word):
    """It is refused before anything is tried, and nobody is told to choose another intensity."""
    with pytest.raises(Refusal) as refused:
        remedies.refuse_invisible(picture(alpha=alpha, peak=peak))
    assert refused.value.what.startswith(f"all of it is {word} transparent")
    assert refused.value.remedy == "Publish it as it is"


@pytest.mark.parametrize(("alpha", "peak"), [(None, 255), ([[0, 255]], 255), ([[4]], 255), ([[100]], 65535)])
def test_what_can_be_seen_somewhere_is_tried(alpha, peak):
    """One visible pixel is enough to try."""
    remedies.refuse_invisible(picture(alpha=alpha, peak=peak))


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 200), (15, 17)])
@pytest.mark.parametrize("intensity", ["low", "high"])
def test_a_tiny_picture_is_not_told_to_choose_another_intensity(size, intensity):
    """It says how few pixels there are."""
    refusal = remedies.nothing_came_of_it(picture(*size), Profile(intensity=intensity), Budget(), "nothing is left")
    assert refusal.what == f"it has only {size[0]} x {size[1]} pixels, too few for a shading"
    assert refusal.remedy == "Publish it as it is"


@pytest.mark.parametrize(
    ("intensity", "budget", "remedy"),
    [
        ("low", {}, "Choose a higher intensity"),
        ("high", {}, "Publish it as it is"),
        ("default", {"max_lpips": 0.9, "min_psnr_db": 20}, "Choose a higher intensity"),
        ("high", {"max_lpips": 0.001}, "Loosen your own limits under [budget] (max_lpips)"),
        (
            "default",
            {"max_delta_e": 0.1, "min_psnr_db": 60},
            "Loosen your own limits under [budget] (min_psnr_db, max_delta_e)",
        ),
    ],
)
def test_the_highest_intensity_has_no_higher_one(intensity, budget, remedy):
    """What is named is there: a higher intensity, or limits that the person set."""
    refusal = remedies.nothing_came_of_it(picture(), Profile(intensity=intensity), Budget(**budget), "nothing is left")
    assert (refusal.what, refusal.remedy) == ("nothing is left", remedy)


@pytest.mark.parametrize(
    ("broken", "intensity", "budget", "remedy"),
    [
        (["lpips"], "default", {}, "Choose a higher intensity, or save"),
        (["lpips"], "high", {}, "Save the picture"),
        (["lpips"], "default", {"max_lpips": 0.01}, "Loosen your own limits under [budget] (max_lpips), or save"),
        (["lpips", "psnr_db"], "default", {"max_lpips": 0.01}, "Loosen your own limits under [budget] (max_lpips), or"),
        (["gray_kept"], "default", {}, "Save the picture with less compression"),
    ],
)
def test_over_the_budget_it_is_said_whose_limit_it_is(broken, intensity, budget, remedy):
    """A higher intensity raises no limit that a person set, and keeps no gray."""
    said = remedies.over_budget(broken, Profile(intensity=intensity), Budget(**budget))
    assert said.startswith(remedy)
    assert said.endswith("(PNG, or JPEG at quality 90)")


def test_too_weak_at_the_highest_intensity_is_a_matter_of_the_profile():
    """There the profile asks for too much."""
    assert remedies.too_weak(Profile()) == "Choose a higher intensity, or lower min_pull"
    assert remedies.too_weak(Profile(intensity="high")) == "Lower min_pull"
