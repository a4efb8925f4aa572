"""Numbers on the host -> a small tensor on the device, without waiting for the device."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def on_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """Copy an array of numbers to the device.

    CUDA stages copies from pageable memory before the call returns, so that the host neither waits for earlier work
    nor has to keep the array.
    """
    return torch.from_numpy(values).to(device, non_blocking=device.type == "cuda")
