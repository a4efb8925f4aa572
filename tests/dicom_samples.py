"""DICOM series and segmentations for the tests."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom.sr.codedict import codes

SERIES = ("13_HCropVolume", "14_HCropVolume")

Array = npt.NDArray[Any]


def copy_series(shared: Path, folder: Path, number: int = 0, slices: int = 99) -> Path:
    """One of the real series, or its first slices, in a folder that can be written to."""
    shutil.copytree(shared / "data" / "dicom_hippocrop" / SERIES[number], folder, copy_function=shutil.copyfile)
    for path in folder.iterdir():
        if int(path.stem) > slices:
            path.unlink()
    return folder


def change(folder: Path, edit: Callable[[Any, int], None]) -> None:
    """Edit each slice, numbered along z."""
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path)
        edit(dataset, round(float(dataset.ImagePositionPatient[2])) - 1)
        dataset.save_as(path)


def slices_of(series: Path) -> list[Any]:
    """The slices of a series along z."""
    datasets = [pydicom.dcmread(path) for path in series.iterdir()]
    for dataset in datasets:
        for tag in ("PatientBirthDate", "PatientSex"):
            setattr(dataset, tag, "")
    return sorted(datasets, key=lambda dataset: float(dataset.ImagePositionPatient[2]))


def volume_of(geometry: Any, array: Array) -> Any:
    """Voxels `(Z, Y, X)` or `(Z, Y, X, segments)` on a grid, as highdicom's volume."""
    return highdicom.Volume.from_components(
        array,
        direction=np.array(geometry.direction).reshape(3, 3)[:, ::-1],
        position=geometry.origin,
        spacing=geometry.spacing,
        coordinate_system="PATIENT",
        channels={"SegmentNumber": list(range(1, array.shape[3] + 1))} if array.ndim == 4 else None,
    )


def save_segmentation(
    path: Path, series: Path, voxels: Any, labels: Sequence[str], kind: str = "BINARY", **options: Any
) -> Path:
    """A segmentation by highdicom itself: masks `(Z, Y, X, segments)`, numbers of segments `(Z, Y, X)`, or a volume of them."""
    algorithm = {"algorithm_type": SegmentAlgorithmTypeValues.MANUAL}
    segmentation = Segmentation(
        source_images=slices_of(series),
        pixel_array=voxels,
        segmentation_type=SegmentationTypeValues[kind],
        segment_descriptions=[
            SegmentDescription(number, label, codes.SCT.Tissue, codes.SCT.Tissue, **algorithm)
            for number, label in enumerate(labels, 1)
        ],
        series_instance_uid=highdicom.UID(),
        series_number=9,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="m",
        manufacturer_model_name="m",
        software_versions="1",
        device_serial_number="1",
        **options,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    segmentation.save_as(path)
    return path
