"""Reads DICOM segmentations (SEG) as one label map on the grid of the series they refer to. Needs the extra `dicom`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segforge.errors import SegForgeError
from segforge.images.dicom_headers import naming, read_whole
from segforge.images.image import Array, Geometry

_TOLERANCE = 0.1
"""Largest distance of a corner of a frame from the voxel of the series that it lies on, in voxels."""


@dataclass(frozen=True)
class SegmentMap:
    """Which segment each voxel of a series belongs to.

    Attributes:
        array: `(Z, Y, X)`: 0 for none, else the place of the segment's label among `labels`, counted from 1.
        labels: The labels of the segments that have voxels, and the lowest number of a segment called so.
    """

    array: Array
    labels: Mapping[str, int]


@dataclass(frozen=True)
class _Part:
    """The voxels of one segment in one frame; indices z, y, x on the grid of the series."""

    path: Path
    number: int
    label: str
    voxels: tuple[Array, ...]


@dataclass(frozen=True)
class _Placement:
    """Where a frame lies, in voxels (z, y, x) of the series: its first pixel, and the way to the next row and column."""

    start: Array
    down: Array
    right: Array

    def at(self, rows: Array, columns: Array) -> Array:
        """The voxels `(3, n)` of n pixels."""
        voxels: Array = self.start[:, None] + self.down[:, None] * rows + self.right[:, None] * columns
        return voxels


def read_segmentations(paths: Sequence[Path], geometry: Geometry) -> SegmentMap:
    """Read all segmentations of a series; several segments of one file may have one label.

    Args:
        paths: The segmentations.
        geometry: The grid of the series.

    Raises:
        SegForgeError: If one is damaged, holds fractions or does not lie on the grid, or if segments overlap; names them.
    """
    owners = np.zeros(geometry.shape, np.uint16)
    numbers: dict[tuple[Path, str], int] = {}
    for part in (part for path in paths for part in _parts(path, geometry)):
        key = (part.path, part.label)
        numbers[key] = min(part.number, numbers.get(key, part.number))
        owner = list(numbers).index(key) + 1
        _refuse_overlap(owners[part.voxels], owner, list(numbers))
        owners[part.voxels] = owner
    labels: dict[str, int] = {}
    for (_, label), number in numbers.items():
        labels[label] = min(number, labels.get(label, number))
    places = np.array([0, *(list(labels).index(label) + 1 for _, label in numbers)], np.uint16)
    array: Array = places[owners]
    return SegmentMap(array, labels)


def _refuse_overlap(taken: Array, owner: int, keys: Sequence[tuple[Path, str]]) -> None:
    others = np.unique(taken[(taken != 0) & (taken != owner)])
    if not len(others):
        return
    (path, label), (other_path, other) = keys[owner - 1], keys[others[0] - 1]
    if path == other_path:
        raise SegForgeError(
            f"{path}: the segments {other} and {label} overlap; in a label map a voxel has one label. "
            "Export the segmentation without overlap, of structures in each other the inner one and the rest of the outer one."
        )
    raise SegForgeError(f"{other} in {other_path} and {label} in {path} overlap. Take one of the two segmentations away.")


def _parts(path: Path, geometry: Geometry) -> Iterator[_Part]:
    """The segments in each frame that have voxels there."""
    header = read_whole(path)
    from pydicom.pixels.utils import iter_pixels

    with naming(path):
        labels = {int(item.SegmentNumber): _label(item) for item in header.SegmentSequence}
        for pixels, groups in zip(iter_pixels(header), header.PerFrameFunctionalGroupsSequence, strict=True):
            for number, mask in _masks(pixels, header, groups, path):
                yield _Part(path, number, labels[number], _placed(mask, header, groups, geometry, path))


def _label(segment: Any) -> str:
    return str(segment.get("SegmentLabel") or "").strip() or f"segment_{segment.SegmentNumber}"


def _masks(pixels: Array, header: Any, groups: Any, path: Path) -> Iterator[tuple[int, Array]]:
    """The number and mask `(Y, X)` of each segment in a frame."""
    if header.SegmentationType == "LABELMAP":
        background = header.get("PixelPaddingValue", 0)
        yield from ((int(number), pixels == number) for number in np.unique(pixels) if number != background)
        return
    full = header.MaximumFractionalValue if header.SegmentationType == "FRACTIONAL" else 1
    if not np.isin(pixels, (0, full)).all():
        raise SegForgeError(f"{path} holds fractions of voxels; labels have whole ones. Export it as a binary segmentation.")
    if pixels.any():
        yield int(_group(header, groups, "SegmentIdentificationSequence").ReferencedSegmentNumber), pixels == full


def _group(header: Any, groups: Any, name: str) -> Any:
    """What is said of one frame, or of all frames together."""
    holder = groups if name in groups else header.SharedFunctionalGroupsSequence[0]
    return holder[name].value[0]


def _placed(mask: Array, header: Any, groups: Any, geometry: Geometry, path: Path) -> tuple[Array, ...]:
    """Indices z, y, x of the voxels of the series that a mask covers."""
    found = _placement(header, groups, geometry)
    whole = _Placement(np.rint(found.start), np.rint(found.down), np.rint(found.right))
    rows, columns = np.array([0, mask.shape[0] - 1, 0]), np.array([0, 0, mask.shape[1] - 1])
    off = np.abs(found.at(rows, columns) - whole.at(rows, columns)).max()
    if off > _TOLERANCE or np.abs(whole.down).sum() != 1 or np.abs(whole.right).sum() != 1:
        raise SegForgeError(
            f"{path} does not lie on the grid of its series: in voxels (z, y, x) of it, a frame begins at "
            f"{_rounded(found.start)}, its next row {_rounded(found.down)} and its next column {_rounded(found.right)} from "
            "there. Export it on the grid of the series."
        )
    voxels = whole.at(*np.nonzero(mask)).astype(np.intp)
    outside = ((voxels < 0) | (voxels >= np.array(geometry.shape)[:, None])).any(axis=0)
    if outside.any():
        raise SegForgeError(
            f"{path}: {np.count_nonzero(outside)} voxels of a frame lie outside of its series. Are slices of that missing?"
        )
    return tuple(voxels)


def _placement(header: Any, groups: Any, geometry: Geometry) -> _Placement:
    if geometry.is_2d:
        return _Placement(np.zeros(3), np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    position = np.array(_group(header, groups, "PlanePositionSequence").ImagePositionPatient, float)
    orientation = np.array(_group(header, groups, "PlaneOrientationSequence").ImageOrientationPatient, float)
    rows_apart, columns_apart = map(float, _group(header, groups, "PixelMeasuresSequence").PixelSpacing)
    axes = np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing[::-1])
    ways = (position - geometry.origin, orientation[3:] * rows_apart, orientation[:3] * columns_apart)
    return _Placement(*(np.linalg.solve(axes, way)[::-1] for way in ways))


def _rounded(numbers: Array) -> tuple[float, ...]:
    return tuple(round(float(number), 2) + 0.0 for number in numbers)
