"""What a worker loads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from shaded.errors import ConfigurationError, DeviceLost, ModelError
from shaded.models.local_surrogates import load_local
from shaded.scheduling import toolbox as toolbox_module
from shaded.scheduling.toolbox import choose_device, local_surrogate
from shaded.settings import Shading
from shaded.shading.tiny_autoencoders import TinyDecoder, TinyEncoder


def test_a_real_encoder_takes_the_place_of_its_student(shared_encoders):
    """Where a family's real encoder is named it is optimised against and not its student; the other student stays."""
    box = toolbox_module.open_toolbox(
        Shading(surrogates=[shared_encoders / "flux2-tiny-encoder.safetensors"], threads=1)
    )
    assert [target.name for target in box.targets] == ["sana-student", "flux2-tiny-encoder"]
    assert [encoder.name for encoder in box.encoders] == ["flux2-meter", "sana-meter", "flux2-tiny-encoder"]


def test_what_is_optimised_against_never_measures(toolbox):
    """No student is among the encoders that strength is stated for."""
    assert not {target.name for target in toolbox.targets} & {encoder.name for encoder in toolbox.encoders}


def test_the_number_format_is_the_one_that_is_used(toolbox, monkeypatch):
    """What the sidecar states as number format is what the students compute in, with bfloat16 and without."""
    for fast, stated in ((False, "float32"), (True, "bfloat16")):
        monkeypatch.setattr(toolbox_module, "has_fast_bfloat16", lambda _device, fast=fast: fast)
        students = tuple(toolbox_module.load_student(name, toolbox.device, "student") for name in ("flux2", "sana"))
        assert replace(toolbox, students=students).dtype == stated
        assert all(student.encode.in_bfloat16 is fast for student in students)


def test_a_worker_computes_on_the_gpu_of_its_number(monkeypatch):
    """The second of two GPUs is there, the third is lost; the first is what people call "cuda"."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert choose_device("auto", 0) == torch.device("cuda")
    assert choose_device("auto", 1) == torch.device("cuda", 1)
    assert chosen == [1]
    with pytest.raises(DeviceLost, match="GPU number 3"):
        choose_device("cuda", 2)


def test_a_processor_has_no_number(monkeypatch):
    """Every worker on a CPU computes on the same one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto", 3) == torch.device("cpu")
    with pytest.raises(ConfigurationError, match="cuda is not available"):
        choose_device("cuda", 3)


def _saved(folder, name, encoder, decoder=None):
    from safetensors.torch import save_file

    save_file(encoder.state_dict(), folder / f"{name}-encoder.safetensors")
    if decoder is not None:
        save_file(decoder.state_dict(), folder / f"{name}-decoder.safetensors")
    return load_local(folder / f"{name}-encoder.safetensors")


def test_a_tiny_autoencoder_is_loaded_with_its_decoder(tmp_path):
    """Its family comes from the file's name where shapes leave a choice, and it gives pictures back."""
    model = _saved(tmp_path, "sdxl-tiny", TinyEncoder("sdxl"), TinyDecoder("sdxl"))
    surrogate = local_surrogate(model, torch.device("cpu"))
    assert surrogate.family == "sdxl"
    with torch.no_grad():
        assert surrogate.reconstruct(torch.rand(1, 3, 32, 64)).shape == (1, 3, 32, 64)


@pytest.mark.parametrize(("name", "encoder", "decoder", "why"), [
    ("mine", "sd1", None, "several tiny encoders"),
    ("flux2", "sdxl", None, "do not fit the flux2 tiny encoder"),
    ("sdxl", "sdxl", "flux1", "do not fit the sdxl tiny decoder"),
])  # fmt: skip
def test_a_tiny_autoencoder_of_another_family_is_refused(tmp_path, name, encoder, decoder, why):
    """Weights that fit several families, or not the one that their name says, are an error that says what to do."""
    model = _saved(tmp_path, name, TinyEncoder(encoder), decoder and TinyDecoder(decoder))
    with pytest.raises(ModelError, match=why) as refused:
        local_surrogate(model, torch.device("cpu"))
    assert "begins with one of sd1, sdxl" in refused.value.remedy
