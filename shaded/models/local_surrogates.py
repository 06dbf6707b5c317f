"""Encoders from a local folder: diffusers autoencoders and tiny encoders, as safetensors, without any network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shaded.errors import ModelError

_KINDS = ("AutoencoderKL", "AutoencoderTiny")


@dataclass(frozen=True)
class LocalModel:
    """A model read from disk.

    Attributes:
        name: The folder's or file's name.
        kind: ``AutoencoderKL``, ``AutoencoderTiny`` (modules of diffusers) or ``encoder`` (a plain state dict).
        content: The module, or the state dict.
        sha256: Over the weight files' bytes, in the order of their names.
        decoder: The state dict of the decoder that stands beside a plain encoder; ``None`` where there is none.
    """

    name: str
    kind: str
    content: Any
    sha256: str
    decoder: Any = None


def load_local(path: Path) -> LocalModel:
    """Read a surrogate: a folder in diffusers format, or a safetensors file of a tiny encoder.

    The decoder of ``NAME-encoder.safetensors`` is ``NAME-decoder.safetensors`` beside it, where that is there.

    Raises:
        ModelError: There is nothing there, it is of another kind, or it does not load.
    """
    if path.is_file() and path.suffix == ".safetensors":
        return _plain_encoder(path)
    kind = _class_name(path)
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise ModelError(
            "the surrogate has no .safetensors weights", path=path, remedy="Save it with safe_serialization=True"
        )
    digest = hashlib.sha256()
    for file in weights:
        digest.update(file.read_bytes())
    import diffusers  # noqa: PLC0415 - slow to import, and needed only for a local model

    try:
        module = getattr(diffusers, kind).from_pretrained(path, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"the surrogate does not load: {error}", path=path, remedy="Check the folder") from error
    return LocalModel(path.name, kind, module.eval().requires_grad_(requires_grad=False), digest.hexdigest())


def _plain_encoder(path: Path) -> LocalModel:
    """A tiny encoder, and the decoder whose file has the same name but for that word, where there is one."""
    from safetensors.torch import load  # noqa: PLC0415 - brings torch, which only the worker may import

    content = path.read_bytes()
    digest = hashlib.sha256(content)
    beside = path.with_name(path.name.replace("encoder", "decoder"))
    decoder = None
    if beside != path and beside.is_file():
        words = beside.read_bytes()
        digest.update(words)
        decoder = load(words)
    return LocalModel(path.stem, "encoder", load(content), digest.hexdigest(), decoder)


def _class_name(path: Path) -> str:
    """The diffusers class that the folder's ``config.json`` names."""
    try:
        name = json.loads((path / "config.json").read_text("utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(
            "there is no surrogate here",
            path=path,
            remedy="Name a diffusers folder (config.json and safetensors) or a tiny encoder's .safetensors file",
        ) from error
    if name not in _KINDS:
        raise ModelError(
            f"the folder holds a {name}, which is no surrogate", path=path, remedy=f"Use one of: {', '.join(_KINDS)}"
        )
    return str(name)
