"""The only builder of networks: from their description, whoever trained them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from segforge import plugins
from segforge.networks.checkpoint import load_weights
from segforge.planning.architecture import MONAI, ArchitectureSpec

NETWORKS = {
    "plain_unet": "segforge.networks.unet:UNet",
    "residual_encoder_unet": "segforge.networks.unet:ResidualEncoderUNet",
    "plain_unet_batch_norm": "segforge.networks.batch_norm:BatchNormUNet",
    "residual_encoder_unet_batch_norm": "segforge.networks.batch_norm:BatchNormResidualEncoderUNet",
}


def find_network(name: str) -> type[nn.Module]:
    """The class of a network, which is made from an ArchitectureSpec.

    Raises:
        SegForgeError: If there is none of that name, or its package is not installed; gives the nearest.
    """
    if name.startswith(MONAI):
        from segforge.networks.monai_network import MonaiNetwork, arguments_of

        arguments_of(name.removeprefix(MONAI))
        return MonaiNetwork
    kind: type[nn.Module] = plugins.find("networks", name, NETWORKS)
    return kind


def build(spec: ArchitectureSpec, *, seed: int = 0) -> nn.Module:
    """Build a network with fresh weights, which are a function of the seed alone.

    Raises:
        SegForgeError: If the network's name is unknown, or its arguments are; gives the nearest.
    """
    kind = find_network(spec.network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = kind(spec)
    return network


def build_on_meta(spec: ArchitectureSpec) -> nn.Module:
    """Build a network whose weights have names and shapes, but no values and no memory.

    Raises:
        SegForgeError: As `build`.
    """
    kind = find_network(spec.network)
    with torch.device("meta"), _WithNumbers():
        network: nn.Module = kind(spec)
    return network


def build_for_inference(spec: ArchitectureSpec, weights: Mapping[str, Tensor], source: str) -> nn.Module:
    """Build a network with trained weights that gives one output and never learns.

    Args:
        spec: The network.
        weights: By name.
        source: Where they come from, for messages.

    Raises:
        SegForgeError: If the weights do not fit.
    """
    network = build(spec)
    load_weights(network, weights, source)
    if hasattr(network, "deep_supervision"):
        network.deep_supervision = False  # type: ignore[assignment]
    return network.eval().requires_grad_(False)


def parameter_count(network: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


class _WithNumbers(TorchFunctionMode):
    """Leaves `linspace` on the processor: SwinUNETR reads the probabilities of its layers from one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        changes = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **(kwargs or {}) | changes)
