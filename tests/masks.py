"""Masks for the tests: balls, boxes and random blobs."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Mask = npt.NDArray[np.bool_]


def ball(shape: Sequence[int], centre: Sequence[float], radius: float, spacing: Sequence[float]) -> Mask:
    """Voxels whose centres are within a radius in mm of a centre in mm."""
    offsets = [(np.arange(n) * s - c) ** 2 for n, s, c in zip(shape, spacing, centre, strict=True)]
    return sum(np.meshgrid(*offsets, indexing="ij")) <= radius**2


def box(shape: Sequence[int], *ranges: tuple[int, int]) -> Mask:
    """Voxels from the first to before the second index along each axis."""
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*limits) for limits in ranges)] = True
    return mask


def blob(shape: Sequence[int], seed: int) -> Mask:
    """A random smooth mask of many pieces that touches the border."""
    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5) > 0.08
