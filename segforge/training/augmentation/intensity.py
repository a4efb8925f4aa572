"""Volumes + factors -> volumes with other intensities: noise, brightness, contrast, gamma.

Every function takes K volumes at once, `(K, *patch)` float32, with one factor each, `(K,)`, and returns new ones.
"""

import torch
from torch import Tensor

SMALLEST_DIVISOR = 1e-7


def add_noise(volumes: Tensor, sigma: float, seed: int) -> Tensor:
    """Add Gaussian noise of one standard deviation; on CPU it is a function of the seed and the shape alone."""
    generator = torch.Generator(volumes.device).manual_seed(seed)
    noise = torch.randn(volumes.shape, generator=generator, device=volumes.device, dtype=volumes.dtype)
    return noise.mul_(sigma).add_(volumes)


def scale_brightness(volumes: Tensor, factors: Tensor) -> Tensor:
    """Multiply each volume by its factor."""
    return volumes * _per_volume(factors, volumes)


def add_brightness(volumes: Tensor, summands: Tensor) -> Tensor:
    """Add its summand to each volume."""
    return volumes + _per_volume(summands, volumes)


def stretch_contrast(volumes: Tensor, factors: Tensor) -> Tensor:
    """Move intensities away from the volume's mean, or towards it, beyond the range that they had too."""
    mean = volumes.flatten(1).mean(1)
    return _per_volume(mean, volumes).lerp(volumes, _per_volume(factors, volumes))


def sharpen(volumes: Tensor, strengths: Tensor) -> Tensor:
    """Subtract strength times the discrete Laplacian, within the range that the volume had; borders are continued."""
    voxels = volumes.flatten(1)
    result = volumes.clone()
    for axis in range(1, volumes.ndim):
        edges = [volumes.narrow(axis, 0, 1), volumes, volumes.narrow(axis, volumes.shape[axis] - 1, 1)]
        difference = torch.cat(edges, axis).diff(dim=axis)
        result.sub_(difference.diff(dim=axis) * _per_volume(strengths, volumes))
    lowest, highest = voxels.amin(1), voxels.amax(1)
    return result.clamp_(_per_volume(lowest, volumes), _per_volume(highest, volumes))


def scale_contrast(volumes: Tensor, factors: Tensor) -> Tensor:
    """Move intensities away from the volume's mean, or towards it, within the range that they had."""
    voxels = volumes.flatten(1)
    mean = voxels.mean(1, keepdim=True)
    scaled = (voxels - mean).mul_(factors[:, None]).add_(mean)
    return scaled.clamp_(voxels.amin(1, keepdim=True), voxels.amax(1, keepdim=True)).view_as(volumes)


def apply_gamma(volumes: Tensor, exponents: Tensor) -> Tensor:
    """Raise each volume, scaled to 0-1, to its exponent; range, then mean and standard deviation, are restored."""
    voxels = volumes.flatten(1)
    lowest = voxels.amin(1, keepdim=True)
    extent = voxels.amax(1, keepdim=True) - lowest
    raised = (voxels - lowest).div_(extent.clamp(min=SMALLEST_DIVISOR)).pow_(exponents[:, None])
    raised.mul_(extent).add_(lowest)
    mean, deviation = voxels.mean(1, keepdim=True), voxels.std(1, keepdim=True)
    correction = deviation / raised.std(1, keepdim=True).clamp(min=SMALLEST_DIVISOR)
    return raised.sub_(raised.mean(1, keepdim=True)).mul_(correction).add_(mean).view_as(volumes)


def apply_inverted_gamma(volumes: Tensor, exponents: Tensor) -> Tensor:
    """`apply_gamma` on the negated volumes, negated back."""
    return apply_gamma(-volumes, exponents).neg_()


def _per_volume(factors: Tensor, volumes: Tensor) -> Tensor:
    """Factors `(K,)` in a shape that broadcasts over `(K, *patch)`."""
    return factors.view(-1, *[1] * (volumes.ndim - 1))
