"""The embedded tagger: an ImageNet classifier that looks at several views of a picture.

The network is EfficientNet-lite0: Tan and Le, arXiv 1905.11946, without squeeze-and-excitation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import timm
import torch
from torch import Tensor, nn

from shaded.shading.views import busiest_part, cut_outs, resize

SIDE = 224
CLASSES = 1000
# The value range that the network was trained on: (pixel - 127) / 128 for pixels 0-255.
_MEAN = 127.0 / 255.0
_SCALE = 128.0 / 255.0


def build_network() -> nn.Module:
    """Build the classifier with random weights; touches no file."""
    network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    return network


def fit_state(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load weights that were saved under other names, matching the two by order.

    Raises:
        ValueError: the number of tensors, or the shape of one, does not fit.
    """
    own = network.state_dict()
    if len(own) != len(state):
        raise ValueError(f"the weights have {len(state)} tensors where the network has {len(own)}")
    for (name, wanted), (source_name, given) in zip(own.items(), state.items(), strict=True):
        if wanted.shape != given.shape:
            shapes = f"shape {tuple(given.shape)} where {name} has {tuple(wanted.shape)}"
            raise ValueError(f"{source_name} has {shapes}")
    network.load_state_dict(dict(zip(own, state.values(), strict=True)))


class Tagger:
    """Names what a picture shows, as probabilities of ImageNet's 1000 classes.

    It looks twice: at the whole picture, then at the part where its features are strongest. One thing on a
    plain ground is cut out and looked at alone instead, since a meadow alone makes a cow look like a horse.
    """

    def __init__(self, network: nn.Module) -> None:
        """Take a classifier of (N, 3, 224, 224) in about [-1, 1].

        It has timm's two halves, `forward_features` and `forward_head`, and 1000 classes.
        """
        network.eval().requires_grad_(False)
        self._features = cast("Callable[[Tensor], Tensor]", network.forward_features)
        self._head = cast("Callable[[Tensor], Tensor]", network.forward_head)

    @torch.inference_mode()
    def tag(self, picture: Tensor) -> list[float]:
        """Give the probability of each class, averaged over several views and their mirror images.

        Args:
            picture: RGB, (3, H, W), values in [0, 1], any size; transparency laid over a plain ground.

        Returns:
            1000 probabilities that sum to 1, in the order of ILSVRC2012's indices.
        """
        if picture.ndim != 3 or picture.shape[0] != 3:
            raise ValueError(f"a picture has shape (3, H, W), not {tuple(picture.shape)}")
        whole = resize(picture.float(), 2 * SIDE)
        looks = cut_outs(whole) or [whole, *self._second_look(whole)]
        views = torch.stack([resize(look, SIDE) for look in looks])
        logits = self._head(self._features(_normalised(torch.cat([views, views.flip(3)]))))
        probabilities: list[float] = logits.double().softmax(dim=1).mean(dim=0).tolist()
        return probabilities

    def _second_look(self, whole: Tensor) -> list[Tensor]:
        small = resize(whole, SIDE)
        plain, mirrored = self._features(_normalised(torch.stack([small, small.flip(2)])))
        features = plain + mirrored.flip(2)
        return [busiest_part(whole, features, threshold) for threshold in (0.25, 0.4)]


def _normalised(views: Tensor) -> Tensor:
    return (views - _MEAN) / _SCALE
