"""The linear map that resamples one axis of a volume, applied to as much of the axis as is needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.compute.arrays import namespace
from segforge.preprocessing.label_votes import Neighbours

Array = npt.NDArray[Any]
Matrix = npt.NDArray[np.float64]

NEAREST = 0
"""The order that takes the nearest sample."""

_BLOCK = 32  # rows that are multiplied at once: each needs a few columns more than the last
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class AxisMap:
    """How one axis is resampled.

    Attributes:
        n_in: Samples before.
        n_out: Samples after.
        order: Of the spline; 0 takes the nearest sample.
    """

    n_in: int
    n_out: int
    order: int

    def neighbours(self) -> Neighbours:
        """The old samples around each new one, for order 0 or 1.

        Raises:
            ValueError: For a higher order, for which all of them count.
        """
        if self.order > 1:
            raise ValueError(f"labels are resampled by order 0 or 1, not {self.order}")
        if self.order == NEAREST or self.n_in == self.n_out:
            nearest = nearest_samples(self.n_in, self.n_out)
            return Neighbours(nearest, nearest, np.zeros(self.n_out))
        below, share = _linear_samples(self.n_in, self.n_out)
        return Neighbours(below, np.minimum(below + 1, self.n_in - 1), share)

    def needed(self, rows: slice, within: slice) -> slice:
        """The old samples that some new ones need, of those within a range; empty if they need others only."""
        first, last = _support(self.n_in, self.n_out, self.order)
        begin = max(within.start, int(first[rows].min()))
        return slice(begin, max(begin, min(within.stop, int(last[rows].max()) + 1)))

    def apply(self, volume: Array, axis: int, columns: slice, rows: slice) -> Array:
        """The new samples `rows` along an axis of `(Z, Y, X)` whose old samples are `columns`, all others being 0.

        Computed where the volume lies: it may be a tensor on a device. An axis that stays gives a view.
        """
        if self.n_in == self.n_out:
            index = slice(rows.start - columns.start, rows.stop - columns.start)
            return volume[(*[slice(None)] * axis, index)]
        if self.order == NEAREST:
            nearest = nearest_samples(self.n_in, self.n_out)[rows] - columns.start
            taken: Array = volume[(*[slice(None)] * axis, nearest)]
            return taken
        module, shape = namespace(volume), list(volume.shape)
        shape[axis] = rows.stop - rows.start
        result: Array = module.empty(shape, dtype=volume.dtype, device=volume.device)
        for block, used, matrix in self._blocks(columns, rows):
            weights = module.asarray(matrix, dtype=volume.dtype, device=volume.device)
            _multiply(weights, volume, axis, used, result, block)
        return result

    def _blocks(self, columns: slice, rows: slice) -> Iterator[tuple[slice, slice, Matrix]]:
        """Parts of the matrix: their rows in the result, their columns in the volume, and the weights."""
        operator = _weights(self.n_in, self.n_out, self.order)
        first, last = _support(self.n_in, self.n_out, self.order)
        for begin in range(rows.start, rows.stop, _BLOCK):
            end = min(begin + _BLOCK, rows.stop)
            low = max(columns.start, int(first[begin:end].min()))
            high = max(low, min(columns.stop, int(last[begin:end].max()) + 1))
            block, used = slice(begin - rows.start, end - rows.start), slice(low - columns.start, high - columns.start)
            yield block, used, operator[begin:end, low:high]


@lru_cache(maxsize=64)
def axis_operator(n_in: int, n_out: int, order: int) -> Matrix:
    """Linear map that resamples one axis by a B-spline of the given order.

    Equals `scipy.ndimage.zoom(..., grid_mode=True, mode="nearest")` along that axis: samples at
    (i + 0.5) * n_in / n_out - 0.5, the border continued by its outermost value.

    Args:
        n_in: Samples along the axis before resampling.
        n_out: Samples after it.
        order: Spline order, 1 (linear) or 3 (cubic).

    Returns:
        Matrix of shape `(n_out, n_in)`, float64.
    """
    if n_in == n_out:
        return np.eye(n_in)
    if order == 1:
        return _linear_operator(n_in, n_out)
    from scipy.ndimage import zoom

    operator = np.empty((n_out, n_in))
    for column in range(n_in):
        impulse = np.zeros(n_in)
        impulse[column] = 1
        operator[:, column] = zoom(impulse, n_out / n_in, order=order, mode="nearest", grid_mode=True)
    return operator


@lru_cache(maxsize=64)
def nearest_samples(n_in: int, n_out: int) -> npt.NDArray[np.int64]:
    """For each new sample the nearest old one; the exact order of the products decides ties as METHOD says."""
    position = (n_in / n_out) * (np.arange(n_out) + 0.5) - 0.5
    return np.asarray(np.clip(np.floor(position + 0.5), 0, n_in - 1), np.int64)


@lru_cache(maxsize=64)
def _weights(n_in: int, n_out: int, order: int) -> Matrix:
    """The operator without weights that float32 cannot tell from 0.

    A cubic spline's fall to a quarter from sample to sample, and soon to numbers with which processors are slow.
    """
    operator = axis_operator(n_in, n_out, order)
    return np.where(np.abs(operator) < _NEGLIGIBLE, 0.0, operator)


@lru_cache(maxsize=64)
def _support(n_in: int, n_out: int, order: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each new sample the first and the last old one that counts."""
    if order == NEAREST:
        return nearest_samples(n_in, n_out), nearest_samples(n_in, n_out)
    counts = _weights(n_in, n_out, order) != 0
    return counts.argmax(1), n_in - 1 - counts[:, ::-1].argmax(1)


def _linear_operator(n_in: int, n_out: int) -> Matrix:
    below, share = _linear_samples(n_in, n_out)
    operator = np.zeros((n_out, n_in))
    rows = np.arange(n_out)
    operator[rows, below] = 1 - share
    operator[rows, np.minimum(below + 1, n_in - 1)] += share
    return operator


def _linear_samples(n_in: int, n_out: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """For each new sample the old one before it, and what the one behind that counts."""
    position = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    below = np.minimum(position.astype(np.int64), max(n_in - 2, 0))
    return below, position - below


def _multiply(matrix: Array, volume: Array, axis: int, used: slice, result: Array, block: slice) -> None:
    matmul = namespace(volume).matmul
    if axis == 0:
        flat = volume[used].reshape(matrix.shape[1], -1)
        matmul(matrix, flat, out=result[block].reshape(len(matrix), -1))
    elif axis == 1:
        matmul(matrix, volume[:, used], out=result[:, block])
    else:
        matmul(volume[..., used], matrix.T, out=result[..., block])
