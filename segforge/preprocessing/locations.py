"""Voxels of each structure, drawn once, around which training patches are centred."""

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
    members = {target.key: np.isin(classes, target.classes) for target in labels.targets}
    if labels.ignore_class is not None:
        members[ANNOTATED] = classes != labels.ignore_class
    locations = {}
    for key, member in members.items():
        voxels = np.argwhere(member).astype(np.int32)
        if count := len(voxels):
            chosen = random.choice(count, max(min(_MOST, count), int(np.ceil(_SHARE * count))), replace=False)
            locations[key] = voxels[chosen]
    return locations
