"""The bundled weights: which there are, what their bytes must hash to, and how they are read.

``manifest.toml`` lists them; ``python -m shaded.training.pin`` writes its hashes anew after training.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from shaded.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

_REMEDY = "Install shaded again with pip"

#: A tensor of whole numbers is to be multiplied with the tensor of its name and this.
SCALE = "_scale"


@dataclass(frozen=True)
class BundledModel:
    """One weight file of the package.

    Attributes:
        name: ``student-flux2``, ``meter-sana`` or ``lpips-alexnet``, say; its card is ``NAME.md`` beside it.
        revision: Changes whenever the weights do.
        sha256: Of the file.
        role: What it is for, as the sidecar states it.
        licence: SPDX identifier.
    """

    name: str
    revision: str
    sha256: str
    role: str
    licence: str

    @property
    def path(self) -> Path:
        """The weight file."""
        return models_folder() / f"{self.name}.safetensors"


def models_folder() -> Path:
    """The package's folder of weights and cards."""
    return Path(str(files("shaded.models")))


@functools.cache
def bundled_models() -> dict[str, BundledModel]:
    """Every bundled model by name, from ``manifest.toml``."""
    table = tomllib.loads((models_folder() / "manifest.toml").read_text("utf-8"))
    return {name: BundledModel(name=name, **entry) for name, entry in table.items()}


def load_state(name: str) -> dict[str, Tensor]:
    """The tensors of one bundled model, its bytes checked first; those kept in 8 bits come as float32.

    Raises:
        ModelError: The file is missing or not the one that the package was built with.
    """
    return tensors_of(_checked_bytes(bundled_models()[name]))


def load_described(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """As :func:`load_state`, and what the file says about itself (its safetensors metadata).

    Raises:
        ModelError: The file is missing or not the one that the package was built with.
    """
    content = _checked_bytes(bundled_models()[name])
    return tensors_of(content), metadata_of(content)


def tensors_of(content: bytes) -> dict[str, Tensor]:
    """The tensors of a weight file of this project; those kept in 8 bits come as float32."""
    from safetensors.torch import load  # noqa: PLC0415 - brings torch, which only the worker may import

    stored: dict[str, Tensor] = load(content)
    return {
        name: tensor * stored[name + SCALE] if name + SCALE in stored else tensor
        for name, tensor in stored.items()
        if not name.endswith(SCALE)
    }


def metadata_of(content: bytes) -> dict[str, str]:
    """The ``__metadata__`` of a safetensors file: its header is JSON after 8 bytes of its length."""
    length = int.from_bytes(content[:8], "little")
    words: dict[str, str] = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    return words


def check_bundle() -> list[str]:
    """One sentence for each bundled model that is missing or altered; empty when all is well."""
    problems = []
    for model in bundled_models().values():
        try:
            _checked_bytes(model)
        except ModelError as error:
            problems.append(str(error))
    return problems


def _checked_bytes(model: BundledModel) -> bytes:
    try:
        content = model.path.read_bytes()
    except OSError as error:
        raise ModelError(f"the bundled model {model.name!r} cannot be read", path=model.path, remedy=_REMEDY) from error
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise ModelError(
            f"the bundled model {model.name!r} is not the one that this version was built with",
            path=model.path,
            remedy=_REMEDY,
        )
    return content
