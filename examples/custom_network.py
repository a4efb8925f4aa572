"""A network of your own: a class that is made from an ArchitectureSpec, and a trainer that asks for it by name.

A model's files name networks, they never bring code along. So the name has to be registered by an installed package,
wherever the model is trained or predicts:

    [project.entry-points."segforge.networks"]
    dilated_net = "custom_network:DilatedNet"

Then:

    segforge train 4 2d 0 -tr custom_network:DilatedNetTrainer
"""

from torch import Tensor, nn

from segforge.planning.architecture import ArchitectureSpec
from segforge.training.trainer import Trainer


class DilatedNet(nn.Module):
    """Convolutions that see ever farther, at full resolution; `(B, channels, ...)` -> logits `(B, heads, ...)`."""

    def __init__(self, spec: ArchitectureSpec) -> None:
        super().__init__()
        convolution = nn.Conv2d if spec.dimensions == 2 else nn.Conv3d
        layers: list[nn.Module] = []
        channels = spec.input_channels
        for dilation in (1, 2, 4):
            layers += [convolution(channels, 8, 3, padding=dilation, dilation=dilation), nn.GroupNorm(2, 8), nn.SiLU()]
            channels = 8
        self.layers = nn.Sequential(*layers, convolution(channels, spec.output_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


class DilatedNetTrainer(Trainer):
    def architecture(self, spec: ArchitectureSpec) -> ArchitectureSpec:
        return spec.model_copy(update={"network": "dilated_net", "deep_supervision": False})
