"""Voxels of each structure, drawn once, around which training patches are centred."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.dataset.labels import Target

Array = npt.NDArray[Any]

_SEED = 1234
_MOST = 10_000
_SHARE = 0.01


def draw_locations(classes: Array, targets: Sequence[Target]) -> dict[str, npt.NDArray[np.int32]]:
    """For each structure that occurs, max(min(10 000, n), 1 % of n) of its n voxels, without replacement.

    Args:
        classes: Preprocessed class map `(Z, Y, X)`.
        targets: The structures.

    Returns:
        By key of the structure, voxels `(k, 3)`.
    """
    random = np.random.RandomState(_SEED)
    locations = {}
    for target in targets:
        member = np.isin(classes, target.classes) if len(target.classes) > 1 else classes == target.classes[0]
        voxels = np.argwhere(member).astype(np.int32)
        if count := len(voxels):
            chosen = random.choice(count, max(min(_MOST, count), int(np.ceil(_SHARE * count))), replace=False)
            locations[target.key] = voxels[chosen]
    return locations
