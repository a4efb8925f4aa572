"""Resampling as one linear map per axis: for images, label maps and logits.

What an n-dimensional spline does axis by axis, `scipy.ndimage.zoom(grid_mode=True, mode="nearest")` to rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.images.grid import coarse_axis

Array = npt.NDArray[Any]

_SLAB_BYTES = 1 << 26


@dataclass(frozen=True)
class Resampling:
    """How a volume goes from one grid to another.

    Attributes:
        shape: Voxels (z, y, x) before.
        new_shape: Voxels after.
        coarse: The axis along which the nearest slice is taken instead of a spline, or None.
    """

    shape: tuple[int, int, int]
    new_shape: tuple[int, int, int]
    coarse: int | None

    @classmethod
    def between(
        cls,
        shape: Sequence[int],
        new_shape: Sequence[int],
        spacing: Sequence[float],
        new_spacing: Sequence[float],
    ) -> "Resampling":
        """The resampling between two grids; the anisotropy rule looks at the first spacing, then at the second."""
        (z, y, x), (new_z, new_y, new_x) = shape, new_shape
        return cls((z, y, x), (new_z, new_y, new_x), coarse_axis(spacing, new_spacing))

    @property
    def is_identity(self) -> bool:
        """Whether the shape does not change, which means that nothing is done."""
        return self.shape == self.new_shape

    def image(self, channels: Array, order: int) -> Array:
        """Resample `(C, Z, Y, X)` float32; each result is clipped to the range of what was resampled."""
        if self.is_identity:
            return channels
        return np.stack([self._clipped(channel, order) for channel in channels])

    def labels(self, classes: Array, order: int) -> Array:
        """Resample a map `(Z, Y, X)` of integers: each value as a 0/1 volume, the largest wins.

        A tie goes to the value of the nearest input voxel if that is one of the tied ones, else to the smallest.
        """
        if self.is_identity:
            return classes
        nearest = self._nearest(classes)
        best = np.full(self.new_shape, -1.0)
        result = np.zeros(self.new_shape, classes.dtype)
        for value in np.unique(classes):
            score = self._mapped((classes == value).astype(np.float64), order)
            wins = (score > best + _TIE) | ((score > best - _TIE) & (nearest == value))
            best[wins] = score[wins]
            result[wins] = value
        return result

    def logits(self, logits: Array, order: int) -> Iterator[tuple[slice, Array]]:
        """Resample `(H, Z, Y, X)` slab by slab: yields the rows of the first new axis, and logits `(H, rows, Y, X)`."""
        heads = logits.shape[0]
        row_bytes = (
            4
            * heads
            * max(self.new_shape[1] * self.new_shape[2], self.shape[1] * self.shape[2], self.new_shape[1] * self.shape[2])
        )
        rows = max(1, _SLAB_BYTES // row_bytes)
        for begin in range(0, self.new_shape[0], rows):
            slab = slice(begin, min(begin + rows, self.new_shape[0]))
            yield slab, np.stack([self._mapped(head, order, slab) for head in logits])

    def _clipped(self, channel: Array, order: int) -> Array:
        result = self._mapped(channel, order)
        if self.coarse is None:
            return np.clip(result, channel.min(), channel.max(), out=result)
        others = tuple(axis for axis in range(3) if axis != self.coarse)
        rows = _nearest_rows(self.shape[self.coarse], self.new_shape[self.coarse])
        low, high = (function(channel, axis=others, keepdims=True).take(rows, self.coarse) for function in (np.min, np.max))
        return np.clip(result, low, high, out=result)

    def _mapped(self, volume: Array, order: int, slab: slice = slice(None)) -> Array:
        """Apply the three maps, of the first axis only the rows of the slab."""
        for axis in range(3):
            size, new_size = self.shape[axis], self.new_shape[axis]
            chosen = slab if axis == 0 else slice(None)
            if axis == self.coarse or order == 0:
                volume = volume.take(_nearest_rows(size, new_size)[chosen], axis)
            elif size == new_size:
                volume = volume[chosen] if axis == 0 else volume
            else:
                volume = _apply(axis_operator(size, new_size, order)[chosen].astype(volume.dtype), volume, axis)
        return volume

    def _nearest(self, classes: Array) -> Array:
        for axis in range(3):
            classes = classes.take(_nearest_rows(self.shape[axis], self.new_shape[axis]), axis)
        return classes


# Scores of labels that are equal by symmetry differ by rounding.
_TIE = 1e-9


@lru_cache(maxsize=64)
def axis_operator(n_in: int, n_out: int, order: int) -> npt.NDArray[np.float64]:
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
    if order == 1:
        return _linear_operator(n_in, n_out)
    from scipy.ndimage import zoom

    operator = np.empty((n_out, n_in))
    for column in range(n_in):
        impulse = np.zeros(n_in)
        impulse[column] = 1
        operator[:, column] = zoom(impulse, n_out / n_in, order=order, mode="nearest", grid_mode=True)
    return operator


def _linear_operator(n_in: int, n_out: int) -> npt.NDArray[np.float64]:
    position = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    below = np.minimum(position.astype(np.int64), max(n_in - 2, 0))
    operator = np.zeros((n_out, n_in))
    rows = np.arange(n_out)
    operator[rows, below] = 1 - (position - below)
    operator[rows, np.minimum(below + 1, n_in - 1)] += position - below
    return operator


def _nearest_rows(n_in: int, n_out: int) -> npt.NDArray[np.int64]:
    """For each new sample the nearest old one; the exact order of the products decides ties as METHOD says."""
    position = (n_in / n_out) * (np.arange(n_out) + 0.5) - 0.5
    return np.asarray(np.clip(np.floor(position + 0.5), 0, n_in - 1), np.int64)


def _apply(operator: Array, volume: Array, axis: int) -> Array:
    """Multiply one axis of `(Z, Y, X)` by an operator `(new, old)`."""
    if axis == 0:
        used = np.flatnonzero(operator.any(0))
        band = slice(used[0], used[-1] + 1)
        rest = volume.shape[1:]
        return (operator[:, band] @ volume[band].reshape(band.stop - band.start, -1)).reshape(-1, *rest)
    return operator @ volume if axis == 1 else volume @ operator.T
