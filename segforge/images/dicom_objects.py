"""What each DICOM file is: part of a series, or a segmentation and what it refers to. Needs the extra `dicom`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from segforge.errors import SegForgeError
from segforge.images.dicom_headers import dicom_files, is_image, read_header, require_dicom

Kind = Literal["image", "localizer", "segmentation", "contours", "other", "damaged"]

_KINDS: dict[str, Kind] = {"SEG": "segmentation", "RTSTRUCT": "contours"}


@dataclass(frozen=True)
class DicomObject:
    """A DICOM file.

    Attributes:
        path: The file.
        kind: What it holds: a slice, a localizer, a segmentation, contours (RTSTRUCT), or something else without an image.
        modality: How a slice was taken: `CT`, `MR`, ...
        series: UID of its series.
        number: Number of its series, if it says one.
        instance: Its own UID.
        refers_to: For a segmentation: UIDs of the series that it belongs to, or of their slices if it names no series.
    """

    path: Path
    kind: Kind
    modality: str = ""
    series: str = ""
    number: int | None = None
    instance: str = ""
    refers_to: frozenset[str] = frozenset()


def list_objects(folder: Path) -> list[DicomObject]:
    """The DICOM files in a folder, not those in folders below it; damaged ones as such.

    Raises:
        SegForgeError: If the extra is not installed.
    """
    require_dicom()
    return [_object(path) for path in dicom_files(folder)]


def _object(path: Path) -> DicomObject:
    try:
        header = read_header(path)
        kind = _kind(header)
        refers_to = frozenset(_references(path)) if kind == "segmentation" else frozenset()
    except SegForgeError:
        return DicomObject(path, "damaged")
    return DicomObject(
        path,
        kind,
        modality=str(header.get("Modality") or ""),
        series=str(header.get("SeriesInstanceUID") or ""),
        number=header.get("SeriesNumber"),
        instance=str(header.get("SOPInstanceUID") or ""),
        refers_to=refers_to,
    )


def _kind(header: Any) -> Kind:
    if is_image(header):
        return "localizer" if "LOCALIZER" in (header.get("ImageType") or ()) else "image"
    return _KINDS.get(header.get("Modality"), "other")


def _references(path: Path) -> set[str]:
    try:
        header = require_dicom().dcmread(path, stop_before_pixels=True)
        series = header.get("ReferencedSeriesSequence") or ()
        return {str(item.SeriesInstanceUID) for item in series} or set(_referenced_slices(header))
    except Exception as error:
        raise SegForgeError(f"{path} has no valid DICOM header: {error}. Copy or export it again.") from error


def _referenced_slices(header: Any) -> Iterator[str]:
    """Slices that the whole segmentation or one of its frames is derived from."""
    frames = (*header.get("SharedFunctionalGroupsSequence", ()), *header.get("PerFrameFunctionalGroupsSequence", ()))
    derivations = (item for frame in frames for item in frame.get("DerivationImageSequence", ()))
    for holder in (header, *derivations):
        for source in holder.get("SourceImageSequence", ()):
            yield str(source.ReferencedSOPInstanceUID)
