"""Reads and writes image files; the format is chosen by the file's ending."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from segforge.errors import SegForgeError
from segforge.images.image import Array, Geometry, Image, geometry_difference

ENDINGS = (".nii.gz", ".nii", ".png", ".bmp", ".tif", ".tiff")


class Format(Protocol):
    """A file format: a module, or an object of a plug-in, with these two functions."""

    def read(self, path: Path) -> Image:
        """Read a file as stored; channels first."""

    def write(self, path: Path, array: Array, geometry: Geometry) -> None:
        """Write a volume `(Z, Y, X)` on a grid."""


def read_image(path: Path) -> Image:
    """Read one file as it is stored.

    Raises:
        SegForgeError: If it is missing, damaged or of an unknown format; names the file and the remedy.
    """
    if not path.is_file():
        raise SegForgeError(f"{path} is missing.")
    try:
        return _format(path).read(path)
    except SegForgeError:
        raise
    except MemoryError as error:
        raise SegForgeError(f"{path} does not fit into memory.") from error
    except Exception as error:
        raise SegForgeError(f"{path} cannot be read: {error}. Copy or export it again.") from error


def read_channels(paths: Sequence[Path]) -> Image:
    """Read the channels of a case, one or more per file, as float32 on one grid.

    Raises:
        SegForgeError: If a file is unreadable, its grid differs from the first one's, or it holds NaN or infinity.
    """
    images = [read_image(path) for path in paths]
    for path, image in zip(paths[1:], images[1:], strict=True):
        if difference := geometry_difference(images[0].geometry, image.geometry):
            raise SegForgeError(f"{path} and {paths[0]} are not on one grid: {difference}. Resample one onto the other.")
    array = np.concatenate([image.array for image in images]).astype(np.float32, order="C", copy=False)
    if not np.isfinite(array).all():
        raise SegForgeError(f"{_first_not_finite(paths, images)} holds NaN or infinity. Replace such voxels, for example by 0.")
    return replace(images[0], array=array)


def read_labels(path: Path) -> Image:
    """Read a label map `(1, Z, Y, X)` with its stored integer values.

    Raises:
        SegForgeError: If it is unreadable, has several channels, or a value that is not an integer.
    """
    image = read_image(path)
    array = image.array
    if array.shape[0] > 1 and all(np.array_equal(array[0], channel) for channel in array[1:3]):
        array = array[:1]
    if array.shape[0] != 1:
        raise SegForgeError(f"{path} has {array.shape[0]} channels; a label map has one.")
    if array.dtype.kind == "f":
        whole = np.rint(array)
        if not np.array_equal(whole, array):
            found = array[whole != array].flat[0]
            raise SegForgeError(
                f"{path} holds the label value {found:g}; labels must be whole numbers. Export it without interpolation."
            )
        array = whole.astype(np.int32)
    return replace(image, array=np.ascontiguousarray(array))


def write_labels(path: Path, labels: Array, geometry: Geometry) -> None:
    """Write a label map `(Z, Y, X)` on a grid, whole or not at all.

    Raises:
        SegForgeError: If the format cannot hold it or the disk is full.
    """
    _format(path).write(path, labels, geometry)


def ending_of(path: Path) -> str | None:
    """The ending of an image file, `.nii.gz` for example; None for other files."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)


def _format(path: Path) -> Format:
    ending = ending_of(path)
    if ending is None:
        raise SegForgeError(f"{path} has no ending that SegForge reads: {', '.join(ENDINGS)}.")
    from segforge.images import nifti, planes

    return nifti if ending in nifti.ENDINGS else planes


def _first_not_finite(paths: Sequence[Path], images: Sequence[Image]) -> Path:
    pairs = zip(paths, images, strict=True)
    return next(path for path, image in pairs if not np.isfinite(image.array.astype(np.float32)).all())
