"""Connected components of a mask: voxels that touch by a face, an edge or a corner."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_FULL_CONNECTIVITY = 26


def connected_components(mask: Mask) -> tuple[Array, Array]:
    """Number the components of a mask `(Z, Y, X)`; a plane has one slice.

    Returns:
        The number of each voxel's component, 0 outside, and the voxels of each component from the first on.
    """
    from acvl_utils.morphology.morphology_helper import cc3d_label_with_component_sizes

    # cc3d 4.1 makes room for one component too few where they lie as densely as they can; a margin gives it room.
    numbers, sizes = cc3d_label_with_component_sizes(np.pad(mask, ((0, 1),) * mask.ndim), _FULL_CONNECTIVITY)
    return numbers[tuple(map(slice, mask.shape))], np.array(list(sizes.values()), np.int64)


def largest_component(mask: Mask) -> Mask:
    """The voxels of the largest component, or of all that are equally large."""
    numbers, sizes = connected_components(mask)
    if len(sizes) < 2:
        return mask
    is_kept = np.concatenate([[False], sizes == sizes.max()])
    kept: Mask = is_kept[numbers]
    return kept
