"""The rig: averages, the clock's learning rate, gradients from replicas, checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from shaded.training import rig as rig_module
from shaded.training.rig import Averages, Schedule, apply_gradients, today_at
from shaded.training.train import crop_shape


def test_averages_follow_a_network_slowly_and_warm_up() -> None:
    """The first update takes most of the new weights in; later ones move by the decay."""
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    averages = Averages(network, decay=0.9)
    network.weight.data.fill_(1.0)
    averages.update(network)
    assert float(averages.state["weight"]) > 0.8
    averages.steps = 10_000
    before = float(averages.state["weight"])
    network.weight.data.fill_(2.0)
    averages.update(network)
    assert float(averages.state["weight"]) == pytest.approx(before + 0.1 * (2.0 - before))


@pytest.mark.parametrize(("now", "steps", "share"), [(0, 99, 1.0), (50, 500, 0.505), (100, 500, 0.01), (0, 0, 0.01)])
def test_rate_follows_the_clock(monkeypatch: pytest.MonkeyPatch, now: float, steps: int, share: float) -> None:
    """The rate warms up over a hundred steps, is halved in the middle of the time and a hundredth at the end."""
    monkeypatch.setattr(rig_module.time, "time", lambda: 1000.0 + now)
    assert Schedule(1000.0, 1100.0, 2.0).rate(steps) == pytest.approx(2.0 * share, rel=0.01)


def test_gradients_that_are_not_finite_are_not_applied() -> None:
    """A replica's finite gradient moves the master; one with NaN leaves it as it was; both are cleared."""
    master, replica = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    optimiser = torch.optim.SGD(master.parameters(), lr=1.0)
    before = master.weight.detach().clone()
    replica.weight.grad = torch.full((1, 2), float("nan"))
    apply_gradients(optimiser, master, replica, 0.5)
    torch.testing.assert_close(master.weight.detach(), before)
    replica.weight.grad = torch.tensor([[0.1, -0.1]])
    apply_gradients(optimiser, master, replica, 0.5)
    torch.testing.assert_close(master.weight.detach(), before - 0.5 * torch.tensor([[0.1, -0.1]]))
    assert replica.weight.grad is None


def test_clock_times_are_read_as_today() -> None:
    """HH:MM means that time today: an hour later is 3600 seconds later."""
    assert today_at("11:30") - today_at("10:30") == 3600


@pytest.mark.parametrize("progress", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_crops_fit_both_encoders_and_hold_two_pictures(progress: float, draw: float) -> None:
    """Every crop size is a multiple of 32, and a batch always has two pictures to exchange anchors between."""
    size, count = crop_shape(progress, draw)
    assert size % 32 == 0
    assert count >= 2


def test_checkpoint_brings_everything_back(tmp_path: Path, shared_encoders: Path) -> None:
    """A rig restored from a checkpoint has the same weights, averages and step count, and knows when the run began."""
    weights = rig_module.MODELS / "lpips-alexnet.safetensors"
    assert weights.exists()
    one, other = rig_module.Rig(shared_encoders), rig_module.Rig(shared_encoders)
    one.steps = 41
    one.save(tmp_path / "checkpoint.pt", started=123.0)
    assert other.restore(tmp_path / "checkpoint.pt") == 123.0
    assert other.steps == other.shader_average.steps == 41
    for name, tensor in one.shader.state_dict().items():
        torch.testing.assert_close(other.shader.state_dict()[name], tensor)
    assert not list(tmp_path.glob("*.tmp"))
