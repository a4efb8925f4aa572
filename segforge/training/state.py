"""The state of a training on disk: optimizer tensors by name, and the newest checkpoint that is whole."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import Checkpoint, load_checkpoint
from segforge.networks.model_folder import LATEST, PREVIOUS

log = logging.getLogger(__name__)


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The tensors that the optimizer keeps for each parameter, as `parameter/key`."""
    return {
        f"{name}/{key}": value
        for name, parameter in network.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put saved tensors back into a fresh optimizer of the same kind."""
    for name, parameter in network.named_parameters():
        prefix = f"{name}/"
        state = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        for key, tensor in state.items():
            optimizer.state[parameter][key] = tensor.to(parameter.device) if tensor.ndim else tensor


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The latest checkpoint, the one before it if that is damaged, or None if there is none.

    Raises:
        SegForgeError: If there are checkpoints but none is whole.
    """
    found = [folder / name for name in (LATEST, PREVIOUS) if (folder / name).is_file()]
    for path in found:
        try:
            return load_checkpoint(path)
        except SegForgeError as error:
            log.warning("%s Trying the one before it.", error)
    if found:
        raise SegForgeError(f"No checkpoint in {folder} is whole. Train anew with --restart.")
    return None
