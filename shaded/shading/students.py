"""The encoders the project trains itself: small students of the real ones, to optimise a shading against.

What a student is worth is what a shading found against it does to the encoder that it learned from. A student that
merely gives the right latents for photographs fools only itself; these were taught every layer's features, and how
those features move under shadings that were found against the student (see `shaded/training/distil.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from shaded.shading.tiny_encoders import Block, convolution

__all__ = ["STRIDES", "WEIGHTS", "StudentEncoder", "haar_bands"]

#: Side of the square of picture pixels that one latent stands for, by family.
STRIDES: Mapping[str, int] = {"flux2": 8, "sana": 32}

#: How much a student counts in the ensemble: less of what is found against FLUX.2's carries over to its teacher.
WEIGHTS: Mapping[str, float] = {"flux2": 1.5, "sana": 1.0}

_WIDTH = 64
_FRONT_WIDTH = 80
_FRONTS: Mapping[str, int] = {"flux2": 3, "sana": 1}
_BAND_GAINS = (4.0, 20.0, 20.0, 30.0)


def haar_bands(picture: Tensor) -> Tensor:
    """A picture (B, 3, H, W) in [0, 1] as Haar bands (B, 12, H / 2 + 2, W / 2 + 2), with a rim of black around it.

    Per channel: means of 2 x 2 pixels and their three kinds of differences, each brought to about unit size. Pixels
    as they are hardly differ from their neighbours, and a network learns what fine structure does very slowly.
    """
    signs = picture.new_tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 4
    gains = picture.new_tensor(_BAND_GAINS)
    kernels = (signs * gains[:, None]).view(4, 1, 2, 2).repeat(3, 1, 1, 1)
    centres = -0.5 * gains * picture.new_tensor([1, 0, 0, 0])
    return F.conv2d(F.pad(picture, [2] * 4), kernels, centres.repeat(3), stride=2, groups=3)


def _stage(blocks: int, *, pooled: bool = False) -> list[nn.Module]:
    return [convolution(_WIDTH, _WIDTH, stride=2, bias=False), *(Block(_WIDTH, pooled=pooled) for _ in range(blocks))]


def _flux2_layers() -> list[nn.Module]:
    """Works from half the size on, where its teacher works at full size first: less than half the arithmetic."""
    return [
        nn.Conv2d(12, _FRONT_WIDTH, 3),
        Block(_FRONT_WIDTH),
        convolution(_FRONT_WIDTH, _WIDTH),
        *(Block(_WIDTH) for _ in range(3)),
        *_stage(3),
        *_stage(2, pooled=True),
        convolution(_WIDTH, 32),
    ]


def _sana_layers() -> list[nn.Module]:
    return [
        nn.Conv2d(12, 32, 3),
        nn.ReLU(),
        convolution(32, _WIDTH, stride=2),
        nn.ReLU(),
        Block(_WIDTH),
        *_stage(3),
        *_stage(3),
        *_stage(2),
        convolution(_WIDTH, 32),
    ]


class StudentEncoder(nn.Sequential):
    """A picture (B, 3, H, W) in [0, 1] to estimated latents (B, 32, H / stride, W / stride) of one family.

    `family` is "flux2" (stride 8) or "sana" (stride 32); H and W are multiples of the stride. Up to and including the
    first convolution everything stays in the picture's own number format: in bfloat16, a change of one grey level
    could be rounded away there. From there on `half` lets processors that have bfloat16 use it.
    """

    def __init__(self, family: str, *, half: bool = False) -> None:
        layers = {"flux2": _flux2_layers, "sana": _sana_layers}
        if family not in layers:
            raise ValueError(f"no student of the family {family!r} is known; known: {', '.join(layers)}")
        super().__init__(*layers[family]())
        self.family, self.in_bfloat16 = family, half
        with torch.no_grad():
            # What the real encoders' first layers give is small; from large values the way there kills units.
            next(self[_FRONTS[family] - 1].parameters()).mul_(0.3)
        self.to(memory_format=torch.channels_last)

    def forward(self, picture: Tensor) -> Tensor:
        """The latents, float32."""
        return self.features(picture, {})[0]

    def features(self, picture: Tensor, taught: Mapping[int, Tensor | None]) -> list[Tensor]:
        """What the layers of the numbers in `taught` give, in their order, and last the latents in float32.

        Where `taught` has a tensor for a layer, the layers after it are given that instead of what the layer gave:
        each stretch of layers can then be taught by itself.
        """
        kept: list[Tensor] = []
        signal = self[0](haar_bands(picture).contiguous(memory_format=torch.channels_last))
        with torch.autocast(picture.device.type, torch.bfloat16, enabled=self.in_bfloat16, cache_enabled=False):
            for number, layer in enumerate(list(self)[1:], 1):
                signal = layer(signal)
                if number in taught:
                    kept.append(signal)
                    instead = taught[number]
                    signal = signal if instead is None else instead.to(signal.dtype)
        return [*kept, signal.float()]

    def front(self) -> list[nn.Parameter]:
        """The weights of the layers that see pixels."""
        return [weight for layer in list(self)[: _FRONTS[self.family]] for weight in layer.parameters()]

    @classmethod
    def from_state(cls, family: str, state: Mapping[str, Tensor], *, half: bool = False) -> Self:
        """The student with these weights (any float type), in evaluation mode, frozen."""
        student = cls(family, half=half)
        student.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        return student.eval().requires_grad_(requires_grad=False)
