"""How visible a change is: LPIPS with cached reference features, its worst window, PSNR, colour drift.

All pictures are ``(B, 3, H, W)`` in ``[0, 1]``, in the picture's own colour values.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from shaded.shading.laundering import gaussian_blur

#: Side of the window of the local LPIPS limit, in canvas pixels.
LOCAL_WINDOW = 64

#: Side of the cells whose mean colours are compared, in canvas pixels: finer colour noise is not seen as colour.
DRIFT_CELL = 16

#: Blur, in canvas pixels, that leaves of a shading what is seen as a shape and not as grain.
SHAPE_SIGMA = 2.5

#: Width of a line of the shading, and of what counts as around it, in pixels of the canvas.
LINE_SIGMA, AROUND_SIGMA = 1.5, 16.0

#: Blur, in canvas pixels, that takes the edges of an anchor.
OUTLINE_SIGMA = 3.0

#: Most rounds of taking drift out; each leaves about half of what was over the limit in a lone cell.
HOLD_ROUNDS = 12


def build_lpips(convolutions: Mapping[str, Tensor]) -> Any:
    """LPIPS v0.1 (Zhang et al. 2018, eq. 1) over AlexNet, its convolutions from ``convolutions``.

    Args:
        convolutions: ``features.{0,3,6,8,10}.{weight,bias}``, torchvision's names, any float type.

    Raises:
        KeyError: A convolution is missing.
    """
    import lpips  # noqa: PLC0415 - heavy, and only the worker needs it

    with warnings.catch_warnings():
        # lpips asks torchvision for random weights with an argument that torchvision has renamed.
        warnings.simplefilter("ignore", UserWarning)
        model = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=False, verbose=False)
    # Its own loader would unpickle the package's file of weights under a PyTorch before 2.6; this reads tensors only.
    linear = torch.load(f"{lpips.__path__[0]}/weights/v0.1/alex.pth", map_location="cpu", weights_only=True)
    unknown = model.load_state_dict(linear, strict=False).unexpected_keys  # the convolutions come below
    if unknown or not linear:
        raise RuntimeError(f"this version of lpips has other linear layers: {unknown}")
    slices = {0: "slice1.0", 3: "slice2.3", 6: "slice3.6", 8: "slice4.8", 10: "slice5.10"}
    modules = dict(model.net.named_modules())
    for number, name in slices.items():
        for part in ("weight", "bias"):
            getattr(modules[name], part).data.copy_(convolutions[f"features.{number}.{part}"].float())
    return model.eval().requires_grad_(requires_grad=False)


class ReferenceDistance:
    """LPIPS to one fixed reference, whose features are computed once.

    Half of an optimiser step's LPIPS cost is the reference's features, which never change.
    """

    def __init__(self, model: Any, reference: Tensor) -> None:
        self._model = model
        with torch.no_grad():
            self._features = self._unit_features(reference)

    def _unit_features(self, picture: Tensor) -> list[Tensor]:
        outputs = self._model.net.forward(self._model.scaling_layer(2 * picture - 1))
        # Where all features are 0 (a patch of pure white can do that) a root of exactly 0 has no slope.
        return [o / ((o.square().sum(dim=1, keepdim=True) + 1e-20).sqrt() + 1e-10) for o in outputs]

    def layers(self, picture: Tensor) -> list[Tensor]:
        """Per layer, the weighted squared feature difference ``(B, 1, h, w)``; LPIPS is the sum of their means."""
        pairs = zip(self._unit_features(picture), self._features, self._model.lins, strict=True)
        return [lin((mine - reference).square()) for mine, reference, lin in pairs]

    def __call__(self, picture: Tensor) -> Tensor:
        """LPIPS ``(B,)`` of ``picture`` to the reference."""
        return self.mean_and_worst(picture)[0]

    def mean_and_worst(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """LPIPS ``(B,)``, and the largest LPIPS ``(B,)`` over windows of :data:`LOCAL_WINDOW` pixels."""
        mean, windows = self.mean_and_windows(picture)
        return mean, windows.amax(dim=(1, 2, 3))

    def mean_and_windows(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """LPIPS ``(B,)``, and of each window ``(B, 1, rows, columns)``; windows overlap by half."""
        layers = self.layers(picture)
        mean = sum_of([layer.mean(dim=(1, 2, 3)) for layer in layers])
        height, width = picture.shape[-2:]
        rows, columns = (max(1, math.ceil(side / (LOCAL_WINDOW // 2))) for side in (height, width))
        # Each layer is averaged over cells of half a window; four neighbouring cells make a window.
        cells = sum_of([F.adaptive_avg_pool2d(layer, (rows, columns)) for layer in layers])
        return mean, F.avg_pool2d(cells, (min(2, rows), min(2, columns)), stride=1)


def calmed(delta: Tensor, windows: Tensor, ceiling: float) -> Tensor:
    """A shading ``(B, 3, H, W)``, reduced smoothly around those ``windows`` whose LPIPS is over ``ceiling``.

    One busy corner must not cost the whole picture its shading. LPIPS grows with about the square of a small change.
    """
    if float(windows.max()) <= ceiling:
        return delta
    gains = (ceiling / windows.clamp_min(ceiling)).sqrt()
    # A cell of half a window takes the smallest gain of the windows that cover it.
    cells = -F.max_pool2d(F.pad(-gains, [1] * 4, value=-1.0), 2, stride=1)
    return delta * F.interpolate(cells, size=delta.shape[-2:], mode="bilinear", align_corners=False)


def sum_of(tensors: list[Tensor]) -> Tensor:
    """The sum of a non-empty list, as a tensor."""
    return torch.stack(tensors).sum(dim=0)


def psnr(picture: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio ``(B,)`` in dB for a peak of 1; 99 where the two are equal."""
    error = (picture - reference).square().mean(dim=(1, 2, 3))
    return torch.where(error > 0, -10 * torch.log10(error.clamp_min(1e-20)), torch.full_like(error, 99.0))


