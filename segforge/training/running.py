"""A network as it runs while it learns: compiled, if that is wanted and works, and over several processes, if there are."""

import logging
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segforge.training import group
from segforge.training.settings import TrainingSettings

log = logging.getLogger(__name__)

Compilation = Literal["auto", "on", "off"]
"""Whether a network is compiled; `auto` does it where it repays."""

_REPAYING_STEPS = 2500
_REPAYING_SECONDS = 3600.0
_REASON = 200  # letters


def wants_compiling(compilation: Compilation, device: torch.device, settings: TrainingSettings) -> bool:
    """Whether a network is to be compiled: `auto` does it on CUDA for a training that is not short.

    On processors compiled networks are slower (benchmarks/README.md), and MPS has no complete compiler.
    """
    if compilation != "auto":
        return compilation == "on"
    if settings.epochs is None:
        is_long = (settings.budget_seconds or 0) >= _REPAYING_SECONDS
    else:
        is_long = settings.epochs * settings.iterations >= _REPAYING_STEPS
    return device.type == "cuda" and is_long


def compiled(network: nn.Module, example: Tensor) -> nn.Module:
    """The network compiled; where that fails, the network itself, and a warning that says why.

    Args:
        network: In training mode or not; it stays as it is.
        example: A batch, with which it is tried forwards and backwards.
    """
    log.info("Compiling the network; this takes a minute or two.")
    before, was_training = [buffer.clone() for buffer in network.buffers()], network.training
    try:
        fast: nn.Module = torch.compile(network.train())  # type: ignore[assignment]
        outputs = fast(example)
        sums = [output.float().sum() for output in ([outputs] if isinstance(outputs, Tensor) else outputs)]
        torch.stack(sums).sum().backward()
    except Exception as error:  # whatever a compiler can fail with: the training does not need it
        reason = str(error).strip().splitlines() or [""]
        log.warning("--compile failed (%s: %s). The network runs uncompiled.", type(error).__name__, reason[0][:_REASON])
        return network
    finally:
        network.train(was_training)
        for parameter in network.parameters():
            parameter.grad = None
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)
    return fast


def grouped(network: nn.Module, device: torch.device) -> nn.Module:
    """A network whose gradients are averaged over all processes; alone, the network itself.

    Parameters that have no part in the loss, such as the head of the lowest resolution, are looked for in every step.
    """
    if group.size() == 1:
        return network
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=devices, find_unused_parameters=True, gradient_as_bucket_view=True)
