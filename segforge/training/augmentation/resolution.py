"""Volumes + blur or zoom -> volumes in which fine detail is lost."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from segforge.training.augmentation.parameters import Floats
from segforge.training.augmentation.transfer import on_device

UPSAMPLING = {2: "bilinear", 3: "trilinear"}


def blur(volumes: Tensor, sigmas: Floats) -> Tensor:
    """Blur K volumes by Gaussians, one axis after the other, reflecting at the borders.

    Sums shifted volumes instead of calling a convolution, which on GPUs computes in reduced precision by default.

    Args:
        volumes: `(K, *patch)` float32.
        sigmas: In voxels, `(K, D)`, above 0.
    """
    for axis in range(1, volumes.ndim):
        kernels = gaussian_kernels(sigmas[:, axis - 1])
        weights = on_device(kernels.astype(np.float32).T, volumes.device)
        volumes = _filtered(volumes, weights.view(*weights.shape, *[1] * (volumes.ndim - 1)), axis)
    return volumes


def gaussian_kernels(sigmas: Floats) -> Floats:
    """Gaussians of length 6 sigma + 0.5, to the nearest odd number, that sum to 1.

    Args:
        sigmas: `(K,)`.

    Returns:
        `(K, taps)`, where shorter kernels than the longest one end in zeros on both sides.
    """
    radii = np.floor(3 * sigmas + 0.25)
    reach = radii.max()
    offsets = np.arange(-reach, reach + 1)
    kernels = np.exp(-0.5 * (offsets / sigmas[:, None]) ** 2) * (np.abs(offsets) <= radii[:, None])
    normalized: Floats = kernels / kernels.sum(axis=1, keepdims=True)
    return normalized


def median_filter(volume: Tensor, window: int) -> Tensor:
    """The median of an odd window along each axis of one volume `(*patch)`, one axis after the other."""
    for axis in range(volume.ndim):
        length = volume.shape[axis]
        padded = volume.index_select(axis, on_device(_reflected(length, window // 2), volume.device))
        volume = torch.stack([padded.narrow(axis, tap, length) for tap in range(window)]).median(0).values
    return volume


def lower_resolution(volume: Tensor, size: Sequence[int]) -> Tensor:
    """Sample one volume `(*patch)` down to a size by nearest neighbours and back up linearly."""
    small = interpolate(volume[None, None], tuple(size), mode="nearest-exact")
    return interpolate(small, tuple(volume.shape), mode=UPSAMPLING[volume.ndim])[0, 0]


def zoomed_size(size: Sequence[int], zoom: float, first_axis: int) -> tuple[int, ...]:
    """Size that is left of a volume, axes before `first_axis` being spared."""
    return (*size[:first_axis], *(max(1, round(length * zoom)) for length in size[first_axis:]))


def _filtered(volumes: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Correlate along one axis: volumes `(K, *patch)`, weights `(taps, K, 1, ...)`."""
    length = volumes.shape[axis]
    reach = len(weights) // 2
    padded = volumes.index_select(axis, on_device(_reflected(length, reach), volumes.device))
    result = padded.narrow(axis, 0, length) * weights[0]
    for tap in range(1, len(weights)):
        result.addcmul_(padded.narrow(axis, tap, length), weights[tap])
    return result


def _reflected(length: int, reach: int) -> NDArray[np.int64]:
    """Indices of an axis that is continued by `reach` on both sides, mirrored at its first and last voxel."""
    if length == 1:
        return np.zeros(1 + 2 * reach, dtype=np.int64)
    period = 2 * (length - 1)
    folded = np.arange(-reach, length + reach) % period
    return np.minimum(folded, period - folded)