def rgb_to_lab(picture: Tensor) -> Tensor:
    """CIELAB (D65, CIE 15:2004) ``(B, 3, H, W)`` of sRGB values: L in 0..100, a and b in about -128..127."""
    linear = torch.where(picture <= 0.04045, picture / 12.92, ((picture.clamp_min(0) + 0.055) / 1.055) ** 2.4)
    to_xyz = picture.new_tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    white = picture.new_tensor([0.95047, 1.0, 1.08883]).view(1, 3, 1, 1)
    xyz = torch.einsum("ij,bjhw->bihw", to_xyz, linear) / white
    delta = 6 / 29
    f = torch.where(xyz > delta**3, xyz.clamp_min(1e-8) ** (1 / 3), xyz / (3 * delta**2) + 4 / 29)
    x, y, z = f.unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def colour_drift(picture: Tensor, reference: Tensor) -> Tensor:
    """The largest CIE76 difference ``(B,)`` between mean colours of cells: large soft shifts that LPIPS overlooks.

    Where a side is no multiple of a cell's, cells are laid from its far end too, so that all of the picture counts.
    """
    grids = itertools.product(*({0, side % min(DRIFT_CELL, side)} for side in picture.shape[-2:]))
    found = [_cell_difference(picture[..., top:, left:], reference[..., top:, left:]) for top, left in grids]
    return torch.stack([drift.amax(dim=(1, 2, 3)) for drift in found]).amax(dim=0)


def hold_colour(delta: Tensor, reference: Tensor, limit: float) -> Tensor:
    """Take out of a shading ``(B, 3, H, W)`` as much of its low frequencies as drifts farther than ``limit`` (CIE76).

    Fine structure stays. The correction is smooth, so its cells are not seen; a few rounds bring the drift close to
    the limit, and the caller's scaling does the rest.
    """
    for _ in range(HOLD_ROUNDS):
        drift = _cell_difference((reference + delta).clamp(0, 1), reference)
        if float(drift.max()) <= limit:
            break
        surplus = (1 - limit / drift.clamp_min(1e-6)).clamp_min(0)
        correction = surplus * F.avg_pool2d(delta, DRIFT_CELL)
        delta = delta - F.interpolate(correction, size=delta.shape[-2:], mode="bilinear", align_corners=False)
    return delta


def without_shapes(delta: Tensor, limits: Tensor, flat: float, busy: float) -> Tensor:
    """Take the low frequencies out of a shading ``(B, 3, H, W)`` where nothing masks them.

    In a clear sky even two grey levels show when they draw the outline of the anchor; as fine grain they do not. The
    smoother the area, as its ``limits`` ``(B, 1, H, W)`` between ``flat`` and ``busy`` say, the more is taken out.
    """
    calm = _calm(limits, flat, busy)
    for _ in range(2):
        delta = delta - calm * gaussian_blur(delta, SHAPE_SIGMA)
    return delta


def without_lines(delta: Tensor, limits: Tensor, flat: float, busy: float) -> Tensor:
    """Hold a shading ``(B, 3, H, W)`` to the strength that it has around, where nothing masks it.

    Along the anchor's edges encoders gain most, and a thin line can be followed through grain of its own height. What
    stands out from its neighbourhood is reduced to it; the calmer the area, as in :func:`without_shapes`, the more.
    """
    energy = (delta / limits).square().mean(dim=1, keepdim=True)
    here, around = (gaussian_blur(energy, sigma).clamp_min(1e-12) for sigma in (LINE_SIGMA, AROUND_SIGMA))
    return delta * (around / here).sqrt().clamp_max(1).pow(_calm(limits, flat, busy))


def without_outlines(anchor: Tensor, limits: Tensor, flat: float, busy: float) -> Tensor:
    """The destination ``(B, 3, H, W)``, its edges soft where nothing masks them: a shading draws what it is led to.

    Pull is stated for the way to the anchor itself; the way to this one goes most of it, without its outline.
    """
    return torch.lerp(anchor, gaussian_blur(anchor, OUTLINE_SIGMA), _calm(limits, flat, busy))


def _calm(limits: Tensor, flat: float, busy: float) -> Tensor:
    """How little masks a pixel: 1 where its limit is ``flat``, 0 where it is ``busy``."""
    return ((busy - limits) / (busy - flat)).clamp(0, 1)


def _cell_difference(picture: Tensor, reference: Tensor) -> Tensor:
    height, width = (min(DRIFT_CELL, side) for side in picture.shape[-2:])
    cells = [rgb_to_lab(F.avg_pool2d(one, (height, width))) for one in (picture, reference)]
    return (cells[0] - cells[1]).square().sum(dim=1, keepdim=True).sqrt()
