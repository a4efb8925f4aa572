"""Writes label maps of a DICOM series as a DICOM segmentation (SEG), by highdicom. Needs the extra `dicom`."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from segforge.compute.files import whole_file
from segforge.errors import SegForgeError
from segforge.images.dicom import companions, ordered_slices
from segforge.images.dicom_headers import require_dicom
from segforge.images.image import Array

ENDING = ".dcm"

_MAKER = "SegForge"
_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip


def write_segmentation(path: Path, series: Path, labels: Array, structures: Mapping[str, Sequence[int]]) -> None:
    """Write a label map as a segmentation that refers to the series' slices; one binary segment per structure.

    Args:
        path: File to write.
        series: The folder of the series.
        labels: `(Z, Y, X)` on the grid of the series, stored values.
        structures: Name of each structure, and the values that belong to it; structures may overlap.

    Raises:
        SegForgeError: If the series is incomplete, or the file cannot be written.
    """
    dcmread = require_dicom().dcmread
    import highdicom

    sources = [_complete(dcmread(item.path)) for item in ordered_slices(series, companions(series))]
    masks = np.stack([np.isin(labels, list(values)) for values in structures.values()], axis=-1)
    try:
        segmentation = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=masks.astype(np.uint8),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(number, name) for number, name in enumerate(structures, 1)],
            series_instance_uid=highdicom.UID(),
            series_number=int(sources[0].get("SeriesNumber") or 0) + 1000,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer=_MAKER,
            manufacturer_model_name=_MAKER,
            software_versions=version("segforge"),
            device_serial_number="0",
            omit_empty_frames=bool(masks.any()),
        )
    except (ValueError, AttributeError, TypeError) as error:
        raise SegForgeError(f"{series} lacks what a DICOM segmentation needs: {error}. Write .nii.gz instead.") from error
    with whole_file(path) as temporary:
        segmentation.save_as(temporary)


def _complete(dataset: Any) -> Any:
    """The slice with empty values for what anonymization takes away and the standard lets be empty."""
    for tag in _MAY_BE_EMPTY:
        if tag not in dataset:
            setattr(dataset, tag, "")
    return dataset


def _description(number: int, name: str) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=_MAKER, version=version("segforge"), family=codes.DCM.ArtificialIntelligence
    )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.AnatomicalStructure,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
    )
