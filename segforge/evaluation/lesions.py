"""Scores that count lesions instead of voxels; a lesion is a connected component of a structure.

A lesion of the reference is found if the prediction has any voxel in it; a predicted one is a false positive if it has no
voxel of the reference. One predicted component that joins two lesions finds both (the rule of the ISLES 2022 challenge).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.images.components import connected_components

Mask = npt.NDArray[np.bool_]


def lesion_scores(reference: Mask, prediction: Mask) -> dict[str, float]:
    """Scores by name, of masks `(Z, Y, X)`."""
    both = reference & prediction
    lesions, found = _count(reference, both)
    predicted, confirmed = _count(prediction, both)
    false_positives, missed = predicted - confirmed, lesions - found
    counted = 2 * found + false_positives + missed
    return {
        "Lesion F1": 2 * found / counted if counted else math.nan,
        "Lesion sensitivity": found / lesions if lesions else math.nan,
        "Lesion false positives": false_positives,
        "Lesions in reference": lesions,
        "Lesions in prediction": predicted,
    }


def _count(mask: Mask, touched: Mask) -> tuple[int, int]:
    """Number of components, and of those that have a touched voxel."""
    numbers: npt.NDArray[Any]
    numbers, sizes = connected_components(mask)
    return len(sizes), len(np.unique(numbers[touched]))
