"""Label maps between grids: each new voxel takes the label with the largest share in it (METHOD, section 4).

Nearly all voxels lie within one label: only where the old voxels around a new one differ are shares computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]

BYTES_PER_VOXEL = 16
"""Of what is made on the way for each voxel of some rows."""

_TOGETHER = 1 << 16  # voxels between several labels for which shares are computed at once

_TIE = 1e-9  # shares that are equal by symmetry differ by rounding


@dataclass(frozen=True)
class Neighbours:
    """For each new sample of an axis the old ones on both sides of it; the same twice where there is only one.

    Attributes:
        lower: The one before.
        upper: The one behind.
        share: What the one behind counts, from 0 to 1.
    """

    lower: Indices
    upper: Indices
    share: npt.NDArray[np.float64]

    @property
    def sides(self) -> tuple[tuple[Indices, npt.NDArray[np.float64]], ...]:
        """Old samples and what they count: on both sides, or only one where that is all."""
        if np.array_equal(self.lower, self.upper):
            return ((self.lower, np.ones(len(self.lower))),)
        return (self.lower, 1 - self.share), (self.upper, self.share)


def vote(classes: Array, nearest: Array, neighbours: Sequence[Neighbours], rows: slice) -> None:
    """Give each voxel of some rows of a new grid the label with the largest share.

    A tie goes to the label of the nearest old voxel if that is one of the tied ones, else to the smallest.

    Args:
        classes: The map `(Z, Y, X)` on the old grid.
        nearest: The label of the nearest old voxel for each new one of these rows; becomes the result.
        neighbours: The old samples around the new ones, per axis.
        rows: The rows of the new grid's first axis.
    """
    first, y, x = neighbours
    z = Neighbours(first.lower[rows], first.upper[rows], first.share[rows])
    begin = int(z.lower.min())
    region = classes[begin : int(z.upper.max()) + 1]
    if region.min() == region.max():
        return
    axes = Neighbours(z.lower - begin, z.upper - begin, z.share), y, x
    mixed = np.nonzero(_is_mixed(region, axes))
    for begin in range(0, len(mixed[0]), _TOGETHER):
        places = tuple(axis[begin : begin + _TOGETHER] for axis in mixed)
        nearest[places] = _winners(*_shares(region, axes, places), nearest[places])


def _is_mixed(region: Array, axes: Sequence[Neighbours]) -> npt.NDArray[np.bool_]:
    """Which new voxels have different labels around them."""
    low = high = region
    for axis, neighbours in enumerate(axes):
        lows, highs = ([volume.take(side, axis) for side, _ in neighbours.sides] for volume in (low, high))
        low, high = np.minimum(lows[0], lows[-1]), np.maximum(highs[0], highs[-1])
    return np.asarray(low != high)


def _shares(region: Array, axes: Sequence[Neighbours], places: tuple[Indices, ...]) -> tuple[Array, Array]:
    """Labels around chosen voxels `(corners, N)`, and the share of each of them in its voxel."""
    corners = list(product(*(neighbours.sides for neighbours in axes)))
    labels = np.stack([region[tuple(side[at] for (side, _), at in zip(corner, places, strict=True))] for corner in corners])
    weights = [np.prod([weight[at] for (_, weight), at in zip(corner, places, strict=True)], axis=0) for corner in corners]
    shares = np.zeros(labels.shape)
    for label, share in zip(labels, shares, strict=True):
        for other, weight in zip(labels, weights, strict=True):
            share += weight * (label == other)
    return labels, shares


def _winners(labels: Array, shares: Array, nearest: Array) -> Array:
    """Of the labels around each voxel the one with the largest share."""
    tied = shares > shares.max(0) - _TIE
    smallest = np.where(tied, labels, np.iinfo(labels.dtype).max).min(0)
    winners: Array = np.where((tied & (labels == nearest)).any(0), nearest, smallest)
    return winners
