"""Two-dimensional PNG, BMP and JPEG files: grey, RGB and RGBA as one, three and four channels."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin
from PIL import Image as Picture

from segforge.compute.files import whole_file
from segforge.errors import SegForgeError
from segforge.images.files import LOSSY_ENDINGS
from segforge.images.image import PLANE_THICKNESS, Array, Geometry, Image
from segforge.images.inflate import LARGEST_RATIO, check_length

SPACING = (float(PLANE_THICKNESS), 1.0, 1.0)
"""Of a plane without physical size."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = (2, 4, 6)
_JPEG = b"\xff\xd8\xff"


def read(path: Path) -> Image:
    """Read a plane; colours become channels. What the file is is seen from its first bytes.

    Raises:
        SegForgeError: If the file is cut or damaged.
    """
    return _read(path, path.read_bytes(), palette_indices=False)


def read_grid(path: Path) -> Geometry:
    """The grid of a plane, from its header alone."""
    with path.open("rb") as file, Picture.open(file) as picture:
        return Geometry(shape=(1, picture.height, picture.width), spacing=SPACING, is_2d=True)


def read_labels(path: Path) -> Image:
    """Read a label map; one with a palette has the indices as its values, not the colours.

    Raises:
        SegForgeError: If the file is cut or damaged, or a JPEG.
    """
    raw = path.read_bytes()
    if raw.startswith(_JPEG):
        raise SegForgeError(f"{path} is a JPEG, which changes the values of labels. Export the labels as PNG.")
    return _read(path, raw, palette_indices=True)


def write(path: Path, array: Array, geometry: Geometry) -> None:
    """Write a volume of one slice `(1, Y, X)` as a grey plane.

    Raises:
        SegForgeError: If it has more slices, values that the format cannot hold, or would not be kept exactly.
    """
    if array.shape[0] != 1:
        raise SegForgeError(f"{path}: a volume of {array.shape[0]} slices cannot be written as {path.suffix}; use .nii.gz.")
    if path.suffix.lower() in LOSSY_ENDINGS:
        raise SegForgeError(f"{path}: JPEG changes the values that it stores; use .png.")
    with whole_file(path) as temporary:
        _picture(array[0], path).save(temporary)


def _read(path: Path, raw: bytes, *, palette_indices: bool) -> Image:
    if raw.startswith(_PNG):
        _check_png(raw, path)
    if raw.startswith(_PNG) and raw[24] == 16 and raw[25] in _PNG_COLOURS:
        pixels = _sixteen_bit_colours(path)
    else:
        pixels = _pixels(path, raw, palette_indices=palette_indices)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    array = pixels.transpose(2, 0, 1)[:, None]
    return Image(array, Geometry(shape=(1, *pixels.shape[:2]), spacing=SPACING, is_2d=True))


def _check_png(raw: bytes, path: Path) -> None:
    """Compare the check sum of every chunk, up to the one that ends the file."""
    begin = len(_PNG)
    while begin + 12 <= len(raw):
        (length,) = struct.unpack(">I", raw[begin : begin + 4])
        end = begin + 12 + length
        if end > len(raw):
            break
        kind = raw[begin + 4 : begin + 8]
        if zlib.crc32(raw[begin + 4 : end - 4]) != struct.unpack(">I", raw[end - 4 : end])[0]:
            raise SegForgeError(f"{path} is damaged: a check sum does not agree. Copy or export it again.")
        if kind == b"IEND":
            return
        begin = end
    raise SegForgeError(f"{path} is truncated: its end is missing. Copy or export it again.")


def _pixels(path: Path, raw: bytes, *, palette_indices: bool) -> Array:
    with path.open("rb") as file:
        picture = _opened(file, raw, path)
        if picture.width * picture.height * len(picture.getbands()) > len(raw) * LARGEST_RATIO * 8:
            raise SegForgeError(
                f"{path} is damaged: it claims {picture.width} x {picture.height} pixels, more than its {len(raw)} bytes can "
                "hold. Copy or export it again."
            )
        if picture.mode == "P" and not palette_indices:
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        elif picture.mode in ("CMYK", "YCCK", "YCbCr", "LAB"):
            picture = picture.convert("RGB")
        pixels = np.asarray(picture)
    return pixels.astype(np.uint8) if pixels.dtype == bool else pixels


def _opened(file: Any, raw: bytes, path: Path) -> Picture.Image:
    """The picture, by the plug-in for its first bytes (Pillow's own choice would refuse very large ones)."""
    if raw.startswith(_PNG):
        return PngImagePlugin.PngImageFile(file)
    if raw.startswith(_JPEG):
        if b"\xff\xd9" not in raw[raw.rfind(b"\xff\xda") :]:
            raise SegForgeError(f"{path} is truncated: its end is missing. Copy or export it again.")
        return JpegImagePlugin.JpegImageFile(file)
    if raw.startswith(b"BM"):
        check_length(len(raw), int.from_bytes(raw[2:6], "little"), path)
        return BmpImagePlugin.BmpImageFile(file)
    raise SegForgeError(f"{path} is neither PNG, BMP nor JPEG. Copy or export it again.")


def _sixteen_bit_colours(path: Path) -> Array:
    """Pillow would keep eight of the sixteen bits."""
    import SimpleITK as sitk

    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))


def _picture(plane: Array, path: Path) -> Picture.Image:
    if plane.dtype == np.uint8:
        return Picture.fromarray(plane)
    if plane.min() >= 0 and plane.max() <= 65535 and path.suffix.lower() == ".png":
        return Picture.fromarray(plane.astype(np.uint16))
    raise SegForgeError(f"{path}: {path.suffix} cannot hold values from {plane.min()} to {plane.max()}; use .tif.")
