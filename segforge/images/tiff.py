"""TIFF files: planes and stacks, with channels or colours; voxel sizes from `CASE.json` or from ImageJ's or OME's tags."""

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from segforge.compute.documents import read_json, to_json
from segforge.compute.files import whole_file, write_text
from segforge.errors import SegForgeError
from segforge.images.image import Array, Geometry, Image, checked
from segforge.images.planes import SPACING

_CHANNELS, _DEPTH = "CS", "ZQIT"  # tifffile's letters for the axes
_CHANNEL_NUMBER = re.compile(r"_\d{4}$")
_MICROMETRES = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "\\u00B5m": 1.0, "micron": 1.0, "mm": 1e3, "cm": 1e4}

Spacing = tuple[float, float, float]


def read(path: Path) -> Image:
    """Read a plane `(Y, X)`, a stack `(Z, Y, X)`, or either with channels or colours.

    The voxel size of a stack is that of `CASE.json` beside it, {"spacing": [z, y, x]}, else that of its tags in
    micrometres, else 1.

    Raises:
        SegForgeError: If the file is cut or damaged, or has more axes than that.
    """
    _check_pages(path)
    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            raise SegForgeError(f"{path} holds {len(file.series)} images of different shapes. Save each as a file of its own.")
        return _placed(_voxels(file, path), file, path)


def read_grid(path: Path) -> Geometry:
    """The grid of a file, from its tags alone."""
    with tifffile.TiffFile(path) as file:
        (series,) = file.series
        return _placed(np.broadcast_to(np.zeros((), np.uint8), series.shape), file, path).geometry


def write(path: Path, array: Array, geometry: Geometry, *, case: str | None = None) -> None:
    """Write a plane or a stack `(Z, Y, X)`, for a stack with `CASE.json` for its voxel size beside it.

    Args:
        path: The file.
        array: Its voxels.
        geometry: Their grid.
        case: The case that an image `CASE_0000.tif` belongs to; None for a label map, whose name is its case's.
    """
    if not geometry.is_2d:
        write_spacing(path.with_name(case or path.stem), geometry.spacing)
    with whole_file(path) as temporary:
        tifffile.imwrite(temporary, array[0] if geometry.is_2d else array, compression="zlib", photometric="minisblack")


def write_spacing(case: Path, spacing: Spacing) -> None:
    """Write `CASE.json` with the voxel size (z, y, x) of the stacks of a case, which lie beside it."""
    write_text(case.with_name(f"{case.name}.json"), to_json({"spacing": list(spacing)}))


def companions(path: Path) -> tuple[Path, ...]:
    """`CASE.json` beside `CASE_0000.tif` or `CASE.tif`, if it is there."""
    names = dict.fromkeys((_CHANNEL_NUMBER.sub("", path.stem), path.stem))
    beside = (path.with_name(f"{name}.json") for name in names)
    return tuple(description for description in beside if description.is_file())[:1]


