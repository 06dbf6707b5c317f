"""The embedded tagger: an ImageNet classifier that looks at a picture in several ways and averages what it says.

The network is EfficientNet-lite0 (Tan and Le, arXiv 1905.11946, in its variant without squeeze-and-excitation).
"""

from __future__ import annotations

from collections.abc import Mapping

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

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
            raise ValueError(f"{source_name} has shape {tuple(given.shape)} where {name} has {tuple(wanted.shape)}")
    network.load_state_dict(dict(zip(own, state.values(), strict=True)))


class Tagger:
    """Names what a picture shows, as probabilities of ImageNet's 1000 classes."""

    def __init__(self, network: nn.Module) -> None:
        """Take a classifier of (N, 3, 224, 224) in about [-1, 1] that gives (N, 1000) logits."""
        self._network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def tag(self, picture: Tensor) -> list[float]:
        """Give the probability of each class, averaged over several views of the picture.

        Args:
            picture: RGB, (3, H, W), values in [0, 1], any size; transparency already laid over a ground.

        Returns:
            1000 probabilities that sum to 1, in the order of ILSVRC2012's indices.
        """
        if picture.ndim != 3 or picture.shape[0] != 3:
            raise ValueError(f"a picture has shape (3, H, W), not {tuple(picture.shape)}")
        batch = (views(picture.float()) - _MEAN) / _SCALE
        probabilities: list[float] = self._network(batch).softmax(dim=1).mean(dim=0).tolist()
        return probabilities


def views(picture: Tensor) -> Tensor:
    """Cut the views that the classifier is shown.

    The whole picture squashed to a square, the largest centred square, and for long pictures the two squares at
    the ends of the longer side.

    Args:
        picture: (3, H, W) in [0, 1].

    Returns:
        (N, 3, 224, 224) in [0, 1].
    """
    height, width = picture.shape[1:]
    side = min(height, width)
    spare_y, spare_x = height - side, width - side
    starts = [(spare_y // 2, spare_x // 2)]
    if max(spare_y, spare_x) > side // 4:
        starts += [(0, 0), (spare_y, spare_x)]
    squares = [picture[:, top : top + side, left : left + side] for top, left in starts]
    return torch.stack([_resize(view) for view in (picture, *squares)])


def _resize(picture: Tensor) -> Tensor:
    sized = functional.interpolate(picture[None], size=(SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
    return sized[0].clamp(0.0, 1.0)
