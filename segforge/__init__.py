"""SegForge: self-configuring biomedical image segmentation."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["SegForgeError", "evaluate", "find_best", "load", "plan", "predict", "train"]

if TYPE_CHECKING:
    from segforge.api import evaluate, find_best, load, plan, predict, train
    from segforge.errors import SegForgeError


def __getattr__(name: str) -> Any:
    """Import the functions of `segforge.api` when they are first used, so that `import segforge` costs nothing."""
    if name == "SegForgeError":
        from segforge.errors import SegForgeError

        return SegForgeError
    if name in __all__:
        from segforge import api

        return getattr(api, name)
    raise AttributeError(f"module 'segforge' has no attribute '{name}'")
