from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from shaded.scheduling.accelerator import Accelerator
from shaded.scheduling.gpu_memory import Metal, accelerator_of


def test_a_processor_holds_nothing_of_its_own():
    """On a CPU there is no other memory to be reckoned with."""
    accelerator = accelerator_of(torch.device("cpu"))
    assert type(accelerator) is Accelerator
    accelerator.begin_counting()
    accelerator.give_back()
    assert (accelerator.peak_bytes(), accelerator.held_bytes(), accelerator.names) == (0, 0, ("",))


def test_cuda_is_asked_for_its_own_device(monkeypatch):
    """Peak and held memory are this GPU's; names are as the driver's program writes them, or empty."""
    asked = []
    properties = [SimpleNamespace(uuid="1234-5678"), SimpleNamespace()]
    fakes = {
        "device_count": lambda: 2,
        "get_device_properties": lambda index: properties[index],
        "reset_peak_memory_stats": lambda device: asked.append(("reset", device.index)),
        "max_memory_reserved": lambda device: 50 + device.index,
        "memory_reserved": lambda device: 10 + device.index,
        "empty_cache": lambda: asked.append("empty"),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    accelerator = accelerator_of(torch.device("cuda", 1))
    accelerator.begin_counting()
    assert accelerator.names == ("GPU-1234-5678", "")
    assert (accelerator.peak_bytes(), accelerator.held_bytes()) == (51, 11)
    accelerator.give_back()
    assert asked == [("reset", 1), "empty"]


def test_apples_gpu_shares_the_machines_memory(monkeypatch):
    """Only its cache is emptied."""
    emptied = []
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: emptied.append(True))
    accelerator = accelerator_of(torch.device("mps"))
    assert isinstance(accelerator, Metal)
    accelerator.give_back()
    assert emptied == [True]
    assert accelerator.peak_bytes() == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_real_gpu_tells_what_is_held():
    """A tensor of 64 MB is counted, and its memory given back."""
    accelerator = accelerator_of(torch.device("cuda"))
    accelerator.begin_counting()
    held = accelerator.held_bytes()
    tensor = torch.zeros(16 << 20, device="cuda")
    assert accelerator.peak_bytes() >= held + (60 << 20)
    del tensor
    accelerator.give_back()
    assert accelerator.held_bytes() <= held
