"""The U-Nets with batch instead of instance normalization."""

from typing import Literal

from torch import nn

from segforge.errors import SegForgeError
from segforge.networks.unet import ResidualEncoderUNet, UNet
from segforge.planning.architecture import ArchitectureSpec

Norm = Literal["instance", "batch"]

_WITH_BATCH_NORM = {
    "plain_unet": "plain_unet_batch_norm",
    "residual_encoder_unet": "residual_encoder_unet_batch_norm",
}


class BatchNormUNet(UNet):
    """The plain U-Net with batch normalization."""

    def __init__(self, spec: ArchitectureSpec) -> None:
        super().__init__(spec)
        _replace_norms(self)


class BatchNormResidualEncoderUNet(ResidualEncoderUNet):
    """The residual-encoder U-Net with batch normalization."""

    def __init__(self, spec: ArchitectureSpec) -> None:
        super().__init__(spec)
        _replace_norms(self)


def with_norm(spec: ArchitectureSpec, norm: Norm) -> ArchitectureSpec:
    """The same network with the normalization asked for.

    Raises:
        SegForgeError: If it is a network that does not exist with both.
    """
    networks = [name for pair in _WITH_BATCH_NORM.items() for name in pair]
    if spec.network not in networks:
        raise SegForgeError(
            f"The normalization of {spec.network} cannot be chosen, only that of {', '.join(_WITH_BATCH_NORM)}. "
            "Leave --norm out."
        )
    plain = next(name for name, other in _WITH_BATCH_NORM.items() if spec.network in (name, other))
    return spec.model_copy(update={"network": plain if norm == "instance" else _WITH_BATCH_NORM[plain]})


def _replace_norms(module: nn.Module) -> None:
    """Put a batch norm in the place of every instance norm below a module, with its initial scale and shift."""
    kinds: dict[type[nn.Module], type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {
        nn.InstanceNorm2d: nn.BatchNorm2d,
        nn.InstanceNorm3d: nn.BatchNorm3d,
    }
    for name, child in module.named_children():
        if isinstance(child, nn.InstanceNorm2d | nn.InstanceNorm3d):
            norm = kinds[type(child)](child.num_features, eps=child.eps)
            norm.weight, norm.bias = child.weight, child.bias
            setattr(module, name, norm)
        else:
            _replace_norms(child)
