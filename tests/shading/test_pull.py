"""Pull and direction."""

from __future__ import annotations

import pytest
import torch

from shaded.shading.pull import direction, pull, remaining

ORIGIN = torch.zeros(1, 4, 2, 2)
ANCHOR = torch.ones(1, 4, 2, 2)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_pull_is_the_share_of_a_straight_way(share):
    """On the straight way to the anchor, pull is the share of it that was gone."""
    shaded = ORIGIN + share * (ANCHOR - ORIGIN)
    assert float(pull(shaded, ORIGIN, ANCHOR)) == pytest.approx(share, abs=1e-6)
    assert float(remaining(shaded, ORIGIN, ANCHOR)) == pytest.approx(1 - share, abs=1e-6)


def test_pull_away_from_the_anchor_is_negative():
    """Going the other way is a negative pull and an opposite direction."""
    shaded = ORIGIN - 0.5 * (ANCHOR - ORIGIN)
    assert float(pull(shaded, ORIGIN, ANCHOR)) == pytest.approx(-0.5)
    assert float(direction(shaded, ORIGIN, ANCHOR)) == pytest.approx(-1)


def test_a_way_aside_has_no_direction():
    """Latents that went at right angles to the anchor have direction 0."""
    shaded = ORIGIN.clone()
    shaded[0, 0, 0] = torch.tensor([1.0, -1.0])
    assert float(direction(shaded, ORIGIN, ANCHOR)) == pytest.approx(0, abs=1e-6)


def test_pictures_of_a_batch_do_not_mix():
    """Every picture of a batch has its own pull."""
    shaded = torch.cat([ORIGIN, ANCHOR])
    assert pull(shaded, ORIGIN.repeat(2, 1, 1, 1), ANCHOR.repeat(2, 1, 1, 1)).tolist() == pytest.approx([0, 1])
