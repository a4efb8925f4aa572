"""What each DICOM file is: part of a series, or a segmentation and what it refers to. Needs the extra `dicom`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from segforge.errors import SegForgeError
from segforge.images.dicom_headers import dicom_files, is_image, naming, read_header, require_dicom

Kind = Literal["image", "localizer", "segmentation", "contours", "other", "damaged"]

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # of masks, and label maps


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
        damage: What is wrong with a damaged one.
    """

    path: Path
    kind: Kind
    modality: str = ""
    series: str = ""
    number: int | None = None
    instance: str = ""
    refers_to: frozenset[str] = frozenset()
    damage: str = ""


def list_objects(folder: Path) -> list[DicomObject]:
    """The DICOM files in a folder, not those in folders below it; damaged ones as such.

    Raises:
        SegForgeError: If the extra is not installed.
    """
    require_dicom()
    return [_object(path) for path in dicom_files(folder)]


def _object(path: Path) -> DicomObject:
    try:
        with naming(path):
            header = read_header(path)
            kind = _kind(header)
            return _segmentation(path) if kind == "segmentation" else _described(path, kind, header)
    except SegForgeError as error:
        return DicomObject(path, "damaged", damage=str(error))


def _described(path: Path, kind: Kind, header: Any) -> DicomObject:
    return DicomObject(
        path,
        kind,
        modality=str(header.get("Modality") or ""),
        series=str(header.get("SeriesInstanceUID") or ""),
        number=int(header.SeriesNumber) if header.get("SeriesNumber") else None,
        instance=str(header.get("SOPInstanceUID") or ""),
    )


def _kind(header: Any) -> Kind:
    if header.file_meta.get("MediaStorageSOPClassUID") in _SEGMENTATIONS:
        return "segmentation"
    if not is_image(header):
        return "contours" if header.get("Modality") == "RTSTRUCT" else "other"
    if not (header.get("Rows") and header.get("SeriesInstanceUID")):
        raise SegForgeError(f"{header.filename} is truncated: its header ends early. Copy or export it again.")
    return "localizer" if "LOCALIZER" in (header.get("ImageType") or ()) else "image"


def _segmentation(path: Path) -> DicomObject:
    header = require_dicom().dcmread(path, stop_before_pixels=True)
    if "PerFrameFunctionalGroupsSequence" not in header:
        raise SegForgeError(f"{path} is truncated: it does not say where its frames lie. Copy or export it again.")
    series = header.get("ReferencedSeriesSequence") or ()
    refers_to = {str(item.SeriesInstanceUID) for item in series} or set(_referenced_slices(header))
    return DicomObject(path, "segmentation", refers_to=frozenset(refers_to))


def _referenced_slices(header: Any) -> Iterator[str]:
    """Slices that the whole segmentation or one of its frames is derived from."""
    frames = (*header.get("SharedFunctionalGroupsSequence", ()), *header.PerFrameFunctionalGroupsSequence)
    derivations = (item for frame in frames for item in frame.get("DerivationImageSequence", ()))
    for holder in (header, *derivations):
        for source in holder.get("SourceImageSequence", ()):
            yield str(source.ReferencedSOPInstanceUID)
