"""Distances between the surfaces of two masks: 95 % Hausdorff distance, mean distance, and Dice of the surfaces.

Two definitions are in use, and their numbers differ. "voxels": the surface is the voxels of the mask that have a face
neighbour outside, each counting the same (MONAI). "area": it is the pieces between the voxels, each counting by its area
(Google DeepMind's surface-distance). The name of the definition stands in the name of each number.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.evaluation.extent import real_axes
from segforge.evaluation.surface_elements import surface_elements
from segforge.images.crop import bounding_box

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_ROUNDING = 1e-6
"""Voxel sizes in files have seven digits; a distance that much above the tolerance is within it."""


@dataclass(frozen=True)
class Distances:
    """Distance from each part of one surface to the nearest of the other.

    Attributes:
        millimetres: The distances.
        weights: Size of each part; None if all count the same.
    """

    millimetres: Array
    weights: Array | None = None

    @property
    def total(self) -> float:
        """Size of the surface."""
        return float(len(self.millimetres) if self.weights is None else self.weights.sum())

    @property
    def integral(self) -> float:
        """Distances times sizes."""
        return float(self.millimetres.sum() if self.weights is None else self.millimetres @ self.weights)

    def percentile(self, share: float) -> float:
        """The distance that a share (in %) of the surface is within: between two voxels interpolated, of areas reached."""
        if self.weights is None:
            return float(np.percentile(self.millimetres, share))
        return float(np.percentile(self.millimetres, share, weights=self.weights, method="inverted_cdf"))

    def within(self, tolerance: float) -> float:
        """Size of the part of the surface that is no further away than a tolerance in mm."""
        near = self.millimetres <= tolerance * (1 + _ROUNDING)
        return float(np.count_nonzero(near) if self.weights is None else self.weights[near].sum())


def surface_scores(
    reference: Mask, prediction: Mask, spacing: Sequence[float], tolerances: Sequence[float]
) -> dict[str, float]:
    """Scores by name, by both definitions.

    Args:
        reference: Mask `(Z, Y, X)`; of a single slice the contour is taken.
        prediction: Mask of the same shape.
        spacing: Voxel size along (z, y, x) in mm.
        tolerances: Distances in mm within which surfaces agree.
    """
    axes = real_axes(reference.shape)
    shape, sizes = [reference.shape[axis] for axis in axes], [spacing[axis] for axis in axes]
    masks = reference.reshape(shape), prediction.reshape(shape)
    scores: dict[str, float] = {}
    for definition, parts_of in _DEFINITIONS.items():
        distances = distances_between(*(_in_millimetres(mask, sizes, parts_of) for mask in masks))
        scores[f"HD95 ({definition})"] = hausdorff(*distances)
        scores[f"Mean surface distance ({definition})"] = mean_distance(*distances)
        for tolerance in tolerances:
            scores[f"NSD at {tolerance:g} mm ({definition})"] = surface_dice(*distances, tolerance)
    return scores


def hausdorff(first: Distances, second: Distances, share: float = 95) -> float:
    """The larger of the two percentiles, in mm; infinite if only one surface is there, NaN if neither is."""
    missing = _without_a_surface(first, second, math.inf)
    return max(first.percentile(share), second.percentile(share)) if missing is None else missing


def mean_distance(first: Distances, second: Distances) -> float:
    """Mean over both surfaces together, in mm; infinite if only one is there, NaN if neither is."""
    missing = _without_a_surface(first, second, math.inf)
    return (first.integral + second.integral) / (first.total + second.total) if missing is None else missing


def surface_dice(first: Distances, second: Distances, tolerance: float) -> float:
    """Share of both surfaces together that is within the tolerance; 0 if only one is there, NaN if neither is."""
    missing = _without_a_surface(first, second, 0.0)
    within = first.within(tolerance) + second.within(tolerance)
    return within / (first.total + second.total) if missing is None else missing


def distances_between(first: tuple[Array, Array | None], second: tuple[Array, Array | None]) -> tuple[Distances, Distances]:
    """Distances both ways between two surfaces: positions `(parts, axes)` in mm, and sizes.

    The nearest part is found by a tree: the same numbers as from a distance transform, in less time and memory.
    """
    from scipy.spatial import cKDTree

    # Positions lie on a grid: balancing the tree costs more than it saves.
    trees = [cKDTree(positions, balanced_tree=False, compact_nodes=False) for positions, _ in (first, second)]
    return (Distances(trees[1].query(first[0])[0], first[1]), Distances(trees[0].query(second[0])[0], second[1]))


def border_voxels(mask: Mask, spacing: Sequence[float]) -> tuple[Array, None]:
    """Indices `(voxels, axes)` of the voxels of a mask with a face neighbour outside it, or outside the array."""
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(mask.ndim):
        for begin in (0, 2):
            window = [slice(1, -1)] * mask.ndim
            window[axis] = slice(begin, begin + mask.shape[axis])
            inner &= padded[tuple(window)]
    return np.argwhere(mask & ~inner), None


def _in_millimetres(mask: Mask, spacing: Sequence[float], parts_of: "PartsOf") -> tuple[Array, Array | None]:
    """The parts of a mask's surface, looked for in the box around the mask alone."""
    if not mask.any():
        return np.empty((0, mask.ndim)), None
    box = bounding_box(mask)
    positions, sizes = parts_of(mask[box.slices], spacing)
    return (positions + np.array(box.begin)) * np.array(spacing), sizes


def _without_a_surface(first: Distances, second: Distances, one_only: float) -> float | None:
    """The score where a surface is missing; None where both are there."""
    there = [bool(len(distances.millimetres)) for distances in (first, second)]
    if all(there):
        return None
    return one_only if any(there) else math.nan


PartsOf = Callable[[Mask, Sequence[float]], tuple[Array, Array | None]]

_DEFINITIONS: dict[str, PartsOf] = {"voxels": border_voxels, "area": surface_elements}
