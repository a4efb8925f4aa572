"""Which module an array is of, so that the same formulas serve NumPy and PyTorch."""

import sys
from typing import Any


def namespace(array: Any) -> Any:
    """NumPy for its arrays, PyTorch for its tensors; nothing is imported."""
    return sys.modules[type(array).__module__.partition(".")[0]]
