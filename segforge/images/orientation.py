"""Brings the axes of a volume into the order right, anterior, superior, and label maps back onto the file's grid."""

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from segforge.images.image import Array, Geometry, Image

_WORLD = (-1.0, -1.0, 1.0)  # towards right, anterior and superior in ITK's axes


@dataclass(frozen=True)
class _Turn:
    """How stored axes become canonical ones.

    Attributes:
        order: For each canonical array axis (z, y, x) the stored one.
        flipped: Stored axes that run the other way.
    """

    order: tuple[int, int, int]
    flipped: tuple[int, ...]


def to_canonical(image: Image) -> Image:
    """The image with its axes permuted and flipped so that x, y and z run towards right, anterior and superior.

    Oblique axes go to the world's axis that they are nearest to; nothing is resampled. Planes stay as they are.
    """
    geometry = image.geometry
    if geometry.is_2d:
        return image
    turn = _turn(geometry)
    array = np.flip(image.array, tuple(axis + 1 for axis in turn.flipped)).transpose(0, *(axis + 1 for axis in turn.order))
    return Image(array, _turned(geometry, turn))


def canonical_grid(geometry: Geometry) -> Geometry:
    """The grid that `to_canonical` brings an image on."""
    return geometry if geometry.is_2d else _turned(geometry, _turn(geometry))


def as_stored(array: Array, geometry: Geometry) -> Array:
    """A volume `(Z, Y, X)` on a canonical grid, on the grid of the file: undoes `to_canonical`."""
    if geometry.stored is None:
        return array
    turn = _turn(geometry.stored)
    return np.flip(array.transpose(tuple(np.argsort(turn.order))), turn.flipped)


def axis_codes(geometry: Geometry) -> str:
    """Where the array's x, y and z axes run to, as letters: `LPS`, `RAS`, ..."""
    turn = _turn(geometry)
    letters = {2: "RL", 1: "AP", 0: "SI"}
    canonical = {stored: letters[axis] for axis, stored in enumerate(turn.order)}
    return "".join(canonical[axis][axis in turn.flipped] for axis in (2, 1, 0))


def _turn(geometry: Geometry) -> _Turn:
    toward = np.array(geometry.direction).reshape(3, 3) * np.array(_WORLD)[:, None]
    best = max(permutations(range(3)), key=lambda axes: sum(abs(toward[world, axis]) for world, axis in enumerate(axes)))
    x, y, z = (2 - axis for axis in best)  # array axes count from z
    flipped = tuple(2 - axis for world, axis in enumerate(best) if toward[world, axis] < 0)
    return _Turn((z, y, x), flipped)


def _turned(geometry: Geometry, turn: _Turn) -> Geometry:
    columns = np.array(geometry.direction).reshape(3, 3)[:, ::-1].copy()  # of the array's z, y, x
    origin = np.array(geometry.origin)
    for axis in turn.flipped:
        origin += columns[:, axis] * geometry.spacing[axis] * (geometry.shape[axis] - 1)
        columns[:, axis] *= -1
    z, y, x = turn.order
    return replace(
        geometry,
        shape=(geometry.shape[z], geometry.shape[y], geometry.shape[x]),
        spacing=(geometry.spacing[z], geometry.spacing[y], geometry.spacing[x]),
        origin=tuple(origin.tolist()),
        direction=tuple(columns[:, [x, y, z]].ravel().tolist()),
        header=None,
        stored=geometry,
    )
