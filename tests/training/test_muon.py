"""The optimiser with orthogonalised momentum."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shaded.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_singular_values_come_near_one(shape) -> None:
    """Whatever the scale of a matrix and the spread of its directions, all of them end between a half and 1.3."""
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(shape, generator=generator) * 1e-3
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3


def test_it_learns_what_small_differences_say() -> None:
    """A convolution of inputs that hardly differ from each other is learned better than Adam learns it."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(16, 1, 12, 12, generator=generator)
    inputs = common + 0.05 * torch.randn(16, 8, 12, 12, generator=generator)
    torch.manual_seed(2)
    teacher = nn.Conv2d(8, 8, 3, bias=False).requires_grad_(False)
    left = []
    for kind in (Muon, torch.optim.Adam):
        torch.manual_seed(3)
        student = nn.Conv2d(8, 8, 3, bias=False)
        optimiser = kind(student.parameters())
        for step in range(80):
            for group in optimiser.param_groups:
                group["lr"] = (0.05 if kind is Muon else 0.01) * (1 - step / 80)
            optimiser.zero_grad()
            loss = (student(inputs) - teacher(inputs)).square().mean()
            loss.backward()
            optimiser.step()
        left.append(float((student.weight - teacher.weight).detach().norm()))
    assert left[0] < 0.85 * left[1]


def test_weights_that_are_no_matrices_are_moved_too() -> None:
    """Biases, and the weights named as small, go to Adam, at a smaller rate."""
    layer, front = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3)
    optimiser = Muon([*layer.parameters(), *front.parameters()], front.parameters())
    before = [weight.detach().clone() for weight in (layer.weight, layer.bias, front.weight)]
    front(layer(torch.ones(1, 2, 8, 8))).square().sum().backward()
    optimiser.step()
    after = [weight.detach() for weight in (layer.weight, layer.bias, front.weight)]
    moved = [float((a - b).abs().max()) for a, b in zip(before, after, strict=True)]
    assert min(moved) > 0
    assert moved[2] < moved[0]
