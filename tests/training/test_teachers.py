"""The judges of training: pull's scale, LPIPS with cached features, and half-precision encoders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from shaded.shading.tiny_autoencoders import FAMILIES
from shaded.training.teachers import load_teachers, pull


@pytest.mark.parametrize(("way", "expected"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0), (-0.5, -0.5)])
def test_pull_is_the_share_of_the_way(way: float, expected: float) -> None:
    """Latents that went a share of the straight way to the anchor's have that pull."""
    original, anchor = torch.zeros(2, 4, 3, 3), torch.ones(2, 4, 3, 3)
    torch.testing.assert_close(pull(original + way, original, anchor), torch.full((2,), expected))


def test_half_precision_encoders_measure_nearly_the_same_pull(shared_encoders: Path) -> None:
    """After the first layer in full precision, bfloat16 changes the pull of a small change by less than 0.01."""
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8, generator=generator), size=64, mode="bicubic")
    picture = smooth[:1].clamp(0, 1)
    anchor = smooth[1:].clamp(0, 1)
    shaded = (picture + 0.02 * (anchor - picture).sign()).clamp(0, 1)
    full, half = load_teachers(shared_encoders, half=False), load_teachers(shared_encoders)
    with torch.no_grad():
        for family in FAMILIES:
            pulls = [float(pull(*(judge[family](one) for one in (shaded, picture, anchor)))) for judge in (full, half)]
            assert pulls[0] == pytest.approx(pulls[1], abs=0.01)
            assert pulls[0] > 0.005
            if full[family].decoder is not None:
                shown = [teacher[family].shown(teacher[family](picture), ())[0] for teacher in (full, half)]
                assert float((shown[0] - shown[1]).abs().mean()) < 0.01
