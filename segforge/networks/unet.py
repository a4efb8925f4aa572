"""The plain and the residual-encoder U-Net."""

import torch
from torch import Tensor, nn

from segforge.networks.layers import TRANSPOSED, ConvolutionStack, Head, ResidualBlock
from segforge.networks.learning import learns, upsampled
from segforge.planning.architecture import ArchitectureSpec


class UNet(nn.Module):
    """Encoder stages, and a decoder that meets each of them again on its way up.

    Attributes:
        deep_supervision: Whether the output is a list with one entry for each resolution; off for inference.
    """

    def __init__(self, spec: ArchitectureSpec) -> None:
        super().__init__()
        self.deep_supervision = spec.deep_supervision
        self.encoder = self.build_encoder(spec)
        self.decoder = nn.ModuleList(_DecoderStage(spec, stage) for stage in reversed(range(len(spec.features) - 1)))
        resolutions = spec.features[:-1] or spec.features  # a single stage has no decoder: its output meets the head
        heads = reversed(resolutions if spec.deep_supervision else resolutions[:1])
        self.heads = nn.ModuleList(Head(features, spec.output_channels, spec.dimensions) for features in heads)
        self.apply(_initialize)
        self.apply(_silence_residual_branch)

    def build_encoder(self, spec: ArchitectureSpec) -> nn.ModuleList:
        """One module per stage, the first at full resolution."""
        channels = (spec.input_channels, *spec.features)
        return nn.ModuleList(
            ConvolutionStack(spec.encoder_blocks[i], channels[i], spec.features[i], spec.kernel_sizes[i], spec.strides[i])
            for i in range(len(spec.features))
        )

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Logits `(B, heads, ...)`; with deep supervision a list, one for each resolution, the highest first."""
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        resolutions = [skips.pop()]
        for stage in self.decoder:
            resolutions.append(stage(resolutions[-1], skips.pop()))
        if not self.deep_supervision:
            return self.heads[-1](resolutions[-1])  # type: ignore[no-any-return]
        outputs = [head(x) for head, x in zip(self.heads, resolutions[-len(self.heads) :], strict=True)]
        return outputs[::-1]


class ResidualEncoderUNet(UNet):
    """A stem, residual blocks in the encoder, plain convolutions in the decoder."""

    def build_encoder(self, spec: ArchitectureSpec) -> nn.ModuleList:
        """One module per stage; the stem belongs to the first."""
        stages = nn.ModuleList()
        ones = [1] * spec.dimensions
        stem = ConvolutionStack(1, spec.input_channels, spec.features[0], spec.kernel_sizes[0], ones)
        channels = (spec.features[0], *spec.features)
        for i, features in enumerate(spec.features):
            kernel = spec.kernel_sizes[i]
            first = ResidualBlock(channels[i], features, kernel, spec.strides[i])
            others = [ResidualBlock(features, features, kernel, ones) for _ in range(spec.encoder_blocks[i] - 1)]
            stages.append(nn.Sequential(*([stem] if i == 0 else []), first, *others))
        return stages


class _DecoderStage(nn.Module):
    """Up to the resolution of an encoder stage, joined with its output, and convolved."""

    def __init__(self, spec: ArchitectureSpec, stage: int) -> None:
        super().__init__()
        stride = spec.strides[stage + 1]
        features = spec.features[stage]
        self.up = TRANSPOSED[spec.dimensions](spec.features[stage + 1], features, stride, stride)  # type: ignore[arg-type]
        ones = [1] * spec.dimensions
        self.convolutions = ConvolutionStack(
            spec.decoder_convolutions[stage], 2 * features, features, spec.kernel_sizes[stage], ones
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """From the stage below and the encoder's output to this stage's features."""
        up = upsampled(self.up, x) if learns(self.up) and x.device.type == "cpu" else self.up(x)
        return self.convolutions(torch.cat((up, skip), 1))  # type: ignore[no-any-return]


def _initialize(module: nn.Module) -> None:
    """Kaiming normal for the slope of the leaky ReLUs, biases 0 (METHOD, section 5)."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=1e-2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _silence_residual_branch(module: nn.Module) -> None:
    """The last norm of every residual block starts at 0, so that the block starts as its skip."""
    if isinstance(module, ResidualBlock):
        nn.init.zeros_(module.norm.weight)  # type: ignore[arg-type]
