"""The state of a training on disk: optimizer tensors by name, and the newest checkpoint that is whole."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import Checkpoint, load_checkpoint
from segforge.networks.model_folder import FINAL, LATEST, PREVIOUS

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
    """Put saved tensors back into a fresh optimizer of the same kind, which keeps single numbers on the host or not."""
    keeps_numbers = not optimizer.defaults.get("fused")
    for name, parameter in network.named_parameters():
        prefix = f"{name}/"
        state = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        for key, tensor in state.items():
            device = tensor.device if keeps_numbers and not tensor.ndim else parameter.device
            optimizer.state[parameter][key] = tensor.clone().to(device)


def newest_checkpoint(folder: Path, *, extends: bool = False) -> tuple[str, Checkpoint] | None:
    """File name and content of the latest checkpoint, of the one before it if that is damaged, or None if there is none.

    Args:
        folder: Of the fold.
        extends: Whether the final checkpoint is where the training began, and so the one before them all.

    Raises:
        SegForgeError: If there are checkpoints but none is whole.
    """
    names = (LATEST, PREVIOUS, FINAL) if extends else (LATEST, PREVIOUS)
    found = [name for name in names if (folder / name).is_file()]
    for name in found:
        try:
            return name, load_checkpoint(folder / name)
        except SegForgeError as error:
            log.warning("%s Trying the one before it.", error)
    if found:
        raise SegForgeError(f"No checkpoint in {folder} is whole. Train anew with --restart.")
    return None


def keep_previous(folder: Path) -> None:
    """Give the latest checkpoint a second name before a new one takes its place; there is no moment without one."""
    previous = folder / PREVIOUS
    previous.unlink(missing_ok=True)
    with suppress(OSError):  # a file system without links: the new one is still written whole, or not at all
        os.link(folder / LATEST, previous)


def remove_intermediate(folder: Path) -> None:
    """Remove the checkpoints that only a training that goes on needs."""
    for name in (LATEST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
