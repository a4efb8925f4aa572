"""What a DICOM series and its segmentations hold, and how they are written into a raw data set."""

from pathlib import Path

import numpy as np

from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.recipe import Recipe, in_smallest_type
from segforge.dataset.conversion.source import SourceCase
from segforge.errors import SegForgeError
from segforge.images.dicom import read_series
from segforge.images.dicom_labels import read_segmentations
from segforge.images.files import write_volume
from segforge.images.image import Image

NOTHING = ""
"""Stands for voxels of no segment among the labels of segments."""


def inspect_series(case: SourceCase) -> Facts:
    """Read the slices and segmentations of a case.

    Raises:
        SegForgeError: If slices or segmentations are damaged or do not fit together; names them.
    """
    image = _read(case)
    facts = Facts(
        channels=1,
        shape=image.geometry.shape,
        spacing=image.geometry.spacing,
        is_2d=image.geometry.is_2d,
        dtype=str(image.array.dtype),
    )
    if not case.labels:
        return facts
    found = read_segmentations(case.labels, image.geometry)
    voxels = np.bincount(found.array.ravel(), minlength=len(found.labels) + 1).tolist()
    return facts.model_copy(
        update={"values": dict(zip((NOTHING, *found.labels), voxels, strict=True)), "segments": dict(found.labels)}
    )


def write_series(case: SourceCase, facts: Facts, recipe: Recipe, folder: Path) -> list[Path]:
    """Write a case into `imagesTr` and `labelsTr`, or without a segmentation into `imagesTs`, the label map first.

    Returns:
        The files that were written.

    Raises:
        SegForgeError: If files of the source can no longer be read, or the disk is full.
    """
    image, written = _read(case), list[Path]()
    if case.labels:
        found = read_segmentations(case.labels, image.geometry)
        values = in_smallest_type(np.array([recipe.value(label) for label in (NOTHING, *found.labels)]))
        written.append(folder / "labelsTr" / f"{case.id}{recipe.ending}")
        write_volume(written[-1], values[found.array], image.geometry)
    written.append(folder / ("imagesTr" if case.labels else "imagesTs") / f"{case.id}_0000{recipe.ending}")
    write_volume(written[-1], image.array[0], image.geometry)
    return written


def _read(case: SourceCase) -> Image:
    image = read_series(case.images[0].parent, case.images)
    if len(image.array) > 1:
        raise SegForgeError(
            f"{case.images[0]} has colours ({len(image.array)} channels), which make no volume. Export such pictures as PNG."
        )
    return image
