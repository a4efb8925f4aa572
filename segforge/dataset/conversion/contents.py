"""What the files of a case hold, as far as a converter must know it before anything is written."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from segforge.compute.documents import Document
from segforge.dataset.conversion.decoding import (
    has_rotation_tag,
    is_plain,
    packed_colours,
    read_source_image,
    read_source_labels,
)
from segforge.dataset.conversion.source import SourceCase
from segforge.errors import SegForgeError
from segforge.images.image import Array, Image

MOST_VALUES = 1024
"""No more different values of a label map are kept: this is no label map."""


class Facts(Document):
    """What a case holds.

    Attributes:
        channels: Channels of all its images together.
        shape: Voxels along (z, y, x).
        spacing: Voxel size along (z, y, x) in mm.
        is_2d: Whether it is a plane.
        dtype: NumPy's name for the type of its images.
        has_colours: Whether one file holds all channels of a plane.
        has_constant_alpha: Whether the last of two or four channels of a plane has one value everywhere.
        has_rotation_tag: Whether a photograph is to be turned to be looked at.
        values: For a label map, voxels of each value, or of each colour `#rrggbb`.
        threshold: The limit that values were counted by: those above it as 1, the others as 0.
        has_plain_labels: Whether its label map has one channel and no palette, in a format of SegForge's.
        segments: For a DICOM series: the label of each segment, and its number; `values` has voxels of each label then.
    """

    channels: int
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    is_2d: bool
    dtype: str
    has_colours: bool = False
    has_constant_alpha: bool = False
    has_rotation_tag: bool = False
    values: dict[str, int] | None = None
    threshold: float | None = None
    has_plain_labels: bool = True
    segments: dict[str, int] | None = None


def inspect_case(
    case: SourceCase, read_labels: Callable[[Path], Image] = read_source_labels, threshold: float | None = None
) -> Facts:
    """Read all files of a case.

    Args:
        case: The case.
        read_labels: Reads a label map.
        threshold: Values above it are counted as 1, the others as 0; colours are counted as they are.

    Raises:
        SegForgeError: If a file is unreadable, or its size is not that of the first image; names it.
    """
    facts = _image_facts(case.images).model_copy(update={"threshold": threshold})
    if not case.labels:
        return facts
    values, plain = Counter[str](), True
    for path in case.labels:
        labels = read_labels(path)
        _refuse_other_shape(path, labels.geometry.shape, case.images[0], facts.shape)
        is_limited = threshold is not None and len(labels.array) == 1
        values += Counter(count_values(labels.array > threshold if is_limited else labels.array))
        plain = plain and is_plain(path)
    return facts.model_copy(update={"values": dict(values), "has_plain_labels": plain})


def inspect_stack(case: SourceCase, threshold: float | None = None) -> Facts:
    """Read all slices of a case, as `inspect_case` does.

    Raises:
        SegForgeError: If a file is unreadable or no plane, or its size or colours are not those of the first slice; names it.
    """
    labels = case.labels or (None,) * len(case.images)
    slices = [
        inspect_case(SourceCase(case.id, (image,), (label,) if label else ()), threshold=threshold)
        for image, label in zip(case.images, labels, strict=True)
    ]
    first, values = slices[0], Counter[str]()
    for path, facts in zip(case.images, slices, strict=True):
        if not facts.is_2d:
            raise SegForgeError(f"{path} is a volume already; --stack is for planes. Leave it out.")
        _refuse_other_shape(path, facts.shape, case.images[0], first.shape)
        if (facts.channels, facts.dtype) != (first.channels, first.dtype):
            raise SegForgeError(
                f"{path} has {facts.channels} channels of {facts.dtype} and shape {facts.shape}, the first slice "
                f"{case.images[0]} {first.channels} of {first.dtype}. Save all slices of a stack in one way."
            )
        values += Counter(facts.values)
    return first.model_copy(
        update={
            "shape": (len(slices), *first.shape[1:]),
            "spacing": (1.0, 1.0, 1.0),
            "is_2d": False,
            "has_constant_alpha": all(facts.has_constant_alpha for facts in slices),
            "has_rotation_tag": any(facts.has_rotation_tag for facts in slices),
            "values": dict(values) if case.labels else None,
        }
    )


def count_values(labels: Array) -> dict[str, int]:
    """How many voxels of a label map `(1, Z, Y, X)` have each value, or of a coloured one `(3, Z, Y, X)` each colour."""
    counts = Counter[int | float]()
    planes = labels[0] if len(labels) == 1 else packed_colours(labels)
    for plane in planes:
        values, voxels = np.unique(plane, return_counts=True)
        counts.update(dict(zip(values.tolist(), voxels.tolist(), strict=True)))
        if len(counts) > MOST_VALUES:
            break
    kept = sorted(counts.items())[: MOST_VALUES + 1]
    return {f"#{int(value):06x}" if len(labels) == 3 else f"{float(value):.15g}": voxels for value, voxels in kept}


def _image_facts(paths: Sequence[Path]) -> Facts:
    images = [read_source_image(path) for path in paths]
    first = images[0]
    for path, image in zip(paths, images, strict=True):
        _refuse_other_shape(path, image.geometry.shape, paths[0], first.geometry.shape)
    has_colours = len(images) == 1 and first.geometry.is_2d
    alpha = first.array[-1] if has_colours and len(first.array) in (2, 4) else None
    return Facts(
        channels=sum(len(image.array) for image in images),
        shape=first.geometry.shape,
        spacing=first.geometry.spacing,
        is_2d=first.geometry.is_2d,
        dtype=str(np.result_type(*(image.array.dtype for image in images))),
        has_colours=has_colours,
        has_constant_alpha=alpha is not None and bool(alpha.min() == alpha.max()),
        has_rotation_tag=any(has_rotation_tag(path) for path in paths),
    )


def _refuse_other_shape(path: Path, shape: Sequence[int], first: Path, expected: Sequence[int]) -> None:
    if tuple(shape) != tuple(expected):
        raise SegForgeError(
            f"{path} has shape {tuple(shape)}, {first} has {tuple(expected)}. Both must show the same voxels: export one again "
            "on the grid of the other, or take the case out."
        )
