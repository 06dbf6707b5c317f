"""The autoencoders the project trains itself: small students of the real ones, to optimise a shading against.

What a student is worth is what a shading found against it does to the encoder that it learned from. A student that
merely gives the right latents for photographs fools only itself; these were taught what their teachers' blocks give,
and how that moves under shadings that were found against the student (see `shaded/training/distil.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from shaded.shading.tiny_autoencoders import FAMILIES, TinyDecoder, TinyEncoder

__all__ = ["STRIDES", "WEIGHTS", "PatchConvolution", "StudentAutoencoder", "StudentDecoder", "StudentEncoder"]

#: Of the students that are bundled: side of the square of picture pixels that one latent stands for, by family.
STRIDES: Mapping[str, int] = {"flux2": 8, "sana": 32}

#: How much a student counts in the ensemble.
WEIGHTS: Mapping[str, float] = {"flux2": 1.2, "sana": 1.0}

#: Outputs and stride of an encoder's first convolution, by the encoder's stride.
_FIRST: Mapping[int, tuple[int, int]] = {8: (64, 1), 32: (32, 2)}

#: The last of the layers that a network has to learn from pixels, before the picture's own redundancy is gone.
_FRONTS: Mapping[int, int] = {8: 2, 32: 3}

# Usual size of the cosine components of patches of 3 x 3 pixels in pictures, by how often they change along each side;
# of luma, and of each chroma part. Measured on the training corpus.
_LUMA_SIZES = ((0.97, 0.14, 0.07), (0.14, 0.045, 0.026), (0.07, 0.026, 0.018))
_CHROMA_SIZES = ((0.29, 0.03, 0.016), (0.03, 0.013, 0.009), (0.016, 0.009, 0.0075))
_TO_LUMA_AND_CHROMA = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))


def _patch_basis() -> Tensor:
    """(27, 3, 3, 3): kernels that give a picture's patches in components of about one size each, a tenth.

    What the real encoders' first layers give is small; from large values the way there kills units.
    """
    places = torch.arange(3.0) + 0.5
    waves = torch.stack([torch.cos(math.pi * places * often / 3) * math.sqrt(2 / 3) for often in range(3)])
    waves[0] /= math.sqrt(2)
    components = torch.einsum("ai,bj->abij", waves, waves)
    sizes = torch.tensor([_LUMA_SIZES, _CHROMA_SIZES, _CHROMA_SIZES])
    kernels = torch.einsum("cr,abij->cabrij", torch.tensor(_TO_LUMA_AND_CHROMA), components)
    return (0.1 * kernels / sizes[..., None, None, None]).reshape(27, 3, 3, 3)


class PatchConvolution(nn.Module):
    """A convolution of a picture, three by three, whose weights (outputs, 27) stand in the basis of patch components.

    As a function it is an ordinary convolution with a rim of zeros. Neighbouring pixels hardly differ, and in their own
    basis a network learns what the fine structure does, which is what a shading is made of, very slowly.
    """

    basis: Tensor

    def __init__(self, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, 27).uniform_(-1, 1) / math.sqrt(27))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.stride = stride
        self.register_buffer("basis", _patch_basis(), persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, outputs, H / stride, W / stride)."""
        kernels = torch.einsum("ok,kchw->ochw", self.weight, self.basis)
        # The components are those of the picture around middle gray.
        bias = self.bias - 0.5 * kernels.sum(dim=(1, 2, 3))
        return F.conv2d(picture, kernels.contiguous(memory_format=torch.channels_last), bias, self.stride, 1)


class StudentEncoder(TinyEncoder):
    """A picture (B, 3, H, W) in [0, 1] to estimated latents (B, channels, H / stride, W / stride) of one family.

    Laid out like its teacher. `family` is one of `FAMILIES`; H and W are multiples of its stride. The
    first convolution stays in the picture's own number format: in bfloat16, a change of one grey level could be
    rounded away there. From there on `half` lets processors that have bfloat16 use it.
    """

    def __init__(self, family: str, *, half: bool = False) -> None:
        super().__init__(family)
        outputs, stride = _FIRST[self.stride]
        self[0] = PatchConvolution(outputs, stride=stride)
        self.in_bfloat16 = half
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
        signal = self[0](picture.contiguous(memory_format=torch.channels_last))
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
        return [weight for layer in list(self)[: _FRONTS[self.stride] + 1] for weight in layer.parameters()]

    @classmethod
    def from_state(cls, family: str, state: Mapping[str, Tensor], *, half: bool = False) -> Self:
        """The student with these weights (any float type), in evaluation mode, frozen."""
        student = cls(family, half=half)
        student.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        return student.eval().requires_grad_(requires_grad=False)


class StudentDecoder(TinyDecoder):
    """Latents (B, channels, h, w) of one family to the picture (B, 3, 8 h, 8 w) that its decoder shows, about [0, 1].

    Laid out like its teacher. The last convolution stays in float32: in bfloat16 grey levels would be lost in it.
    """

    def __init__(self, family: str, *, half: bool = False) -> None:
        super().__init__(family)
        self.in_bfloat16 = half
        self.to(memory_format=torch.channels_last)

    def forward(self, latents: Tensor) -> Tensor:
        """The picture, float32."""
        return self.features(latents, {})[0]

    def features(self, latents: Tensor, taught: Mapping[int, Tensor | None]) -> list[Tensor]:
        """As :meth:`StudentEncoder.features`, with the picture last."""
        kept: list[Tensor] = []
        signal = latents.contiguous(memory_format=torch.channels_last)
        with torch.autocast(latents.device.type, torch.bfloat16, enabled=self.in_bfloat16, cache_enabled=False):
            for number, layer in enumerate(list(self)[:-1]):
                signal = layer(signal)
                if number in taught:
                    kept.append(signal)
                    instead = taught[number]
                    signal = signal if instead is None else instead.to(signal.dtype)
        return [*kept, self[-1](signal.float())]


class StudentAutoencoder(nn.Module):
    """A family's encoder and decoder; families without a tiny decoder have `decoder` None."""

    def __init__(self, family: str, *, half: bool = False) -> None:
        super().__init__()
        self.encoder = StudentEncoder(family, half=half)
        self.decoder = StudentDecoder(family, half=half) if FAMILIES[family].stride == 8 else None

    def forward(self, picture: Tensor) -> Tensor:
        """The latents of (B, 3, H, W) in [0, 1], float32."""
        latents: Tensor = self.encoder(picture)
        return latents

    @classmethod
    def from_state(cls, family: str, state: Mapping[str, Tensor], *, half: bool = False) -> Self:
        """The student with these weights (any float type), in evaluation mode, frozen."""
        student = cls(family, half=half)
        student.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        return student.eval().requires_grad_(requires_grad=False)
