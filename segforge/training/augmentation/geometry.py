"""Patch size -> what the spatial transform needs to know of it: turning range, axes it touches, patch to read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segforge.errors import SegForgeError

ANISOTROPY_THRESHOLD = 3.0
"""From this ratio of the longest axis to the first one on, 3D patches are turned and scaled in-plane only."""

ELONGATION_THRESHOLD = 1.5
"""From this ratio of the sides on, 2D patches are turned by small angles only."""

SMALLEST_SHRINKAGE = 0.85
"""The initial patch is enlarged as if objects were shrunk by this factor."""


@dataclass(frozen=True)
class AugmentationGeometry:
    """What follows from the patch size alone.

    Attributes:
        patch_size: Size of the augmented patch in voxels, `(y, x)` or `(z, y, x)`.
        initial_patch_size: Size of the patch that is read for it.
        rotation_limit: Largest angle of rotation, in radians.
        first_axis: First spatial axis that the spatial and the low-resolution transform touch: 1 for strongly
            anisotropic 3D patches ("dummy 2D"), 0 for all others.
    """

    patch_size: tuple[int, ...]
    initial_patch_size: tuple[int, ...]
    rotation_limit: float
    first_axis: int

    @property
    def angles_per_sample(self) -> int:
        """Number of angles that describe a rotation: 3 in space, 1 in a plane."""
        return 3 if len(self.patch_size) - self.first_axis == 3 else 1


def augmentation_geometry(patch_size: Sequence[int]) -> AugmentationGeometry:
    """The geometry of the augmentation for a patch of size `(y, x)` or `(z, y, x)`.

    Raises:
        SegForgeError: If the patch has neither two nor three axes.
    """
    patch = tuple(int(size) for size in patch_size)
    if len(patch) not in (2, 3):
        raise SegForgeError(f"patch_size has {len(patch)} axes: {patch}. Augmentation needs (y, x) or (z, y, x).")
    first_axis = int(len(patch) == 3 and max(patch) / patch[0] > ANISOTROPY_THRESHOLD)
    limit = _rotation_limit(patch, first_axis)
    initial = (*patch[:first_axis], *enlarged_patch(patch, limit)[first_axis:])
    return AugmentationGeometry(patch, initial, limit, first_axis)


def centre_offset(initial: Sequence[int], inner: Sequence[int]) -> tuple[int, ...]:
    """Lower corner, per axis, of the box of size `inner` centred in a patch of size `initial`.

    nnU-Net begins at initial // 2 - inner // 2, which is one more than (initial - inner) // 2 where `initial` is even
    and `inner` odd.
    """
    return tuple(outer // 2 - size // 2 for outer, size in zip(initial, inner, strict=True))


def _rotation_limit(patch: tuple[int, ...], first_axis: int) -> float:
    """Largest angle of rotation, in radians."""
    if first_axis == 1:
        return math.pi
    if len(patch) == 3:
        return math.radians(30)
    return math.radians(15) if max(patch) / min(patch) > ELONGATION_THRESHOLD else math.pi


def enlarged_patch(patch: tuple[int, ...], rotation_limit: float) -> tuple[int, ...]:
    """The patch that holds the turned and shrunk one: the largest extent over rotations about one axis each."""
    angle = min(rotation_limit, math.pi / 2)
    cos, sin = math.cos(angle), math.sin(angle)
    extents: list[tuple[float, ...]]
    if len(patch) == 2:
        y, x = patch
        extents = [(y, x), (cos * y + sin * x, abs(cos * x - sin * y))]
    else:
        z, y, x = patch
        extents = [
            (z, y, x),
            (z, cos * y + sin * x, abs(cos * x - sin * y)),
            (abs(cos * z - sin * x), y, sin * z + cos * x),
            (cos * z + sin * y, abs(cos * y - sin * z), x),
        ]
    return tuple(int(size) for size in np.max(extents, axis=0) / SMALLEST_SHRINKAGE)
