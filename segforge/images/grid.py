"""Arithmetic of grids: shapes at another spacing, and the axis that is too coarse for a spline."""

from collections.abc import Sequence

ANISOTROPY = 3.0


def new_shape(shape: Sequence[int], spacing: Sequence[float], new_spacing: Sequence[float]) -> tuple[int, ...]:
    """Voxels per axis of the same region at another spacing, rounded half to even, at least 1."""
    return tuple(max(round(old / new * size), 1) for size, old, new in zip(shape, spacing, new_spacing, strict=True))


def coarse_axis(spacing: Sequence[float], new_spacing: Sequence[float]) -> int | None:
    """The axis that is resampled by its nearest slice, or None.

    It is the axis of the largest spacing where that is more than three times the smallest; the spacing before
    resampling is asked first, then the one after. Where several axes share the maximum there is none.
    """
    for asked in (spacing, new_spacing):
        if max(asked) / min(asked) > ANISOTROPY:
            largest = [axis for axis, size in enumerate(asked) if size == max(asked)]
            return largest[0] if len(largest) == 1 else None
    return None
