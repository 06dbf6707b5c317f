"""Weight files: half precision, metadata, one-step replacement; and LPIPS' convolutions out of a foreign pickle."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from shaded.models import bundle
from shaded.training.lpips_weights import convolutions
from shaded.training.weights import recipe_hash, save_weights


def test_weights_are_stored_in_half_precision_with_their_metadata(tmp_path: Path) -> None:
    """A saved file holds float16 vectors, the metadata given, is readable by all, and leaves no staging file behind."""
    path = tmp_path / "net.safetensors"
    save_weights(path, {"a": torch.ones(3)}, {"name": "net", "licence": "Apache-2.0"})
    with safe_open(path, "pt") as stored:
        assert stored.metadata() == {"name": "net", "licence": "Apache-2.0"}
        assert stored.get_tensor("a").dtype == torch.float16
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_recipe_hash_depends_on_its_words() -> None:
    """The same recipe has the same hash; another word makes another one."""
    assert recipe_hash("a") == recipe_hash("a")
    assert recipe_hash("a") != recipe_hash("b")


def test_convolutions_are_turned_to_torchvisions_layout() -> None:
    """Height x width x inputs x outputs arrays become outputs x inputs x height x width tensors under known names."""
    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    layers = {f"Conv_{index}": {"kernel": kernel, "bias": np.zeros(5, np.float32)} for index in range(5)}
    state = convolutions(pickle.dumps({"AlexNet_0": layers}))
    assert set(state) == {f"features.{layer}.{part}" for layer in (0, 3, 6, 8, 10) for part in ("weight", "bias")}
    assert state["features.6.weight"].shape == (5, 4, 2, 3)
    assert float(state["features.6.weight"][3, 2, 1, 0]) == kernel[1, 0, 2, 3]


def test_checkpoint_that_asks_for_code_is_refused() -> None:
    """A pickle that would run something else than building arrays is an error, and nothing runs."""
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        convolutions(pickle.dumps({"AlexNet_0": Path("/")}))


@pytest.mark.parametrize("inputs", [(3, 3, 3), (5,)], ids=["convolution", "matrix"])
def test_convolutions_are_kept_in_eight_bits_and_come_back(
    inputs: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A saved convolution or matrix is int8 with a scale per output, read to within half a step of what it was."""
    torch.manual_seed(0)
    weight = torch.randn(4, *inputs) * torch.tensor([1.0, 0.1, 10.0, 0.0]).view(4, *[1] * len(inputs))
    save_weights(tmp_path / "net.safetensors", {"0.weight": weight, "0.bias": torch.ones(4)}, {})
    with safe_open(tmp_path / "net.safetensors", "pt") as stored:
        assert stored.get_tensor("0.weight").dtype == torch.int8
    digest = hashlib.sha256((tmp_path / "net.safetensors").read_bytes()).hexdigest()
    model = bundle.BundledModel("net", "1", digest, "surrogate", "Apache-2.0")
    monkeypatch.setattr(bundle, "bundled_models", lambda: {"net": model})
    monkeypatch.setattr(bundle, "models_folder", lambda: tmp_path)
    state = bundle.load_state("net")
    assert sorted(state) == ["0.bias", "0.weight"]
    steps = weight.abs().amax(dim=tuple(range(1, weight.ndim)), keepdim=True) / 127
    assert bool(((state["0.weight"] - weight).abs() <= steps / 2 + 1e-9).all())
