"""The device that tensors live on, from the word that a user types."""

from typing import Literal

import torch

from segforge.errors import SegForgeError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""In what networks compute; `auto` takes the reduced one that the device has, if it has one."""

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


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


def autocast(device: torch.device, precision: Precision = "auto") -> torch.autocast:
    """Networks in another precision than their weights have; `auto` is bfloat16 on CUDA cards that compute in it."""
    if precision == "auto":
        has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if has_it else "fp32"
    reduced = precision != "fp32"
    return torch.autocast(device.type, _TYPES[precision] if reduced else torch.bfloat16, enabled=reduced)


def fastest_precision(device: torch.device) -> Precision:
    """The reduced precision that a device computes in natively, for networks that only predict; else `fp32`."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return "bf16" if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") else "fp32"


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a CUDA device, the allocator's own reserve included; elsewhere as many as one likes."""
    if device.type != "cuda":
        return 1 << 62
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def describe_device(device: torch.device) -> str:
    """A device in words for a person, for example `cpu (2 threads)`."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    return str(device)
