"""The optimiser."""

from __future__ import annotations

import pytest
import torch

from shaded.shading.laundering import Laundering, crop_and_resize, launderings
from shaded.shading.metric import visible_size
from shaded.shading.optimiser import Ceilings, latent_goal, optimise
from shaded.shading.perceptibility import ReferenceDistance
from shaded.shading.pull import pull

LIMIT = 0.03


def _run(original, encoder, lpips, *, anchor, reach=0.8, lpips_ceiling=10.0, steps=12, seed=0, told=None):
    return optimise(
        original,
        torch.full_like(original[:, :1], LIMIT),
        [latent_goal(encoder, original, anchor)],
        ReferenceDistance(lpips, original),
        Ceilings(reach, lpips_ceiling, 10.0),
        lambda delta: (original + delta.clamp(-2 * LIMIT, 2 * LIMIT)).clamp(0, 1) - original,
        steps=steps,
        seen_through=launderings(torch.Generator().manual_seed(seed)),
        **({} if told is None else {"progress": lambda *what: told.append(what)}),
    )


def _pull(encoder, original, delta, anchor):
    with torch.no_grad():
        return float(pull(encoder.encode(original + delta), encoder.encode(original), encoder.encode(anchor)))


def test_it_moves_the_latents_toward_the_anchor(textured, encoder, lpips):
    """A few steps pull an encoder's latents clearly toward the anchor, inside the hard limits and the reach."""
    anchor = textured.flip(-1)
    delta = _run(textured, encoder, lpips, anchor=anchor)
    assert _pull(encoder, textured, delta, anchor) > 0.05
    assert float(delta.abs().max()) <= 2 * LIMIT + 1e-6
    assert float(visible_size(delta, torch.full_like(textured[:, :1], LIMIT))) <= 0.8 * 1.01


def test_more_reach_pulls_more(textured, encoder, lpips):
    """What may be seen of it buys pull."""
    anchor = textured.flip(-1)
    pulls = [
        _pull(encoder, textured, _run(textured, encoder, lpips, anchor=anchor, reach=r), anchor) for r in (0.2, 0.8)
    ]
    assert pulls[1] > 1.5 * pulls[0]


def test_it_gains_more_than_sign_steps_for_what_is_seen(textured, encoder, lpips):
    """At the same visible size, one signed gradient, scaled, pulls less."""
    anchor, limits = textured.flip(-1), torch.full_like(textured[:, :1], LIMIT)
    ours = _run(textured, encoder, lpips, anchor=anchor, reach=0.5)
    start = torch.zeros_like(textured).requires_grad_()
    goal = latent_goal(encoder, textured, anchor)
    (gradient,) = torch.autograd.grad(goal.rest(textured + start, None).sum(), start)
    signed = (textured - 2 * LIMIT * gradient.sign()).clamp(0, 1) - textured
    signed = signed * (visible_size(ours, limits) / visible_size(signed, limits))
    assert _pull(encoder, textured, ours, anchor) > _pull(encoder, textured, signed, anchor)


def test_the_lpips_gradient_makes_it_less_visible(textured, encoder, lpips):
    """Under a tight LPIPS ceiling the shading costs much less LPIPS than without one, and still pulls."""
    anchor, distance = textured.flip(-1), ReferenceDistance(lpips, textured)
    free = _run(textured, encoder, lpips, anchor=anchor, steps=16)
    ceiling = float(distance(textured + free)) / 2
    held = _run(textured, encoder, lpips, anchor=anchor, lpips_ceiling=ceiling, steps=16)
    assert float(distance(textured + held)) < 0.8 * float(distance(textured + free))
    assert _pull(encoder, textured, held, anchor) > 0.3 * _pull(encoder, textured, free, anchor)


def test_the_same_seed_gives_the_same_shading(textured, encoder, lpips):
    """Random launderings come from the seed alone."""
    anchor = textured.flip(-1)
    first, second, other = (_run(textured, encoder, lpips, anchor=anchor, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_progress_ends_with_the_pull_of_the_result(textured, encoder, lpips):
    """Every step is told, and the last number is the pull without any laundering."""
    anchor, told = textured.flip(-1), []
    delta = _run(textured, encoder, lpips, anchor=anchor, steps=5, told=told)
    assert [what[0] for what in told] == [0, 1, 2, 3, 4, 5]
    assert told[-1][2] == pytest.approx(_pull(encoder, textured, delta, anchor), abs=1e-4)


def test_a_crop_moves_the_whole_way_with_it(textured, encoder):
    """Through a laundering that moves content, an untouched picture still has the whole way to go."""
    goal = latent_goal(encoder, textured, textured.flip(-1))
    crop = Laundering("crop", lambda picture: crop_and_resize(picture, 0.1, 0.0, 0.8, 0.9), moves=True)
    assert float(goal.rest(textured, crop)) == pytest.approx(1.0)
    assert float(goal.rest(textured.flip(-1), crop)) == pytest.approx(0.0, abs=1e-5)
