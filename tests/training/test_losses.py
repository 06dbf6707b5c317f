"""What the networks are trained for: rounding with gradients, shares of laundering, and honest losses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from shaded.shading.networks import MeterNetwork, ShaderNetwork
from shaded.training.losses import Batch, Judges, Outcome, eight_bits, launder_some, meter_loss, shader_loss
from shaded.training.meter import shown_to_meter


class _Teacher(nn.Module):
    """Stands for a real encoder: a fixed random projection at the real stride."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        torch.manual_seed(stride)
        self.project = nn.Conv2d(3, 32, stride, stride=stride).requires_grad_(False)

    def forward(self, picture: Tensor) -> Tensor:
        return self.project(picture)


class _Blind(nn.Module):
    """Stands for LPIPS: sees the mean square difference."""

    def features(self, picture: Tensor) -> list[Tensor]:
        return [picture]

    def forward(self, shaded: Tensor, features: list[Tensor]) -> Tensor:
        return (shaded - features[0]).square().mean(dim=(1, 2, 3))


def _judges() -> Judges:
    return Judges({"flux2": _Teacher(8), "sana": _Teacher(32)}, _Blind())


def _batch(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.rand(2, 3, 64, 64, generator=generator), torch.rand(2, 3, 64, 64, generator=generator))


def test_eight_bits_rounds_and_lets_gradients_through() -> None:
    """Values land on whole grey levels inside [0, 1], and the gradient is one wherever nothing was clipped."""
    values = torch.tensor([-0.1, 0.3001, 0.5, 1.2], requires_grad=True)
    levels = eight_bits(values) * 255
    torch.testing.assert_close(levels, levels.round())
    assert levels.min() >= 0
    assert levels.max() <= 255
    levels.sum().backward()
    torch.testing.assert_close(values.grad, torch.tensor([0.0, 255.0, 255.0, 0.0]))


@pytest.mark.parametrize(("share", "changed"), [(0.0, 0), (1.0, 12)])
def test_laundering_takes_the_share_asked_for(share: float, changed: int) -> None:
    """A share of nothing changes no sample, a share of one changes every sample, and the order stays."""
    pictures = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    laundered = launder_some(pictures, share, torch.Generator().manual_seed(1))
    assert int((laundered != pictures).flatten(1).any(dim=1).sum()) == changed
    nearest = torch.cdist(laundered.flatten(1), pictures.flatten(1)).argmin(dim=1)
    assert nearest.tolist() == list(range(12))


def test_shader_learns_from_its_loss() -> None:
    """A few steps on one batch raise the pull on both (stand-in) encoders and respect the limits."""
    torch.manual_seed(1)
    shader, judges = ShaderNetwork((16, 16, 16)), _judges()
    optimiser = torch.optim.Adam(shader.parameters(), lr=3e-3)
    pulls = []
    for _ in range(25):
        loss, outcome, numbers = shader_loss(judges, shader, _batch(), torch.Generator().manual_seed(3), 0.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        pulls.append(numbers["flux2"] + numbers["sana"])
    assert pulls[-1] > pulls[0] + 0.02
    pictures = outcome.pictures.repeat(2, 1, 1, 1)
    assert (outcome.shaded - pictures).abs().max() <= 12.51 / 255


class _Honest(nn.Module):
    """A meter that says exactly what the (stand-in) encoders say, plus a constant error."""

    def __init__(self, judges: Judges, error: float) -> None:
        super().__init__()
        self.judges, self.error = judges, error

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        return {family: teacher(picture) + self.error for family, teacher in self.judges.teachers.items()}


def _shown(judges: Judges) -> Outcome:
    torch.manual_seed(1)
    return shown_to_meter(judges, ShaderNetwork((16, 16, 16)).eval(), _batch(), torch.Generator().manual_seed(1))


def test_perfect_meter_has_no_loss_and_a_worse_one_has_more() -> None:
    """The meter's loss is zero for the real encoders themselves, and grows with the error of its latents."""
    judges = _judges()
    outcome = _shown(judges)
    perfect, numbers = meter_loss(_Honest(judges, 0.0), outcome, half=False)
    assert float(perfect) < 1e-4
    assert numbers["gap_flux2"] < 1e-4
    assert float(meter_loss(_Honest(judges, 0.5), outcome, half=False)[0]) > 0.01


def test_meter_is_shown_what_the_encoders_said() -> None:
    """The latents kept for the meter are the encoders' own, of the shaded pictures, the originals and the anchors."""
    judges = _judges()
    outcome = _shown(judges)
    for family, teacher in judges.teachers.items():
        reached, clean, wanted = outcome.latents[family]
        torch.testing.assert_close(reached, teacher(outcome.shaded))
        torch.testing.assert_close(clean, teacher(outcome.pictures))
        torch.testing.assert_close(wanted, teacher(outcome.anchors))
    levels = outcome.shaded * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)


def test_meter_network_fits_its_loss() -> None:
    """The loss accepts the real meter network and gives every weight a gradient."""
    meter = MeterNetwork((16, 16, 16))
    loss, _ = meter_loss(meter, _shown(_judges()), half=False)
    loss.backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in meter.parameters())
