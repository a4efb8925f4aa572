"""What is wrong inside the files of one case, and between them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segforge.dataset.cases import Case
from segforge.dataset.description import DatasetDescription
from segforge.dataset.verification.grids import grid_difference
from segforge.dataset.verification.names import is_lossy
from segforge.dataset.verification.problem import Kind, Problem, name_in
from segforge.errors import SegForgeError
from segforge.images.files import read_image, read_labels
from segforge.images.image import Array, Geometry

_SHOWN = 8  # values in a message


@dataclass(frozen=True)
class ImageFacts:
    """What is kept of an image that could be read.

    Attributes:
        case: Name of the case.
        path: The file.
        geometry: Its grid.
        channels: Channels in it.
        digest: A hash of its voxels; None for a constant image, which would equal every other one.
    """

    case: str
    path: Path
    geometry: Geometry
    channels: int
    digest: str | None


@dataclass(frozen=True)
class Findings:
    """What came of one case.

    Attributes:
        problems: What is wrong in it.
        images: Facts of the images that could be read.
        has_float_noise: Whether grids in it differ by float noise.
    """

    problems: tuple[Problem, ...]
    images: tuple[ImageFacts, ...]
    has_float_noise: bool


@dataclass
class _Notes:
    """Gathers the problems of one case."""

    case: str
    folder: Path
    problems: list[Problem] = field(default_factory=list)

    def add(self, kind: Kind, path: Path, found: str) -> None:
        self.problems.append(Problem(kind, self.case, name_in(self.folder, path), found))


def check_case(case: Case, description: DatasetDescription, folder: Path, *, is_complete: bool = True) -> Findings:
    """Read the files of a case, one at a time, and name everything that is wrong.

    Args:
        case: The case, with the files that are there.
        description: The data set's.
        folder: The data set's; files are named from there.
        is_complete: Whether the case has all its images, so that their channels can be counted.
    """
    notes = _Notes(case.id, folder)
    images = [facts for path in case.images if (facts := _check_image(path, description, notes))]
    if is_complete and len(images) == len(case.images):
        _check_channels(images, description, notes)
    grids = [(facts.path, facts.geometry) for facts in images]
    if case.label and not is_lossy(case.label) and (geometry := _check_label(case.label, description, notes)):
        grids.append((case.label, geometry))
    has_float_noise = _check_grids(grids, notes)
    return Findings(tuple(notes.problems), tuple(images), has_float_noise)


def _check_image(path: Path, description: DatasetDescription, notes: _Notes) -> ImageFacts | None:
    try:
        image = read_image(path, canonical=description.is_canonical)
    except SegForgeError as error:
        notes.add(Kind.UNREADABLE, path, _reason(error, path))
        return None
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite for every reader of the image
        voxels = np.ascontiguousarray(image.array, np.float32)
    if broken := voxels.size - np.count_nonzero(np.isfinite(voxels)):
        notes.add(Kind.NOT_FINITE, path, f"holds {broken} voxels that are NaN or infinity")
    constant = _constant_channels(voxels, image.geometry)
    if constant:
        which = f" of channel {', '.join(map(str, constant))}" if len(voxels) > 1 else ""
        notes.add(Kind.CONSTANT, path, f"has the value {voxels[constant[0]].flat[0]:g} in every voxel{which}")
    return ImageFacts(notes.case, path, image.geometry, len(voxels), None if constant else _digest(voxels))


def _digest(voxels: Array) -> str:
    digest = hashlib.sha256(f"{voxels.shape}".encode())
    digest.update(voxels.reshape(-1).data)
    return digest.hexdigest()


def _constant_channels(voxels: Array, geometry: Geometry) -> list[int]:
    axes = (1, 2, 3)
    constant = np.flatnonzero(voxels.min(axes) == voxels.max(axes)).tolist()
    # A colour picture may well have one colour, or its transparency, the same everywhere.
    return [] if geometry.is_2d and len(constant) < len(voxels) else constant


def _check_channels(images: Sequence[ImageFacts], description: DatasetDescription, notes: _Notes) -> None:
    found, expected = sum(facts.channels for facts in images), description.channels
    if images and found != len(expected):
        files = f" in {len(images)} files" if len(images) > 1 else ""
        names = ", ".join(expected)
        notes.add(Kind.CHANNELS, images[0].path, f"has {found} channels{files}, dataset.json names {len(expected)} ({names})")


def _check_label(path: Path, description: DatasetDescription, notes: _Notes) -> Geometry | None:
    """Note what is wrong in a label map, and give its grid if it could be read at all."""
    labels = description.label_scheme
    kind = Kind.REFUSED
    try:
        stored = read_labels(path, canonical=description.is_canonical)
        kind = Kind.UNKNOWN_LABEL
        classes = labels.to_classes(stored.array)
    except SegForgeError as error:
        return _explain_label(path, description, kind, _reason(error, path), notes)
    if not np.any((classes > 0) & (classes < labels.classes)):
        notes.add(Kind.EMPTY_LABEL, path, "holds no label" + (" but background and ignore" if classes.any() else ""))
    return stored.geometry


def _explain_label(path: Path, description: DatasetDescription, kind: Kind, reason: str, notes: _Notes) -> Geometry | None:
    """Read a label map that was refused as an image, to see why; `kind` and `reason` are what is known without."""
    try:
        image = read_image(path, canonical=description.is_canonical)
    except SegForgeError:
        notes.add(Kind.UNREADABLE, path, reason)
        return None
    kind, reason = _fault_of_values(image.array) or (kind, reason)
    notes.add(kind, path, reason)
    return image.geometry


def _fault_of_values(values: Array) -> tuple[Kind, str] | None:
    if broken := values.size - np.count_nonzero(np.isfinite(values)):
        return Kind.NOT_FINITE, f"holds {broken} voxels that are NaN or infinity"
    if len(fractions := np.unique(values[values != np.rint(values)])):
        shown = ", ".join(f"{value:g}" for value in fractions[:_SHOWN]) + (", ..." if len(fractions) > _SHOWN else "")
        return Kind.FRACTION, f"holds the value {shown}"
    if len(values) > 1:
        return Kind.CHANNELS, f"has {len(values)} channels; a label map has one"
    return None


def _check_grids(grids: Sequence[tuple[Path, Geometry]], notes: _Notes) -> bool:
    """Compare every grid with the first; whether any differs by float noise."""
    has_float_noise = False
    for path, geometry in grids[1:]:
        reference, expected = grids[0]
        difference = grid_difference(geometry, expected, name_in(notes.folder, reference))
        if difference and difference.kind:
            notes.add(difference.kind, path, difference.found)
        has_float_noise |= difference is not None and difference.kind is None
    return has_float_noise


def _reason(error: SegForgeError, path: Path) -> str:
    """The message without the path that it begins with."""
    return str(error).removeprefix(str(path)).lstrip(": ")
