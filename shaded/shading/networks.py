"""The two networks the project trains itself: the one-pass shader and the meter that measures its effect.

Both are fully convolutional, have no normalisation and no randomness: what a picture gets never depends on the batch
it is in. Both need sides that are multiples of 32 (`ALIGNMENT`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, TypeVar

import torch
import torch.nn.functional as F
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
        return features + self.second(torch.relu(self.first(torch.relu(features))))


def _residuals(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(width) for _ in range(count)))


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 2, stride=2)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)


class ShaderNetwork(nn.Module):
    """A picture and an anchor to the change that moves the picture's latents toward the anchor's, in one pass.

    A U-Net over 4 x 4 pixel patches with levels at 1/4, 1/8 and 1/16 of the size (2.2 M parameters).
    """

    def __init__(self, widths: tuple[int, int, int] = (96, 128, 128)) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = nn.Conv2d(7 * _PATCH**2, fine, 3, padding=1)
        self.fine_in = _residuals(fine, 2)
        self.to_middle = _down(fine, middle)
        self.middle_in = _residuals(middle, 1)
        self.to_coarse = _down(middle, coarse)
        self.coarse = _residuals(coarse, 1)
        self.from_coarse = _up(coarse, middle)
        self.middle_out = _residuals(middle, 2)
        self.from_middle = _up(middle, fine)
        self.fine_out = _residuals(fine, 2)
        self.head = nn.Conv2d(fine, 3 * _PATCH**2, 3, padding=1)

    def forward(self, picture: Tensor, anchor: Tensor, limits: Tensor) -> Tensor:
        """The change to add: (B, 3, H, W), never larger than `limits` anywhere.

        `picture` and `anchor` are (B, 3, H, W) in [0, 1] on the same canvas, `limits` is (B, 1, H, W) in the same units
        (see `texture_limits`). Raises ValueError where a side is no multiple of 32.
        """
        _check_sides(picture)
        scaled = limits / _LIMIT_UNIT - 0.5
        patches = F.pixel_unshuffle(torch.cat([picture - 0.5, anchor - 0.5, scaled], 1), _PATCH)
        fine = self.fine_in(self.stem(patches))
        middle = self.middle_in(self.to_middle(fine))
        middle = middle + self.from_coarse(self.coarse(self.to_coarse(middle)))
        fine = fine + self.from_middle(self.middle_out(middle))
        raw = F.pixel_shuffle(self.head(torch.relu(self.fine_out(fine))), _PATCH)
        return limits * torch.tanh(raw.float())

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
