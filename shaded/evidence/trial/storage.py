"""The trial's folder: everything that is finished lies in a file of its own, written whole or not at all."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from shaded.errors import UsageError, from_os_error
from shaded.evidence.trial.generator import Halfway


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other trials out of this folder meanwhile.

    Raises:
        UsageError: One is at work there.
    """
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise UsageError("a trial is at work in this folder", path=folder, remedy="Choose another --out") from error


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path`` and put it in its place.

    Raises:
        PictureError: The disk is full, say; the error names the file.
    """
    unfinished = path.with_name(f".~{path.stem}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        unfinished.touch()
        usual = unfinished.stat().st_mode  # by the umask and the folder; a library may make a private file of it
        write(unfinished)
        unfinished.chmod(stat.S_IMODE(usual))
        unfinished.replace(path)
    except OSError as error:
        raise from_os_error(error, path) from error


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """A JSON file for people and programs."""
    write_whole(path, lambda place: place.write_text(json.dumps(document, indent=1) + "\n", "utf-8"))


def read_json(path: Path) -> dict[str, Any] | None:
    """The inverse of :func:`write_json`; ``None`` where there is no such file."""
    if not path.is_file():
        return None
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def write_pixels(path: Path, arrays: Mapping[str, NDArray[np.uint8]]) -> None:
    """8-bit pictures by name, as ``.npz``."""
    write_whole(path, lambda place: np.savez(place, **arrays))  # type: ignore[arg-type]


def read_pixels(path: Path) -> dict[str, NDArray[np.uint8]] | None:
    """The inverse of :func:`write_pixels`; ``None`` where there is no such file."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def write_state(path: Path, state: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
    """A model's weights, as safetensors."""
    tensors = {name: tensor.detach().cpu().to(dtype).contiguous() for name, tensor in state.items()}
    write_whole(path, lambda place: save_file(tensors, place))


def read_state(path: Path) -> dict[str, Tensor] | None:
    """The inverse of :func:`write_state`; ``None`` where there is no such file."""
    if not path.is_file():
        return None
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def halfway_in(path: Path) -> Halfway:
    """An unfinished training, kept in a file of ``torch.save``; only plain tensors and numbers are read from it."""

    def read() -> dict[str, Any] | None:
        if not path.is_file():
            return None
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        return state

    return Halfway(read, lambda state: write_whole(path, lambda place: torch.save(state, place)))
