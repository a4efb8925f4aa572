"""A network as it runs while it learns: over several processes, if there are several."""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from segforge.training import group


def grouped(network: nn.Module, device: torch.device) -> nn.Module:
    """A network whose gradients are averaged over all processes; alone, the network itself.

    Parameters that have no part in the loss, such as the head of the lowest resolution, are looked for in every step.
    """
    if group.size() == 1:
        return network
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=devices, find_unused_parameters=True, gradient_as_bucket_view=True)
