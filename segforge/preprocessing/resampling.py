"""Resampling as one linear map per axis, slab by slab: for images, label maps and logits.

What an n-dimensional spline does axis by axis, `scipy.ndimage.zoom(grid_mode=True, mode="nearest")` to rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.images.crop import Box, bounding_box
from segforge.images.grid import coarse_axis
from segforge.planning.plans import SPLINE, UNCHANGED
from segforge.plugins import find
from segforge.preprocessing.axis_maps import NEAREST, AxisMap

Array = npt.NDArray[Any]
Shape = tuple[int, int, int]

SLAB_BYTES = 1 << 25
"""Most bytes of what is made of a volume at once on the way."""

_TIE = 1e-9  # scores of labels that are equal by symmetry differ by rounding


RESAMPLINGS = dict.fromkeys((SPLINE, UNCHANGED), "segforge.preprocessing.resampling:Resampling")


def find_resampling(method: str) -> type["Resampling"]:
    """The class of that name; one of a plug-in has the methods of `Resampling`.

    Raises:
        SegForgeError: If there is none; gives the nearest.
    """
    found: type[Resampling] = find("resamplings", method, RESAMPLINGS)
    return found


@dataclass(frozen=True)
class Resampling:
    """How a volume goes from one grid to another.

    Attributes:
        shape: Voxels (z, y, x) before.
        new_shape: Voxels after.
        coarse: The axis along which the nearest slice is taken instead of a spline, or None.
    """

    shape: Shape
    new_shape: Shape
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
        result = np.empty((len(channels), *self.new_shape), channels.dtype)
        for channel, resampled in zip(channels, result, strict=True):
            low, high = self._range(channel)
            for slab in self._slabs(channel.itemsize):
                rows = slab if self.coarse == 0 else slice(None)
                np.clip(self._mapped(channel, order, slab), low[rows], high[rows], out=resampled[slab])
        return result

    def labels(self, classes: Array, order: int) -> Array:
        """Resample a map `(Z, Y, X)` of integers: each value as a 0/1 volume, the largest wins.

        A tie goes to the value of the nearest input voxel if that is one of the tied ones, else to the smallest. Each value
        is looked at only where it has a share.
        """
        if self.is_identity:
            return classes
        result = self._mapped(classes, NEAREST, slice(0, self.new_shape[0]))
        if order == NEAREST:
            return result
        counts = _counts(classes)
        *others, most = sorted(counts, key=lambda value: counts[value])
        boxes = [(value, bounding_box(classes == value)) for value in others]
        for slab in self._slabs(np.dtype(np.float64).itemsize) if boxes else ():
            vote = _Vote(result[slab])
            for value, box in boxes:
                vote.add(value, *self._score(classes, value, box, slab, order))
            vote.add_rest(most)
        return result

    def logits(self, logits: Array, order: int) -> Iterator[tuple[slice, Array]]:
        """Resample `(H, Z, Y, X)` slab by slab: yields the rows of the first new axis, and logits `(H, rows, Y, X)`."""
        for slab in self._slabs(logits.itemsize * len(logits)):
            yield slab, np.stack([self._mapped(head, order, slab) for head in logits])

    def _slabs(self, bytes_per_voxel: int) -> Iterator[slice]:
        """Rows of the first new axis, as many as keep what is made on the way small."""
        (_, y, x), (depth, new_y, new_x) = self.shape, self.new_shape
        rows = max(1, SLAB_BYTES // (bytes_per_voxel * max(y * x, new_y * x, new_y * new_x)))
        for begin in range(0, depth, rows):
            yield slice(begin, min(begin + rows, depth))

    def _maps(self, order: int) -> list[AxisMap]:
        return [
            AxisMap(size, new_size, NEAREST if axis == self.coarse else order)
            for axis, (size, new_size) in enumerate(zip(self.shape, self.new_shape, strict=True))
        ]

    def _mapped(self, volume: Array, order: int, slab: slice) -> Array:
        """Apply the three maps, of the first axis only to the rows of the slab."""
        for axis, axis_map in enumerate(self._maps(order)):
            rows = slab if axis == 0 else slice(0, axis_map.n_out)
            volume = axis_map.apply(volume, axis, slice(0, axis_map.n_in), rows)
        return volume

    def _score(self, classes: Array, value: int, box: Box, slab: slice, order: int) -> tuple[Array, tuple[slice, ...]]:
        """The share of a value, which lies in a box, in the new voxels that it reaches, and where in the slab they are."""
        maps = self._maps(order)
        columns = [maps[0].needed(slab, within=box.slices[0]), *box.slices[1:]]
        score, place = (classes[tuple(columns)] == value).astype(np.float64), []
        for axis, axis_map in enumerate(maps):
            rows = slab if axis == 0 else slice(0, axis_map.n_out)
            reached = axis_map.reached(columns[axis], rows)
            score = axis_map.apply(score, axis, columns[axis], reached)
            place.append(slice(reached.start - rows.start, reached.stop - rows.start))
        return score, tuple(place)

    def _range(self, channel: Array) -> tuple[Array, Array]:
        """Lowest and highest value that the result may have: of the channel, or of each slice that is taken from it."""
        if self.coarse is None:
            return np.full((1, 1, 1), channel.min()), np.full((1, 1, 1), channel.max())
        others = tuple(axis for axis in range(3) if axis != self.coarse)
        slices = AxisMap(self.shape[self.coarse], self.new_shape[self.coarse], NEAREST)
        columns, rows = slice(0, slices.n_in), slice(0, slices.n_out)
        low, high = channel.min(axis=others, keepdims=True), channel.max(axis=others, keepdims=True)
        return slices.apply(low, self.coarse, columns, rows), slices.apply(high, self.coarse, columns, rows)


class _Vote:
    """Finds the label with the largest share in each voxel of a slab, one label after the other."""

    def __init__(self, labels: Array) -> None:
        """Begin with the labels of the nearest voxels, which become those of the largest shares."""
        self._labels, self._nearest = labels, labels.copy()
        self._best, self._total = np.full(labels.shape, -1.0), np.zeros(labels.shape)

    def add(self, value: int, share: Array, place: tuple[slice, ...]) -> None:
        """Add a label by its share in some of the voxels; in the others it has none."""
        self._total[place] += share
        labels, nearest, best = self._labels[place], self._nearest[place], self._best[place]
        tied_wins = (nearest == value) | ((nearest != labels) & (labels > value))
        wins = (share > best + _TIE) | ((share > best - _TIE) & tied_wins)
        best[wins] = share[wins]
        labels[wins] = value

    def add_rest(self, value: int) -> None:
        """Add the last label, which has what the others leave."""
        self.add(value, 1.0 - self._total, (slice(None),) * 3)


def _counts(classes: Array) -> dict[int, int]:
    """How often each value occurs; counted slice by slice, which is fast and takes little memory."""
    low, high = int(classes.min()), int(classes.max())
    counts = np.sum([np.bincount(plane.reshape(-1).astype(np.int64) - low, minlength=high - low + 1) for plane in classes], 0)
    return {low + index: int(count) for index, count in enumerate(counts) if count}
