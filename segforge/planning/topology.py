"""Spacing and patch size -> how the network downsamples: strides, kernels, and the patch padded to fit them."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from segforge.planning.architecture import Axes

_SMALLEST_FEATURE_MAP = 4


@dataclass(frozen=True, slots=True)
class Topology:
    """How a network goes from the patch to its bottleneck.

    Attributes:
        patch_size: Patch in voxels, padded to a multiple of `divisor`.
        divisor: Per axis, what the size of the patch must be divisible by.
        strides: Stride of each stage; all 1 in the first.
        kernel_sizes: Kernel size of each stage.
    """

    patch_size: Axes
    divisor: Axes
    strides: tuple[Axes, ...]
    kernel_sizes: tuple[Axes, ...]


def plan_topology(spacing: tuple[float, ...], patch_size: Sequence[float], divisible_by: Axes) -> Topology:
    """Pool each axis as long as its size allows it and its spacing is close to the finest (METHOD section 3, topology).

    Args:
        spacing: In mm, one entry per axis.
        patch_size: In voxels; halves, which clipping to a median shape leaves, are rounded up by the padding.
        divisible_by: What the patch must be divisible by besides the strides.
    """
    return _topology(_octaves(spacing), tuple(patch_size), divisible_by)


@functools.lru_cache
def _octaves(spacing: tuple[float, ...]) -> tuple[Axes, ...]:
    """For each pair of axes the smallest n with spacing / other spacing < 2^n: pooling changes it by whole numbers."""
    return tuple(tuple(math.frexp(one / other)[1] for other in spacing) for one in spacing)


@functools.lru_cache(maxsize=4096)
def _topology(octaves: tuple[Axes, ...], patch_size: tuple[float, ...], divisible_by: Axes) -> Topology:
    # Cached: the low resolution is searched in small steps, which shrink the same patches again and again.
    axes = range(len(patch_size))
    sizes, poolings, kernel = list(patch_size), [0] * len(axes), [1] * len(axes)
    strides: list[Axes] = [(1,) * len(axes)]
    kernels: list[Axes] = []
    while pooled := _poolable(octaves, sizes, poolings):
        kernel = [3 if kernel[axis] == 3 or _is_close(axis, axes, octaves, poolings) else 1 for axis in axes]
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in pooled else 1 for axis in axes))
        for axis in pooled:
            poolings[axis] += 1
            sizes[axis] = math.ceil(sizes[axis] / 2)
    kernels.append((3,) * len(axes))
    divisor = tuple(math.lcm(needed, 2**count) for needed, count in zip(divisible_by, poolings, strict=True))
    padded = tuple(math.ceil(size / step) * step for size, step in zip(patch_size, divisor, strict=True))
    return Topology(padded, divisor, tuple(strides), tuple(kernels))


def _poolable(octaves: tuple[Axes, ...], sizes: Sequence[float], poolings: Sequence[int]) -> list[int]:
    """Axes that the next stage halves: large enough, and close to the finest spacing among the large ones."""
    large = [axis for axis, size in enumerate(sizes) if size >= 2 * _SMALLEST_FEATURE_MAP]
    close = [axis for axis in large if _is_close(axis, large, octaves, poolings)]
    return [] if len(close) == 1 and sizes[close[0]] < 3 * _SMALLEST_FEATURE_MAP else close


def _is_close(axis: int, others: Sequence[int], octaves: tuple[Axes, ...], poolings: Sequence[int]) -> bool:
    """Whether the axis has, after the poolings so far, less than twice the spacing of each other axis."""
    return all(octaves[axis][other] + poolings[axis] - poolings[other] <= 1 for other in others)
