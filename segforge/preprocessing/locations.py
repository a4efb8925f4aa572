"""Voxels of each structure, drawn once, around which training patches are centred."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.dataset.labels import LabelScheme

Array = npt.NDArray[Any]

ANNOTATED = "annotated"
"""Key of the voxels that are not ignored."""

_SEED = 1234
_MOST = 10_000
_SHARE = 0.01


def draw_locations(classes: Array, labels: LabelScheme) -> dict[str, npt.NDArray[np.int32]]:
    """For each structure that occurs, max(min(10 000, n), 1 % of n) of its n voxels, without replacement.

    Args:
        classes: Preprocessed class map `(Z, Y, X)`.
        labels: The structures; with an ignore label there is one more list, of any annotated voxels.

    Returns:
        By key of the structure, or `ANNOTATED`, voxels `(k, 3)`.
    """
    random = np.random.RandomState(_SEED)
    locations = {}
    for key, member in _members(classes, labels):
        voxels = np.flatnonzero(member)
        if count := len(voxels):
            chosen = voxels[random.choice(count, location_count(count), replace=False)]
            locations[key] = np.stack(np.unravel_index(chosen, classes.shape), axis=1).astype(np.int32)
    return locations


def location_count(voxels: int) -> int:
    """How many of a structure's voxels are drawn."""
    return max(min(_MOST, voxels), math.ceil(_SHARE * voxels))


def _members(classes: Array, labels: LabelScheme) -> Iterator[tuple[str, Array]]:
    for target in labels.targets:
        yield target.key, _is_any(classes, target.classes)
    if labels.ignore_class is not None:
        yield ANNOTATED, classes != labels.ignore_class


def _is_any(classes: Array, chosen: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which voxels are of one of the classes; `np.isin` would take many times the memory of the map."""
    member: npt.NDArray[np.bool_] = classes == chosen[0]
    for other in chosen[1:]:
        member |= classes == other
    return member
