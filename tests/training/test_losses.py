"""What the networks are trained for: rounding with gradients, shares of laundering, and honest losses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shaded.training.losses import Outcome, eight_bits, launder_some, meter_loss, student_loss


def _outcome(error: float) -> Outcome:
    """A real encoder's latents, and a meter's that are off by a constant where the picture is shaded."""
    generator = torch.Generator().manual_seed(0)
    pictures, anchors = torch.rand(2, 2, 3, 64, 64, generator=generator).unbind()
    shaded = (pictures + 0.1 * (anchors - pictures)).clamp(0, 1)
    torch.manual_seed(0)
    encoder = nn.Conv2d(3, 32, 8, stride=8).requires_grad_(False)
    real = (encoder(shaded), encoder(pictures), encoder(anchors))
    return Outcome(real, (real[0] + error, real[1], real[2]))


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


def test_perfect_meter_has_no_loss_and_a_worse_one_has_more() -> None:
    """The meter's loss is zero for what the real encoder itself gives, and grows with its error."""
    perfect, gap = meter_loss(_outcome(0.0))
    assert float(perfect) < 1e-4
    assert gap < 1e-4
    worse, gap = meter_loss(_outcome(0.5))
    assert float(worse) > 0.01
    assert gap > 0.01


def test_a_perfect_student_has_no_loss() -> None:
    """Features like the teacher's, layer by layer, cost nothing."""
    real = [torch.randn(4, 3, 8, 8), torch.randn(4, 5, 4, 4)]
    loss, error, shift, worst = student_loss(real, real, 2, 1.0)
    assert (float(loss), error, shift, worst) == (0, 0, 0, 0)


def test_a_student_that_is_right_but_does_not_move_costs_its_shift() -> None:
    """Latents that are near for both pictures and do not follow the shading are an error of their own."""
    pictures = torch.randn(2, 5, 8, 8)
    moved = pictures + 0.2 * torch.randn(2, 5, 8, 8)
    real, still = [torch.cat([pictures, moved])], [torch.cat([pictures, pictures])]
    loss, error, shift, _ = student_loss(still, real, 2, 1.0)
    assert error < 0.05
    assert shift == pytest.approx(1.0, rel=0.05)
    assert float(loss) > 0.9
