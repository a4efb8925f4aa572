"""Case spacings and shapes -> the grid that all cases are resampled to: target spacing, axis order, median shape."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Vector = tuple[float, ...]

ANISOTROPY = 3.0
"""An axis is coarse when its spacing is this many times larger than the others, and its size as many times smaller."""

_COARSE_SHARE = 0.1


@dataclass(frozen=True)
class TargetSpacing:
    """The spacing that cases are resampled to, and how it came about; all in stored axis order.

    Attributes:
        spacing: Target spacing in mm.
        median_spacing: Median spacing of the cases in mm.
        median_shape: Median shape of the cases after cropping, in voxels.
        widest: The axis of largest median spacing.
        anisotropic: Whether that axis gets the low percentile of its spacings instead of the median.
        given: Whether the user chose the spacing.
    """

    spacing: Vector
    median_spacing: Vector
    median_shape: Vector
    widest: int
    anisotropic: bool
    given: bool = False


@dataclass(frozen=True)
class Grid:
    """The common grid of a data set at full resolution, axes in transposed order.

    Attributes:
        target: The decision on the spacing.
        transpose: Stored axis that each axis of the grid comes from.
        spacing: Target spacing in mm.
        median_shape: Median shape of the cases on this grid, in voxels; halves for an even number of cases.
    """

    target: TargetSpacing
    transpose: tuple[int, int, int]
    spacing: Vector
    median_shape: Vector


def target_spacing(spacings: Floats, shapes: Floats, given: Vector | None = None) -> TargetSpacing:
    """Spacing of the full resolution (METHOD section 3): the median, but finer along an axis that is coarse.

    Args:
        spacings: Spacing of each case in mm, `(cases, 3)`.
        shapes: Shape of each case after cropping in voxels, `(cases, 3)`.
        given: The user's spacing in mm, which takes the place of the rule.
    """
    median, size = median_of_cases(spacings), median_of_cases(shapes)
    widest = median.index(max(median))
    others = [axis for axis in range(3) if axis != widest]
    next_spacing, next_size = max(median[axis] for axis in others), min(size[axis] for axis in others)
    anisotropic = median[widest] > ANISOTROPY * next_spacing and size[widest] * ANISOTROPY < next_size
    spacing = list(median)
    if anisotropic:
        low = percentile(spacings[:, widest].tolist(), _COARSE_SHARE)
        spacing[widest] = low if low >= next_spacing else next_spacing + 1e-5
    return TargetSpacing(given or tuple(spacing), median, size, widest, anisotropic, given is not None)


def median_of_cases(values: Floats) -> Vector:
    """Median of each axis of `(cases, 3)` values."""
    # As np.median, whose first call imports masked arrays for 30 ms: a third of the time that all presets may take.
    ordered, cases = np.sort(values, axis=0), len(values)
    return tuple(((ordered[(cases - 1) // 2] + ordered[cases // 2]) / 2).tolist())


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values lie below, interpolated linearly; as `np.percentile`, for the same reason."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    weight = position - below
    return low + (high - low) * weight if weight < 0.5 else high - (high - low) * (1 - weight)


def transpose_order(spacing: Sequence[float]) -> tuple[int, int, int]:
    """Axis order that puts the axis of largest spacing first and keeps the order of the others."""
    first = list(spacing).index(max(spacing))
    second, third = (axis for axis in range(3) if axis != first)
    return first, second, third


def transposed(values: Sequence[float], order: tuple[int, int, int]) -> tuple[float, float, float]:
    """One value per stored axis, in the new order."""
    return values[order[0]], values[order[1]], values[order[2]]


def resampled_shapes(shapes: Floats, spacings: Floats, spacing: Vector) -> Floats:
    """Shape of each case at another spacing in voxels, `(cases, 3)`: rounded half to even, at least one voxel."""
    shapes_there: Floats = np.round(spacings / np.array(spacing) * shapes)
    return shapes_there.clip(min=1.0)


def plan_grid(
    target: TargetSpacing, transpose: tuple[int, int, int], spacings: Floats, shapes: Floats, *, resampled: bool
) -> Grid:
    """The grid of a target spacing and axis order; the median shape is that of the cases as they are if none is resampled."""
    sizes = resampled_shapes(shapes, spacings, target.spacing) if resampled else shapes
    median_shape = median_of_cases(sizes)
    return Grid(target, transpose, transposed(target.spacing, transpose), transposed(median_shape, transpose))


def voxels(shape: Sequence[float]) -> float:
    """Number of voxels of a shape, which may have halves."""
    return math.prod(float(size) for size in shape)


def whole(shape: Vector) -> Vector:
    """The shape in whole voxels, rounded half to even, at least one."""
    return tuple(max(float(round(size)), 1.0) for size in shape)
