"""In what numbers a network computes while it learns."""

from collections.abc import Mapping

import torch
from torch import Tensor

from segforge.compute.device import Precision, fastest_precision

_SCALE = "loss_scale"


def training_precision(asked: Precision, device: torch.device) -> Precision:
    """What was asked for; `auto` is the reduced precision that a CUDA device is fast in, elsewhere float32."""
    if asked != "auto":
        return asked
    return fastest_precision(device) if device.type == "cuda" else "fp32"


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Keeps gradients in the range of float16; for the other precisions it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def scaler_tensors(scaler: torch.amp.GradScaler) -> dict[str, Tensor]:
    """The state of a scaler, for a checkpoint."""
    if not scaler.is_enabled():
        return {}
    state = scaler.state_dict()
    return {_SCALE: torch.tensor([state["scale"], state["_growth_tracker"]], dtype=torch.float64)}


def load_scaler(scaler: torch.amp.GradScaler, tensors: Mapping[str, Tensor]) -> None:
    """Put a saved state back."""
    if scaler.is_enabled() and _SCALE in tensors:
        scale, steps = tensors[_SCALE].tolist()
        scaler.load_state_dict(scaler.state_dict() | {"scale": scale, "_growth_tracker": int(steps)})
