"""Resampling as one linear map per axis, slab by slab: for images, label maps and logits.

What an n-dimensional spline does axis by axis, `scipy.ndimage.zoom(grid_mode=True, mode="nearest")` to rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from segforge.compute.arrays import namespace
from segforge.images.grid import coarse_axis
from segforge.planning.plans import SPLINE, UNCHANGED
from segforge.plugins import find
from segforge.preprocessing.axis_maps import NEAREST, AxisMap
from segforge.preprocessing.label_votes import BYTES_PER_VOXEL, vote

Array = npt.NDArray[Any]
Shape = tuple[int, int, int]

SLAB_BYTES = 1 << 25
"""Most bytes of what is made of a volume at once on the way."""

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
        """Resample `(C, Z, Y, X)` float32; each result is clipped to the range of what was resampled.

        Computed where the channels lie: they may be a tensor on a device.
        """
        if self.is_identity:
            return channels
        module = namespace(channels)
        result: Array = module.empty((len(channels), *self.new_shape), dtype=channels.dtype, device=channels.device)
        for channel, resampled in zip(channels, result, strict=True):
            low, high = self._range(channel)
            for slab in self.slabs(channel.itemsize):
                rows = slab if self.coarse == 0 else slice(None)
                module.clip(self.rows(channel, order, slab), low[rows], high[rows], out=resampled[slab])
        return result

    def labels(self, classes: Array, order: int) -> Array:
        """Resample a map `(Z, Y, X)` of integers: each value as a 0/1 volume, the largest wins.

        A tie goes to the value of the nearest input voxel if that is one of the tied ones, else to the smallest.
        """
        if self.is_identity:
            return classes
        result = self.rows(classes, NEAREST, slice(0, self.new_shape[0]))
        if order != NEAREST:
            neighbours = [axis_map.neighbours() for axis_map in self._maps(order)]
            for slab in self.slabs(BYTES_PER_VOXEL):
                vote(classes, result[slab], neighbours, slab)
        return result

    def slabs(self, bytes_per_voxel: int) -> Iterator[slice]:
        """Rows of the first new axis, as many together as keep what is made of a volume on the way small."""
        (_, y, x), (depth, new_y, new_x) = self.shape, self.new_shape
        rows = max(1, SLAB_BYTES // (bytes_per_voxel * max(y * x, new_y * x, new_y * new_x)))
        for begin in range(0, depth, rows):
            yield slice(begin, min(begin + rows, depth))

    def rows(self, volume: Array, order: int, slab: slice, axis: int = 0) -> Array:
        """Some rows of a new axis of `(Z, Y, X)` resampled, not clipped; half precision becomes single."""
        maps = self._maps(order)
        columns = maps[axis].needed(slab, within=slice(0, maps[axis].n_in))
        volume = _in_single(volume[(*[slice(None)] * axis, columns)])
        volume = maps[axis].apply(volume, axis, columns, slab)
        for other, axis_map in enumerate(maps):
            if other != axis:
                volume = axis_map.apply(volume, other, slice(0, axis_map.n_in), slice(0, axis_map.n_out))
        return volume

    def _maps(self, order: int) -> list[AxisMap]:
        return [
            AxisMap(size, new_size, NEAREST if axis == self.coarse else order)
            for axis, (size, new_size) in enumerate(zip(self.shape, self.new_shape, strict=True))
        ]

    def _range(self, channel: Array) -> tuple[Array, Array]:
        """Lowest and highest value that the result may have: of the channel, or of each slice that is taken from it."""
        module = namespace(channel)
        if self.coarse is None:
            return channel.min().reshape(1, 1, 1), channel.max().reshape(1, 1, 1)
        others = tuple(axis for axis in range(3) if axis != self.coarse)
        slices = AxisMap(self.shape[self.coarse], self.new_shape[self.coarse], NEAREST)
        columns, rows = slice(0, slices.n_in), slice(0, slices.n_out)
        low, high = (extreme(channel, axis=others, keepdims=True) for extreme in (module.amin, module.amax))
        return slices.apply(low, self.coarse, columns, rows), slices.apply(high, self.coarse, columns, rows)


def _in_single(volume: Array) -> Array:
    module = namespace(volume)
    single: Array = module.asarray(volume, dtype=module.float32) if volume.dtype == module.float16 else volume
    return single
