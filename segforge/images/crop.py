"""The non-zero region of an image: its mask, its box, and the way back to the full grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Box:
    """A box of voxels.

    Attributes:
        begin: First voxel per axis.
        end: The voxel after the last one per axis.
    """

    begin: tuple[int, ...]
    end: tuple[int, ...]

    @property
    def slices(self) -> tuple[slice, ...]:
        """The box as an index into the spatial axes."""
        return tuple(slice(begin, end) for begin, end in zip(self.begin, self.end, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels per axis."""
        return tuple(end - begin for begin, end in zip(self.begin, self.end, strict=True))


def nonzero_mask(channels: Array) -> npt.NDArray[np.bool_]:
    """Where any channel of `(C, Z, Y, X)` differs from 0; shape `(Z, Y, X)`."""
    mask: npt.NDArray[np.bool_] = channels[0] != 0
    for channel in channels[1:]:
        mask |= channel != 0
    return mask


def bounding_box(mask: npt.NDArray[np.bool_]) -> Box:
    """The smallest box around the true voxels; the whole volume if there are none."""
    begin, end = [], []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        found = np.flatnonzero(mask.any(others))
        if not len(found):
            return Box((0,) * mask.ndim, mask.shape)
        begin.append(int(found[0]))
        end.append(int(found[-1]) + 1)
    return Box(tuple(begin), tuple(end))


def filled(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask with its cavities filled: those that no path of face neighbours joins to the border."""
    if mask.all():
        return mask
    from cc3d import connected_components

    components = connected_components(~mask, connectivity=6)
    reaches_border = np.zeros(int(components.max()) + 1, bool)
    for axis in range(3):
        for side in (0, -1):
            reaches_border[np.unique(components.take(side, axis))] = True
    reaches_border[0] = False  # the mask itself
    return np.asarray(~reaches_border[components])


def uncropped(array: Array, box: Box, shape: tuple[int, ...], outside: float = 0) -> Array:
    """Put a cropped array `(..., Z, Y, X)` back into the full grid."""
    full = np.full((*array.shape[: -len(shape)], *shape), outside, array.dtype)
    index: tuple[Any, ...] = (..., *box.slices)
    full[index] = array
    return full
