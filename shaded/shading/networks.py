"""The two networks the project trains itself: the one-pass shader and the meter that measures its effect.

Both are fully convolutional, have no normalisation and no randomness: what a picture gets never depends on the batch
it is in. Both need sides that are multiples of 32 (`ALIGNMENT`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

__all__ = ["ALIGNMENT", "MeterNetwork", "ShaderNetwork"]

ALIGNMENT = 32
_PATCH = 4
_LIMIT_UNIT = 8 / 255

_Network = TypeVar("_Network", bound=nn.Module)


def _check_sides(picture: Tensor) -> None:
    height, width = picture.shape[-2:]
    if height % ALIGNMENT or width % ALIGNMENT:
        raise ValueError(f"sides must be multiples of {ALIGNMENT}, got {height} x {width}")


class _Residual(nn.Module):
    """`x + conv(relu(conv(relu(x))))`; the second convolution starts small, so a new block starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.normal_(self.second.weight, std=1e-3)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, width, h, w) to the same shape."""
        change: Tensor = self.second(torch.relu(self.first(torch.relu(features))))
        return features + change


def _residuals(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(count)))


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 2, stride=2)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)


class _Gate(nn.Module):
    """Lets the picture's features decide how much of a signal passes, as the slopes in an encoder's Jacobian do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, signal: Tensor, features: Tensor) -> Tensor:
        """Map two (B, width, h, w) to one."""
        slopes: Tensor = self.mix(torch.relu(features))
        return signal * (1 + slopes)


class ShaderNetwork(nn.Module):
    """A picture and an anchor to the change that moves the picture's latents toward the anchor's, in one pass.

    Built like one step of gradient descent on an encoder that it has learned: it looks at the picture and at the anchor
    with the same layers, takes the difference of what it saw (the way to go in feature space), and carries it back to
    pixels through a learned transpose whose channels the picture's own features gate, as they gate the Jacobian of a
    real encoder. Levels at 1/4, 1/8 and 1/16 of the size; 2.1 M parameters.
    """

    def __init__(self, widths: tuple[int, int, int] = (80, 128, 128)) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = nn.Conv2d(3 * _PATCH**2, fine, 3, padding=1)
        self.fine_in = _residuals(fine, 2)
        self.to_middle = _down(fine, middle)
        self.middle_in = _residuals(middle, 2)
        self.to_coarse = _down(middle, coarse)
        self.coarse_in = _residuals(coarse, 1)
        self.flux2 = nn.Conv2d(middle, 32, 3, padding=1)
        self.sana = nn.Conv2d(coarse, 32, 2, stride=2)
        self.way_coarse, self.gate_coarse = nn.Conv2d(coarse, coarse, 1), _Gate(coarse)
        self.from_coarse = _up(coarse, middle)
        self.way_middle, self.gate_middle = nn.Conv2d(middle, middle, 1), _Gate(middle)
        self.middle_out = _residuals(middle, 1)
        self.from_middle = _up(middle, fine)
        self.way_fine, self.gate_fine = nn.Conv2d(fine, fine, 1), _Gate(fine)
        self.limits_in = nn.Conv2d(_PATCH**2, fine, 1)
        self.fine_out = _residuals(fine, 2)
        self.gate_out = _Gate(fine)
        self.head = nn.Conv2d(fine, 3 * _PATCH**2, 3, padding=1)
        nn.init.normal_(self.head.weight, std=3e-3)

    def forward(self, picture: Tensor, anchor: Tensor, limits: Tensor) -> Tensor:
        """The change to add: (B, 3, H, W), never larger than `limits` anywhere.

        `picture` and `anchor` are (B, 3, H, W) in [0, 1] on the same canvas, `limits` is (B, 1, H, W) in the same units
        (see `texture_limits`). Raises ValueError where a side is no multiple of 32.
        """
        return limits * torch.tanh(self.propose(picture, anchor, limits)[0])

    def propose(self, picture: Tensor, anchor: Tensor, limits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """For training: the change before it is squashed into its limits, and what the network thinks the latents are.

        The latents of both pictures (2 B, anchors last) are supervised by the real encoders, which teaches the way in
        feature space long before the change itself can.
        """
        _check_sides(picture)
        count = len(picture)
        seen = self._look(torch.cat([picture, anchor]))
        own = [features[:count] for features in seen]
        ways = [features[count:] - features[:count] for features in seen]
        signal = self.from_coarse(self.gate_coarse(self.way_coarse(ways[2]), own[2]))
        signal = self.middle_out(self.gate_middle(signal + self.way_middle(ways[1]), own[1]))
        signal = self.from_middle(signal) + self.way_fine(ways[0])
        signal = signal + self.limits_in(F.pixel_unshuffle(limits / _LIMIT_UNIT - 0.5, _PATCH))
        signal = self.gate_out(self.fine_out(self.gate_fine(signal, own[0])), own[0])
        raw = F.pixel_shuffle(self.head(signal), _PATCH).float()
        latents = {"flux2": self.flux2(torch.relu(seen[1])).float(), "sana": self.sana(torch.relu(seen[2])).float()}
        return raw, latents

    def _look(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.fine_in(self.stem(F.pixel_unshuffle(picture - 0.5, _PATCH)))
        middle = self.middle_in(self.to_middle(fine))
        return fine, middle, self.coarse_in(self.to_coarse(middle))

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """The network with these weights (any float type), in float32, evaluation mode, frozen."""
        widths = (state["stem.weight"].shape[0], *(state[f"to_{n}.weight"].shape[0] for n in ("middle", "coarse")))
        return _loaded(cls((widths[0], widths[1], widths[2])), state)


class MeterNetwork(nn.Module):
    """A picture to estimates of both families' latents; only ever used to measure, never optimised against."""

    def __init__(self, widths: tuple[int, int, int] = (64, 96, 96)) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = nn.Conv2d(3 * _PATCH**2, fine, 3, padding=1)
        self.fine = _residuals(fine, 3)
        self.to_middle = _down(fine, middle)
        self.middle = _residuals(middle, 2)
        self.flux2 = nn.Conv2d(middle, 32, 3, padding=1)
        self.to_coarse = nn.Conv2d(middle, coarse, 4, stride=4)
        self.coarse = _residuals(coarse, 1)
        self.sana = nn.Conv2d(coarse, 32, 3, padding=1)

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        """Estimated latents of a (B, 3, H, W) picture in [0, 1].

        Returns "flux2" (B, 32, H/8, W/8) and "sana" (B, 32, H/32, W/32), in the scale of the real encoders.
        Raises ValueError where a side is no multiple of 32.
        """
        _check_sides(picture)
        fine = self.fine(self.stem(F.pixel_unshuffle(picture - 0.5, _PATCH)))
        middle = self.middle(self.to_middle(fine))
        coarse = self.coarse(self.to_coarse(middle))
        return {"flux2": self.flux2(torch.relu(middle)).float(), "sana": self.sana(torch.relu(coarse)).float()}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """The network with these weights (any float type), in float32, evaluation mode, frozen."""
        widths = (state["stem.weight"].shape[0], *(state[f"to_{n}.weight"].shape[0] for n in ("middle", "coarse")))
        return _loaded(cls((widths[0], widths[1], widths[2])), state)


def _loaded(network: _Network, state: Mapping[str, Tensor]) -> _Network:
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return network.eval().requires_grad_(False)
