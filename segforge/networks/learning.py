"""A block's operations while gradients are recorded: the same numbers with less work, most of it backwards."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Convolution = nn.Conv2d | nn.Conv3d
InstanceNorm = nn.InstanceNorm2d | nn.InstanceNorm3d
Transposed = nn.ConvTranspose2d | nn.ConvTranspose3d


def learns(layer: nn.Module) -> bool:
    """Whether gradients of a layer's weights are recorded now."""
    weight = layer.weight
    return torch.is_grad_enabled() and isinstance(weight, Tensor) and weight.requires_grad


def centred_convolution(convolution: Convolution, x: Tensor) -> Tensor:
    """A convolution without its bias, for what is brought to mean 0 anyway: the bias has no effect and no gradient."""
    convolve = functional.conv3d if isinstance(convolution, nn.Conv3d) else functional.conv2d
    return convolve(x, convolution.weight, None, convolution.stride, convolution.padding)


def normalized_and_activated(norm: InstanceNorm, x: Tensor, slope: float) -> Tensor:
    """Instance norm and leaky ReLU of `(B, C, ...)`.

    PyTorch's instance norm is a batch norm of `(1, B * C, ...)` too, but gives a view, and what is done in place to a view is
    copied twice when gradients flow back.
    """
    samples, channels = x.shape[:2]
    assert norm.weight is not None
    scale, shift = norm.weight.repeat(samples), norm.bias.repeat(samples)
    flat = x.reshape(1, samples * channels, *x.shape[2:])
    result = functional.batch_norm(flat, None, None, scale, shift, training=True, eps=norm.eps)
    return functional.leaky_relu(result, slope, inplace=True).view(x.shape)


def upsampled(transposed: Transposed, x: Tensor) -> Tensor:
    """A transposed convolution whose kernel is its stride, as a matrix product: oneDNN has no fast path for it."""
    channels, features, *kernel = transposed.weight.shape
    samples, size = len(x), x.shape[2:]
    weight = transposed.weight.reshape(channels, -1).t().expand(samples, -1, -1)
    assert transposed.bias is not None
    bias = transposed.bias.repeat_interleave(weight.shape[1] // features)[:, None]
    parts = torch.baddbmm(bias, weight, x.flatten(2)).view(samples, features, *kernel, *size)
    return _interleaved(parts, len(kernel)).reshape(samples, features, *(n * k for n, k in zip(size, kernel, strict=True)))


def _interleaved(parts: Tensor, dimensions: int) -> Tensor:
    """From `(B, C, kernel ..., size ...)` to `(B, C, size, kernel, size, kernel ...)`."""
    order: Sequence[int] = [axis for k in range(dimensions) for axis in (2 + dimensions + k, 2 + k)]
    return parts.permute(0, 1, *order)
