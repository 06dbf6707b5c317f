"""The optimiser."""

from __future__ import annotations

import torch

from shaded.shading.optimiser import Ceilings, latent_goal, optimise, proposal_goal
from shaded.shading.perceptibility import ReferenceDistance
from shaded.shading.pull import pull

OPEN = Ceilings(lpips=10.0, local_lpips=10.0)


def _run(original, encoder, lpips, *, anchor, ceilings=OPEN, steps=12, limit=0.03, start=None, goals=None, seed=0):
    limits = torch.full_like(original[:, :1], limit)
    return optimise(
        original,
        torch.zeros_like(original) if start is None else start,
        limits,
        goals or [latent_goal(encoder, original, anchor)],
        ReferenceDistance(lpips, original),
        ceilings,
        lambda delta: (original + delta.detach().clamp(-limit, limit)).clamp(0, 1) - original,
        steps=steps,
        generator=torch.Generator().manual_seed(seed),
    )


def _pull(encoder, original, delta, anchor):
    with torch.no_grad():
        return float(pull(encoder.encode(original + delta), encoder.encode(original), encoder.encode(anchor)))


def test_it_moves_the_latents_toward_the_anchor(textured, encoder, lpips):
    """A few steps pull an encoder's latents clearly toward the anchor, inside the limits."""
    anchor = textured.flip(-1)
    delta = _run(textured, encoder, lpips, anchor=anchor)
    assert _pull(encoder, textured, delta, anchor) > 0.05
    assert float(delta.abs().max()) <= 0.03 + 1e-6


def test_more_steps_are_not_worse(textured, encoder, lpips):
    """The best shading seen is given, so that more steps never lose what fewer had."""
    anchor = textured.flip(-1)
    few, many = (
        _pull(encoder, textured, _run(textured, encoder, lpips, anchor=anchor, steps=n), anchor) for n in (2, 16)
    )
    assert many > few


def test_a_low_ceiling_is_kept(textured, encoder, lpips):
    """With a tight LPIPS ceiling the shading that is given is inside it."""
    distance = ReferenceDistance(lpips, textured)
    free = _run(textured, encoder, lpips, anchor=textured.flip(-1))
    ceiling = float(distance(textured + free)) / 3
    held = _run(textured, encoder, lpips, anchor=textured.flip(-1), ceilings=Ceilings(ceiling, 10.0), steps=20)
    assert float(distance(textured + held)) <= ceiling
    assert float(held.abs().sum()) > 0


def test_the_same_seed_gives_the_same_shading(textured, encoder, lpips):
    """Random launderings come from the seed alone."""
    anchor = textured.flip(-1)
    first, second = (_run(textured, encoder, lpips, anchor=anchor, seed=5) for _ in range(2))
    assert torch.equal(first, second)


def test_a_proposal_inside_the_budget_is_kept_without_a_step(textured, encoder, lpips):
    """When the only goal is a proposal that fits, it is given back as it is."""
    proposal = torch.full_like(textured, 0.01).clamp(max=1) * torch.where(textured > 0.9, 0.0, 1.0)
    limits = torch.full_like(textured[:, :1], 0.03)
    seen = []
    delta = optimise(
        textured,
        proposal,
        limits,
        [proposal_goal(textured, proposal, limits)],
        ReferenceDistance(lpips, textured),
        OPEN,
        lambda delta: delta.detach(),
        steps=9,
        generator=torch.Generator(),
        progress=lambda step, steps, pull: seen.append(step),
    )
    assert torch.allclose(delta, proposal)
    assert seen == [0]


def test_a_proposal_over_the_budget_is_bent_and_not_only_scaled(textured, encoder, lpips):
    """Where a proposal breaks the ceiling, the optimiser keeps more of it than scaling it down would."""
    noise = torch.rand(textured.shape, generator=torch.Generator().manual_seed(8)).round() * 2 - 1
    limits = torch.full_like(textured[:, :1], 0.03)
    proposal = (textured + 0.03 * noise).clamp(0, 1) - textured
    distance = ReferenceDistance(lpips, textured)
    ceiling = float(distance(textured + proposal)) / 2

    def project(delta):
        return (textured + delta.detach().clamp(-0.03, 0.03)).clamp(0, 1) - textured

    bent = optimise(
        textured,
        proposal,
        limits,
        [proposal_goal(textured, proposal, limits)],
        distance,
        Ceilings(ceiling, 10.0),
        project,
        steps=40,
        generator=torch.Generator().manual_seed(0),
    )
    scale = 1.0
    while float(distance(textured + scale * proposal)) > ceiling:
        scale -= 0.02
    assert float(distance(textured + bent)) <= ceiling
    assert float((bent - proposal).norm()) < float((scale * proposal - proposal).norm())
