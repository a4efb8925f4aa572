"""Where the tiles of a sliding window lie, and how much each of their voxels counts."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

_SIGMA_SHARE = 1 / 8
_TRUNCATE = 4.0


def tile_corners(size: Sequence[int], patch: Sequence[int], step: float) -> list[tuple[int, ...]]:
    """Lower corners of the tiles that cover a volume.

    Args:
        size: Voxels per axis, at least the patch.
        patch: Voxels of a tile.
        step: Distance of tiles as a share of the patch, above 0 and at most 1.
    """
    return list(product(*(_axis_corners(length, tile, step) for length, tile in zip(size, patch, strict=True))))


def gaussian_weights(patch: Sequence[int]) -> npt.NDArray[np.float32]:
    """Weight of each voxel of a tile: a Gaussian about its centre, sigma an eighth of the patch, at most 1.

    Rounded to float16 as in METHOD, section 6; zeros become the smallest positive weight.
    """
    weights = np.ones(())
    for size in patch:
        weights = np.multiply.outer(weights, _impulse_response(size))
    half = (weights / weights.max()).astype(np.float16)
    half[half == 0] = half[half > 0].min()
    return np.asarray(half, np.float32)


def _axis_corners(size: int, patch: int, step: float) -> list[int]:
    count = math.ceil((size - patch) / (patch * step)) + 1
    if count == 1:
        return [0]
    return [round(index * (size - patch) / (count - 1)) for index in range(count)]


def _impulse_response(size: int) -> npt.NDArray[np.float64]:
    """An impulse at size // 2 through a Gaussian filter that is cut at four sigma."""
    sigma = size * _SIGMA_SHARE
    distance = np.arange(size) - size // 2
    response = np.exp(-0.5 * (distance / sigma) ** 2)
    response[np.abs(distance) > int(_TRUNCATE * sigma + 0.5)] = 0
    return response
