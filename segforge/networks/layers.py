"""The building blocks of the U-Nets, in two or three dimensions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segforge.networks.learning import Convolution, InstanceNorm, centred_convolution, learns, normalized_and_activated

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM: dict[int, type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
POOLING: dict[int, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}

SLOPE = 0.01
"""Slope of the leaky ReLUs below 0."""


def convolution(
    channels: int, features: int, kernel: Sequence[int], stride: Sequence[int], *, bias: bool = True
) -> Convolution:
    """A convolution that keeps the size but for its stride."""
    padding = [(size - 1) // 2 for size in kernel]
    return CONVOLUTION[len(kernel)](channels, features, tuple(kernel), tuple(stride), tuple(padding), bias=bias)  # type: ignore[arg-type]


def norm(dimensions: int, features: int) -> nn.Module:
    """Instance normalization with learned scale and shift."""
    return NORM[dimensions](features, eps=1e-5, affine=True)


class ConvolutionBlock(nn.Module):
    """Convolution, instance norm, leaky ReLU."""

    def __init__(self, channels: int, features: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.convolution = convolution(channels, features, kernel, stride)
        self.norm = norm(len(kernel), features)

    def forward(self, x: Tensor) -> Tensor:
        """From `(B, channels, ...)` to `(B, features, .../stride)`."""
        if learns(self.convolution) and isinstance(self.norm, InstanceNorm):
            return normalized_and_activated(self.norm, centred_convolution(self.convolution, x), SLOPE)
        return nn.functional.leaky_relu(self.norm(self.convolution(x)), SLOPE, inplace=True)


class ConvolutionStack(nn.Sequential):
    """Several convolution blocks; the first one strides."""

    def __init__(self, count: int, channels: int, features: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        first = ConvolutionBlock(channels, features, kernel, stride)
        others = [ConvolutionBlock(features, features, kernel, [1] * len(kernel)) for _ in range(count - 1)]
        super().__init__(first, *others)


class ResidualBlock(nn.Module):
    """Two convolutions around which the input is added again; pooled and projected where size or channels change."""

    def __init__(self, channels: int, features: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        dimensions = len(kernel)
        ones = [1] * dimensions
        self.first = ConvolutionBlock(channels, features, kernel, stride)
        self.second = convolution(features, features, kernel, ones)
        self.norm = norm(dimensions, features)
        skip: list[nn.Module] = []
        if max(stride) > 1:
            skip.append(POOLING[dimensions](tuple(stride), tuple(stride)))  # type: ignore[arg-type]
        if channels != features:
            skip += [convolution(channels, features, ones, ones, bias=False), norm(dimensions, features)]
        self.skip = nn.Sequential(*skip)

    def forward(self, x: Tensor) -> Tensor:
        """From `(B, channels, ...)` to `(B, features, .../stride)`."""
        return nn.functional.leaky_relu(self._changes(x) + self.skip(x), SLOPE, inplace=True)

    def _changes(self, x: Tensor) -> Tensor:
        x = self.first(x)
        centred = learns(self.second) and isinstance(self.norm, InstanceNorm)
        return self.norm(centred_convolution(self.second, x) if centred else self.second(x))  # type: ignore[no-any-return]


class Head(nn.Module):
    """A 1x1 convolution to class logits, as a matrix product (oneDNN has no fast path for it)."""

    def __init__(self, features: int, heads: int, dimensions: int) -> None:
        super().__init__()
        self.convolution = CONVOLUTION[dimensions](features, heads, 1)

    def forward(self, x: Tensor) -> Tensor:
        """From `(B, features, ...)` to `(B, heads, ...)`."""
        weight = self.convolution.weight.flatten(1)
        assert self.convolution.bias is not None
        logits = torch.matmul(weight, x.flatten(2)) + self.convolution.bias[:, None]
        return logits.view(x.shape[0], -1, *x.shape[2:])
