"""A network as it runs while it learns: compiled, where that is asked for and works, and over several processes."""

import logging
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segforge.errors import SegForgeError
from segforge.training import group

log = logging.getLogger(__name__)


def compiled(
    network: nn.Module, example: Tensor, precision: Callable[[], AbstractContextManager[object]], *, required: bool
) -> nn.Module:
    """A network compiled by PyTorch, or itself, with the reason told, where PyTorch cannot compile it here.

    The example goes through it forwards and backwards, so that what cannot work fails now; nothing of that stays.

    Args:
        network: On its device, in training mode.
        example: A batch like those to come.
        precision: Gives the context that the network runs in.
        required: Whether to refuse to go on without.

    Raises:
        SegForgeError: If it cannot be compiled, and that is required.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    fast: nn.Module = torch.compile(network)  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with precision():
                outputs = fast(example)
            highest = outputs if isinstance(outputs, Tensor) else outputs[0]
            highest.float().sum().backward()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a compiler or its tools raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if required:
            raise SegForgeError(f"--compile on: the network cannot be compiled here: {reason}. Leave it out.") from error
        log.warning("The network runs uncompiled, as it cannot be compiled here: %s", reason)
        fast = network
    finally:
        network.zero_grad(set_to_none=True)
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    return fast


def grouped(network: nn.Module, device: torch.device) -> nn.Module:
    """A network whose gradients are averaged over all processes; alone, the network itself.

    Parameters that have no part in the loss, such as the head of the lowest resolution, are looked for in every step.
    """
    if group.size() == 1:
        return network
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=devices, find_unused_parameters=True, gradient_as_bucket_view=True)
