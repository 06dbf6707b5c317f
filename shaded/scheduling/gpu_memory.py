"""GPUs as PyTorch sees them. Tried on stand-ins only: no GPU was at hand when this was written."""

from __future__ import annotations

import torch

from shaded.scheduling.accelerator import Accelerator


class Cuda(Accelerator):
    """An NVIDIA GPU (or AMD's under ROCm, which PyTorch calls the same)."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        count = torch.cuda.device_count()
        self.names = tuple(_name(torch.cuda.get_device_properties(index)) for index in range(count))

    def begin_counting(self) -> None:
        """Count the peak anew."""
        torch.cuda.reset_peak_memory_stats(self._device)

    def peak_bytes(self) -> int:
        """The most that PyTorch's allocator held."""
        return int(torch.cuda.max_memory_reserved(self._device))

    def held_bytes(self) -> int:
        """What PyTorch's allocator holds."""
        return int(torch.cuda.memory_reserved(self._device))

    def give_back(self) -> None:
        """Empty the allocator's cache."""
        torch.cuda.empty_cache()


class Metal(Accelerator):
    """Apple's GPU. Its memory is the machine's, so that it is reckoned with there; only the cache is looked after."""

    def give_back(self) -> None:
        """Empty the allocator's cache."""
        torch.mps.empty_cache()


def accelerator_of(device: torch.device) -> Accelerator:
    """What a device is besides."""
    if device.type == "cuda":
        return Cuda(device)
    return Metal() if device.type == "mps" else Accelerator()


def _name(properties: object) -> str:
    """As ``nvidia-smi`` writes it; empty where PyTorch knows no such name."""
    identity = getattr(properties, "uuid", None)
    return f"GPU-{identity}" if identity is not None else ""
