"""The device that tensors live on, from the word that a user types."""

import torch

from segforge.errors import SegForgeError


def resolve_device(name: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; `auto` takes the first of CUDA, MPS, CPU that is there.

    Raises:
        SegForgeError: If the device is unknown or not available; names those that are.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    if name == "cuda" and "cuda:0" in available:
        return torch.device("cuda:0")
    if name in available:
        return torch.device(name)
    raise SegForgeError(f"--device {name} is not available here. Available: auto, {', '.join(available)}.")


def available_devices() -> list[str]:
    """Names of the devices of this machine, the fastest first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def autocast(device: torch.device) -> torch.autocast:
    """Reduced precision where the device computes in it: bfloat16 on CUDA cards that have it."""
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=has_it)


def describe_device(device: torch.device) -> str:
    """A device in words for a person, for example `cpu (2 threads)`."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return str(device)
