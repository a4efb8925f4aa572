"""Which slices of a volume show most, and how each is turned so that a patient lies as in a viewer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_SIMILAR_SPACING = 3
"""Voxels that are longer than this, relative to their width, show nothing in other planes than that of the slices."""

_SIMILAR_EXTENT = 4

_NAMES = {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal", "R": "sagittal", "L": "sagittal"}
_OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))


@dataclass(frozen=True)
class Plane:
    """One slice of a volume `(Z, Y, X)`.

    Attributes:
        axis: The array axis that it lies across.
        index: Its number along that axis, from 0.
    """

    axis: int
    index: int


@dataclass(frozen=True)
class View:
    """A plane as it is drawn.

    Attributes:
        plane: The plane.
        rows: The array axis that runs downward.
        columns: The array axis that runs to the right.
        flipped: Whether each of these two is turned round.
        name: What it is called, `axial, slice 17 of 36` for example.
        sides: Where its left and its upper side lie, `R` and `A` for example; empty if that is not known.
    """

    plane: Plane
    rows: int
    columns: int
    flipped: tuple[bool, bool]
    name: str
    sides: tuple[str, str]

    def of(self, volume: Array) -> Array:
        """The plane of a volume `(..., Z, Y, X)`, as `(..., rows, columns)`."""
        plane: Array = volume.take(self.plane.index, self.plane.axis - 3)
        if self.rows > self.columns:
            plane = plane.swapaxes(-1, -2)
        return plane[..., :: -1 if self.flipped[0] else 1, :: -1 if self.flipped[1] else 1]


def planes_to_show(
    labels: Array, groups: Sequence[Sequence[int]], spacing: Sequence[float], *, across: Sequence[int] | None = None
) -> list[Plane]:
    """For each axis the slice where the structures are most of what they are anywhere along it; without any the middle one.

    Args:
        labels: Class map `(Z, Y, X)`.
        groups: The classes of each structure.
        spacing: Voxel size along (z, y, x).
        across: Axes to choose slices of; None takes all three of a volume whose voxels and sides are of similar lengths,
            else the one with the longest voxels.
    """
    axes = _axes(labels.shape, spacing) if across is None else across
    return [Plane(axis, _best_slice(labels, groups, axis)) for axis in axes]


def view_of(plane: Plane, shape: Sequence[int], toward: str | None) -> View:
    """How a plane is drawn: head or front up, the patient's right or front on the left.

    Args:
        plane: The plane.
        shape: Voxels of the volume along (z, y, x).
        toward: Where the axes (z, y, x) run to, `SPL` for example; None draws them as they are stored.
    """
    rows, columns = (axis for axis in range(3) if axis != plane.axis)
    count = f"slice {plane.index} of {shape[plane.axis]}"
    if toward is None:
        name = "" if shape[plane.axis] == 1 else count if plane.axis == 0 else f"across {'zyx'[plane.axis]}, {count}"
        return View(plane, rows, columns, (False, False), name, ("", ""))
    if _rank(toward[columns]) < _rank(toward[rows]):
        rows, columns = columns, rows
    flipped = toward[rows] in "SA", toward[columns] in "RA"
    sides = _start(toward[columns], turned=flipped[1]), _start(toward[rows], turned=flipped[0])
    return View(plane, rows, columns, flipped, f"{_NAMES[toward[plane.axis]]}, {count}", sides)


def _start(toward: str, *, turned: bool) -> str:
    """Where an axis begins in the picture that runs there in the array."""
    return toward if turned else _OPPOSITE[toward]


def _rank(letter: str) -> int:
    """Which axis stands upright: the body's before depth before width."""
    return "SIAPRL".index(letter) // 2


def _axes(shape: Sequence[int], spacing: Sequence[float]) -> Sequence[int]:
    if 1 in shape:
        return [shape.index(1)]
    extents = [size * count for size, count in zip(spacing, shape, strict=True)]
    if max(spacing) <= _SIMILAR_SPACING * min(spacing) and max(extents) <= _SIMILAR_EXTENT * min(extents):
        return range(3)
    shortest_of_equals = [(size, -extent) for size, extent in zip(spacing, extents, strict=True)]
    return [shortest_of_equals.index(max(shortest_of_equals))]


def _best_slice(labels: Array, groups: Sequence[Sequence[int]], axis: int) -> int:
    areas = _areas(np.moveaxis(labels, axis, 0), groups)
    largest = areas.max(0)
    shares = (areas[:, largest > 0] / largest[largest > 0]).sum(1)
    best = np.flatnonzero(shares == shares.max())
    return int(best[len(best) // 2])


def _areas(slices: Array, groups: Sequence[Sequence[int]]) -> Array:
    """Pixels of each structure in each slice."""
    highest = max(number for group in groups for number in group)
    counts = [np.bincount(np.clip(plane, 0, highest + 1).ravel(), minlength=highest + 2) for plane in slices]
    table = np.stack(counts)
    return np.stack([table[:, list(group)].sum(1) for group in groups], 1)
