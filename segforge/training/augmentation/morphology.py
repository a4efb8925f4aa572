"""A mask and a radius -> the mask grown, shrunk, closed or opened by a ball (a disk in the plane).

Combines shifted masks instead of counting by a convolution: exact on every device, whatever its precision.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def dilate(mask: Tensor, radius: float) -> Tensor:
    """Every voxel that has one of the mask `(y, x)` or `(z, y, x)` in the ball around it; none lies beyond the border."""
    footprint = _footprint(mask.ndim, radius)
    before = [(size - 1) // 2 for size in footprint.shape]
    pads = [pad for size, low in zip(footprint.shape[::-1], before[::-1], strict=True) for pad in (low, size - 1 - low)]
    padded = torch.nn.functional.pad(mask, pads)
    along = torch.zeros_like(padded.narrow(-1, 0, mask.shape[-1]))
    result, done = torch.zeros_like(mask), set[int]()
    for columns, rows in _rows_by_columns(footprint):
        for column in set(columns) - done:
            along |= padded.narrow(-1, column, mask.shape[-1])
        done |= set(columns)
        for row in rows:
            result |= _window(along, row, mask.shape)
    return result


def erode(mask: Tensor, radius: float) -> Tensor:
    """Every voxel whose ball lies in the mask; beyond the border all belongs to it."""
    return ~dilate(~mask, radius)


def closing(mask: Tensor, radius: float) -> Tensor:
    """Dilate, then erode."""
    return erode(dilate(mask, radius), radius)


def opening(mask: Tensor, radius: float) -> Tensor:
    """Erode, then dilate."""
    return dilate(erode(mask, radius), radius)


OPERATORS: tuple[Callable[[Tensor, float], Tensor], ...] = (dilate, erode, closing, opening)
"""The ways to change a mask, by number."""


def _footprint(axes: int, radius: float) -> NDArray[np.bool_]:
    """The ball as scikit-image draws it: for radii that are no whole number its centre lies between voxels."""
    from skimage.morphology import ball, disk

    drawn: NDArray[np.bool_] = (ball if axes == 3 else disk)(radius, dtype=np.bool_)  # type: ignore[no-untyped-call]
    return drawn


def _rows_by_columns(footprint: NDArray[np.bool_]) -> list[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """The columns that are set in the footprint's rows, the fewest first (each holds the one before), and those rows."""
    rows = defaultdict(list)
    for row in np.ndindex(footprint.shape[:-1]):
        rows[tuple(np.flatnonzero(footprint[row]).tolist())].append(row)
    rows.pop((), None)
    return sorted(rows.items(), key=lambda item: len(item[0]))


def _window(padded: Tensor, corner: Sequence[int], shape: Sequence[int]) -> Tensor:
    for axis, low in enumerate(corner):
        padded = padded.narrow(axis, low, shape[axis])
    return padded
