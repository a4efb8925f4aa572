"""Two-dimensional PNG, BMP and TIFF files: grey, RGB and RGBA as one, three and four channels."""

from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segforge.compute.files import whole_file
from segforge.errors import SegForgeError
from segforge.images.image import Array, Geometry, Image

ENDINGS = (".png", ".bmp", ".tif", ".tiff")

_TIFF = (".tif", ".tiff")
_SPACING = (999.0, 1.0, 1.0)  # no two slices belong together


def read(path: Path) -> Image:
    """Read a plane; colours become channels.

    Raises:
        SegForgeError: If the file has more than two dimensions, or more bits than its reader keeps.
    """
    pixels = _read_tiff(path) if path.suffix.lower() in _TIFF else _read_picture(path)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] > 4:
        raise SegForgeError(f"{path} has the shape {pixels.shape}; a plane has two dimensions and up to four colours.")
    array = pixels.transpose(2, 0, 1)[:, None]
    return Image(array, Geometry(shape=(1, *pixels.shape[:2]), spacing=_SPACING, is_2d=True))


def write(path: Path, array: Array, geometry: Geometry) -> None:
    """Write a volume of one slice `(1, Y, X)` as a grey plane.

    Raises:
        SegForgeError: If it has more slices, or values that the format cannot hold.
    """
    if array.shape[0] != 1:
        raise SegForgeError(f"{path}: a volume of {array.shape[0]} slices cannot be written as {path.suffix}; use .nii.gz.")
    with whole_file(path) as temporary:
        if path.suffix.lower() in _TIFF:
            import tifffile

            tifffile.imwrite(temporary, array[0], compression="zlib")
        else:
            _picture(array[0], path).save(temporary)


def _read_tiff(path: Path) -> Array:
    import tifffile

    return np.asarray(tifffile.imread(path))


def _read_picture(path: Path) -> Array:
    with path.open("rb") as file:
        head = file.read(26)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24] == 16 and head[25] in (2, 4, 6):
        raise SegForgeError(f"{path} is a colour PNG with 16 bits, which would be read with 8. Save it as TIFF.")
    with Picture.open(path) as picture:
        palette = picture.mode == "P"
        pixels = np.asarray(picture.convert("RGBA" if "transparency" in picture.info else "RGB") if palette else picture)
    return pixels.astype(np.uint8) if pixels.dtype == bool else pixels


def _picture(plane: Array, path: Path) -> Picture.Image:
    if plane.dtype == np.uint8:
        return Picture.fromarray(plane)
    if plane.min() >= 0 and plane.max() <= 65535 and path.suffix.lower() == ".png":
        return Picture.fromarray(plane.astype(np.uint16))
    raise SegForgeError(f"{path}: {path.suffix} cannot hold values from {plane.min()} to {plane.max()}; use .tif.")