def _check_pages(path: Path) -> None:
    """Follow the chain of pages to its end: tifffile would leave out those behind a broken link."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) == 16 else 0
        if version not in (42, 43):
            raise SegForgeError(f"{path} is not a TIFF file. Copy or export it again.")
        count, entry, link, begin = ("H", 12, "I", 4) if version == 42 else ("Q", 20, "Q", 8)
        offset, seen = struct.unpack_from(f"{order}{link}", head, begin)[0], set[int]()
        while offset:
            file.seek(offset)
            entries = file.read(struct.calcsize(count))
            end = offset + len(entries) + (struct.unpack(f"{order}{count}", entries)[0] * entry if entries else size)
            if offset in seen or end + struct.calcsize(link) > size:
                raise SegForgeError(f"{path} is truncated or damaged: page {len(seen)} is missing. Copy or export it again.")
            seen.add(offset)
            file.seek(end)
            offset = struct.unpack(f"{order}{link}", file.read(struct.calcsize(link)))[0]


def _voxels(file: Any, path: Path) -> Array:
    """The voxels of the only series, in its shape, once all of them are known to be in the file."""
    size, series = path.stat().st_size, file.series[0]
    pages = [series.keyframe] if series.dataoffset is not None else [page for page in series.pages if page is not None]
    for number, page in enumerate(pages):
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        if not segments or any(count == 0 or offset + count > size for offset, count in segments):
            raise SegForgeError(f"{path} is truncated: voxels of page {number} are missing. Copy or export it again.")
    if series.dataoffset is not None and series.dataoffset + series.nbytes > size:
        raise SegForgeError(f"{path} is truncated: it has {size} of {series.nbytes} bytes. Copy or export it again.")
    try:
        return np.asarray(series.asarray())
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        return _by_itk(path, series)


def _by_itk(path: Path, series: Any) -> Array:
    """Voxels in a compression that tifffile leaves to a package of 20 MB, such as LZW."""
    import SimpleITK as sitk

    array = np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    if array.shape != series.shape or array.dtype != series.dtype:
        raise SegForgeError(
            f"{path} is compressed in a way that SegForge cannot read. Save it with Deflate or without compression."
        )
    return array


def _placed(voxels: Array, file: Any, path: Path) -> Image:
    """Voxels as the file's series has them, with their axes in order and their size."""
    axes, tagged, described = str(file.series[0].axes), _tagged_spacing(file), _described_spacing(path)
    # tifffile writes three or four slices as colour planes if it is not told that they are none
    array = _channels_first(voxels, "ZYX" if described and axes == "SYX" else axes, path)
    is_2d = array.shape[1] == 1 and described is None
    z, y, x = array.shape[1:]
    spacing = SPACING if is_2d else described or tagged or (1.0, 1.0, 1.0)
    return Image(array, checked(Geometry((z, y, x), spacing, is_2d=is_2d), path))


def _channels_first(voxels: Array, axes: str, path: Path) -> Array:
    channels = [axis for axis, letter in enumerate(axes) if letter in _CHANNELS]
    depth = [axis for axis, letter in enumerate(axes) if letter in _DEPTH]
    if len(channels) > 1 or len(depth) > 1 or len(channels) + len(depth) + 2 != voxels.ndim or not axes.count("YX"):
        raise SegForgeError(
            f"{path} has the axes {axes} {voxels.shape}; SegForge reads planes and stacks, with channels. "
            "Save each time point or position as a file of its own."
        )
    ordered = voxels.transpose(*channels, *depth, axes.index("Y"), axes.index("X"))
    shape = ordered.shape
    return ordered.reshape(shape[0] if channels else 1, shape[len(channels)] if depth else 1, *shape[-2:])


def _described_spacing(path: Path) -> Spacing | None:
    for description in companions(path):
        content = read_json(description)
        spacing = content.get("spacing") if isinstance(content, dict) else None
        if not isinstance(spacing, list) or len(spacing) != 3 or not all(_is_size(value) for value in spacing):
            raise SegForgeError(f'{description} must hold {{"spacing": [z, y, x]}} with numbers above 0; found {spacing}.')
        return float(spacing[0]), float(spacing[1]), float(spacing[2])
    return None


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _tagged_spacing(file: Any) -> Spacing | None:
    if file.is_ome:
        sizes = [_ome_size(file.ome_metadata, axis) for axis in "ZYX"]
    elif file.is_imagej:
        sizes = _imagej_sizes(file)
    else:
        return None
    known = [size for size in sizes if size]
    if len(known) < 2:
        return None
    z, y, x = (size or known[-1] for size in sizes)
    return z, y, x


def _ome_size(metadata: str, axis: str) -> float | None:
    size = re.search(rf'\bPhysicalSize{axis}="([^"]*)"', metadata)
    unit = re.search(rf'\bPhysicalSize{axis}Unit="([^"]*)"', metadata)
    return float(size[1]) * _MICROMETRES.get(unit[1] if unit else "um", 1.0) if size else None


def _imagej_sizes(file: Any) -> list[float | None]:
    tags, metadata = file.pages[0].tags, file.imagej_metadata
    scale = _MICROMETRES.get(str(metadata.get("unit")), 1.0)
    pixels_per_unit = [tags[name].value for name in ("YResolution", "XResolution") if name in tags]
    in_plane = [below / above * scale if above and below else None for above, below in pixels_per_unit]
    depth = metadata.get("spacing")
    return [float(depth) * scale if depth else None, *(in_plane if len(in_plane) == 2 else (None, None))]
