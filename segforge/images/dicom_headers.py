"""Tells DICOM files from others and reads them, checked. Needs the extra `dicom`."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segforge.errors import SegForgeError

_MAGIC = slice(128, 132)
_NO_IMAGES = (
    "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "RTINTENT", "RTRAD", "RTSEGANN", "SR", "PR", "KO", "DOC", "REG", "FID",
    "RWV", "ANN", "ASMT", "PLAN", "ECG", "EEG", "EPS", "HD", "AU", "SMR", "STAIN", "TEXTUREMAP", "M3D",
)  # fmt: skip
_TAGS = (
    "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "ImageType", "Rows", "Columns",
    "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing",
    "SpacingBetweenSlices", "SliceThickness",
)  # fmt: skip


def require_dicom() -> Any:
    """The package pydicom.

    Raises:
        SegForgeError: If the extra is not installed.
    """
    try:
        import pydicom
    except ImportError as error:
        raise SegForgeError("DICOM needs the packages of the extra dicom: pip install 'segforge[dicom]'.") from error
    return pydicom


def dicom_files(folder: Path) -> tuple[Path, ...]:
    """The DICOM files in a folder, by their first bytes or their ending."""
    return tuple(sorted(file for file in folder.iterdir() if _is_dicom(file)))


def read_header(path: Path) -> Any:
    """What a file says of itself and of where it lies, without its pixels.

    Raises:
        SegForgeError: If it is damaged.
    """
    header = _read(path, stop_before_pixels=True, specific_tags=list(_TAGS))
    with naming(path):
        for _ in (*header.file_meta, *header):  # values are parsed when they are asked for
            pass
    return header


def read_whole(path: Path) -> Any:
    """A file with its pixels, which are known to be as many as its header claims if they are not compressed.

    Raises:
        SegForgeError: If it has none, or too few.
    """
    dataset = _read(path)
    with naming(path):
        if "PixelData" not in dataset:
            raise SegForgeError(f"{path} has no pixels. Copy or export it again.")
        if not dataset.file_meta.TransferSyntaxUID.is_compressed:
            values = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * int(dataset.get("NumberOfFrames") or 1)
            claimed, found = math.ceil(values * dataset.BitsAllocated / 8), len(dataset.PixelData)
            if found < claimed:
                raise SegForgeError(
                    f"{path} is truncated: its header claims {claimed} bytes of pixels, it has {found}. Copy it again."
                )
    return dataset


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what pydicom and other readers raise on damaged files into an error that names the file, in one line."""
    try:
        yield
    except (SegForgeError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[-150:] or type(error).__name__
        raise SegForgeError(f"{path} cannot be read as DICOM: {reason}. Copy or export it again.") from error


def is_image(header: Any) -> bool:
    """Whether a header is that of an image, be it cut short, not of a segmentation, a report or a plan."""
    if header.get("Modality") in _NO_IMAGES:
        return False
    kind = require_dicom().uid.UID(str(header.file_meta.get("MediaStorageSOPClassUID", "")))
    is_known = kind.name != kind
    return "Rows" in header or ("Image Storage" in kind.name if is_known else "Modality" not in header)


def _read(path: Path, **options: Any) -> Any:
    pydicom = require_dicom()
    with naming(path):
        try:
            return pydicom.dcmread(path, **options)
        except pydicom.errors.InvalidDicomError as error:
            raise SegForgeError(f"{path} is cut short, or no DICOM file. Copy or export it again, or take it away.") from error


def _is_dicom(path: Path) -> bool:
    if not path.is_file() or path.name.startswith(".") or path.name == "DICOMDIR":
        return False
    with path.open("rb") as file:
        return file.read(132)[_MAGIC] == b"DICM" or path.suffix.lower() == ".dcm"
