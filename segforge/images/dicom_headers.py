"""Tells DICOM files from others and reads them, checked. Needs the extra `dicom`."""

import math
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
    pydicom = require_dicom()
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
    except pydicom.errors.InvalidDicomError as error:
        raise SegForgeError(f"{path} is cut short, or no DICOM file. Copy or export it again, or take it away.") from error
    except Exception as error:
        raise SegForgeError(f"{path} has no valid DICOM header: {error}. Copy or export it again.") from error


def read_whole(path: Path) -> Any:
    """A file with its pixels, which are known to be as many as its header claims if they are not compressed.

    Raises:
        SegForgeError: If it has none, or too few.
    """
    dataset = require_dicom().dcmread(path)
    pixels = dataset.get("PixelData")
    if pixels is None:
        raise SegForgeError(f"{path} has no pixels. Copy or export it again.")
    if not dataset.file_meta.TransferSyntaxUID.is_compressed:
        values = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * int(dataset.get("NumberOfFrames") or 1)
        claimed = math.ceil(values * dataset.BitsAllocated / 8)
        if len(pixels) < claimed:
            raise SegForgeError(
                f"{path} is truncated: its header claims {claimed} bytes of pixels, it has {len(pixels)}. Copy it again."
            )
    return dataset


def is_image(header: Any) -> bool:
    """Whether a header is that of an image, be it cut short, not of a segmentation, a report or a plan."""
    if header.get("Modality") in _NO_IMAGES:
        return False
    kind = header.file_meta.get("MediaStorageSOPClassUID")
    is_known = kind is not None and kind.name != kind
    return "Rows" in header or ("Image Storage" in kind.name if is_known else "Modality" not in header)


def _is_dicom(path: Path) -> bool:
    if not path.is_file() or path.name.startswith(".") or path.name == "DICOMDIR":
        return False
    with path.open("rb") as file:
        return file.read(132)[_MAGIC] == b"DICM" or path.suffix.lower() == ".dcm"
