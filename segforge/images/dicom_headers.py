"""Tells DICOM files from others and reads their headers. Needs the extra `dicom`."""

from pathlib import Path
from typing import Any

from segforge.errors import SegForgeError

_MAGIC = slice(128, 132)
_NO_IMAGES = ("SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "SR", "PR", "KO", "DOC")
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
    """The DICOM files in a folder, by their first bytes."""
    return tuple(sorted(file for file in folder.iterdir() if _is_dicom(file)))


def read_header(path: Path) -> Any:
    """What a file says of itself and of where it lies, without its pixels.

    Raises:
        SegForgeError: If it is damaged.
    """
    try:
        return require_dicom().dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
    except SegForgeError:
        raise
    except Exception as error:
        raise SegForgeError(f"{path} has no valid DICOM header: {error}. Copy or export it again.") from error


def is_image(header: Any) -> bool:
    """Whether a header is that of an image, not of a segmentation, a report or a plan."""
    return "Rows" in header and header.get("Modality") not in _NO_IMAGES


def _is_dicom(path: Path) -> bool:
    if not path.is_file() or path.name.startswith(".") or path.name == "DICOMDIR":
        return False
    with path.open("rb") as file:
        return file.read(132)[_MAGIC] == b"DICM"
