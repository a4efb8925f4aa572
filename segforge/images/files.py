"""Reads and writes image files; the format is chosen by the file's ending."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from segforge.errors import SegForgeError
from segforge.images.image import Array, Geometry, Image, geometry_difference
from segforge.images.orientation import as_stored, canonical_grid, to_canonical
from segforge.plugins import find

_PLANES = "segforge.images.planes"

FORMATS: Mapping[str, str] = {
    **dict.fromkeys((".nii.gz", ".nii"), "segforge.images.nifti"),
    **dict.fromkeys((".nrrd", ".mha", ".mhd", ".gipl"), "segforge.images.itk"),
    **dict.fromkeys((".tif", ".tiff"), "segforge.images.tiff"),
    **dict.fromkeys((".png", ".bmp", ".jpg", ".jpeg"), _PLANES),
}
"""Ending to the module that reads and writes it; installed packages add theirs as entry points `segforge.formats`."""

LOSSY_ENDINGS = (".jpg", ".jpeg")
"""Of formats that change the values that they store: for images, never for label maps."""

_DICOM = "segforge.images.dicom"


class Format(Protocol):
    """A file format: a module, or an object of a plug-in, with these functions.

    Where label maps need another reading than images there is a `read_labels(path)` too, and where other files belong to an
    image `companions(path)`, which names those that are there; where a header alone tells the grid, `read_grid(path)`.
    """

    def read(self, path: Path) -> Image:
        """Read a file as stored; channels first."""

    def write(self, path: Path, array: Array, geometry: Geometry) -> None:
        """Write a volume `(Z, Y, X)` on a grid."""


def read_image(path: Path, *, canonical: bool = False) -> Image:
    """Read one file, or a folder with a DICOM series.

    Args:
        path: The file or folder.
        canonical: Whether its axes are turned towards right, anterior and superior.

    Raises:
        SegForgeError: If it is missing, damaged or of an unknown format; names the file and the remedy.
    """
    return _read(path, canonical=canonical, labels=False)


def read_grid(path: Path, *, canonical: bool = False) -> Geometry | None:
    """The grid of an image, where the file's header tells it without its voxels; None where it does not, or is damaged."""
    try:
        geometry = cast(Geometry, getattr(_format(path), "read_grid")(path))  # noqa: B009, formats may lack it
    except Exception:  # whatever a foreign reader raises comes again, with its reason, when the image is read
        return None
    return canonical_grid(geometry) if canonical else geometry


def read_channels(paths: Sequence[Path], *, canonical: bool = False) -> Image:
    """Read the channels of a case, one or more per file, as float32 on one grid.

    Raises:
        SegForgeError: If a file is unreadable, its grid differs from the first one's, or it holds NaN or infinity.
    """
    images = [read_image(path, canonical=canonical) for path in paths]
    for path, image in zip(paths[1:], images[1:], strict=True):
        if difference := geometry_difference(images[0].geometry, image.geometry):
            raise SegForgeError(f"{path} and {paths[0]} are not on one grid: {difference}. Resample one onto the other.")
    geometry, arrays = images[0].geometry, [image.array for image in images]
    del images
    channels = np.empty((sum(map(len, arrays)), *geometry.shape), np.float32)
    for path, begin in zip(paths, np.cumsum([0, *map(len, arrays)]), strict=False):
        array = arrays.pop(0)  # one after the other is freed
        channels[begin : begin + len(array)] = array
        if not all(np.isfinite(plane).all() for channel in channels[begin : begin + len(array)] for plane in channel):
            raise SegForgeError(f"{path} holds NaN or infinity. Replace such voxels, for example by 0.")
    return Image(channels, geometry)


def read_labels(path: Path, *, canonical: bool = False) -> Image:
    """Read a label map `(1, Z, Y, X)` with its stored integer values.

    Raises:
        SegForgeError: If it is unreadable, in a format that changes values, has several channels, or a value that is not an
            integer.
    """
    image = _read(path, canonical=canonical, labels=True)
    array = image.array
    if array.shape[0] > 1 and all(np.array_equal(array[0], channel) for channel in array[1:3]):
        array = array[:1]
    if array.shape[0] != 1:
        raise SegForgeError(f"{path} has {array.shape[0]} channels; a label map has one. Export it with one.")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise SegForgeError(f"{path} holds NaN or infinity; labels must be whole numbers. Export it again.")
        whole = np.rint(array)
        if not np.array_equal(whole, array):
            found = array[whole != array].flat[0]
            raise SegForgeError(
                f"{path} holds the label value {found:g}; labels must be whole numbers. Export it without interpolation."
            )
        array = whole.astype(np.int64)
    return replace(image, array=np.ascontiguousarray(array))


def write_volume(path: Path, array: Array, geometry: Geometry) -> None:
    """Write a volume `(Z, Y, X)`, a label map for example, whole or not at all, on the grid of the file it came from.

    Raises:
        SegForgeError: If the format cannot hold it or the disk is full.
    """
    try:
        _format(path).write(path, as_stored(array, geometry), geometry.stored or geometry)
    except (SegForgeError, OSError):
        raise
    except Exception as error:
        raise SegForgeError(f"{path} could not be written as {array.dtype}: {_one_line(error)}. Choose .nii.gz.") from error


def files_of(path: Path) -> tuple[Path, ...]:
    """All files that an image is made of: itself, voxels or sizes that lie beside it, the slices of a DICOM series."""
    companions = getattr(_format(path), "companions", None)
    return (*(() if path.is_dir() else (path,)), *(companions(path) if companions else ()))


def holds_planes_alone(ending: str) -> bool:
    """Whether files of an ending can hold no volume."""
    return FORMATS.get(ending) == _PLANES


def ending_of(path: Path) -> str | None:
    """The ending of an image file, `.nii.gz` for example; None for other files."""
    name = path.name.lower()
    return next((ending for ending in (*FORMATS, *_plugin_endings(name)) if name.endswith(ending)), None)


def _read(path: Path, *, canonical: bool, labels: bool) -> Image:
    if not path.exists():
        raise SegForgeError(f"{path} is missing.")
    try:
        form = _format(path)
        read = getattr(form, "read_labels", form.read) if labels else form.read
        image = cast(Image, read(path))
    except SegForgeError:
        raise
    except MemoryError as error:
        raise SegForgeError(f"{path} does not fit into memory. Close other programs, or use fewer workers (-np).") from error
    except Exception as error:
        raise SegForgeError(f"{path} cannot be read: {_one_line(error)}. Copy or export it again.") from error
    return to_canonical(image) if canonical else image


def _format(path: Path) -> Format:
    if path.is_dir():
        return cast(Format, find("formats", "DICOM", {"DICOM": _DICOM}))
    ending = ending_of(path)
    if ending is None:
        raise SegForgeError(f"{path} has no ending that SegForge reads: {', '.join(FORMATS)}.")
    return cast(Format, find("formats", ending, FORMATS))


def _plugin_endings(name: str) -> list[str]:
    if any(name.endswith(ending) for ending in FORMATS):
        return []
    return [point.name for point in entry_points(group="segforge.formats")]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[-200:] or type(error).__name__
