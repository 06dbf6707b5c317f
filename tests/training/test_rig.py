"""The rig: averages, the clock's learning rate, gradients from replicas, checkpoints."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from shaded.training import rig as rig_module
from shaded.training.distil import Worker, crop_shape, rate_at
from shaded.training.losses import Batch
from shaded.training.meter import MeterWorker
from shaded.training.rig import Averages, Schedule, apply_gradients, today_at
from shaded.training.slots import noise_slot

FAMILIES = ("sd1", "sana")
TRAINED = ("student-sd1", "student-sana")


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


def test_progress_follows_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is half over in the middle of its time and never more than over."""
    for now, share in ((1000.0, 0.0), (1050.0, 0.5), (1300.0, 1.0)):
        monkeypatch.setattr(rig_module.time, "time", lambda now=now: now)
        assert Schedule(1000.0, 1100.0).progress() == share


def test_the_rate_falls_to_nothing_twice() -> None:
    """Once at the end of teaching the layers apart, once at the end; the second peak is the lower one."""
    rates = [rate_at(step / 200) for step in range(201)]
    assert rates[-1] < 1e-6
    low = min(range(20, 80), key=rates.__getitem__)
    assert rates[low] < 0.1 * rates[0]
    assert rates[low] < max(rates[low:]) < rates[0]


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
def test_crops_fit_every_encoder(progress: float, draw: float) -> None:
    """Every crop size is a multiple of 32."""
    size, count = crop_shape(progress, draw)
    assert size % 32 == 0
    assert count >= 1


def test_checkpoint_brings_everything_back(tmp_path: Path, shared_encoders: Path) -> None:
    """A rig restored from a checkpoint has the same weights, averages and step count, and knows when the run began."""
    one, other = (rig_module.Rig(shared_encoders, FAMILIES) for _ in range(2))
    one.steps = 41
    for network in one.networks.values():
        for weight in network.parameters():
            weight.grad = torch.ones_like(weight)
    for optimiser in one.optimisers.values():
        optimiser.step()
    one.save(tmp_path / "checkpoint.pt", 123.0, TRAINED)
    assert other.restore(tmp_path / "checkpoint.pt", TRAINED) == 123.0
    assert other.steps == other.averages["student-sd1"].steps == 41
    for name, network in one.networks.items():
        for key, tensor in network.state_dict().items():
            torch.testing.assert_close(other.networks[name].state_dict()[key], tensor)
    assert not list(tmp_path.glob("*.tmp"))


def test_meters_begin_as_copies_of_the_students(tmp_path: Path, shared_encoders: Path) -> None:
    """Where the students' run is over, students and meters are the students' averages, and the clock starts anew."""
    one, other = (rig_module.Rig(shared_encoders, FAMILIES) for _ in range(2))
    one.steps = 41
    for average in one.averages.values():
        average.state = {key: tensor + 1 for key, tensor in average.state.items()}
    one.save(tmp_path / "checkpoint.pt", 123.0, TRAINED)
    assert other.restore(tmp_path / "checkpoint.pt", tuple(rig_module.METERS.values())) > 1e9
    assert other.steps == 0
    for family in FAMILIES:
        for key, tensor in one.averages[f"student-{family}"].state.items():
            for kind in ("student", "meter"):
                torch.testing.assert_close(other.networks[f"{kind}-{family}"].state_dict()[key], tensor)


def test_a_rig_may_begin_with_the_bundled_weights(shared_encoders: Path) -> None:
    """Files that hold an encoder alone are taken too; its decoder, and families without a file, begin at random."""
    rig = rig_module.Rig(shared_encoders, FAMILIES)
    before = rig.networks["student-sana"].encoder.state_dict()["16.conv.0.weight"].clone()
    rig.begin_with_bundled()
    after = rig.networks["student-sana"].encoder.state_dict()["16.conv.0.weight"]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(rig.averages["student-sana"].state["encoder.16.conv.0.weight"], after)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [Worker, MeterWorker])
def test_a_step_gives_a_student_or_a_meter_gradients(shared_encoders: Path, family: str, kind: type[Worker]) -> None:
    """Layers by themselves and all together: each weight is taught, and finite errors are told."""
    rig = rig_module.Rig(shared_encoders, FAMILIES)
    generator = torch.Generator().manual_seed(0)
    batch = Batch(torch.rand(1, 3, 64, 64, generator=generator), torch.rand(1, 3, 64, 64, generator=generator))
    worker = kind(rig, Schedule(0, 1), SimpleNamespace(ready=SimpleNamespace(get=lambda: batch)), None, 0, apart=0.5)
    network = worker.networks[worker.taught[family]]
    for slot, apart in ((noise_slot(batch, generator), True), (worker.next_slot(), False)):
        network.zero_grad()
        numbers = worker.learn(slot, family, network, apart=apart)
        assert all(math.isfinite(number) for number in numbers.values())
        silent = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
        assert silent == []
