"""The optimiser that the students are taught with: momentum with orthogonalised matrices (Muon, Jordan et al. 2024).

A convolution's update, seen as a matrix of outputs by inputs, gets singular values of about one: directions in which
the inputs hardly vary are learned as fast as the others. For teaching features layer by layer that makes the
difference between a tenth and a half of the variance left after the same time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["ADAM_SHARE", "Muon", "orthogonalised"]

ADAM_SHARE = 0.06

# The quintic of Jordan's post, which takes singular values in (0, 1] near 1 in five rounds.
_ROUNDS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor) -> Tensor:
    """(rows, columns), with singular values brought to about 1 by a Newton-Schulz iteration."""
    wide: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-12)
    first, third, fifth = _COEFFICIENTS
    for _ in range(_ROUNDS):
        gram = wide @ wide.T
        wide = first * wide + (third * gram + fifth * gram @ gram) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class Muon(torch.optim.Optimizer):
    """Convolution weights by orthogonalised Nesterov momentum at the rate `lr`, all else by Adam at `lr * ADAM_SHARE`.

    Adam also takes the weights in `small`: those of the stretch of layers that sees pixels. What it gives is small
    beside what it is given, and steps of one size for all layers throw it about until none of its units answers.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], small: Iterable[nn.Parameter] = (), momentum: float = 0.9
    ) -> None:
        everything, apart = list(parameters), {id(parameter) for parameter in small}
        matrices = [one for one in everything if one.ndim == 4 and id(one) not in apart]
        chosen = {id(one) for one in matrices}
        others = [one for one in everything if id(one) not in chosen]
        super().__init__([{"params": matrices}, {"params": others}], {"lr": 0.1})
        self.momentum = momentum
        self.adam = torch.optim.Adam([{"params": others}], betas=(0.9, 0.99))

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later run needs, Adam's part included."""
        return {**super().state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        own = dict(state_dict)
        self.adam.load_state_dict(own.pop("adam"))
        super().load_state_dict(own)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        assert closure is None
        rate = self.param_groups[0]["lr"]
        for group in self.adam.param_groups:
            group["lr"] = rate * ADAM_SHARE
        self.adam.step()
        for parameter in self.param_groups[0]["params"]:
            if parameter.grad is None:
                continue
            momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
            momentum.mul_(self.momentum).add_(parameter.grad)
            ahead = parameter.grad + self.momentum * momentum
            parameter.add_(orthogonalised(ahead.flatten(1)).view_as(parameter), alpha=-rate)
