"""How badly two grids that should be one differ: by float noise, in the header only, or by a real shift."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from segforge.dataset.verification.problem import Kind
from segforge.images.image import IDENTITY, Geometry, rounded

_NOISE = 0.01  # voxels
_SAME_SPACING = 1e-3  # relative, as when channels are read
_SAME_NUMBER = 1e-3


@dataclass(frozen=True)
class GridDifference:
    """How a grid differs from the one that it should be.

    Attributes:
        kind: The kind of problem; None for float noise, which is none.
        found: The difference in words.
    """

    kind: Kind | None
    found: str


def grid_difference(own: Geometry, reference: Geometry, name: str) -> GridDifference | None:
    """Compare a grid with the reference of this name; None if they are the same.

    Origin and direction are compared by the corners of the grid: less than 0.01 voxel apart is float noise. Where one of
    the grids is what programs write that know no position, or only signs differ, probably the header alone is wrong.
    """
    if own.shape != reference.shape:
        return GridDifference(Kind.SHAPE, f"has shape {own.shape}, {name} has {reference.shape}")
    same_spacing = bool(np.allclose(own.spacing, reference.spacing, rtol=_SAME_SPACING, atol=0))
    shift = corner_shift(own, reference)
    if same_spacing and shift < _NOISE:
        exact = shift == 0 and own.spacing == reference.spacing
        return None if exact else GridDifference(None, f"lies {shift:.2g} voxels off {name}")
    if why := _header_only(own, reference, same_spacing=same_spacing):
        return GridDifference(Kind.HEADER, f"{why} {name}")
    if not same_spacing:
        return GridDifference(Kind.SPACING, f"has spacing {rounded(own.spacing)}, {name} has {rounded(reference.spacing)}")
    return GridDifference(Kind.SHIFT, f"lies up to {shift:.3g} voxels off {name}")


def corner_shift(own: Geometry, reference: Geometry) -> float:
    """The largest distance between the same corner of two grids, in voxels of the reference, whose spacing both are given."""
    corners = np.array(list(product(*((0, size - 1) for size in reversed(reference.shape)))), np.float64)  # x, y, z
    spacing = np.array(reference.spacing[::-1])
    here, there = (np.array(geometry.direction).reshape(3, 3) for geometry in (own, reference))
    millimetres = np.subtract(own.origin, reference.origin) + corners * spacing @ (here - there).T
    return float(np.linalg.norm(millimetres @ there / spacing, axis=1).max())


def _header_only(own: Geometry, reference: Geometry, *, same_spacing: bool) -> str | None:
    """The words before the reference's name if probably only the header is wrong, else None."""
    if _lost_its_place(own, reference, same_spacing=same_spacing):
        return "has the origin and axes of a file without a position, unlike"
    if _lost_its_place(reference, own, same_spacing=same_spacing):
        return "has a position, unlike"
    pairs = ((own.origin, reference.origin), (own.direction, reference.direction))
    if same_spacing and all(np.allclose(np.abs(one), np.abs(other), rtol=0, atol=_SAME_NUMBER) for one, other in pairs):
        return "has axes that differ only in sign from those of"
    return None


def _lost_its_place(geometry: Geometry, other: Geometry, *, same_spacing: bool) -> bool:
    if not _has_default_place(geometry) or not (same_spacing or geometry.spacing == (1.0, 1.0, 1.0)):
        return False
    return not (same_spacing and _has_default_place(other))


def _has_default_place(geometry: Geometry) -> bool:
    """Whether origin and axes are those of a file without a position: zero, and the world's axes in either convention."""
    return not any(geometry.origin) and np.allclose(np.abs(geometry.direction), IDENTITY, rtol=0, atol=_SAME_NUMBER)
