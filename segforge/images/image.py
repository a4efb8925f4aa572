"""An image in memory: voxels in array order, and where they lie in the world."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt
from pydantic import Base64Bytes

from segforge.errors import SegForgeError

Array = npt.NDArray[Any]

PLANE_THICKNESS = 999
"""Slice distance of a plane, as a multiple of its larger pixel size: no two slices belong together."""

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

_RIGHT_ANGLES = 1e-3


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of an image lie; 2D images have one slice.

    Attributes:
        shape: Voxels along (z, y, x).
        spacing: Voxel size along (z, y, x) in mm.
        origin: World position (x, y, z) of the first voxel's centre in mm, ITK's axes (left, posterior, superior).
        direction: Row-major 3x3 matrix from the array's (x, y, z) axes to the world's.
        is_2d: Whether the file holds a plane, not a volume.
        header: The NIfTI header that the numbers came from, so that a NIfTI file on this grid carries the very same bits.
        stored: The grid of the file, if the axes were brought into another order when it was read.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY
    is_2d: bool = False
    header: Base64Bytes | None = field(default=None, repr=False)
    stored: Union["Geometry", None] = field(default=None, repr=False)


@dataclass(frozen=True)
class Image:
    """Voxels `(C, Z, Y, X)` with their geometry."""

    array: Array
    geometry: Geometry


def checked(geometry: Geometry, path: Path) -> Geometry:
    """The geometry that a file claims, once it is known to be one.

    Raises:
        SegForgeError: If a number is not finite, a voxel size not above 0, or the axes are not at right angles.
    """
    numbers = (*geometry.spacing, *geometry.origin, *geometry.direction)
    if not np.isfinite(numbers).all() or min(geometry.spacing) <= 0:
        raise SegForgeError(
            f"{path} has a voxel size or position that is not a number above 0: "
            f"spacing {geometry.spacing}, origin {geometry.origin}. Export it again."
        )
    if not are_at_right_angles(np.array(geometry.direction).reshape(3, 3)):
        raise SegForgeError(f"{path} has axes that are not at right angles. Resample it to a regular grid.")
    return geometry


def are_at_right_angles(axes: Array) -> bool:
    """Whether the columns of a 3x3 matrix are unit vectors at right angles."""
    return bool(np.allclose(axes.T @ axes, np.eye(3), atol=_RIGHT_ANGLES))


def geometry_difference(first: Geometry, second: Geometry, tolerance: float = 1e-3) -> str | None:
    """How two grids differ, in words with both values, or None if they agree.

    Args:
        first: One grid.
        second: The other.
        tolerance: Largest difference of spacing, origin (in voxels) and direction that still counts as equal.
    """
    if first.shape != second.shape:
        return f"shape {first.shape} against {second.shape}"
    if not np.allclose(first.spacing, second.spacing, rtol=tolerance, atol=0):
        return f"spacing {rounded(first.spacing)} against {rounded(second.spacing)}"
    voxel = min(first.spacing)
    if not np.allclose(first.origin, second.origin, rtol=0, atol=tolerance * voxel):
        return f"origin {rounded(first.origin)} against {rounded(second.origin)}"
    if not np.allclose(first.direction, second.direction, rtol=0, atol=tolerance):
        return f"direction {rounded(first.direction)} against {rounded(second.direction)}"
    return None


def rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    """Numbers of a grid as a message shows them."""
    return tuple(round(value, 4) for value in values)
