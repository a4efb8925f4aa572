"""Where a fresh network begins: expecting background.

Heads with random weights and no bias begin with a random share of each structure, often half of the voxels. Most voxels are
background, so the first steps push all logits down, with a momentum of 0.99 far beyond what is right, and a structure can
take hundreds of steps to come back (measured in benchmarks/README.md). Networks that begin with few voxels of each structure
are not pushed.
"""

import math

import torch
from torch import nn

from segforge.dataset.labels import LabelScheme
from segforge.networks.layers import Head

FOREGROUND_SHARE = 0.1
"""Share of the voxels that each structure begins with, about."""


def expect_background(network: nn.Module, labels: LabelScheme) -> None:
    """Set the biases of the heads for structures of a fresh network; networks without such heads stay as they are."""
    first = 0 if labels.has_regions else 1
    for module in network.modules():
        if isinstance(module, Head) and module.convolution.bias is not None:
            with torch.no_grad():
                module.convolution.bias[first:] = math.log(FOREGROUND_SHARE / (1 - FOREGROUND_SHARE))
