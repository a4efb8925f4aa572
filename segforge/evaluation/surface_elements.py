"""The surface of a mask as small pieces between its voxels, each with its area; in a plane the contour and its lengths.

A piece lies in the middle of every 2x2x2 neighbourhood that is partly inside. Its area is that of the triangles which
classic marching cubes (Lorensen and Cline, 1987) draws for these eight voxels; more than four inside are taken as what
they leave outside. These are the areas of Google DeepMind's surface-distance, the definition of several challenges.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def surface_elements(mask: npt.NDArray[np.bool_], spacing: Sequence[float]) -> tuple[Array, Array]:
    """Positions and sizes of the pieces of a mask's surface; what touches the border of the array has a surface there.

    Args:
        mask: `(Z, Y, X)`, or `(Y, X)`.
        spacing: Voxel size per axis in mm.

    Returns:
        Positions `(pieces, axes)` in voxels, half a voxel from voxel centres, and areas in mm² or lengths in mm.
    """
    codes = _neighbourhoods(mask)
    sizes = element_sizes(tuple(spacing))
    is_surface = (codes != 0) & (codes != len(sizes) - 1)
    return np.argwhere(is_surface) - 0.5, sizes[codes[is_surface]]


@lru_cache(maxsize=64)
def element_sizes(spacing: tuple[float, ...]) -> Array:
    """Area, or length, of the piece in each neighbourhood, by its code: the sum of 2^i over the voxels i inside."""
    size = _contour_length if len(spacing) == 2 else _surface_area
    count = 2 ** len(spacing)
    sizes = np.zeros(2**count)
    for code in range(1, len(sizes) - 1):
        inside = np.array([code >> bit & 1 for bit in range(count)], bool).reshape((2,) * len(spacing))
        sizes[code] = size(~inside if 2 * inside.sum() > count else inside, spacing)
    return sizes


def _neighbourhoods(mask: npt.NDArray[np.bool_]) -> Array:
    """Code of the neighbourhood below each voxel, one more per axis than there are voxels."""
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros([size + 1 for size in mask.shape], np.uint8)
    for bit, offset in enumerate(product((0, 1), repeat=mask.ndim)):
        codes |= padded[tuple(slice(begin, begin + size) for begin, size in zip(offset, codes.shape, strict=True))] << bit
    return codes


def _surface_area(inside: npt.NDArray[np.bool_], spacing: tuple[float, ...]) -> float:
    from skimage.measure import marching_cubes, mesh_surface_area

    vertices, faces, _, _ = marching_cubes(inside.astype(np.float32), 0.5, method="lorensen")
    return float(mesh_surface_area(vertices * np.array(spacing), faces))


def _contour_length(inside: npt.NDArray[np.bool_], spacing: tuple[float, ...]) -> float:
    """A straight line between opposite sides; else one that cuts off each corner that is inside."""
    corners = int(inside.sum())
    if corners == 2 and inside[0, 0] != inside[1, 1]:
        return spacing[1] if inside[0, 0] == inside[0, 1] else spacing[0]
    return corners * math.hypot(*spacing) / 2
