"""Shadings on the way."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from shaded.shading.limits import HARDEST, hard_limits
from shaded.training.losses import Batch
from shaded.training.slots import BUSY, advanced, new_slot, noise_slot

FAMILIES = ("sd1", "flux2", "sana")


def _batch() -> Batch:
    generator = torch.Generator().manual_seed(4)
    return Batch(torch.rand(2, 3, 64, 64, generator=generator), torch.rand(2, 3, 64, 64, generator=generator))


def _encoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, 8, 8, stride=8).requires_grad_(False)


def _slot_of(kind: str):
    return next(
        slot
        for seed in range(60)
        if (slot := new_slot(_batch(), FAMILIES, torch.Generator().manual_seed(seed))).kind == kind
    )


def test_slots_come_in_every_kind() -> None:
    """Most shadings are to be found against the students, some against the real encoders, some are noise."""
    kinds = [new_slot(_batch(), FAMILIES, torch.Generator().manual_seed(seed)).kind for seed in range(60)]
    assert set(kinds) == {"student", "teacher", "noise"}
    slots = [new_slot(_batch(), FAMILIES, torch.Generator().manual_seed(seed)) for seed in range(60)]
    assert {slot.family for slot in slots if slot.kind != "noise"} == set(FAMILIES)
    assert {slot.decoded for slot in slots if slot.kind != "noise"} == {True, False}
    assert kinds.count("student") > kinds.count("teacher") > 0


def test_a_step_brings_latents_nearer_and_stays_within_reach() -> None:
    """Some steps on, the stand-in encoder sees the shaded pictures nearer to their anchors; limits hold."""
    encoder, slot = _encoder(), _slot_of("student")
    goal = encoder(slot.batch.anchors)
    before = (encoder(slot.batch.pictures) - goal).norm()
    for step in range(6):
        slot = advanced(slot, encoder, torch.Generator().manual_seed(step))
    assert slot.age == 6
    assert float((encoder(slot.shaded) - goal).norm()) < float(before)
    flat = slot.flat.view(-1, 1, 1, 1)
    assert bool((slot.delta.abs() <= hard_limits(slot.limits, flat, BUSY * flat) + 1e-6).all())
    levels = slot.shaded * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)


def test_noise_is_there_from_the_start() -> None:
    """A slot of noise has its noise from the start, inside the limits."""
    slot = noise_slot(_batch(), torch.Generator().manual_seed(1))
    assert float(slot.delta.abs().max()) > 0
    assert slot.kind == "noise"
    assert bool((slot.delta.abs() <= HARDEST[0] * slot.limits).all())


def test_outlines_are_held_down_in_some_slots() -> None:
    """Shadings of both kinds are taught on: those of lower intensities, without outlines, and those with them."""
    slots = [new_slot(_batch(), FAMILIES, torch.Generator().manual_seed(seed)) for seed in range(60)]
    assert {slot.faint_lines for slot in slots if slot.kind != "noise"} == {True, False}
    encoder, slot = _encoder(), _slot_of("student")
    sharp, faint = (
        advanced(replace(slot, faint_lines=faint, way=[]), encoder, torch.Generator().manual_seed(0)).delta
        for faint in (False, True)
    )
    assert not torch.allclose(sharp, faint)
