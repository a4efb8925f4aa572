"""A single slice is a plane: its volume is an area, its surface a contour."""

import math
from collections.abc import Sequence


def real_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """The axes along which an image extends: all, or those of the plane if it has a single slice."""
    slice_axis = shape.index(1) if 1 in shape else None
    return tuple(axis for axis in range(len(shape)) if axis != slice_axis)


def voxel_size(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Volume of a voxel in mm³, or area of a plane's pixel in mm²."""
    return math.prod(spacing[axis] for axis in real_axes(shape))
