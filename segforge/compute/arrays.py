"""Which module an array is of, so that the same formulas serve NumPy and PyTorch."""

import sys
from typing import Any


def namespace(array: Any) -> Any:
    """NumPy for its arrays, PyTorch for its tensors; nothing is imported."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def on_host(values: Any) -> Any:
    """An array, or a tensor on whatever device, as an array."""
    return values.cpu().numpy() if hasattr(values, "cpu") else values
