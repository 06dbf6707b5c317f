"""The judge: what it calls a drawing, and what it calls it if it must choose."""

from __future__ import annotations

import numpy as np
import torch

from shaded.evidence.trial.classifier import NONE, Classifier, _recoloured


class _Certain(torch.nn.Module):
    """Reads its answer from the brightness of a picture: a row of certainties for each level."""

    def __init__(self, *rows):
        super().__init__()
        self.rows = torch.nn.Parameter(torch.tensor(rows).log())

    def forward(self, pictures):
        return self.rows[(pictures.mean(dim=(1, 2, 3)) * 255).round().long()]


def _pictures(count):
    return np.stack([np.full((64, 64, 3), level, np.uint8) for level in range(count)])


def test_a_judge_that_is_not_certain_names_nothing():
    """A concept counts from half certainty on; less, or none of these, is none of these."""
    judge = Classifier(("cow", "handbag"), _Certain([0.6, 0.3, 0.1], [0.45, 0.4, 0.15], [0.1, 0.2, 0.7]))
    assert judge.read(_pictures(3)) == ["cow", NONE, NONE]


def test_colours_are_turned_about_the_grey_axis():
    """A grey picture stays grey, whatever its contrast; a colourful one changes its colours, and not its shapes."""
    rng = np.random.default_rng(0)
    grey = torch.linspace(0.2, 0.8, 64).expand(8, 3, 64, 64)
    changed = _recoloured(grey, rng)
    assert (changed - changed.mean(dim=1, keepdim=True)).abs().max() < 1e-5
    assert (changed.diff(dim=3) > 0).all()
    red = torch.zeros(8, 3, 64, 64)
    red[:, 0, :, :32] = 0.8
    painted = _recoloured(red, rng)
    assert (painted[..., 0, 0].argmax(dim=1) != 0).any()
    assert (painted[..., :31].diff(dim=3).abs() < 1e-6).all()


def test_a_judge_that_must_choose_names_the_nearest_concept():
    """None of these is no answer, and neither is too little certainty."""
    judge = Classifier(("cow", "handbag"), _Certain([0.6, 0.3, 0.1], [0.4, 0.45, 0.15], [0.1, 0.2, 0.7]))
    assert judge.nearest(_pictures(3)) == ["cow", "handbag", "handbag"]
