"""How much memory a training takes, and what to do where the device has less."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segforge.compute.device import describe_device
from segforge.compute.memory import GIGABYTE, available_memory
from segforge.compute.wording import size
from segforge.errors import SegForgeError
from segforge.networks import measuring
from segforge.networks.build import NETWORKS
from segforge.planning.cost import cost_of
from segforge.planning.plans import Configuration

_TELLS = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)
_ASKED = re.compile(r"tried to allocate ([0-9.]+) ?([a-z]+)", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "kb": 2**10, "mb": 2**20, "gb": 2**30}
_LESS = 0.75  # what a plan for less memory should ask for
_OTHERS = 0.1  # a share of the card that is worth mentioning


def planned_memory(configuration: Configuration, batch_size: int) -> float | None:
    """GB of a training step by the planner's estimate, which knows our own networks and MONAI's; None for others."""
    spec, configuration = configuration.architecture, configuration.model_copy(update={"batch_size": batch_size})
    if spec.has_stages and spec.network not in NETWORKS:
        return None
    return (cost_of(configuration) if spec.has_stages else measuring.cost_of(configuration)).memory


@contextmanager
def explained_memory(configuration: Configuration, batch_size: int, device: torch.device) -> Iterator[None]:
    """Turn an error for want of memory into one that says what was asked for, what there is, and what to do.

    Args:
        configuration: What is trained.
        batch_size: Patches per step.
        device: Where.

    Raises:
        SegForgeError: In its place.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not (isinstance(error, torch.OutOfMemoryError | MemoryError) or _TELLS.search(str(error))):
            raise
        planned, on_card = planned_memory(configuration, batch_size), isinstance(error, RuntimeError) and device.type == "cuda"
        asked = f"; {size(found)} more were asked for" if (found := _asked(str(error))) else ""
        patch = "x".join(map(str, configuration.patch_size))
        plan = f" The plan estimates {planned:.2g} GB for a batch of {batch_size} of {patch}." if planned else ""
        there = _of_card(device, planned) if on_card else _of_machine(planned)
        where = describe_device(device) if on_card else "this machine"
        raise SegForgeError(
            f"There is not enough memory on {where}{asked}. {there[0]}{plan} Train with a smaller --batch-size, under another "
            f"--name or with --restart; or plan for less: segforge plan -d DATASET --gpu-memory {there[1]} --name NAME. "
            "What was saved before stays."
        ) from error


def _asked(message: str) -> float | None:
    """Bytes that the failed request was for, if it tells."""
    found = _ASKED.search(message)
    unit = _UNITS.get(found[2].lower()) if found else None
    return float(found[1]) * unit if found and unit else None


def _of_card(device: torch.device, planned: float | None) -> tuple[str, str]:
    """What the card has, and GB to plan with."""
    free, total = torch.cuda.mem_get_info(device)
    own = torch.cuda.memory_reserved(device)
    others = max(0, total - free - own)
    advice = " End those first." if others > _OTHERS * total else ""
    words = f"It has {size(total)}: {size(own)} are taken by this training, {size(others)} by other programs.{advice}"
    return words, _less(total, planned)


def _of_machine(planned: float | None) -> tuple[str, str]:
    """What the machine has, and GB to plan with."""
    free = available_memory()
    return f"{size(free)} are free.", _less(free, planned)


def _less(available: float, planned: float | None) -> str:
    """GB that a plan may ask for, so that it needs less than there is and less than this one."""
    return f"{max(1.0, _LESS * min(available / GIGABYTE, planned or float('inf'))):.0f}"
