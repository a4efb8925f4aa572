"""Reads the pictures and volumes of a source, also formats and kinds of label maps that are no part of a data set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image as Picture

from segforge.dataset.conversion.listing import LOSSY, picture_ending
from segforge.errors import SegForgeError
from segforge.images.files import ending_of, read_image
from segforge.images.image import Array, Geometry, Image
from segforge.images.planes import SPACING

_AS_STORED = ("1", "L", "LA", "RGB", "RGBA", "I", "I;16", "F")
_WITH_HEADER = (".png", ".bmp")
_ORIENTATION = 0x0112  # EXIF


def read_source_image(path: Path) -> Image:
    """Read an image `(C, Z, Y, X)` as it is stored; colours become channels.

    Raises:
        SegForgeError: If it is damaged, or holds several pictures.
    """
    if ending_of(path) or path.is_dir():
        return read_image(path)
    return _decoded(path, palette_indices=False)


def read_source_labels(path: Path) -> Image:
    """Read a label map: values `(1, Z, Y, X)`, or for a true-colour picture `(3, 1, Y, X)`.

    A palette gives its indices, or if all its colours are grey their values; bits are 0 and 1; transparent pixels are 0,
    unless the whole picture is equally transparent; three equal colours are one channel.

    Raises:
        SegForgeError: If it is damaged, was stored with loss, or is a volume with several channels.
    """
    form, mode = _form_and_mode(path)
    if form == "JPEG":
        raise SegForgeError(
            f"{path} is a JPEG, which changes label values at every edge. Export it again without loss, as PNG for example."
        )
    image = _decoded(path, palette_indices=True) if mode == "P" or not ending_of(path) else read_image(path)
    if image.array.shape[0] > 1 and not image.geometry.is_2d:
        raise SegForgeError(f"{path} has {image.array.shape[0]} channels; a label map has one. Export it with one.")
    array = _without_alpha(image.array)
    if len(array) == 3 and array.dtype != np.uint8:
        raise SegForgeError(
            f"{path} holds colours of {array.dtype}; colours that mean labels have 8 bits. Save it with grey values."
        )
    return replace(image, array=array)


def packed_colours(labels: Array) -> Array:
    """Colours `(3, Z, Y, X)` of 8 bits as one number for each voxel: red, green, blue from the highest byte on."""
    red, green, blue = labels.astype(np.uint32)
    packed: Array = red << 16 | green << 8 | blue
    return packed


def is_plain(path: Path) -> bool:
    """Whether a label map has one channel and no palette, in a format that belongs in a data set."""
    if picture_ending(path) == ".tif":
        with tifffile.TiffFile(path) as file:
            return not set("CS").intersection(file.series[0].axes)
    return ending_of(path) is not None and _form_and_mode(path)[1] in ("1", "L", "I", "I;16", "")


def has_rotation_tag(path: Path) -> bool:
    """Whether a photograph says that it shall be turned to be looked at; its pixels are taken as they are stored."""
    if picture_ending(path) not in LOSSY:
        return False
    with Picture.open(path) as picture:
        return bool(picture.getexif().get(_ORIENTATION, 1) != 1)


def _form_and_mode(path: Path) -> tuple[str, str]:
    """Pillow's words for the format and the kind of pixels; empty for what is not one of its formats."""
    ending = picture_ending(path)
    if ending in LOSSY:
        return "JPEG", ""
    if ending_of(path) and ending not in _WITH_HEADER:
        return "", ""
    with _opened(path) as picture:
        return picture.format or "", picture.mode


def _decoded(path: Path, *, palette_indices: bool) -> Image:
    with _opened(path) as picture:
        if getattr(picture, "n_frames", 1) > 1:
            raise SegForgeError(f"{path} holds {picture.n_frames} pictures. Save each as a file of its own.")  # type: ignore[attr-defined]
        try:
            pixels = _palette_labels(picture) if palette_indices and picture.mode == "P" else _pixels(picture)
        except (OSError, ValueError, SyntaxError) as error:
            raise SegForgeError(f"{path} cannot be read: {error}. Copy or export it again.") from error
    channels = pixels[..., None] if pixels.ndim == 2 else pixels
    return Image(channels.transpose(2, 0, 1)[:, None], Geometry((1, *pixels.shape[:2]), SPACING, is_2d=True))


def _opened(path: Path) -> Picture.Image:
    try:
        return Picture.open(path)
    except FileNotFoundError as error:
        raise SegForgeError(f"{path} is missing.") from error
    except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError) as error:
        raise SegForgeError(f"{path} cannot be read: {error}. Copy or export it again.") from error


def _pixels(picture: Picture.Image) -> Array:
    if picture.mode not in _AS_STORED:
        picture = picture.convert("RGBA" if "transparency" in picture.info or picture.mode in ("PA", "RGBa") else "RGB")
    pixels = np.asarray(picture)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    is_short = pixels.dtype == np.int32 and pixels.min() >= 0 and pixels.max() <= 65535  # Pillow's "I" for 16 bits
    return pixels.astype(np.uint16) if is_short else pixels


def _palette_labels(picture: Picture.Image) -> Array:
    indices = np.asarray(picture)
    palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    is_grey = (palette == palette[:, :1]).all() and indices.max() < len(palette)
    return palette[:, 0][indices] if is_grey else indices


def _without_alpha(array: Array) -> Array:
    """A label picture `(C, 1, Y, X)` as one channel, or three if it is truly coloured."""
    if array.shape[0] in (2, 4):
        array, alpha = array[:-1], array[-1]
        if alpha.min() != alpha.max():
            array = np.where(alpha == 0, 0, array)
    is_grey = array.shape[0] == 3 and np.array_equal(array[0], array[1]) and np.array_equal(array[0], array[2])
    return array[:1] if is_grey else array
