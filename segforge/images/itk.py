"""NRRD, MetaImage and GIPL files through SimpleITK, which believes their headers; what they claim is checked before."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from segforge.compute.files import whole_file, write_bytes
from segforge.errors import SegForgeError
from segforge.images.image import IDENTITY, PLANE_THICKNESS, Array, Geometry, Image, checked
from segforge.images.itk_headers import CHECKS, voxels_file


def read(path: Path) -> Image:
    """Read a 2D, 3D or 4D file; a fourth axis, or several values per voxel, become channels.

    Raises:
        SegForgeError: If the file is damaged, shorter than its header claims, or has a geometry that is not finite.
    """
    CHECKS[path.suffix.lower()](path)
    return from_itk(sitk.ReadImage(str(path)), path)


def read_grid(path: Path) -> Geometry:
    """The grid of a file, from its header alone."""
    CHECKS[path.suffix.lower()](path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    x, y, z = (*reader.GetSize()[:3], 1)[:3]
    return checked(_geometry(reader, (z, y, x)), path)


def companions(path: Path) -> tuple[Path, ...]:
    """The file of voxels that an `.mhd` file names."""
    voxels = voxels_file(path) if path.suffix.lower() == ".mhd" and path.is_file() else None
    return (voxels,) if voxels and voxels.is_file() else ()


def from_itk(image: Any, path: Path) -> Image:
    """An image of SimpleITK's as one of ours.

    Raises:
        SegForgeError: If it has more than four axes, or a geometry that is not finite.
    """
    array, dimensions = sitk.GetArrayFromImage(image), image.GetDimension()
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)
    elif dimensions < 4:
        array = array[None]
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or array.dtype.kind not in "iuf":
        raise SegForgeError(
            f"{path} has the shape {array.shape} and {array.dtype} voxels, which SegForge does not read. Export it as a plane "
            "or volume of integers or real numbers."
        )
    return Image(array, checked(_geometry(image, array.shape[1:]), path))


def write(path: Path, array: Array, geometry: Geometry) -> None:
    """Write a volume `(Z, Y, X)` on a grid, compressed where the format can.

    Raises:
        SegForgeError: If the format cannot hold it.
    """
    if path.suffix.lower() == ".gipl" and not np.allclose(geometry.direction, IDENTITY):
        raise SegForgeError(f"{path}: GIPL cannot hold the direction of the axes; use .nii.gz or .nrrd.")
    image = sitk.GetImageFromArray(array[0] if geometry.is_2d else array)
    dimensions = image.GetDimension()
    image.SetSpacing(geometry.spacing[::-1][:dimensions])
    image.SetOrigin(geometry.origin[:dimensions])
    image.SetDirection(np.array(geometry.direction).reshape(3, 3)[:dimensions, :dimensions].ravel().tolist())
    if path.suffix.lower() == ".mhd":
        _write_pair(path, image)
        return
    with whole_file(path) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)


def _write_pair(path: Path, image: Any) -> None:
    """An `.mhd` header and the `.zraw` file that it names: the voxels first, so that a header is never without them."""
    voxels = path.with_suffix(".zraw")
    with whole_file(path.with_suffix(".mha")) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)
        header, mark, content = temporary.read_bytes().partition(b"ElementDataFile = LOCAL\n")
        write_bytes(voxels, content)
        write_bytes(path, header + mark.replace(b"LOCAL", voxels.name.encode()))


def _geometry(image: Any, shape: tuple[int, ...]) -> Geometry:
    dimensions = min(image.GetDimension(), 3)
    spacing = image.GetSpacing()[:dimensions]
    direction = np.eye(3)
    matrix = np.array(image.GetDirection()).reshape(image.GetDimension(), image.GetDimension())
    direction[:dimensions, :dimensions] = matrix[:dimensions, :dimensions]
    x, y, z = spacing if dimensions == 3 else (*spacing, PLANE_THICKNESS * max(spacing))
    return Geometry(
        shape=(shape[0], shape[1], shape[2]),
        spacing=(z, y, x),
        origin=(*image.GetOrigin()[:dimensions], 0.0)[:3],
        direction=tuple(direction.ravel().tolist()),
        is_2d=dimensions == 2,
    )
